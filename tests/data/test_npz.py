"""Arrays in .npz files come back as they were, or the file is refused; unique names sort by time."""

from __future__ import annotations

import io
import re
import zipfile
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from builders import same_arrays
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.data.npz import from_npz, to_npz
from mr_ml.errors import BadDataError
from mr_ml.ids import unique_id

names = st.from_regex(r"\A[a-z_]{1,8}\Z")
arrays = hnp.arrays(hnp.floating_dtypes(sizes=64) | hnp.integer_dtypes(), hnp.array_shapes(min_dims=0, min_side=0))
SMALL: dict[str, Any] = {"coef": np.arange(6.0).reshape(2, 3), "intercept": np.ones(2)}


@given(given=st.dictionaries(names, arrays, max_size=3))
def test_arrays_come_back_as_they_were(given: Any) -> None:
    data = to_npz(given)
    found = from_npz(data, where="here")
    assert same_arrays(found, given)
    assert to_npz(given) == data


def test_python_objects_are_not_written() -> None:
    """numpy would pickle them."""
    with pytest.raises(TypeError, match="found Python objects in bad"):
        to_npz({**SMALL, "bad": np.array([{}], object)})


def test_no_damage_changes_a_number() -> None:
    """Damage may hide an array, since some bytes of a zip only count its members; it never changes one."""
    good = to_npz(SMALL)
    for position in range(len(good)):
        for flip in (1, 0x20, 0x80, 0xFF):
            damaged = good[:position] + bytes([good[position] ^ flip]) + good[position + 1 :]
            with suppress(BadDataError):
                found = from_npz(damaged, where="here")
                assert same_arrays(found, {name: SMALL[name] for name in found})


def test_no_cut_file_passes() -> None:
    good = to_npz(SMALL)
    for length in range(len(good)):
        with pytest.raises(BadDataError, match=r"coef\.npz"):
            from_npz(good[:length], where="coef.npz")


def saved(write: Any, *values: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    write(out, *values, **options)
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        saved(np.save, np.ones(3)),
        saved(np.savez, a=np.array([{"x": 1}], dtype=object)),
        saved(np.save, np.array([{"x": 1}], dtype=object)),
        b"\x80\x04N.",
        zipped({"a.npy": b"not an array"}),
        zipped({"a.npy": b"\x93NUMPY\x01\x00\x05\x00{{{{{"}),
        zipped({"a.npy": b""}),
        zipped({"a.txt": b"text"}),
    ],
    ids=[
        "empty",
        "text",
        "npy",
        "objects",
        "objects in npy",
        "pickle",
        "no array",
        "no header",
        "nothing",
        "no member",
    ],
)
def test_what_is_no_npz_of_numbers_is_bad_data(data: bytes) -> None:
    with pytest.raises(BadDataError, match=r"coef\.npz: not an undamaged \.npz file"):
        from_npz(data, where="coef.npz")


@given(data=st.binary(max_size=200))
def test_any_bytes_are_bad_data(data: bytes) -> None:
    with pytest.raises(BadDataError):
        from_npz(data, where="here")


def test_names_are_unique_and_fit_everywhere() -> None:
    made = [unique_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{8}", name) for name in made)
    times = [name.partition("-")[0] for name in made]
    assert times == sorted(times)
