"""Blocks as lines of text: what is stored is what was packed, and nothing else is taken for a block."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from builders import make_block, same_arrays
from golden_frames import DENSE_BLOCK, SPARSE_BLOCK, golden
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.data import frame, kernels
from mr_ml.data.block import (
    DENSE_FROM,
    Block,
    BlockAddress,
    as_stored,
    decode_line,
    encode_block,
    encode_line,
    line_parts,
)
from mr_ml.data.features import DenseFeatures, SparseFeatures
from mr_ml.errors import BadDataError

ADDRESS = BlockAddress(3, 12)

# numbers on both sides of every narrower type's border, and neither NaN nor -0.0, which readers do not let through
numbers = (
    st.sampled_from([0.0, 1.0, -1.0, 127.0, 128.0, -128.0, -129.0, 32767.0, 32768.0, -32769.0, 2.0**24, 2.0**24 + 1])
    | st.sampled_from([0.1, float(np.float32(0.1)), 1e39, 3.5e38, 1e-46, 5e-324, 1.7e308, 2.0**53 + 2, np.inf, -np.inf])
    | st.floats(allow_nan=False).map(lambda x: x + 0.0)
    | st.integers(-200, 200).map(float)
)


def columns(n: int) -> st.SearchStrategy[Any]:
    kinds = st.sampled_from([numbers, st.integers(-3, 3).map(float), st.just(1.0)])
    return kinds.flatmap(lambda elements: hnp.arrays(np.float64, n, elements=elements))


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    n = draw(st.integers(0, 6))
    d = draw(st.sampled_from([0, 1, 2, 7, 40]))
    if draw(st.booleans()):
        array = draw(columns(n * d)).reshape(n, d)
        features: Any = DenseFeatures(array)
    else:
        top = draw(st.sampled_from([7, 60, 1 << 16, (1 << 16) + 1, 1 << 17, (1 << 31) - 1]))
        ids = [draw(st.lists(st.integers(0, top - 1), max_size=4, unique=True).map(sorted)) for _ in range(n)]
        indptr = np.cumsum([0] + [len(row) for row in ids]).astype(np.int32)
        indices = np.array([j for row in ids for j in row], np.int32)
        features = SparseFeatures(indptr, indices, draw(columns(len(indices))))
    optional = [draw(st.none() | columns(n)) for _ in range(2)]
    return Block(features, draw(columns(n)), *optional)


def rows_of(block: Block) -> list[list[tuple[int, float]]]:
    """(column, value) of each row's non-zero entries."""
    f = block.features
    if isinstance(f, DenseFeatures):
        return [[(int(j), float(row[j])) for j in np.flatnonzero(row)] for row in f.array]
    f = f.wide
    spans = zip(f.indptr[:-1], f.indptr[1:], strict=True)
    return [[(int(j), float(v)) for j, v in zip(f.indices[a:b], f.values[a:b], strict=True) if v] for a, b in spans]


def columns_of(block: Block) -> list[list[float] | None]:
    return [None if a is None else a.tolist() for a in (block.labels, block.weights, block.offsets)]


@given(block=blocks(), partition=st.integers(0, 10**6), index=st.integers(0, 10**9))
def test_rows_come_back_as_they_were(block: Block, partition: int, index: int) -> None:
    address = BlockAddress(partition, index)
    line = encode_line(block, address)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    stored = decode_line(line, where="here")
    assert stored.address == address
    found = stored.block
    assert found.n_rows == block.n_rows == found.features.n_rows
    assert rows_of(found) == rows_of(block)
    assert columns_of(found) == columns_of(block)
    assert decode_line(line[:-1], where="here").crc == stored.crc
    floats = [found.labels, found.weights, found.offsets]
    floats.append(found.features.array if isinstance(found.features, DenseFeatures) else found.features.wide.values)
    assert {a.dtype for a in floats if a is not None} == {np.dtype(np.float64)}
    # the same rows again, from what a reader saw: pack and unpack as often as you like
    assert encode_line(found, address) == encode_line(decode_line(encode_line(found, address), where="").block, address)


def arrays_in(block: Block) -> dict[str, Any]:
    f = block.features
    found = {"dense": f.array} if isinstance(f, DenseFeatures) else dict(vars(f.wide))
    found |= {"labels": block.labels, "weights": block.weights, "offsets": block.offsets}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}


@given(block=blocks())
def test_what_is_said_of_a_block_unread_is_what_a_reader_sees(block: Block) -> None:
    data = encode_block(block, ADDRESS)
    read = decode_line(encode_line(block, ADDRESS), where="here")
    assert b"".join(line_parts(data, ADDRESS)) == encode_line(block, ADDRESS)
    assert same_arrays(arrays_in(as_stored(block)), arrays_in(read.block))
    assert frame.crc_of(data) == read.crc


@given(block=blocks())
def test_the_line_is_the_same_with_either_base64_library(block: Block) -> None:
    pytest.importorskip("pybase64")
    fast = encode_line(block, ADDRESS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame, "pybase64", None)
        assert encode_line(block, ADDRESS) == fast
        slow = decode_line(fast, where="here")
    assert columns_of(slow.block) == columns_of(decode_line(fast, where="here").block)


def test_decimal_fractions_are_kept_as_integers() -> None:
    x = np.array([[0.25, 0.5, -1.75], [0.067414, 0, 3]])
    block = make_block(x, [0.5, 1.5], form="dense")
    opened = frame.decode(encode_block(block, ADDRESS), kind="block-2", where="")
    assert opened.meta["places"] == {"dense": 6, "labels": 1}
    assert {name: array.dtype.str for name, array in opened.arrays.items()} == {"dense": "<i4", "labels": "|i1"}
    assert columns_of(decode_line(encode_line(block, ADDRESS), where="here").block) == columns_of(block)


def test_columns_of_ones_cost_nothing_in_sparse_blocks() -> None:
    x = np.zeros((8, 40))
    x[range(8), range(0, 40, 5)] = 1
    arrays = frame.decode(
        encode_block(make_block(x, np.ones(8), form="sparse"), ADDRESS), kind="block-2", where=""
    ).arrays
    assert "values" not in arrays
    assert (arrays["indices"].dtype.str, arrays["counts"].dtype.str) == ("<u2", "|u1")


@pytest.mark.parametrize(("top", "dtype"), [(65_535, "<u2"), (65_536, "<i4")])
def test_column_ids_are_as_wide_as_the_largest(top: int, dtype: str) -> None:
    block = Block(SparseFeatures(np.array([0, 2]), np.array([0, top], np.int32), np.array([2.0, 3.0])), np.ones(1))
    arrays = frame.decode(encode_block(block, ADDRESS), kind="block-2", where="").arrays
    assert arrays["indices"].dtype.str == dtype
    assert rows_of(decode_line(encode_line(block, ADDRESS), where="").block) == [[(0, 2.0), (top, 3.0)]]


def test_a_row_may_have_more_entries_than_a_byte_counts() -> None:
    n = 70_000
    block = Block(SparseFeatures(np.array([0, n]), np.arange(0, 4 * n, 4, dtype=np.int32), np.ones(n)), np.ones(1))
    found = decode_line(encode_line(block, ADDRESS), where="").block.features
    assert isinstance(found, SparseFeatures)
    assert np.diff(found.indptr).tolist() == [n]


@pytest.mark.parametrize("entries", [1, 3, 4, 5, 12])
def test_a_block_is_dense_from_a_third_on(entries: int) -> None:
    x = np.zeros((3, 4))
    x.flat[:entries] = 2.0
    x[-1, -1] = 2.0
    n = np.count_nonzero(x)
    found = decode_line(encode_line(make_block(x, np.ones(3), form="sparse"), ADDRESS), where="").block.features
    assert isinstance(found, DenseFeatures) == (n / 12 >= DENSE_FROM)


def test_the_size_in_memory_is_that_of_the_decoded_arrays() -> None:
    dense = decode_line(
        encode_line(make_block(np.ones((5, 3)), np.ones(5), weights=np.ones(5)), ADDRESS), where=""
    ).block
    # features as they are stored: ones, in a byte each
    assert dense.nbytes == 5 * 3 + 8 * (5 + 5)
    x = np.zeros((5, 90))
    x[:, 7] = 0.5
    thin = decode_line(encode_line(make_block(x, np.ones(5), form="sparse"), ADDRESS), where="").block
    # with the compiled loops as it is stored: 0.5 is 5 / 10, in a byte
    entry = 1 + 2 if kernels.installed() else 8 + 4
    assert thin.nbytes == entry * 5 + 4 * 6 + 8 * 5


# --- refusals ---------------------------------------------------------------------------------------------------------

LINE = encode_line(SPARSE_BLOCK, BlockAddress(3, 10))


@pytest.fixture(params=["pybase64", "standard library"])
def _backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "standard library":
        monkeypatch.setattr(frame, "pybase64", None)
    else:
        pytest.importorskip("pybase64")


@pytest.mark.usefixtures("_backend")
def test_no_changed_byte_passes() -> None:
    for position in range(len(LINE)):
        damaged = bytearray(LINE)
        # every bit alone, and bytes that mean something in lines, numbers or base64
        for value in {LINE[position] ^ (1 << bit) for bit in range(8)} | set(b"\0\t\n\r +/-=09AZaz_\xff") - {
            LINE[position]
        }:
            damaged[position] = value
            with pytest.raises(BadDataError, match="part-00003"):
                decode_line(bytes(damaged), where="part-00003")


@pytest.mark.usefixtures("_backend")
def test_no_other_length_passes() -> None:
    # that the newline itself may be missing is documented: mrjob takes it off
    shorter = [LINE[:length] for length in range(len(LINE) - 1)] + [LINE[k:] for k in range(1, len(LINE))]
    added = [bytes([b]) for b in range(256)]
    longer = [LINE + more for more in added] + [more + LINE for more in added]
    inserted = [LINE[:-1] + more + b"\n" for more in added]
    for line in [*shorter, *longer, *inserted, LINE + LINE, b"", b"\n", b"\t\t", b"\t\t\n"]:
        with pytest.raises(BadDataError, match="part-00003"):
            decode_line(line, where="part-00003")


@given(block=blocks(), data=st.data())
def test_no_damaged_line_passes(block: Block, data: st.DataObject) -> None:
    line = bytearray(encode_line(block, ADDRESS))
    at = data.draw(st.integers(0, len(line) - 1))
    kind = data.draw(st.sampled_from(["change", "insert", "delete", "cut"]))
    byte = data.draw(st.integers(0, 255))
    if kind == "change":
        line[at] ^= byte or 1
    elif kind == "insert":
        line.insert(at, byte)
    elif kind == "delete":
        del line[at]
    else:
        del line[at:]
    # one byte more or less within a run of equal bytes is the same line, or one without its newline
    if bytes(line).removesuffix(b"\n") != encode_line(block, ADDRESS).removesuffix(b"\n"):
        with pytest.raises(BadDataError):
            decode_line(bytes(line), where="here")


@given(line=st.binary(max_size=60) | st.from_regex(rb"\A[0-9]{1,3}\t[0-9]{1,3}\t[A-Za-z0-9+/]{0,64}\n?\Z"))
def test_any_bytes_are_bad_data(line: bytes) -> None:
    with pytest.raises(BadDataError):
        decode_line(line, where="here")


@pytest.mark.parametrize(
    "prefix", [b"4\t10\t", b"3\t11\t", b"03\t10\t", b"+3\t10\t", b" 3\t10\t", b"3\t1_0\t", b"-3\t10\t"]
)
def test_an_address_that_is_not_the_blocks_own_is_refused(prefix: bytes) -> None:
    body = LINE.split(b"\t")[2]
    with pytest.raises(BadDataError, match="partition 3, block 10"):
        decode_line(prefix + body, where="part-00003")


def sealed_line(arrays: dict[str, Any], meta: dict[str, Any] | None = None) -> bytes:
    meta = {"partition": 3, "index": 12, "rows": 2} if meta is None else meta
    return b"3\t12\t" + frame.to_text(frame.encode("block-2", meta, arrays))


GOOD: dict[str, Any] = {
    "labels": np.ones(2, np.int8),
    "counts": np.array([1, 1], np.uint8),
    "indices": np.array([5, 6], np.uint16),
    "values": np.array([2.0, 3.0]),
}
DENSE: dict[str, Any] = {"labels": np.ones(2, np.int8), "dense": np.ones((2, 3), np.int8)}


def test_sealed_lines_pass() -> None:
    assert rows_of(decode_line(sealed_line(GOOD), where="").block) == [[(5, 2.0)], [(6, 3.0)]]
    assert decode_line(sealed_line(DENSE), where="").block.features.width == 3


@pytest.mark.parametrize("dtype", ["|u1", "<u2", "<u4", "<i8"])
def test_numbers_of_types_that_are_not_written_are_read_all_the_same(dtype: str) -> None:
    most = np.iinfo(dtype).max
    block = decode_line(sealed_line(GOOD | {"values": np.array([2, most], dtype)}), where="").block
    assert rows_of(block) == [[(5, 2.0)], [(6, float(most))]]
    assert block.features.dot(np.ones((7, 1))).tolist() == [[2.0], [float(most)]]


SENSELESS = {
    "no labels": {k: v for k, v in GOOD.items() if k != "labels"},
    "no features": {"labels": GOOD["labels"]},
    "no counts": {k: v for k, v in GOOD.items() if k != "counts"},
    "no column ids": {k: v for k, v in GOOD.items() if k != "indices"},
    "labels too short": GOOD | {"labels": np.ones(1)},
    "labels of two dimensions": GOOD | {"labels": np.ones((2, 2))},
    "labels of no dimension": GOOD | {"labels": np.ones(())},
    "weights too long": GOOD | {"weights": np.ones(3)},
    "offsets of two dimensions": GOOD | {"offsets": np.ones((2, 1))},
    "counts too many": GOOD | {"counts": np.array([1, 1, 0], np.uint8)},
    "counts too large": GOOD | {"counts": np.array([1, 2], np.uint8)},
    "counts below zero": GOOD | {"counts": np.array([3, -1], np.int8)},
    "counts of floats": GOOD | {"counts": np.array([1.0, 1.0])},
    "counts of two dimensions": GOOD | {"counts": np.array([[1], [1]], np.uint8)},
    "column ids below zero": GOOD | {"indices": np.array([5, -6], np.int32)},
    "column ids beyond int32": GOOD | {"indices": np.array([5, 2**40])},
    "column ids of floats": GOOD | {"indices": np.array([5.0, 6.0])},
    "column ids of two dimensions": GOOD | {"indices": np.array([[5, 6]], np.uint16)},
    "values too few": GOOD | {"values": np.ones(1)},
    "values of two dimensions": GOOD | {"values": np.ones((2, 1))},
    "a dense row too many": DENSE | {"dense": np.ones((3, 3))},
    "dense of one dimension": DENSE | {"dense": np.ones(2)},
    "dense of three dimensions": DENSE | {"dense": np.ones((2, 3, 1))},
    "dense of no dimension": DENSE | {"dense": np.ones(())},
}


@pytest.mark.parametrize("arrays", SENSELESS.values(), ids=SENSELESS.keys())
def test_a_sealed_line_without_sense_is_bad_data(arrays: dict[str, Any]) -> None:
    with pytest.raises(BadDataError, match="part-00003: partition 3, block 12"):
        decode_line(sealed_line(arrays), where="part-00003")


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"partition": 3, "index": 12},
        {"partition": 3, "index": 12, "rows": 3},
        {"partition": "3", "index": 12, "rows": 2},
        {"partition": 3, "index": 12, "rows": [2]},
        {"partition": 3, "index": 12, "rows": "2"},
    ],
)
def test_a_sealed_line_with_another_header_is_bad_data(meta: dict[str, Any]) -> None:
    with pytest.raises(BadDataError, match="part-00003: partition 3, block 12"):
        decode_line(sealed_line(GOOD, meta), where="part-00003")


def test_another_kind_of_frame_is_bad_data() -> None:
    text = frame.to_text(frame.encode("statistic", {}, {}))
    with pytest.raises(BadDataError, match="kind 'block-2' or 'block', found 'statistic'"):
        decode_line(b"3\t12\t" + text, where="here")


def test_the_checksum_is_that_of_the_frame() -> None:
    data = encode_block(DENSE_BLOCK, ADDRESS)
    assert decode_line(encode_line(DENSE_BLOCK, ADDRESS), where="").crc == zlib.crc32(data[:-4])
    assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])


@pytest.mark.parametrize("version", [1, 2])
def test_every_format_is_read_as_ever(version: int) -> None:
    sparse, dense = golden(f"block-format-{version}.txt").splitlines()
    for line, index, block in ((sparse, 0, SPARSE_BLOCK), (dense, 1, DENSE_BLOCK)):
        stored = decode_line(line, where="golden")
        assert stored.address == BlockAddress(3, index)
        assert rows_of(stored.block) == rows_of(block)
        assert columns_of(stored.block) == columns_of(block)
