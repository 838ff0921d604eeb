"""Keys for Hadoop's HashPartitioner, against its formula written down in 32-bit arithmetic of numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.runners.reduce_keys import number_of, reduce_key, sent_to


def reduce_task(key: bytes, n_reducers: int) -> int:
    """`(hash & Integer.MAX_VALUE) % n` with hash = 31 * hash + (signed) byte from 1 on, int overflowing."""
    found = np.array([1], np.int32)
    for byte in key:
        found = found * np.int32(31) + np.int8(byte).astype(np.int32)
    return int(found[0] & np.int32(0x7FFFFFFF)) % n_reducers


def test_the_formula_of_java() -> None:
    # "abc" as bytes: ((31 + 97) * 31 + 98) * 31 + 99
    assert reduce_task(b"abc", 1 << 31) == 126145


@given(st.data(), st.integers(1, 99_999))
def test_a_number_goes_to_its_task(data: st.DataObject, n_reducers: int) -> None:
    number = data.draw(st.integers(0, n_reducers - 1))
    key = reduce_key(number, n_reducers=n_reducers)
    assert reduce_task(key, n_reducers) == number
    assert number_of(key) == number
    assert key.isascii()
    assert b"\t" not in key
    assert b"\n" not in key


@pytest.mark.parametrize("n_reducers", [1, 2, 7, 785])
def test_all_numbers_in_order(n_reducers: int) -> None:
    keys = [reduce_key(number, n_reducers=n_reducers) for number in range(n_reducers)]
    assert [reduce_task(key, n_reducers) for key in keys] == list(range(n_reducers))
    assert keys == sorted(keys)


@given(st.binary(max_size=12).filter(lambda stem: b"\n" not in stem and stem.isascii()), st.integers(1, 1000))
def test_any_stem(stem: bytes, n_reducers: int) -> None:
    key = sent_to(stem, n_reducers - 1, n_reducers=n_reducers)
    assert key.startswith(stem)
    assert reduce_task(key, n_reducers) == n_reducers - 1
