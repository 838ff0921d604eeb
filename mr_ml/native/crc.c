/* CRC-32 of many bytes at a time, as zlib computes it: carry-less products fold 64 bytes into the next 64. After
 * V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009; the constants
 * are its powers of x modulo the polynomial 0x04C11DB7, bits reflected. */
#include "native.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define FOLDS __attribute__((target("pclmul,sse4.1")))

FOLDS static inline __m128i folded(__m128i x, __m128i by, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(x, by, 0x00), high = _mm_clmulepi64_si128(x, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

FOLDS static inline __m128i load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

/* Of n bytes, at least 64 and a multiple of 16; crc as it is between bytes, that is inverted. */
FOLDS static uint32_t fold(uint32_t crc, const uint8_t *p, Py_ssize_t n)
{
    const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x163cd6124);
    const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
    const __m128i words = _mm_set_epi32(0, -1, 0, -1);
    __m128i a = _mm_xor_si128(load(p), _mm_cvtsi32_si128((int)crc));
    __m128i b = load(p + 16), c = load(p + 32), d = load(p + 48);
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
        a = folded(a, by_512, load(p));
        b = folded(b, by_512, load(p + 16));
        c = folded(c, by_512, load(p + 32));
        d = folded(d, by_512, load(p + 48));
    }
    a = folded(folded(folded(a, by_128, b), by_128, c), by_128, d);
    for (; n >= 16; p += 16, n -= 16)
        a = folded(a, by_128, load(p));
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_128, 0x10));
    a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, words), by_64, 0x00));
    b = _mm_clmulepi64_si128(_mm_and_si128(a, words), barrett, 0x10);
    b = _mm_clmulepi64_si128(_mm_and_si128(b, words), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(a, b), 1);
}

static int can_fold(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
static uint32_t fold(uint32_t crc, const uint8_t *p, Py_ssize_t n)
{
    (void)p;
    (void)n;
    return crc;
}

static int can_fold(void)
{
    return 0;
}
#endif

PyDoc_STRVAR(crc32_doc, "crc32(data, value)\n\n"
                        "(how many of the bytes were taken, the CRC-32 of these going on from value); the others are too\n"
                        "few, or all of them where the processor lacks the instructions.");

static PyObject *crc32(PyObject *self, PyObject *args)
{
    Py_buffer data;
    unsigned int value;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*I", &data, &value))
        return NULL;
    Py_ssize_t n = data.len >= 64 && can_fold() ? data.len & ~(Py_ssize_t)15 : 0;
    uint32_t crc = value;
    if (n) {
        Py_BEGIN_ALLOW_THREADS
        crc = ~fold(~crc, data.buf, n);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    return Py_BuildValue("nI", n, (unsigned int)crc);
}

PyMethodDef crc_methods[] = {
    {"crc32", crc32, METH_VARARGS, crc32_doc},
    {NULL, NULL, 0, NULL},
};
