"""Decimal text to numbers, many at a time and right to the last bit.

A token [+-]digits[.digits][(e|E)[+-]digits] means m * 10^x with an integer m and x = exponent - number of fraction
digits. Characters are taken eight at a time as one 64-bit word (Lamport 1975, "Multiple byte processing with full-word
instructions"), and m * 10^x is rounded

1. by one multiplication or division where m <= 2^53 and |x| <= 22: both operands are exact, so the result is the
   nearest double (Clinger 1990, "How to read floating point numbers accurately");
2. in double-double arithmetic where m < 10^19 and |x| <= 22: accepted only where an error of 2^-98, far above that of
   the arithmetic, could not change the rounded result;
3. by numpy's conversion of bytes to float64, which is Python's `float`, in every other case, after the syntax was
   checked here: `float` accepts more than we do.

The third alone would do. Where there are no compiled loops, and for libsvm text that those leave aside (query ids,
comments), a pack takes 1.6 to 2 times as much processor time with it alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mr_ml.readers.text.fields import F64, I64, U8, U64, Mask, batches_by_width, gather, words_ending_at, words_of
from mr_ml.readers.text.rounding import scaled

MAX_INT = 2**31 + 1

_SLAB = 1 << 14
_LONGEST_FAST = 24
_MOST_DIGITS = 19

_ZEROS = np.uint64(0x3030303030303030)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_TO_HIGH_BIT = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_DOT = np.uint64(ord(".") ^ ord("0"))
_LETTER_E = np.uint64(0x6565656565656565)
_CASE = np.uint64(0x2020202020202020)
_0, _1, _3, _7, _8, _10 = (np.uint64(i) for i in (0, 1, 3, 7, 8, 10))
_56, _255, _999 = (np.uint64(i) for i in (56, 255, 999))


def _by_byte(values: list[int], *, bits: int) -> np.uint64:
    # The factor that turns 2^(8j) into values[j] in the topmost `bits` bits: a table of eight entries in one word.
    return np.uint64(sum(value << (64 - bits - 8 * j) for j, value in enumerate(values)))


# A dot in byte j of the last, the second last and the third last word: so many fraction digits follow it.
_FRACTION = [_by_byte([8 * word + 7 - j for j in range(8)], bits=3 + word) for word in range(3)]
_FRACTION_SHIFT = [np.uint64(61 - word) for word in range(3)]
_TEN_TO_8 = np.uint64(10**8)
_NON_FINITE = np.array([sign + word for sign in (b"", b"+", b"-") for word in (b"nan", b"inf", b"infinity")])


def parse_floats(buffer: U8, starts: I64, ends: I64) -> tuple[F64, Mask]:
    """Convert decimal tokens to the nearest doubles, as ``float(text)`` does.

    Parameters
    ----------
    buffer : uint8, shape (n,)
    starts, ends : int64, shape (k,)
        Token i is ``buffer[starts[i]:ends[i]]``; 0 <= start <= end <= n, in any order, overlaps allowed.

    Returns
    -------
    values : float64, shape (k,)
        Bit for bit ``float(text)`` where `ok`; else infinite for a decimal number beyond the doubles (1e400) and NaN
        for anything that is not a decimal number.
    ok : bool, shape (k,)
        The token is [+-]digits[.digits][(e|E)[+-]digits], with '1.' and '.5', and finite. Refused: nan, inf, 1e400,
        underscores, digits outside ASCII, hexadecimal, blanks, nothing. What underflows is accepted.

    Notes
    -----
    O(k + bytes) time; temporary memory O(slab) plus a few MB, whatever k.
    """
    values, ok = np.empty(len(starts)), np.empty(len(starts), np.bool_)
    words = words_of(buffer)
    for i in range(0, len(starts), _SLAB):
        slab = slice(i, i + _SLAB)
        values[slab], ok[slab] = _parse_slab(buffer, words, starts[slab], ends[slab])
    return values, ok


def parse_ints(buffer: U8, starts: I64, ends: I64) -> tuple[I64, Mask]:
    """Convert plain decimal integers, [+]digits, from 0 to `MAX_INT`.

    Parameters
    ----------
    buffer, starts, ends
        As for `parse_floats`.

    Returns
    -------
    values : int64, shape (k,)
        0 where not `ok`.
    ok : bool, shape (k,)
        False for anything but digits after at most one '+', and for numbers above `MAX_INT` = 2^31 + 1.
    """
    values, ok = np.empty(len(starts), np.int64), np.empty(len(starts), np.bool_)
    words = words_of(buffer)
    for i in range(0, len(starts), _SLAB):
        slab = slice(i, i + _SLAB)
        values[slab], ok[slab] = _short_ints(words, starts[slab], ends[slab])
    if not ok.all():
        left = np.flatnonzero(~ok)
        values[left], ok[left] = _any_ints(buffer, words, starts[left], ends[left])
    return values, ok


def _short_ints(words: U64, starts: I64, ends: I64) -> tuple[I64, Mask]:
    """Convert one to eight digits; whatever else is not ok."""
    junk = (starts - ends + 8).view(np.uint64)
    short = junk < _8
    junk <<= _3
    digits = words_ending_at(words, ends)
    digits ^= _ZEROS
    digits >>= junk
    digits <<= junk
    # A carry into the next byte comes from a byte that is no digit and has its own high bit set.
    short &= (((digits + _TO_HIGH_BIT) | digits) & _HIGH_BITS) == 0
    return _eight_digits(digits).view(np.int64), short


def _any_ints(buffer: U8, words: U64, starts: I64, ends: I64) -> tuple[I64, Mask]:
    begin = starts + ((_first_bytes(buffer, starts) == ord("+")) & (ends > starts))
    whole, fraction, ok = _decimal(words, begin, ends)
    ok &= (fraction == 0) & (_first_bytes(buffer, ends - 1) != ord("."))
    long = np.flatnonzero(~ok & (ends - begin > _MOST_DIGITS))
    if len(long):
        number, digits_only = _parse_slowly(buffer, begin[long], ends[long], _is_digits)
        whole[long] = np.where(digits_only, np.minimum(number, MAX_INT + 1), 0)
        ok[long] = digits_only
    ok &= whole <= np.uint64(MAX_INT)
    return np.where(ok, whole, _0).view(np.int64), ok


def are_digits(buffer: U8, starts: I64, ends: I64) -> Mask:
    """Tell which tokens are decimal digits, at least one and nothing else."""
    answer = np.zeros(len(starts), np.bool_)
    lengths = ends - starts
    for width, chosen in batches_by_width(lengths):
        answer[chosen] = _is_digits(gather(buffer, starts[chosen], ends[chosen], width=width), lengths[chosen])
    return answer


def spells_non_finite(buffer: U8, starts: I64, ends: I64) -> Mask:
    """Tell which tokens are one of Python's and C's spellings of NaN and infinity, with any sign and case."""
    answer = np.zeros(len(starts), np.bool_)
    lengths = ends - starts
    candidates = np.flatnonzero((lengths >= 3) & (lengths <= 9))
    for i in range(0, len(candidates), _SLAB):
        chosen = candidates[i : i + _SLAB]
        token = gather(buffer, starts[chosen], ends[chosen], width=9).view("S9")[:, 0]
        # numpy takes NUL at the end of a text for padding, so compare its length too.
        whole = np.char.str_len(token) == lengths[chosen]
        answer[chosen] = np.isin(np.char.lower(token), _NON_FINITE) & whole
    return answer


def _parse_slab(buffer: U8, words: U64, starts: I64, ends: I64) -> tuple[F64, Mask]:
    first = _first_bytes(buffer, starts)
    if (ends - starts == 1).all() and ((first - np.uint8(ord("0"))) < 10).all():
        return (first - np.uint8(ord("0"))).astype(np.float64), np.ones(len(first), np.bool_)
    negative, unsigned = None, starts
    if (first < ord(".")).any():
        negative = first == ord("-")
        unsigned = np.minimum(starts + (negative | (first == ord("+"))), ends)
        first = _first_bytes(buffer, unsigned)
    # Without its leading zero a token such as 0.1234567 fits a word; what remains is a number if and only if it was.
    begin = unsigned + ((first == ord("0")) & (ends - unsigned > 8))
    mantissa, fraction, ok = _decimal(words, begin, ends)
    power = np.negative(fraction)
    if not ok.all():
        left = np.flatnonzero(~ok)
        mantissa[left], power[left], ok[left] = _decimal_with_exponent(buffer, words, unsigned[left], ends[left])
    values, exact = scaled(mantissa, power)
    if negative is not None:
        np.negative(values, out=values, where=negative)
    ok &= exact
    if not ok.all():
        left = np.flatnonzero(~ok)
        values[left], ok[left] = _parse_slowly(buffer, starts[left], ends[left], _is_decimal)
    return values, ok


def _first_bytes(buffer: U8, positions: I64) -> U8:
    if not len(buffer):
        return np.zeros(len(positions), np.uint8)
    first: U8 = buffer[np.clip(positions, 0, len(buffer) - 1)]
    return first


def _decimal(words: U64, starts: I64, ends: I64) -> tuple[U64, I64, Mask]:
    """Convert unsigned digits[.digits] of up to 24 bytes and 19 digits: (m, number of fraction digits, ok).

    Not ok says nothing about the token, only that this method does not do it.
    """
    lengths = ends - starts
    longest = int(lengths.max(initial=0))
    if longest <= 8:
        return _decimal_of(1, words, lengths, ends)
    mantissa, fraction = np.zeros(len(starts), np.uint64), np.zeros(len(starts), np.int64)
    ok = np.zeros(len(starts), np.bool_)
    for n_words in range(1, _LONGEST_FAST // 8 + 1):
        chosen = (lengths <= 8 * n_words) & (lengths > 8 * (n_words - 1))
        if chosen.all():
            return _decimal_of(n_words, words, lengths, ends)
        picked = np.flatnonzero(chosen)
        if len(picked):
            mantissa[picked], fraction[picked], ok[picked] = _decimal_of(n_words, words, lengths[picked], ends[picked])
    return mantissa, fraction, ok


def _decimal_of(n_words: int, words: U64, lengths: I64, ends: I64) -> tuple[U64, I64, Mask]:
    junk = (np.int64(8 * n_words) - lengths).view(np.uint64) << _3
    parts: list[U64] = []
    n_dots, fraction, odd = (np.zeros(len(ends), np.uint64) for _ in range(3))
    for i in range(n_words):
        # Digits as 0 to 9, one a byte; bytes before the token are 0, as if it had leading zeros.
        digits = words_ending_at(words, ends - 8 * i if i else ends)
        digits ^= _ZEROS
        if i == n_words - 1:
            digits >>= junk
            digits <<= junk
        other = digits & _LOW7
        other += _TO_HIGH_BIT
        other |= digits
        other &= _HIGH_BITS
        dot = other >> _7
        # At most one byte that is no digit, and that one a dot.
        odd |= other & (other - _1)
        odd |= (digits & (dot * _255)) ^ (dot * _DOT)
        fraction += (dot * _FRACTION[i]) >> _FRACTION_SHIFT[i]
        # Close the gap: the digits before the dot move one byte towards the end, across words.
        has_dot = np.minimum(dot, _1)
        closed = (digits & (dot - has_dot)) * _255 + digits - dot * _DOT
        if i:
            parts[-1] |= (digits >> _56) * n_dots
            closed <<= n_dots << _3
        n_dots += has_dot
        parts.append(closed)
    number = _eight_digits(parts[0])
    if n_words > 1:
        odd |= n_dots >> _1
        number += _eight_digits(parts[1]) * _TEN_TO_8
    if n_words > 2:
        top = _eight_digits(parts[2])
        odd |= np.maximum(top, _999) - _999
        number += top * (_TEN_TO_8 * _TEN_TO_8)
    ok = odd == 0
    ok &= lengths > n_dots.view(np.int64)
    return number, fraction.view(np.int64), ok


def _eight_digits(word: U64) -> U64:
    number = word * _10
    number += word >> _8
    number &= np.uint64(0x00FF00FF00FF00FF)
    word = number >> np.uint64(16)
    number *= np.uint64(100)
    number += word
    number &= np.uint64(0x0000FFFF0000FFFF)
    word = number >> np.uint64(32)
    number *= np.uint64(10000)
    number += word
    number &= np.uint64(0xFFFFFFFF)
    return number


def _decimal_with_exponent(buffer: U8, words: U64, starts: I64, ends: I64) -> tuple[U64, I64, Mask]:
    """Convert unsigned digits[.digits](e|E)[+-]digits whose 'e' is among the last eight bytes: (m, x, ok)."""
    tail = words_ending_at(words, ends)
    junk = (np.maximum(8 - (ends - starts), 0) << 3).astype(np.uint64)
    tail = ((tail | _CASE) ^ _LETTER_E) >> junk << junk
    # Bytes that are zero are the letter, or junk; only the one nearest to the end can be right.
    is_e = ~(((tail & _LOW7) + _LOW7) | tail | _LOW7)
    is_e = is_e >> junk << junk
    _, exponent = np.frexp(is_e.astype(np.float64))
    at = ends - 8 + (exponent.astype(np.int64) - 1) // 8
    ok = (is_e != 0) & ((is_e & (is_e - _1)) == 0)
    at = np.where(ok, at, starts)
    sign = _first_bytes(buffer, at + 1)
    negative = sign == ord("-")
    begin = np.minimum(at + 1 + (negative | (sign == ord("+"))), ends)
    ten_to, fraction_of_power, fine = _decimal(words, begin, ends)
    plain = fine & (fraction_of_power == 0) & (_first_bytes(buffer, ends - 1) != ord("."))
    mantissa, fraction, fine = _decimal(words, starts, at)
    power = np.where(negative, -ten_to.view(np.int64), ten_to.view(np.int64)) - fraction
    return mantissa, power, ok & plain & fine


def _parse_slowly(buffer: U8, starts: I64, ends: I64, syntax: Callable[[U8, I64], Mask]) -> tuple[F64, Mask]:
    values, ok = np.full(len(starts), np.nan), np.zeros(len(starts), np.bool_)
    lengths = ends - starts
    for width, chosen in batches_by_width(lengths):
        characters = gather(buffer, starts[chosen], ends[chosen], width=width)
        fine = syntax(characters, lengths[chosen])
        text = np.ascontiguousarray(characters[fine]).view(f"S{width}")[:, 0]
        with np.errstate(over="ignore", under="ignore"):
            values[chosen[fine]] = text.astype(np.float64)
        ok[chosen] = fine
    return values, ok & np.isfinite(values)


def _is_digits(characters: U8, lengths: I64) -> Mask:
    digits: Mask = _digit_mask(characters).sum(axis=1) == lengths
    return digits & (lengths > 0)


def _digit_mask(characters: U8) -> Mask:
    mask: Mask = (characters >= ord("0")) & (characters <= ord("9"))
    return mask


def _is_decimal(characters: U8, lengths: I64) -> Mask:
    """Tell which rows of a padded matrix are [+-]digits[.digits][(e|E)[+-]digits]."""
    is_digit = _digit_mask(characters)
    is_e = (characters | 0x20) == ord("e")
    is_dot = characters == ord(".")
    is_sign = (characters == ord("+")) | (characters == ord("-"))
    n_e = is_e.sum(axis=1)
    column = np.arange(characters.shape[1])
    e_at = np.where(n_e > 0, is_e.argmax(axis=1), lengths)[:, None]
    before_e = column < e_at
    # Padding is NUL and counts as unknown, so a NUL within the token does too.
    fine = (is_digit | is_e | is_dot | is_sign).sum(axis=1) == lengths
    fine &= (n_e <= 1) & (is_dot.sum(axis=1) <= 1) & ~(is_dot & ~before_e).any(axis=1)
    fine &= ~(is_sign & (column != 0) & (column != e_at + 1)).any(axis=1)
    fine &= (is_digit & before_e).any(axis=1) & ((n_e == 0) | (is_digit & ~before_e).any(axis=1))
    answer: Mask = fine
    return answer


def is_rounded(text: str) -> bool:
    """Whether a decimal number is written as an integer, and as a 64-bit float is another one."""
    digits = text.lstrip("+-").lstrip("0")
    if not (digits.isascii() and digits.isdigit()):
        return False
    # no integer of more digits than the largest float has is one
    return len(digits) > 308 or int(digits) != int(float(digits))
