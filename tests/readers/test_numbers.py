"""Decimal text to numbers: equal to `float` and `int` bit for bit, and nothing else is accepted."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.readers.text import fields, numbers
from mr_ml.readers.text.numbers import MAX_INT, are_digits, parse_floats, parse_ints, spells_non_finite

DECIMAL = re.compile(rb"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
finite = st.floats(allow_nan=False, allow_infinity=False)


def pack(tokens: list[bytes], *, gap: bytes = b"") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.array([len(token) for token in tokens], np.int64)
    ends = np.cumsum(lengths + len(gap)) - len(gap)
    return np.frombuffer(gap.join(tokens), np.uint8), ends - lengths, ends


def check_floats(tokens: list[bytes], *, gap: bytes = b"") -> None:
    values, ok = parse_floats(*pack(tokens, gap=gap))
    assert (values.dtype, ok.dtype, len(values), len(ok)) == (
        np.dtype(np.float64),
        np.dtype(np.bool_),
        len(tokens),
        len(tokens),
    )
    for token, value, fine in zip(tokens, values.tolist(), ok.tolist(), strict=True):
        syntax = bool(DECIMAL.fullmatch(token))
        expected = float(token) if syntax else math.nan
        assert fine == (syntax and math.isfinite(expected)), token
        if fine:
            assert struct.pack("<d", value) == struct.pack("<d", expected), token
        else:
            assert math.isinf(value) if syntax else math.isnan(value), token


def check_ints(tokens: list[bytes], *, gap: bytes = b"") -> None:
    values, ok = parse_ints(*pack(tokens, gap=gap))
    assert (values.dtype, ok.dtype, len(values), len(ok)) == (
        np.dtype(np.int64),
        np.dtype(np.bool_),
        len(tokens),
        len(tokens),
    )
    for token, value, fine in zip(tokens, values.tolist(), ok.tolist(), strict=True):
        digits = token.removeprefix(b"+")
        significant = digits.lstrip(b"0")[:11] or b"0"
        expected = int(significant) if re.fullmatch(rb"[0-9]+", digits) else -1
        assert fine == (0 <= expected <= MAX_INT), token
        assert value == (expected if fine else 0), token


@st.composite
def digit_strings(draw: st.DrawFn) -> bytes:
    digits = draw(st.text(st.sampled_from("0123456789"), max_size=30))
    dot = draw(st.integers(0, len(digits)))
    exponent = draw(st.one_of(st.just(""), st.builds("{}{:+d}".format, st.sampled_from("eE"), st.integers(-340, 340))))
    sign = draw(st.sampled_from(["", "+", "-"]))
    return f"{sign}{digits[:dot]}{draw(st.sampled_from(['.', '']))}{digits[dot:]}{exponent}".encode()


@st.composite
def halfway_between_doubles(draw: st.DrawFn) -> bytes:
    """Exactly between two doubles, or next to it: where a careless conversion rounds the wrong way."""
    getcontext().prec = 800
    value = draw(st.floats(1e-5, 1e15))
    middle = (Decimal(value) + Decimal(math.nextafter(value, math.inf))) / 2
    return f"{middle:.{draw(st.integers(15, 60))}{draw(st.sampled_from('gfe'))}}".encode()


tokens = st.one_of(
    digit_strings(),
    halfway_between_doubles(),
    finite.map(lambda x: repr(x).encode()),
    st.builds(lambda x, n: f"{x:.{n}e}".encode(), finite, st.integers(0, 20)),
    st.builds(lambda x, n: f"{x:.{n}f}".encode(), st.floats(-1e6, 1e6), st.integers(0, 20)),
    st.text(st.sampled_from("0123456789.+-eE_"), max_size=30).map(str.encode),
    st.binary(max_size=40),
    st.integers(0, 10**30).map(lambda i: str(i).encode()),
    st.integers(MAX_INT - 3, MAX_INT + 3).map(lambda i: str(i).encode()),
    st.builds(lambda n, i: b"0" * n + str(i).encode(), st.integers(0, 70), st.integers(0, 2**32)),
)


@given(tokens=st.lists(tokens, max_size=30), gap=st.sampled_from([b"", b" ", b"9", b".", b"e"]))
def test_floats_are_those_of_python_bit_for_bit(tokens: list[bytes], gap: bytes) -> None:
    check_floats(tokens, gap=gap)


@given(tokens=st.lists(tokens, max_size=30), gap=st.sampled_from([b"", b" ", b"9", b"+"]))
def test_ints_are_plain_decimal_digits_up_to_the_limit(tokens: list[bytes], gap: bytes) -> None:
    check_ints(tokens, gap=gap)


REFUSED = rb"""
. + - +. e5 .e5 1e 1e+ 1e5.0 1e5e5 1.2.3 --1 +-1 1- 1+1 nan inf -inf infinity NaN 0x10 1_000 1e400 -1e400 1,5 1d5 1e5f
1f 1/2 1:2
""".split()
REFUSED += [b"", b" 1", b"1 ", b"1\0", b"\x001", b"1\x002", b"\0", b"\xef\xbc\x91", b"\xb2", b"1\xb2", b"1" * 400]
REFUSED += [b"e" * 30, b"." * 30, b"9" * 30 + b"..", b"1" * 30 + b"\0", b"1e1" * 10, b"1e" + b"-" * 20]


@pytest.mark.parametrize("refused", REFUSED)
def test_anything_but_a_finite_decimal_number_is_refused(refused: bytes) -> None:
    check_floats([refused])
    check_floats([b"1.5", refused, b"2"])
    assert not parse_floats(*pack([refused]))[1][0]
    assert not parse_ints(*pack([refused]))[1][0]


ACCEPTED = b"""
1. .5 -.5 +1 1e5 1E+05 1.e-5 .5e0 0e99999999999999999999 1e-99999999999999999999 1e-400 4.9e-324 -0 1e22 1e23 8.5e-1
2.4703282292062327e-324 2.2250738585072011e-308 1.7976931348623157e308 9007199254740993 9007199254740993.00000
9007199254740992999 18446744073709551615 123456789012345678.90123e-40
1.00000000000000011102230246251565404236316680908203125 0.0000000000000000000001
""".split()
ACCEPTED += [b"0." + b"0" * 400 + b"1", b"0" * 500 + b"7", b"1" * 300, b"0." + b"3" * 1000]


@pytest.mark.parametrize("accepted", ACCEPTED)
def test_unusual_decimal_numbers_are_accepted(accepted: bytes) -> None:
    check_floats([accepted])
    check_floats([b"x" * 9, accepted, b"1"], gap=b"7")


def test_no_tokens() -> None:
    for convert in (parse_floats, parse_ints, are_digits, spells_non_finite):
        for buffer in (b"", b"1"):
            answer = convert(np.frombuffer(buffer, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))
            assert len(answer[0] if isinstance(answer, tuple) else answer) == 0


def test_empty_tokens_at_either_end_of_the_buffer() -> None:
    for buffer in (b"", b"1", b"12345678", b"-1 +2 3e4 ."):
        at = np.array([0, len(buffer)])
        values, ok = parse_floats(np.frombuffer(buffer, np.uint8), at, at)
        assert not ok.any()
        assert np.isnan(values).all()
        assert not parse_ints(np.frombuffer(buffer, np.uint8), at, at)[1].any()


def test_tokens_may_overlap_and_come_in_any_order() -> None:
    text = b"-123.456e-7"
    spans = [(i, j) for i in range(len(text) + 1) for j in range(i, len(text) + 1)][::-1]
    starts, ends = (np.array(bounds) for bounds in zip(*spans, strict=True))
    values, ok = parse_floats(np.frombuffer(text, np.uint8), starts, ends)
    for (i, j), value, fine in zip(spans, values.tolist(), ok.tolist(), strict=True):
        assert fine == bool(DECIMAL.fullmatch(text[i:j])), text[i:j]
        assert not fine or value == float(text[i:j])


def test_every_place_of_dot_and_length() -> None:
    digits = "1234567890123456789012345678"
    plain = [sign + digits[:i] + "." + digits[i:n] for n in range(1, 28) for i in range(n + 1) for sign in ("", "-")]
    check_floats([token.encode() for token in plain])
    check_floats([f"{token}{e}".encode() for token in plain for e in ("e5", "E-12", "e+022", "e-0300", "e00000001")])


def test_two_dots_are_refused_wherever_they_are() -> None:
    digits = "12345678901234567890123"
    spoilt = [
        digits[:i] + "." + digits[i:j] + "." + digits[j:n] for n in range(22) for j in range(n + 1) for i in range(j)
    ]
    check_floats([token.encode() for token in spoilt])
    assert not parse_floats(*pack([token.encode() for token in spoilt]))[1].any()


def test_many_tokens_of_mixed_length_across_slabs() -> None:
    rng = np.random.default_rng(7)
    exponents = rng.integers(-12, 12, 3 * numbers._SLAB + 1)
    formats = ["%.7g", "%.3f", "%.17g", "%.5e", "%d"]
    made = [
        (formats[i % 5] % (x * 10.0**e)).encode()
        for i, (x, e) in enumerate(zip(rng.normal(size=len(exponents)), exponents, strict=True))
    ]
    made[numbers._SLAB - 1] = b"bad"
    made[numbers._SLAB] = b"1" * 100
    check_floats(made, gap=b" ")
    check_ints(made, gap=b" ")


def test_the_doubt_about_rounding_is_settled_exactly() -> None:
    """For 19 digits and powers up to 22 the double-double path decides; compare with exact rational arithmetic."""
    rng = np.random.default_rng(11)
    mantissas = rng.integers(10**18, 10**19, 4000, dtype=np.uint64)
    powers = rng.integers(0, 19, 4000)
    made = [f"{m:019d}" for m in mantissas.tolist()]
    made = [token[: 19 - p] + "." + token[19 - p :] for token, p in zip(made, powers.tolist(), strict=True)]
    values, ok = parse_floats(*pack([token.encode() for token in made]))
    assert ok.all()
    for m, p, value in zip(mantissas.tolist(), powers.tolist(), values.tolist(), strict=True):
        exact = Fraction(m, 10**p)
        error = abs(Fraction(value) - exact)
        assert all(error <= abs(Fraction(math.nextafter(value, side)) - exact) for side in (-math.inf, math.inf))


def test_one_long_token_among_short_ones_does_not_widen_them() -> None:
    made = [b"1e-30"] * 20_000 + [b"7" * 300_000] + [b"x" * 200_000]
    values, ok = parse_floats(*pack(made, gap=b" "))
    assert ok.tolist() == [True] * 20_000 + [False, False]
    assert math.isinf(values[-2])
    assert math.isnan(values[-1])


def test_spellings_of_what_is_not_finite() -> None:
    spellings = b"nan NaN NAN -nan +inf Inf INFINITY -Infinity +infinity".split()
    others = [
        *b"na nano infinit infinityy --inf 1 -infinityy +-nan".split(),
        b"",
        b"nan\0",
        b"nan ",
        b"\x0binf",
        b"\rnan",
    ]
    answer = spells_non_finite(*pack([*spellings, *others], gap=b" "))
    assert answer.tolist() == [True] * len(spellings) + [False] * len(others)


def test_are_digits() -> None:
    made = [b"1", b"", b"0" * 100, b"12a", b"+1", b"1" * 9 + b"\0", b"\xb2", b"9876543210"]
    assert are_digits(*pack(made, gap=b"5")).tolist() == [True, False, True, False, False, False, False, True]


@given(texts=st.lists(st.one_of(st.binary(max_size=20), st.binary(min_size=250, max_size=270)), max_size=12))
def test_hashes_are_equal_where_the_bytes_are(texts: list[bytes]) -> None:
    hashes = fields.hash_fields(*pack(texts, gap=b"\0")).tolist()
    again = fields.hash_fields(*pack(texts[::-1], gap=b"x")).tolist()[::-1]
    assert hashes == again
    assert len(set(hashes)) == len(set(texts))


def test_hashes_are_the_same_in_every_version() -> None:
    made = [b"", b"1", b"12345678", b"123456789", b"x" * 256, b"x" * 257]
    assert fields.hash_fields(*pack(made)).tolist() == [slow_hash(text) for text in made]
    assert [f"{slow_hash(text):016x}" for text in made] == GOLDEN_HASHES


GOLDEN_HASHES = [
    "46b73e79f0c37c00",
    "03c143e2aeb6b8ef",
    "67872c29bafbe0a9",
    "9c1de819f3d5fc3b",
    "1570b962e65488e6",
    "76c3513e21d32a54",
]


def slow_hash(text: bytes) -> int:
    if len(text) > 256:
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    state = mixed(len(text) + 0x9E3779B97F4A7C15)
    for end in range(len(text), 0, -8):
        state = mixed(state ^ int.from_bytes(text[max(end - 8, 0) : end], "little"))
    return mixed(state) if not text else state


def mixed(z: int) -> int:
    """SplitMix64's step and finaliser."""
    z = (z + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31
