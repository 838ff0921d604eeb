/* CRC-32, as zlib has it, several times as fast where the processor multiplies polynomials. */
#include "native.h"

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

#define HAS_PRODUCTS (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"))
#define PRODUCTS __attribute__((target("pclmul,sse4.1")))

/* What 64 and 16 bytes further on are, and the last steps, modulo the polynomial, the lowest power first (Gopal et al.,
 * "Fast CRC computation for generic polynomials using PCLMULQDQ instruction", Intel 2009). */
#define BY_64_LOW 0x0154442bd4
#define BY_64_HIGH 0x01c6e41596
#define BY_16_LOW 0x01751997d0
#define BY_16_HIGH 0x00ccaa009e
#define BY_8 0x0163cd6124
#define POLYNOMIAL 0x01db710641
#define QUOTIENT 0x01f7011641

PRODUCTS static ALWAYS_INLINE __m128i folded(__m128i sum, __m128i by, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(sum, by, 0x00), high = _mm_clmulepi64_si128(sum, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

static ALWAYS_INLINE __m128i at(const unsigned char *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

/* Of n bytes, n a multiple of 16 and at least 64. */
PRODUCTS static uint32_t crc_of(const unsigned char *p, Py_ssize_t n, uint32_t crc)
{
    const unsigned char *stop = p + n;
    __m128i by_64 = _mm_set_epi64x(BY_64_HIGH, BY_64_LOW), by_16 = _mm_set_epi64x(BY_16_HIGH, BY_16_LOW);
    __m128i a = _mm_xor_si128(at(p), _mm_cvtsi32_si128((int)~crc)), b = at(p + 16), c = at(p + 32), d = at(p + 48);
    for (p += 64; stop - p >= 64; p += 64) {
        a = folded(a, by_64, at(p));
        b = folded(b, by_64, at(p + 16));
        c = folded(c, by_64, at(p + 32));
        d = folded(d, by_64, at(p + 48));
    }
    a = folded(a, by_16, b);
    a = folded(a, by_16, c);
    a = folded(a, by_16, d);
    for (; p < stop; p += 16)
        a = folded(a, by_16, at(p));
    /* 128 bits to 64, to 32 (Barrett) */
    const __m128i low_half = _mm_set_epi32(0, -1, 0, -1);
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_16, 0x10));
    b = _mm_srli_si128(a, 4);
    a = _mm_clmulepi64_si128(_mm_and_si128(a, low_half), _mm_set_epi64x(0, BY_8), 0x00);
    a = _mm_xor_si128(a, b);
    const __m128i last = _mm_set_epi64x(QUOTIENT, POLYNOMIAL);
    b = _mm_clmulepi64_si128(_mm_and_si128(a, low_half), last, 0x10);
    b = _mm_clmulepi64_si128(_mm_and_si128(b, low_half), last, 0x00);
    return ~(uint32_t)_mm_extract_epi32(_mm_xor_si128(a, b), 1);
}
#else
#define HAS_PRODUCTS 0

static uint32_t crc_of(const unsigned char *p, Py_ssize_t n, uint32_t crc)
{
    (void)p, (void)n;
    return crc;
}
#endif

PyDoc_STRVAR(crc32_doc, "crc32(data, crc)\n\n"
                        "(how many bytes were read, zlib.crc32 of these): all but the last few, or none where this\n"
                        "processor is no faster than zlib.");

static PyObject *crc32_of(PyObject *self, PyObject *args)
{
    Py_buffer data;
    unsigned int crc;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*I", &data, &crc))
        return NULL;
    Py_ssize_t n = data.len & ~(Py_ssize_t)15;
    if (n < 64 || !HAS_PRODUCTS)
        n = 0;
    else {
        Py_BEGIN_ALLOW_THREADS
        crc = crc_of(data.buf, n, crc);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    return Py_BuildValue("nI", n, crc);
}

PyMethodDef crc_methods[] = {
    {"crc32", crc32_of, METH_VARARGS, crc32_doc},
    {NULL, NULL, 0, NULL},
};
