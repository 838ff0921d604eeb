/* Where the fields of CSV end in a piece of text: at delimiters and line feeds. */
#ifndef MR_ML_ENDS_H
#define MR_ML_ENDS_H

#include "native.h"

/* So much text that where its fields end stays near the processor; and room behind the ends, which is written over. */
#define CHUNK 4096
#define ENDS_ROOM 64

/* How they are found, the slowest way first. All find the same. */
enum { BY_BYTES, BY_SIXTEEN, BY_SIXTY_FOUR, N_WAYS };

static ALWAYS_INLINE Py_ssize_t ends_by_bytes(const char *text, Py_ssize_t at, Py_ssize_t size, char delimiter,
                                              uint16_t *ends, Py_ssize_t n, Py_ssize_t *n_feeds)
{
    for (; at < size; at++)
        if (text[at] == delimiter || text[at] == '\n') {
            *n_feeds += text[at] == '\n';
            ends[n++] = (uint16_t)at;
        }
    return n;
}

#ifdef __SSE2__

#include <emmintrin.h>

/* The ends that most 64 bytes have. */
#define ENDS_AT_ONCE 12

static ALWAYS_INLINE Py_ssize_t ends_by_sixteen(const char *text, Py_ssize_t size, char delimiter, uint16_t *ends,
                                                Py_ssize_t *n_feeds)
{
    Py_ssize_t n = 0, at = 0;
    const __m128i delimiters = _mm_set1_epi8(delimiter), feeds = _mm_set1_epi8('\n');
    __m128i counted = _mm_setzero_si128();
    for (; size - at >= 64; at += 64) {
        uint64_t found = 0;
        __m128i here = _mm_setzero_si128();
        for (int k = 0; k < 4; k++) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(text + at) + k);
            __m128i is_feed = _mm_cmpeq_epi8(bytes, feeds);
            __m128i equal = _mm_or_si128(_mm_cmpeq_epi8(bytes, delimiters), is_feed);
            here = _mm_sub_epi8(here, is_feed);
            found |= (uint64_t)(uint32_t)_mm_movemask_epi8(equal) << 16 * k;
        }
        counted = _mm_add_epi64(counted, _mm_sad_epu8(here, _mm_setzero_si128()));
        /* as many as there mostly are at the most, so that the processor foresees the end; what is too much is written
         * over */
        int count = __builtin_popcountll(found);
        for (int k = 0; k < ENDS_AT_ONCE; k++, found &= found - 1)
            ends[n + k] = (uint16_t)(at + __builtin_ctzll(found | 1ULL << 63));
        for (int k = ENDS_AT_ONCE; k < count; k++, found &= found - 1)
            ends[n + k] = (uint16_t)(at + __builtin_ctzll(found));
        n += count;
    }
    *n_feeds += _mm_cvtsi128_si32(counted) + _mm_cvtsi128_si32(_mm_srli_si128(counted, 8));
    return ends_by_bytes(text, at, size, delimiter, ends, n, n_feeds);
}

#else

static ALWAYS_INLINE Py_ssize_t ends_by_sixteen(const char *text, Py_ssize_t size, char delimiter, uint16_t *ends,
                                                Py_ssize_t *n_feeds)
{
    return ends_by_bytes(text, 0, size, delimiter, ends, 0, n_feeds);
}

#endif

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

/* Processors with the widest registers move the numbers of the bytes that are ends together in one step. */
__attribute__((target("avx512bw,avx512vbmi2,popcnt"))) static Py_ssize_t
ends_by_sixty_four(const char *text, Py_ssize_t size, char delimiter, uint16_t *ends, Py_ssize_t *n_feeds)
{
    static const uint8_t NUMBERS[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                        32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
                                        48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i numbers = _mm512_loadu_si512(NUMBERS);
    const __m512i delimiters = _mm512_set1_epi8(delimiter), feeds = _mm512_set1_epi8('\n');
    Py_ssize_t n = 0;
    for (Py_ssize_t at = 0; at < size; at += 64) {
        uint64_t there = size - at < 64 ? (1ULL << (size - at)) - 1 : ~0ULL;
        __m512i bytes = _mm512_maskz_loadu_epi8(there, text + at);
        uint64_t are_feeds = _mm512_mask_cmpeq_epi8_mask(there, bytes, feeds);
        uint64_t found = are_feeds | _mm512_mask_cmpeq_epi8_mask(there, bytes, delimiters);
        int count = __builtin_popcountll(found);
        __m512i moved = _mm512_maskz_compress_epi8(found, numbers), base = _mm512_set1_epi16((short)at);
        /* what is too much is written over */
        _mm512_storeu_si512(ends + n, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(moved)), base));
        if (count > 32)
            _mm512_storeu_si512(ends + n + 32,
                                _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(moved, 1)), base));
        n += count;
        *n_feeds += __builtin_popcountll(are_feeds);
    }
    return n;
}

static int fastest_way(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2") ? BY_SIXTY_FOUR : BY_SIXTEEN;
}

#else

static Py_ssize_t ends_by_sixty_four(const char *text, Py_ssize_t size, char delimiter, uint16_t *ends,
                                     Py_ssize_t *n_feeds)
{
    return ends_by_bytes(text, 0, size, delimiter, ends, 0, n_feeds);
}

static int fastest_way(void)
{
    return BY_SIXTEEN;
}

#endif

/* Where fields end in text, of at most CHUNK bytes: how many, their offsets, and how many of them are line feeds, which is
 * added to n_feeds. There is room for ENDS_ROOM more. */
static ALWAYS_INLINE Py_ssize_t find_ends(int way, const char *text, Py_ssize_t size, char delimiter, uint16_t *ends,
                                          Py_ssize_t *n_feeds)
{
    if (way == BY_SIXTY_FOUR)
        return ends_by_sixty_four(text, size, delimiter, ends, n_feeds);
    if (way == BY_SIXTEEN)
        return ends_by_sixteen(text, size, delimiter, ends, n_feeds);
    return ends_by_bytes(text, 0, size, delimiter, ends, 0, n_feeds);
}

#endif
