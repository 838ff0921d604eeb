"""Numbers stored narrowly come back as the same doubles."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.data import kernels
from mr_ml.data.narrow import MAX_PLACES, narrow, narrow_again, shared_ids, widen

decimals = st.decimals(-10_000, 10_000, places=4).map(float)
whole = st.integers(-(2**33), 2**33).map(float)
doubles = st.floats(width=64).filter(lambda x: str(x) != "-0.0")
singles = st.floats(width=32).filter(lambda x: str(x) != "-0.0")
arrays = st.one_of(
    *(st.lists(kind, max_size=200).map(np.array) for kind in (decimals, whole, doubles, singles)),
    st.lists(decimals | doubles, max_size=200).map(np.array),
).map(lambda a: a.astype(np.float64))


@given(values=arrays)
def test_the_same_doubles_come_back(values: np.ndarray) -> None:
    stored, places = narrow(values)
    assert stored.dtype.str in ("|i1", "<i2", "<i4", "<f4", "<f8")
    np.testing.assert_array_equal(widen(stored, places), values)
    assert widen(stored, places).dtype == np.float64


@given(values=arrays | hnp.arrays(np.float64, st.integers(0, 300), elements=st.floats()))
def test_the_compiled_loop_finds_the_same(values: np.ndarray) -> None:
    values = values + 0.0  # there is no -0.0 in blocks
    with pytest.MonkeyPatch.context() as patch:
        found, places = narrow(values)
        back = widen(found, places)
        patch.setattr(kernels, "native", None)
        plain, plain_places = narrow(values)
        assert (found.dtype, found.tobytes(), places) == (plain.dtype, plain.tobytes(), plain_places)
        assert back.tobytes() == widen(plain, places).tobytes()


@given(values=arrays, multiples=st.integers(0, 200), factor=st.sampled_from([1.0, 10.0, 0.5]), drawn=st.data())
def test_some_of_the_numbers_are_narrowed_as_if_they_were_all(
    values: np.ndarray, multiples: int, factor: float, drawn: st.DataObject
) -> None:
    # so that some need fewer places, fewer bytes or no integers
    values = np.concatenate([values, np.arange(multiples) * factor, [0.001]])
    array, places = narrow(values)
    chosen = drawn.draw(hnp.arrays(np.int64, st.integers(0, 150), elements=st.integers(0, len(values) - 1)))
    found, again = narrow_again(array[chosen], places)
    plain, plain_places = narrow(values[chosen])
    assert (found.dtype, found.tobytes(), again) == (plain.dtype, plain.tobytes(), plain_places)


@given(rows=st.lists(st.sampled_from([[1, 4], [1, 5], [0], [1, 4, 6], []]), max_size=5))
def test_ids_of_a_row_stand_for_those_of_all(rows: list[list[int]]) -> None:
    indptr = np.cumsum([0, *map(len, rows)])
    shared = shared_ids(indptr, np.array([k for row in rows for k in row], np.int32))
    alike = len(rows) > 1 and rows[0] != [] and all(row == rows[0] for row in rows)
    assert (None if shared is None else shared.tolist()) == (rows[0] if alike else None)


@given(values=hnp.arrays(np.float64, (7, 5), elements=decimals))
def test_shapes_are_kept(values: np.ndarray) -> None:
    stored, places = narrow(values)
    assert stored.shape == (7, 5)
    np.testing.assert_array_equal(widen(stored, places), values)


@given(
    digits=st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=100), places=st.integers(1, MAX_PLACES)
)
def test_decimal_fractions_take_four_bytes_at_most(digits: list[int], places: int) -> None:
    # Python's division of integers rounds once, as reading the decimal text does
    values = np.array([float(Fraction(n, 10**places)) for n in digits])
    stored, found = narrow(values)
    assert stored.dtype.itemsize <= 4
    assert found <= places


@pytest.mark.parametrize(
    ("values", "dtype", "places"),
    [
        ([0.0, 127.0, -127.0], "|i1", 0),
        ([128.0], "<i2", 0),
        ([-32767.0, 32767.0], "<i2", 0),
        ([0.5], "|i1", 1),
        ([0.1, -0.25], "|i1", 2),
        ([0.067414, 1.5], "<i4", 6),
        ([32768.0], "<f4", 0),
        ([2.0**24 + 1], "<i4", 0),
        ([np.inf], "<f4", 0),
        ([1 / 3], "<f8", 0),
        ([0.1234567891], "<f8", 0),
        ([2147.4836475], "<f8", 0),
        ([0.1] * 64 + [1 / 3], "<f8", 0),
        ([0.1] * 64 + [0.001, 1.5], "<i2", 3),
        ([1e39], "<f8", 0),
        ([5e-324], "<f8", 0),
        ([np.nan], "<f8", 0),
        ([], "|i1", 0),
    ],
)
def test_the_narrowest_form(values: list[float], dtype: str, places: int) -> None:
    stored, found = narrow(np.array(values, np.float64))
    assert (stored.dtype.str, found) == (dtype, places)
    np.testing.assert_array_equal(widen(stored, found), values)


@pytest.mark.parametrize(
    ("array", "places"), [([1], -1), ([1], 10), ([1], True), ([1], "2"), ([0.5], 1)], ids=lambda value: repr(value)
)
def test_other_places_are_refused(array: list[float], places: object) -> None:
    with pytest.raises(ValueError, match="places"):
        widen(np.array(array), places)  # type: ignore[arg-type]
