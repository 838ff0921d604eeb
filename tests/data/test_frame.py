"""Frames carry exactly what they were given, and refuse every other sequence of bytes."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from builders import same_arrays
from golden_frames import GOLDEN, golden
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.data import frame
from mr_ml.errors import BadDataError

DTYPES = ["|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"]
BACKENDS = ["pybase64", "standard library"]

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
metas = st.dictionaries(st.text(max_size=8), json_values, max_size=4)
contents = st.dictionaries(st.text(max_size=8), arrays, max_size=4)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "standard library":
        monkeypatch.setattr(frame, "pybase64", None)
    else:
        pytest.importorskip("pybase64")
    return str(request.param)


def sealed(header: bytes, payload: bytes = b"", *, version: int = 1) -> bytes:
    """A frame whose checksum is right, whatever else is wrong with it."""
    start = struct.pack("<4sB3xI", b"MRML", version, len(header)) + header
    body = start + bytes(-len(start) % 8) + payload + bytes(-len(payload) % 8)
    body += bytes(-(len(body) + 4) % 24)
    return body + struct.pack("<I", zlib.crc32(body))


def parsed_by_the_book(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """The layout that the format's description gives, read with struct alone."""
    assert len(data) % 24 == 0
    magic, version, z1, z2, z3, size = struct.unpack("<4sBBBBI", data[:12])
    assert (magic, version, z1, z2, z3) == (b"MRML", 1, 0, 0, 0)
    header = json.loads(data[12 : 12 + size].decode("utf-8"))
    at, found = 12 + size, {}
    for name, dtype, shape in header["arrays"]:
        while at % 8:
            assert data[at] == 0
            at += 1
        array = np.ndarray(shape, dtype, data[at : at + int(np.dtype(dtype).itemsize * np.prod(shape, dtype=int))])
        found[name] = array
        at += array.nbytes
    assert not any(data[at:-4])
    assert len(data) - 4 - at < 24 + 8
    assert struct.unpack("<I", data[-4:]) == (zlib.crc32(data[:-4]),)
    return header, found


@given(kind=st.text(max_size=8), meta=metas, given_arrays=contents)
def test_what_goes_in_comes_out(kind: str, meta: Any, given_arrays: Any) -> None:
    data = frame.encode(kind, meta, given_arrays)
    opened = frame.decode(data, kind=kind, where="here")
    assert opened.kind == kind
    assert opened.meta == meta
    assert same_arrays(opened.arrays, given_arrays)
    assert list(opened.arrays) == list(given_arrays)
    assert all(not array.flags.writeable for array in opened.arrays.values() if array.size)
    header, found = parsed_by_the_book(data)
    assert (header["kind"], header["meta"]) == (kind, meta)
    assert same_arrays(found, given_arrays)
    assert opened.crc == zlib.crc32(data[:-4])


@given(meta=metas, given_arrays=contents)
def test_the_bytes_depend_on_the_contents_alone(meta: Any, given_arrays: Any) -> None:
    again = {name: np.array(array, order="F") for name, array in given_arrays.items()}
    backwards = dict(reversed(meta.items()))
    assert frame.encode("k", meta, given_arrays) == frame.encode("k", backwards, again)


@pytest.mark.parametrize("dtype", [">i2", ">f8", ">u4"])
def test_big_endian_arrays_are_stored_by_value(dtype: str) -> None:
    opened = frame.decode(frame.encode("k", {}, {"a": np.array([1, 2, 60], dtype)}), kind="k", where="here")
    assert opened.arrays["a"].tolist() == [1, 2, 60]
    assert opened.arrays["a"].dtype.str == dtype.replace(">", "<")


def test_strided_views_are_stored_by_value() -> None:
    array = np.arange(24.0).reshape(4, 6)[::2, ::-3]
    opened = frame.decode(frame.encode("k", {}, {"a": array}), kind="k", where="here")
    assert opened.arrays["a"].tolist() == array.tolist()


def test_arrays_start_at_multiples_of_eight() -> None:
    given_arrays = {name: np.arange(n, dtype=np.int8) for name, n in (("a", 3), ("b", 1), ("c", 9))}
    data = frame.encode("k", {}, {**given_arrays, "d": np.ones(2)})
    opened = frame.decode(data, kind="k", where="here")
    base = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    assert {(a.__array_interface__["data"][0] - base) % 8 for a in opened.arrays.values()} == {0}


@pytest.mark.parametrize(
    "array",
    [np.array([True]), np.array([1j]), np.array(["a"]), np.array([None]), np.ones(1, "f2"), np.ones(1, "M8[s]")],
)
def test_other_types_are_a_defect_of_the_caller(array: Any) -> None:
    with pytest.raises(ValueError, match="dtype"):
        frame.encode("k", {}, {"a": array})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_json_has_not_are_a_defect_of_the_caller(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        frame.encode("k", {"a": [value]}, {})


SMALL = frame.encode("k", {"é": 1}, {"a": np.arange(3, dtype=np.int16), "b": np.ones((1, 2))})


def test_no_changed_byte_passes() -> None:
    for position in range(len(SMALL)):
        damaged = bytearray(SMALL)
        for value in range(256):
            damaged[position] = value
            if value != SMALL[position]:
                with pytest.raises(BadDataError, match="part 7"):
                    frame.decode(bytes(damaged), kind="k", where="part 7")


def test_padding_is_zero() -> None:
    """Nothing can be hidden there, such as four bytes that bring a checksum back to what it was."""
    start = 12 + struct.unpack_from("<I", SMALL, 8)[0]
    first = start + -start % 8
    padding = {5, 6, 7, *range(start, first), first + 6, first + 7, *range(first + 8 + 16, len(SMALL) - 4)}
    assert len(padding) > 6
    for position in range(len(SMALL) - 4):
        changed = bytearray(SMALL)
        changed[position] ^= 1
        changed[-4:] = struct.pack("<I", zlib.crc32(changed[:-4]))
        if position in padding:
            assert not SMALL[position]
            with pytest.raises(BadDataError, match=r"padding that is not zero"):
                frame.decode(bytes(changed), kind="k", where="part 7")
        elif position >= first:
            frame.decode(bytes(changed), kind="k", where="part 7")


def test_no_other_length_passes() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(BadDataError, match="part 7"):
            frame.decode(SMALL[:length], kind="k", where="part 7")
    for more in (*(bytes([b]) for b in range(256)), bytes(24), SMALL):
        with pytest.raises(BadDataError, match="part 7"):
            frame.decode(SMALL + more, kind="k", where="part 7")


@given(data=st.binary(max_size=120) | st.binary(max_size=120).map(lambda tail: b"MRML\1\0\0\0" + tail))
def test_any_bytes_are_bad_data(data: bytes) -> None:
    with pytest.raises(BadDataError):
        frame.decode(data, kind="k", where="here")


def header_of(entries: str, *, kind: str = '"k"', meta: str = "{}") -> bytes:
    return f'{{"arrays":{entries},"kind":{kind},"meta":{meta}}}'.encode()


def test_a_sealed_frame_passes() -> None:
    data = sealed(header_of('[["a","<i2",[2]]]'), struct.pack("<hh", 1, -1))
    assert frame.decode(data, kind="k", where="here").arrays["a"].tolist() == [1, -1]


@pytest.mark.parametrize("extra", [8, 16, 24, 48])
def test_a_sealed_frame_with_bytes_that_no_array_owns_is_bad_data(extra: int) -> None:
    start = header_of('[["a","<i2",[2]]]')
    good = sealed(start, bytes(4))
    longer = sealed(start, bytes(4 + 24 + extra))
    assert len(longer) > len(good)
    with pytest.raises(BadDataError, match=f"{len(longer)} bytes instead of {len(good)}"):
        frame.decode(longer, kind="k", where="here")


HOSTILE = {
    "no JSON": b"{",
    "not UTF-8": b"\xff",
    "not an object": b"[]",
    "a number": b"1",
    "nothing": b"",
    "no kind": b'{"arrays":[],"meta":{}}',
    "no meta": b'{"arrays":[],"kind":"k"}',
    "no arrays": b'{"kind":"k","meta":{}}',
    "meta is a list": header_of("[]", meta="[]"),
    "meta is null": header_of("[]", meta="null"),
    "kind is a list": header_of("[]", kind='["k"]'),
    "arrays is an object": header_of('{"a":1}'),
    "arrays is a number": header_of("3"),
    "entry too short": header_of('[["a","<i2"]]'),
    "entry too long": header_of('[["a","<i2",[0],1]]'),
    "name is a list": header_of('[[["a"],"<i2",[0]]]'),
    "name is a number": header_of('[[1,"<i2",[0]]]'),
    "name twice": header_of('[["a","<i2",[0]],["a","<i2",[0]]]'),
    "objects": header_of('[["a","|O",[1]]]'),
    "type is a list": header_of('[["a",["<i2"],[1]]]'),
    "big endian": header_of('[["a",">i2",[1]]]'),
    "shape is a number": header_of('[["a","<i2",1]]'),
    "shape of a float": header_of('[["a","<i2",[1.0]]]'),
    "shape of text": header_of('[["a","<i2",["1"]]]'),
    "shape of a number and text": header_of('[["a","<i2",[1000000,1000000,"0000"]]]'),
    "shape of true": header_of('[["a","<i2",[true]]]'),
    "negative": header_of('[["a","<i2",[-1]]]'),
    "negative twice": header_of('[["a","<i2",[-1,-1]]]'),
    "longer than the frame": header_of('[["a","<i2",[1000]]]'),
    "beyond 2^63": header_of(f'[["a","<i2",[{2**63}]]]'),
    "beyond 2^64 and empty": header_of(f'[["a","<i2",[0,{2**70}]]]'),
    "beyond 2^62 and empty": header_of(f'[["a","<f8",[0,{2**62}]]]'),
    "beyond 2^64": header_of(f'[["a","<i2",[{2**64},{2**64}]]]'),
    "digits without end": header_of(f'[["a","<i2",[{"9" * 5000}]]]'),
    "65 dimensions": header_of(f'[["a","<i2",{[1] * 65}]]'),
    "65 dimensions and empty": header_of(f'[["a","<i2",{[0] * 65}]]'),
    "nested without end": b"[" * 100_000,
    "deeply nested objects": b'{"arrays":' * 100_000,
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_sealed_frame_with_a_senseless_header_is_bad_data(header: bytes) -> None:
    for size in (0, 8, 16, 48):
        with pytest.raises(BadDataError, match="part 7"):
            frame.decode(sealed(header, bytes(size)), kind="k", where="part 7")


def test_a_sealed_frame_with_a_wrong_header_length_is_bad_data() -> None:
    for length in (0, 1, 10, 40, 10_000, 2**32 - 1):
        data = bytearray(sealed(header_of("[]")))
        struct.pack_into("<I", data, 8, length)
        struct.pack_into("<I", data, len(data) - 4, zlib.crc32(data[:-4]))
        with pytest.raises(BadDataError, match="part 7"):
            frame.decode(bytes(data), kind="k", where="part 7")


@given(entries=st.lists(st.lists(json_values, min_size=2, max_size=4), max_size=3), meta=json_values, kind=json_values)
def test_a_sealed_frame_is_opened_or_bad_data(entries: Any, meta: Any, kind: Any) -> None:
    header = json.dumps({"arrays": entries, "meta": meta, "kind": kind}).encode()
    try:
        opened = frame.decode(sealed(header), kind="k", where="here")
    except BadDataError:
        return
    assert opened.kind == "k"
    assert isinstance(opened.meta, dict)


def test_another_version_says_what_to_do() -> None:
    with pytest.raises(BadDataError, match=r"version 2.*reads version 1.*use the mr_ml that wrote it"):
        frame.decode(sealed(header_of("[]"), version=2), kind="k", where="here")


def test_another_kind_is_named() -> None:
    with pytest.raises(BadDataError, match=r"state-3: expected a frame of kind 'state', found 'k'"):
        frame.decode(SMALL, kind="state", where="state-3")


# --- text -------------------------------------------------------------------------------------------------------------


@given(given_arrays=contents)
def test_text_is_the_same_with_either_library(given_arrays: Any) -> None:
    pytest.importorskip("pybase64")
    data = frame.encode("k", {}, given_arrays)
    with pytest.MonkeyPatch.context() as patch:
        fast = frame.to_text(data)
        assert frame.from_text(fast, where="here") == data
        patch.setattr(frame, "pybase64", None)
        assert frame.to_text(data) == fast
        assert frame.from_text(fast, where="here") == data
    assert len(fast) * 3 == len(data) * 4
    assert b"=" not in fast
    assert b"\n" not in fast


TEXT = frame.to_text(SMALL)


def test_no_changed_character_passes(backend: str) -> None:
    for position in range(len(TEXT)):
        damaged = bytearray(TEXT)
        for value in range(256):
            damaged[position] = value
            if value != TEXT[position]:
                with pytest.raises(BadDataError, match="part 7"):
                    frame.decode(frame.from_text(bytes(damaged), where="part 7"), kind="k", where="part 7")


def test_no_text_of_another_length_passes(backend: str) -> None:
    shorter = [TEXT[:length] for length in range(len(TEXT))] + [TEXT[k:] for k in range(1, len(TEXT))]
    appended = [bytes([b]) for b in range(256)] + [b"==", b"====", b"AA==", b"\r\n", b"\n\n", TEXT]
    longer = [TEXT + more for more in appended] + [more + TEXT for more in appended]
    for text in shorter + longer:
        with pytest.raises(BadDataError, match="part 7"):
            frame.decode(frame.from_text(text, where="part 7"), kind="k", where="part 7")


# --- golden files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_formats_are_written_as_ever(name: str) -> None:
    assert GOLDEN[name]() == golden(name), "the stored format changed: see golden_frames.py"
