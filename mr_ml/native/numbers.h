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

/* Read [+-]digits[.digits][e[+-]digits] at p; the number, and one past its end in *end, or NULL there if it is not
 * one. Exact: a mantissa below 2^53 times or over a power of ten up to 10^22 is one rounding (Clinger 1990); what is
 * longer goes through Python's own conversion. The text is followed by at least one byte that is no part of a number. */
static inline double read_number(const char *p, const char **end)
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

/* How many of the next 8 bytes are digits before the first that is none, and the number that they spell: all at once,
 * after D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51 (2021). */
static inline int read_digits(const char *p, uint64_t *number)
{
    uint64_t word;
    memcpy(&word, p, 8);
    uint64_t digits = word ^ 0x3030303030303030ULL;
    uint64_t others = ((digits + 0x7676767676767676ULL) | digits) & 0x8080808080808080ULL;
    int n = others ? __builtin_ctzll(others) >> 3 : 8;
    if (!n)
        return 0;
    digits <<= 64 - 8 * n; /* leading zeros in front, so that there are 8 */
    digits = digits * 10 + (digits >> 8);
    *number = (((digits & 0x000000FF000000FFULL) * 0x000F424000000064ULL) +
               (((digits >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL)) >> 32;
    return n;
}

static const uint64_t WHOLE_POWERS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* As read_number, for the usual number without an exponent: [+-]digits[.digits] of up to 8 digits each side, where 17
 * bytes from p on can be read; everything else is left to read_number. */
static inline double read_value(const char *p, const char *stop, const char **end)
{
    const char *q = p;
    uint64_t mantissa = 0, fraction = 0;
    if (stop - p < 32)
        return read_number(p, end);
    int negative = *q == '-', m = 0;
    q += negative;
    /* mostly one digit: a loop whose end is foreseen is quicker here than counting */
    const char *first = q;
    for (; is_digit((unsigned char)*q) && q - first < 8; q++)
        mantissa = mantissa * 10 + (uint64_t)(*q - '0');
    if (q == first || q - first == 8)
        return read_number(p, end);
    if (*q == '.') {
        m = read_digits(++q, &fraction);
        q += m;
        if (m == 8 && is_digit((unsigned char)*q))
            return read_number(p, end);
        mantissa = mantissa * WHOLE_POWERS[m] + fraction;
    }
    if (*q == 'e' || *q == 'E')
        return read_number(p, end);
    *end = q;
    /* below 10^15: exact as a double, so this is one rounding */
    double value = (double)mantissa / POWERS[m];
    return negative ? -value : value;
}

#endif
