/* Reading decimal numbers, right to the last bit. */
#ifndef MR_ML_NUMBERS_H
#define MR_ML_NUMBERS_H

#include "native.h"

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define MAX_NUMBER 64

static inline int is_digit(unsigned char c)
{
    return (unsigned)(c - '0') < 10;
}

/* The bytes of a word of digits that are none: their highest bits. The word is that of the text XOR ZEROS. */
#define ZEROS 0x3030303030303030ULL
#define DOT ('.' ^ '0')

static ALWAYS_INLINE uint64_t not_digits(uint64_t word)
{
    return ((word + 0x7676767676767676ULL) | word) & 0x8080808080808080ULL;
}

static ALWAYS_INLINE uint64_t word_at(const char *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word ^ ZEROS;
}

/* The number that 8 digits spell, the first of which is the lowest byte: all at once, after D. Lemire, "Number parsing at a
 * gigabyte per second", Software: Practice and Experience 51 (2021). */
static ALWAYS_INLINE uint64_t eight_digits(uint64_t word)
{
    word = word * 10 + (word >> 8);
    return (((word & 0x000000FF000000FFULL) * 0x000F424000000064ULL) +
            (((word >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL)) >> 32;
}

/* How many of the next 8 bytes are digits before the first that is none, and the number that they spell. */
static inline int read_digits(const char *p, uint64_t *number)
{
    uint64_t digits = word_at(p), others = not_digits(digits);
    int n = others ? __builtin_ctzll(others) >> 3 : 8;
    if (!n)
        return 0;
    *number = eight_digits(digits << (64 - 8 * n)); /* leading zeros in front, so that there are 8 */
    return n;
}

/* Of digits that come to at most 19 with the n_digits of mantissa, as many as come 8 at a time; text is readable up to
 * stop. Zeros in front are no digits. */
static inline const char *read_many_digits(const char *p, const char *stop, uint64_t *mantissa, int *n_digits)
{
    uint64_t next;
    while (*n_digits <= 11 && stop - p >= 8 && read_digits(p, &next) == 8) {
        if (*mantissa || next > 9999999)
            *n_digits += 8;
        else
            for (uint64_t left = next; left; left /= 10)
                ++*n_digits;
        *mantissa = *mantissa * 100000000 + next;
        p += 8;
    }
    return p;
}

/* The double next to digits * 10^q, if this method tells it; not 0, subnormal or infinite. */
int round_decimal(uint64_t digits, int q, double *value);
/* To be called once before. */
void fill_powers(void);

/* Read [+-]digits[.digits][e[+-]digits] at p; the number, and one past its end in *end, or NULL there if it is not
 * one. Exact: a mantissa below 2^53 times or over a power of ten up to 10^22 is one rounding (Clinger 1990); one of up
 * to 19 digits goes by round_decimal; what is left goes through Python's own conversion. The text, which is readable up
 * to stop, has at least one byte behind the number that is no part of it. */
static inline double read_number(const char *p, const char *stop, const char **end)
{
    const char *start = p;
    int negative = 0, n_digits = 0, exponent = 0, seen = 0;
    uint64_t mantissa = 0;
    if (*p == '-' || *p == '+')
        negative = *p++ == '-';
    for (; is_digit((unsigned char)*p); p++, seen = 1)
        if (mantissa || *p != '0') {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            n_digits++;
        }
    if (*p == '.') {
        const char *point = ++p;
        p = read_many_digits(p, stop, &mantissa, &n_digits);
        seen |= p > point;
        for (; is_digit((unsigned char)*p); p++, seen = 1)
            if (mantissa || *p != '0') {
                mantissa = mantissa * 10 + (uint64_t)(*p - '0');
                n_digits++;
            }
        exponent = (int)(p - point < 100000 ? point - p : -100000);
    }
    *end = NULL;
    if (!seen)
        return 0;
    if (*p == 'e' || *p == 'E') {
        const char *q = p + 1;
        int minus = 0, written = 0;
        if (*q == '-' || *q == '+')
            minus = *q++ == '-';
        if (!is_digit((unsigned char)*q))
            return 0;
        for (; is_digit((unsigned char)*q); q++)
            if (written < 100000)
                written = written * 10 + (*q - '0');
        exponent += minus ? -written : written;
        p = q;
    }
    double value;
    if (n_digits <= 19 && mantissa <= (1ULL << 53) && exponent >= -22 && exponent <= 22) {
        value = (double)mantissa;
        value = exponent < 0 ? value / POWERS[-exponent] : value * POWERS[exponent];
        value = negative ? -value : value;
    } else if (n_digits <= 19 && round_decimal(mantissa, exponent, &value)) {
        value = negative ? -value : value;
    } else {
        char copy[MAX_NUMBER + 1];
        size_t size = (size_t)(p - start);
        if (size > MAX_NUMBER)
            return 0;
        memcpy(copy, start, size);
        copy[size] = 0;
        value = PyOS_string_to_double(copy, NULL, NULL);
        if (PyErr_Occurred()) {
            PyErr_Clear();
            return 0;
        }
        if (!isfinite(value))
            return 0;
    }
    *end = p;
    return value;
}

static inline int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const uint64_t WHOLE_POWERS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* As read_number, for the usual number without an exponent: [+-]digits[.digits] of up to 8 digits each side, where 17
 * bytes from p on can be read; everything else is left to read_number. */
static inline double read_value(const char *p, const char *stop, const char **end)
{
    const char *q = p;
    uint64_t mantissa = 0, fraction = 0;
    if (stop - p < 32)
        return read_number(p, stop, end);
    int negative = *q == '-', m = 0;
    q += negative;
    /* mostly one digit: a loop whose end is foreseen is quicker here than counting */
    const char *first = q;
    for (; is_digit((unsigned char)*q) && q - first < 8; q++)
        mantissa = mantissa * 10 + (uint64_t)(*q - '0');
    if (q == first || q - first == 8)
        return read_number(p, stop, end);
    if (*q == '.') {
        m = read_digits(++q, &fraction);
        q += m;
        if (m == 8 && is_digit((unsigned char)*q))
            return read_number(p, stop, end);
        mantissa = mantissa * WHOLE_POWERS[m] + fraction;
    }
    if (*q == 'e' || *q == 'E')
        return read_number(p, stop, end);
    *end = q;
    /* below 10^15: exact as a double, so this is one rounding */
    double value = (double)mantissa / POWERS[m];
    return negative ? -value : value;
}

/* The number that a field, of up to 24 bytes without its sign, plainly is: digits with a dot between them or not.
 * Returns 0 if that is to be told by others. FIELD_BYTES before its end must be readable. */
#define FIELD_BYTES 24

static ALWAYS_INLINE int read_field(const char *first, const char *last, double *value)
{
    int negative = *first == '-';
    size_t n = (size_t)(last - first) - (size_t)negative; /* of no bytes, very many */
    int places = 0;
    uint64_t mantissa;
    if (n - 1 < 8) {
        int junk = 64 - 8 * (int)n;
        uint64_t word = word_at(last - 8) >> junk << junk, others = not_digits(word);
        if (others) {
            int at = __builtin_ctzll(others) & 56;
            if (((word >> at) & 0xFF) != DOT || (others & (others - 1)) || n == 1)
                return 0;
            places = 7 - at / 8;
            /* digits before the dot move over it */
            word = (word & ((1ULL << at) - 1)) << 8 | (word & (~0xFFULL << at));
        }
        mantissa = eight_digits(word);
    } else if (n - 1 < 16) {
        int junk = 128 - 8 * (int)n;
        uint64_t word = word_at(last - 8), before = word_at(last - 16) >> junk << junk;
        uint64_t others = not_digits(word), others_before = not_digits(before);
        if (others) {
            int at = __builtin_ctzll(others) & 56;
            if (((word >> at) & 0xFF) != DOT || (others & (others - 1)) || others_before)
                return 0;
            places = 7 - at / 8;
            word = (word & ((1ULL << at) - 1)) << 8 | (word & (~0xFFULL << at)) | before >> 56;
            before <<= 8;
        } else if (others_before) {
            int at = __builtin_ctzll(others_before) & 56;
            if (((before >> at) & 0xFF) != DOT || (others_before & (others_before - 1)))
                return 0;
            places = 15 - at / 8;
            before = (before & ((1ULL << at) - 1)) << 8 | (before & (~0xFFULL << at));
        }
        mantissa = eight_digits(before) * 100000000 + eight_digits(word);
    } else if (n - 1 < 24) { /* as Python writes a double: 17 digits and a dot */
        int junk = 192 - 8 * (int)n;
        uint64_t word = word_at(last - 8), before = word_at(last - 16), top = word_at(last - 24) >> junk << junk;
        uint64_t others = not_digits(top);
        int at = others ? __builtin_ctzll(others) & 56 : 0;
        if (!others || ((top >> at) & 0xFF) != DOT || (others & (others - 1)) | not_digits(word) | not_digits(before))
            return 0;
        places = 23 - at / 8;
        top = eight_digits((top & ((1ULL << at) - 1)) << 8 | (top & (~0xFFULL << at)));
        mantissa = (top * 100000000 + eight_digits(before)) * 100000000 + eight_digits(word);
        if (top > 999 || !round_decimal(mantissa, -places, value))
            return 0;
        *value = negative ? -*value : *value;
        return 1;
    } else
        return 0;
    /* 15 digits at most where there is a dot: exact as a double, so either way this is one rounding */
    double found = (double)(int64_t)mantissa / POWERS[places];
    uint64_t bits;
    memcpy(&bits, &found, 8);
    bits |= (uint64_t)negative << 63; /* signs are not foreseen: no branch */
    memcpy(value, &bits, 8);
    return 1;
}

#endif
