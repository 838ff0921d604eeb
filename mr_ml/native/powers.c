/* Powers of five, and decimal numbers of up to 19 digits rounded by them. */
#include "numbers.h"

#ifdef __SIZEOF_INT128__

typedef unsigned __int128 uint128_t;

#define LEAST_POWER (-342)
#define LARGEST_POWER 308
#define WORDS 16

/* The first 128 bits of 5^q, the upper half first; of its reciprocal 5^q is rounded up where it has few digits. */
static uint64_t POWERS_OF_FIVE[LARGEST_POWER - LEAST_POWER + 1][2];

/* The 128 bits of a number from its first one on. */
static uint128_t first_bits(const uint64_t *words)
{
    int top = WORDS - 1;
    while (!words[top])
        top--;
    uint64_t below = top > 0 ? words[top - 1] : 0, last = top > 1 ? words[top - 2] : 0;
    int zeros = __builtin_clzll(words[top]);
    uint128_t bits = (uint128_t)words[top] << 64 | below;
    return zeros ? bits << zeros | last >> (64 - zeros) : bits;
}

static void set_power(int q, uint128_t bits)
{
    POWERS_OF_FIVE[q - LEAST_POWER][0] = (uint64_t)(bits >> 64);
    POWERS_OF_FIVE[q - LEAST_POWER][1] = (uint64_t)bits;
}

void fill_powers(void)
{
    uint64_t words[WORDS] = {1};
    for (int q = 0; q <= LARGEST_POWER; q++) { /* 5^308 has 716 bits */
        set_power(q, first_bits(words));
        uint128_t carry = 0;
        for (int k = 0; k < WORDS; k++, carry >>= 64)
            words[k] = (uint64_t)(carry += (uint128_t)words[k] * 5);
    }
    memset(words, 0, sizeof words);
    words[WORDS - 1] = 1ULL << 63;
    for (int q = -1; q >= LEAST_POWER; q--) { /* 2^1023 / 5^342, rounded down at each step as at once, has 229 bits */
        uint64_t rest = 0;
        for (int k = WORDS - 1; k >= 0; k--) {
            uint128_t part = (uint128_t)rest << 64 | words[k];
            words[k] = (uint64_t)(part / 5);
            rest = (uint64_t)(part % 5);
        }
        set_power(q, first_bits(words) + (q >= -27));
    }
}

/* D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51 (2021), section 5: the
 * first bits of a product of 64 by 128 bits tell the double, but for few numbers, which are left to others. */
int round_decimal(uint64_t digits, int q, double *value)
{
    if (!digits || q < LEAST_POWER || q > LARGEST_POWER)
        return 0;
    int zeros = __builtin_clzll(digits);
    const uint64_t *power = POWERS_OF_FIVE[q - LEAST_POWER];
    digits <<= zeros;
    uint128_t product = (uint128_t)digits * power[0];
    if (((uint64_t)(product >> 64) & 0x1FF) == 0x1FF) /* what the lower half of the power adds may carry that far */
        product += (uint64_t)((uint128_t)digits * power[1] >> 64);
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (low == UINT64_MAX && (q < -27 || q > 55))
        return 0;
    int first = (int)(high >> 63);
    uint64_t mantissa = high >> (first + 9); /* 54 bits: one more than a double has */
    int exponent = (((152170 + 65536) * q) >> 16) + 63 + first - zeros + 1023;
    if (exponent <= 0)
        return 0;
    /* halfway between two doubles, exactly: to the even one */
    if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && mantissa << (first + 9) == high)
        mantissa--;
    mantissa = (mantissa + 1) >> 1;
    if (mantissa >> 53) {
        mantissa >>= 1;
        exponent++;
    }
    if (exponent >= 2047)
        return 0;
    uint64_t bits = (mantissa & ((1ULL << 52) - 1)) | (uint64_t)exponent << 52;
    memcpy(value, &bits, sizeof bits);
    return 1;
}

#else

void fill_powers(void)
{
}

int round_decimal(uint64_t digits, int q, double *value)
{
    (void)digits, (void)q, (void)value;
    return 0;
}

#endif
