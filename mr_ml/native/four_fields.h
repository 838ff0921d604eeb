/* Fields of CSV four at a time, where the processor has registers for it: numbers of up to eight bytes beside the sign,
 * by the same steps as read_field and to the same bits. They are read in two thirds of the time. */
#ifndef MR_ML_FOUR_FIELDS_H
#define MR_ML_FOUR_FIELDS_H

#include "numbers.h"

#define AT_ONCE 4
/* What must be readable before the end of a field. */
#define WORD_BYTES 8

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

static int reads_four_fields(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

/* A byte, or a word, of each of four fields: the k-th one's at text[at[k] + off]. */
#define FOUR(of, at, off)                                                                                              \
    _mm256_set_epi64x((long long)of(text + at[3] + (off)), (long long)of(text + at[2] + (off)),                         \
                      (long long)of(text + at[1] + (off)), (long long)of(text + at[0] + (off)))

static ALWAYS_INLINE uint64_t byte_at(const char *p)
{
    return (unsigned char)*p;
}

/* Fields AT_ONCE to n - 1 of those that end at text[ends[k]], each of which begins behind the end before it, as many as
 * are full groups: a group's values, and whether all of it plainly are numbers. Returns how many groups are not. */
__attribute__((target("avx2"))) static Py_ssize_t read_four_fields(const char *text, const uint16_t *ends, Py_ssize_t n,
                                                                   double *values, uint8_t *are_read)
{
    const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi64x(1), ones = _mm256_set1_epi8(1);
    const __m256i tens = _mm256_set1_epi16(10 | 1 << 8), hundreds = _mm256_set1_epi32(100 | 1 << 16);
    const __m256i exponent = _mm256_set1_epi64x(0x4330000000000000LL); /* of 2^52 */
    /* upper halves of 1 to 10^7, whose lower halves are 0: some processors take long to look numbers up in memory */
    const __m256i powers = _mm256_setr_epi32(0x3FF00000, 0x40240000, 0x40590000, 0x408F4000, 0x40C38800, 0x40F86A00,
                                             0x412E8480, 0x416312D0);
    Py_ssize_t failed = 0;
    for (Py_ssize_t k = AT_ONCE; k + AT_ONCE <= n; k += AT_ONCE) {
        const uint16_t *last = ends + k, *before = last - 1;
        __m256i length = _mm256_sub_epi64(_mm256_cvtepu16_epi64(_mm_loadl_epi64((const __m128i *)last)),
                                          _mm256_cvtepu16_epi64(_mm_loadl_epi64((const __m128i *)before)));
        __m256i minus = _mm256_cmpeq_epi64(FOUR(byte_at, before, 1), _mm256_set1_epi64x('-'));
        __m256i more = _mm256_add_epi64(_mm256_sub_epi64(length, _mm256_set1_epi64x(2)), minus); /* than one byte */
        /* of a length that is none of 1 to 8 the shift is past all bits, or what comes out does not matter */
        __m256i junk = _mm256_slli_epi64(_mm256_sub_epi64(_mm256_set1_epi64x(7), more), 3);
        __m256i word = _mm256_sllv_epi64(_mm256_srlv_epi64(FOUR(word_at, last, -WORD_BYTES), junk), junk);
        __m256i others = _mm256_and_si256(_mm256_or_si256(_mm256_add_epi8(word, _mm256_set1_epi8(0x76)), word),
                                          _mm256_set1_epi8((char)0x80));
        /* the lowest bit of the byte of the dot, if there is one, all of it, and all below it, or all if there is none */
        __m256i bit = _mm256_srli_epi64(_mm256_and_si256(others, _mm256_sub_epi64(zero, others)), 7);
        __m256i dot = _mm256_sub_epi64(_mm256_slli_epi64(bit, 8), bit), below = _mm256_sub_epi64(bit, one);
        __m256i above = _mm256_andnot_si256(_mm256_or_si256(dot, below), _mm256_set1_epi8((char)0xFF));
        __m256i none = _mm256_cmpeq_epi64(others, zero);

        __m256i is_dot = _mm256_cmpeq_epi64(_mm256_and_si256(word, dot), _mm256_and_si256(_mm256_set1_epi8(DOT), dot));
        __m256i wrong = _mm256_and_si256(others, _mm256_sub_epi64(others, one));
        wrong = _mm256_or_si256(wrong, _mm256_andnot_si256(_mm256_set1_epi64x(7), more));
        wrong = _mm256_or_si256(wrong, _mm256_andnot_si256(none, _mm256_cmpeq_epi64(more, zero)));
        wrong = _mm256_or_si256(wrong, _mm256_andnot_si256(is_dot, _mm256_set1_epi8((char)0xFF)));
        int is_read = _mm256_testz_si256(wrong, wrong);
        are_read[k / AT_ONCE] = (uint8_t)is_read;
        failed += !is_read;

        /* digits before the dot move over it */
        __m256i by = _mm256_andnot_si256(none, _mm256_set1_epi64x(8));
        word = _mm256_or_si256(_mm256_sllv_epi64(_mm256_and_si256(word, below), by), _mm256_and_si256(word, above));
        __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(word, tens), hundreds);
        __m256i number = _mm256_mul_epu32(fours, _mm256_set1_epi64x(10000));
        number = _mm256_or_si256(_mm256_add_epi64(number, _mm256_srli_epi64(fours, 32)), exponent);
        __m256d value = _mm256_sub_pd(_mm256_castsi256_pd(number), _mm256_castsi256_pd(exponent));
        __m256i places = _mm256_sad_epu8(_mm256_and_si256(above, ones), zero);
        __m256i power = _mm256_permutevar8x32_epi32(powers, _mm256_slli_epi64(places, 32));
        value = _mm256_div_pd(value, _mm256_castsi256_pd(_mm256_blend_epi32(zero, power, 0xAA)));
        value = _mm256_or_pd(value, _mm256_castsi256_pd(_mm256_slli_epi64(minus, 63)));
        _mm256_storeu_pd(values + k, value);
    }
    return failed;
}

#else

static int reads_four_fields(void)
{
    return 0;
}

static Py_ssize_t read_four_fields(const char *text, const uint16_t *ends, Py_ssize_t n, double *values,
                                   uint8_t *are_read)
{
    (void)text, (void)ends, (void)n, (void)values, (void)are_read;
    return 0;
}

#endif

#endif
