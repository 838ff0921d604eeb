"""The compiled reader of CSV lines reads the numbers that Python's `float` reads, and finds every field."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data import kernels

pytestmark = pytest.mark.skipif(not kernels.installed(), reason="without compiled loops")

COMMA = ord(",")


def read(fields: list[str], *, n_columns: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Read lines of fields that all are numbers."""
    lines = [",".join(fields[i : i + n_columns]) for i in range(0, len(fields), n_columns)]
    found = kernels.read_csv(("\n".join(lines) + "\n").encode(), delimiter=COMMA, n_columns=n_columns)
    assert found is not None
    values, _, left = found
    assert len(left) == 0, [fields[i] for i in left]
    return values.ravel()


def check(fields: list[str]) -> None:
    """Each field, wherever it stands in the text, is the number that Python reads."""
    numbers = [field for field in fields if math.isfinite(float(field))]
    expected = np.array([float(field) for field in numbers])
    for n_columns in {1, max(len(numbers), 1)}:
        if numbers:
            assert read(numbers, n_columns=n_columns).tobytes() == expected.tobytes(), numbers


def digits_of(value: Fraction, n_digits: int) -> tuple[int, int]:
    """Return the first digits of a positive number and their power of ten."""
    power = math.floor(math.log10(value)) - n_digits + 1
    return math.floor(value / Fraction(10) ** power), power


@st.composite
def halfway(draw: st.DrawFn) -> str:
    """A number of few digits that is as near as these allow to the middle between two doubles."""
    bits = draw(st.integers(1, 0x7FEFFFFFFFFFFFFE))
    low, high = (Fraction(struct.unpack("<d", struct.pack("<q", bits + k))[0]) for k in (0, 1))
    digits, power = digits_of((low + high) / 2, draw(st.integers(15, 19)))
    return f"{digits + draw(st.integers(-1, 1))}e{power}"


@st.composite
def tied(draw: st.DrawFn) -> str:
    """A number that is exactly in the middle between two doubles."""
    mantissa, shift = 2 * draw(st.integers(2**52, 2**53 - 1)) + 1, draw(st.integers(-4, 9))
    return str(mantissa << shift) if shift >= 0 else f"{mantissa * 5**-shift}e{shift}"


EXPONENTS = st.one_of(
    st.just(""), st.integers(-400, 400).map(lambda x: f"e{x}"), st.integers(-30, 30).map("E{:+}".format)
)
DIGITS = st.text("0123456789", max_size=24)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 22)).map(lambda x: f"{x[0]:.{x[1]}e}"),
    st.tuples(st.floats(-1e9, 1e9), st.integers(0, 22)).map(lambda x: f"{x[0]:.{x[1]}f}"),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: str(np.float32(x))),
    st.integers(-(10**22), 10**22).map(str),
    halfway(),
    tied(),
    st.tuples(st.sampled_from(["", "-", "+"]), DIGITS, st.sampled_from(["", "."]), DIGITS, EXPONENTS)
    .filter(lambda x: x[1] or (x[2] and x[3]))
    .map(lambda x: x[0] + x[1] + x[2] + (x[3] if x[2] else "") + x[4]),
)  # fmt: skip


@examples(1500)
@given(fields=st.lists(NUMBERS, min_size=1, max_size=12))
def test_numbers_are_those_of_python(fields: list[str]) -> None:
    check([field for field in fields if len(field) <= 60])


SHORT = st.tuples(
    st.sampled_from(["", "-", "-", "+"]), st.text("0123456789", max_size=5), st.sampled_from(["", ".", "."]),
    st.text("0123456789", max_size=5),
).map("".join)  # fmt: skip
ODD = st.sampled_from(["", "-", ".", "-.", "1.2.3", "..", "--1", "1-", "1:2", "2/3", "a", "nan", "1e5", "1234567.89"])


@examples(300)
@given(fields=st.lists(SHORT | SHORT | SHORT | ODD, min_size=1, max_size=60), n_columns=st.integers(2, 9))
def test_fields_read_together_are_those_read_alone(fields: list[str], n_columns: int) -> None:
    # more than are looked at in one go; fields that are no numbers among some that are, and at either end of the text
    fields = (fields * 40)[: -(-len(fields) * 40 // n_columns) * n_columns]
    fields += ["1.5"] * (-len(fields) % n_columns)
    lines = [",".join(fields[i : i + n_columns]) for i in range(0, len(fields), n_columns)]
    found = kernels.read_csv(("\n".join(lines) + "\n").encode(), delimiter=COMMA, n_columns=n_columns)
    assert found is not None
    values, left = found[0].ravel(), set(found[2].tolist())
    alone = {field: _number(field) for field in set(fields)}
    assert left == {i for i, field in enumerate(fields) if alone[field] is None}
    expected = np.array([math.nan if alone[field] is None else alone[field] for field in fields])
    assert values.tobytes() == expected.tobytes()


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def test_hard_numbers() -> None:
    check(
        [
            "9007199254740993", "9007199254740992.5", "9007199254740993.0000000000001", "-9007199254740995",
            "2.2250738585072011e-308", "2.2250738585072014e-308", "2.225073858507201136e-308", "4.9e-324", "5e-324",
            "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400", "-1e-400", "1.7976931348623157e308",
            "1.7976931348623158e308", "1.797693134862315807e308", "8.98846567431158e307", "1e308", "1e-308",
            "6.8e-322", "1e22", "1e23", "8.5e22", "123456789012345678", "1234567890123456789", "9999999999999999999",
            "18446744073709551615", "18446744073709551616", "0.000000000000000000000000012345678901234567",
            "0.1", "0.30000000000000004", "3.0540412E5", "7.3177701707893310e+15", "5e-20", "0e500", "-0", "-0.0",
            "0." + "0" * 50, "00000000000000000000001", "1.", ".5", "-.5", "+.5", "+7", "1e5", "1E-5", "00.5",
            "12345678", "1234567.", "123456.7", ".1234567", "123456789", "12345678.9", "1.2345678", ".12345678",
            "1234567890123456", "123456789012345.", "12345678.9012345", "1234567.89012345", ".123456789012345",
            "-1234567890123456", "-123456.789012345", "12345678901234567", "99999999.99999999", "0.00000000000001",
        ]
    )  # fmt: skip


def test_powers_of_ten_and_their_neighbours() -> None:
    check([f"{digits}e{power}" for power in range(-345, 309) for digits in (1, 9999999999999999, 1234567890123456789)])


@pytest.mark.parametrize(
    "field",
    ["", "-", "+", ".", "-.", "1..2", "1.2.3", "--1", "1-2", "1e", "1e+", "e5", "0x10", "1_000", "nan", "-inf", "1e400",
     "12345678-", "-12345678.1234.6", "1234567:", "123456789012345/", "1234567890123:56", "a", "1" * 70],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "0.123456,1234567890123456789\n"])
def test_what_is_no_plain_number_is_left(field: str, before: str) -> None:
    found = kernels.read_csv(f"{before}{field},7.25\n".encode(), delimiter=COMMA, n_columns=2)
    assert found is not None
    values, _, left = found
    assert left.tolist() == [len(values) * 2 - 2]
    assert np.isnan(values[-1, 0])
    assert values[-1, 1] == 7.25


@pytest.mark.parametrize(
    "text", ['1,"2"\n', "1,2\r\n", "1,\x00\n", "1,\xe9\n", "1, 2\n", "1,2 \n", "1\n", "1,2,3\n", "\n1,2\n", "1,2"]
)
@pytest.mark.parametrize("before", ["", "0.5,-12345678.25\n" * 3])
def test_unusual_lines_are_left_to_others(text: str, before: str) -> None:
    assert kernels.read_csv((before + text).encode(), delimiter=COMMA, n_columns=2) is None


def test_an_empty_line_is_unusual_and_an_empty_field_is_not() -> None:
    assert kernels.read_csv(b"1\n\n2\n", delimiter=COMMA, n_columns=1) is None
    found = kernels.read_csv(b"1,\n,2\n", delimiter=COMMA, n_columns=2)
    assert found is not None
    assert found[2].tolist() == [1, 2]


@examples(60)
@given(
    seed=st.integers(0, 2**32 - 1), n_columns=st.integers(1, 70), n_rows=st.integers(1, 300), widths=st.integers(1, 20),
    delimiter=st.sampled_from(",;|\t "),
)  # fmt: skip
def test_fields_end_where_they_end(seed: int, n_columns: int, n_rows: int, widths: int, delimiter: str) -> None:
    rng = np.random.default_rng(seed)
    fields = ["0123456789"[: n % 10 + 1] * (n // 10 + 1) for n in rng.integers(0, widths, n_columns * n_rows).tolist()]
    lines = [delimiter.join(fields[i : i + n_columns]) for i in range(0, len(fields), n_columns)]
    text = "".join(line + "\n" for line in lines).encode()
    found = kernels.read_csv(text, delimiter=ord(delimiter), n_columns=n_columns)
    assert found is not None
    values, ends, left = found
    assert len(left) == 0
    assert values.tolist() == [[float(field) for field in line.split(delimiter)] for line in lines]
    ended = np.cumsum([len(field) + 1 for field in fields]) - 1
    assert ends.ravel().tolist() == ended.tolist()
