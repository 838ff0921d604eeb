"""The compiled loops give the bits of the numpy and scipy ones, and refuse what would read outside an array."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data import kernels, rowhash
from mr_ml.data.features import DenseFeatures, SparseFeatures
from mr_ml.packing import miniblock
from mr_ml.readers.rows import Rows

native = pytest.importorskip("mr_ml._native", reason="mr_ml was installed without its compiled loops")
pytestmark = pytest.mark.skipif(not kernels.installed(), reason="MR_ML_NATIVE=0")


def matrix(seed: int, n_rows: int, n_features: int) -> SparseFeatures:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, n_features + 1, n_rows)
    indices = [np.sort(rng.choice(n_features, count, replace=False)) for count in counts]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    values = rng.normal(size=indptr[-1]) * 10.0 ** rng.integers(-8, 8, indptr[-1])
    return SparseFeatures(indptr, np.concatenate([[], *indices]).astype(np.int32), values)


def as_rows(x: SparseFeatures) -> Rows:
    n = x.n_rows
    return Rows(np.zeros(n), x.indptr.astype(np.int64), x.indices, x.values, np.zeros(n, np.int64))


def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "native", None)


def narrowed(x: SparseFeatures, ids: str, values: str) -> SparseFeatures:
    """Features like these, of which the entries can be held in these types."""
    if values == "<f4":
        return SparseFeatures(x.indptr, x.indices.astype(ids), x.values.astype(values))
    if values == "<f8":
        return SparseFeatures(x.indptr, x.indices.astype(ids), x.values)
    whole = (np.abs(x.values) * 1e6).astype(np.int64) % 200 - 100
    scale = {"|i1": 1, "<i2": 300, "<i4": 20_000_000}[values]
    return SparseFeatures(x.indptr, x.indices.astype(ids), (whole * scale).astype(values), 3)


@pytest.mark.parametrize("values", ["|i1", "<i2", "<i4", "<f4", "<f8"])
@pytest.mark.parametrize("ids", ["<u2", "<i4"])
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 7])
@pytest.mark.parametrize("n_columns", [40, 3000])
def test_products_have_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, n_columns: int, n_outputs: int, ids: str, values: str
) -> None:
    # rows of 3000 columns are longer than what is widened at a time
    rng, n_features = np.random.default_rng(2), n_columns + 1
    x = narrowed(matrix(1, 12000 // n_columns, n_columns), ids, values)
    coef, slope = rng.normal(size=(n_features, n_outputs)), rng.normal(size=(x.n_rows, n_outputs))

    def products() -> tuple[Any, ...]:
        pulled = x.transpose_dots(slope, slope**2, n_features=n_features)[:2]
        three = x.transpose_dots(slope, slope**2, n_features=n_features, cross=True)
        return x.dot(coef), *pulled, *three, x.transpose_dots(slope, None, n_features=n_features)[0]

    compiled = products()
    without_kernels(monkeypatch)
    for ours, theirs in zip(compiled, products(), strict=True):
        assert np.ascontiguousarray(ours).tobytes() == np.ascontiguousarray(theirs).tobytes()


def test_hashes_and_taken_rows_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = as_rows(matrix(3, 200, 30))
    chosen = np.random.default_rng(4).permutation(200)[:150]
    compiled = rowhash.row_hashes(rows), miniblock.take(rows, chosen)
    without_kernels(monkeypatch)
    plain = rowhash.row_hashes(rows), miniblock.take(rows, chosen)
    assert (compiled[0] == plain[0]).all()
    for name in ("indptr", "indices", "values"):
        ours, theirs = getattr(compiled[1], name), getattr(plain[1], name)
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


def test_column_sums_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = matrix(6, 300, 40)
    x.values[::7] = 0
    mean = np.random.default_rng(7).normal(size=41)
    compiled = *x.column_sums(n_features=41), *x.deviations(mean)
    without_kernels(monkeypatch)
    for ours, theirs in zip(compiled, (*x.column_sums(n_features=41), *x.deviations(mean)), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


@given(
    shape=st.tuples(st.integers(0, 400), st.integers(0, 12)),
    more=st.integers(0, 2),
    seed=st.integers(0, 999),
    zeros=st.floats(0, 1),
)
def test_dense_column_sums_have_the_same_bits(shape: tuple[int, int], more: int, seed: int, zeros: float) -> None:
    rng = np.random.default_rng(seed)
    array = rng.normal(size=shape) * 10.0 ** rng.integers(-8, 8, shape)
    array[rng.random(shape) < zeros] = 0
    x, d = DenseFeatures(array), shape[1] + more
    mean = rng.normal(size=d)
    compiled = *x.column_sums(n_features=d), *x.deviations(mean)
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_kernels(monkeypatch)
        plain = *x.column_sums(n_features=d), *x.deviations(mean)
    for ours, theirs in zip(compiled, plain, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
    sparse = x.as_sparse()
    names = ("sums", "stored", "low", "high", "nonzero")
    for name, ours, theirs in zip(names, compiled, sparse.column_sums(n_features=d), strict=False):
        assert ours.dtype == theirs.dtype, name
        assert name == "stored" or np.array_equal(ours, theirs), name


def test_rows_of_other_types_or_widths_have_no_moments() -> None:
    zeros = [np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3, np.int64)]
    for values in (np.zeros((2, 3), np.int64), np.zeros(4, np.int16)):
        with pytest.raises(ValueError, match="do not fit"):
            native.dense_sums(values, False, 1.0, *zeros)
        with pytest.raises(ValueError, match="do not fit"):
            native.dense_deviations(values, False, 1.0, *zeros[:3])
        with pytest.raises(ValueError, match="do not fit"):
            native.scale_rows(values, False, 1.0, np.zeros(2), np.zeros((2, 3)))


def test_products_with_arrays_that_do_not_fit_are_refused() -> None:
    x = matrix(5, 10, 6)
    ends = x.indptr[1:]
    whole = kernels.Entries(ends, x.indices, x.values, 0)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.csr_dot(whole, np.ones((3, 1)), width=x.width)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.csr_transpose_dots(whole, np.ones((10, 1)), np.ones((9, 1)), width=x.width, n_features=6)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.csr_transpose_dots(whole, np.ones((10, 1)), np.ones((9, 1)), width=6, n_features=6, cross=True)
    beyond, descending, short = ends.copy(), ends.copy(), ends[:5]
    beyond[4] = 10_000
    descending[4] = ends[3] - 1
    for wrong in (beyond, descending, short, -ends):
        entries = whole._replace(ends=wrong)
        with pytest.raises(ValueError, match="do not fit"):
            kernels.csr_dot(entries, np.ones((6, 1)), width=6)
        for bend in (np.ones((10, 1)), None):
            with pytest.raises(ValueError, match="do not fit"):
                kernels.csr_transpose_dots(entries, np.ones((10, 1)), bend, width=6, n_features=6)
    with pytest.raises(ValueError, match="unknown types"):
        kernels.csr_dot(whole._replace(indices=x.indices.astype(np.int64)), np.ones((6, 1)), width=6)


@pytest.mark.parametrize(
    ("piece", "row", "ends"),
    [(1, 0, [2, 3]), (-1, 0, [2, 3]), (0, 2, [2, 3]), (0, -1, [2, 3]), (0, 1, [2, 4]), (0, 1, [2, 1]), (0, 1, [-1, 3])],
)
def test_rows_that_are_not_there_are_refused(piece: int, row: int, ends: list[int]) -> None:
    entries = kernels.Entries(np.array(ends, np.int32), np.arange(3, dtype=np.uint16), np.ones(3, np.int8), 0)
    with pytest.raises(ValueError, match="out of range"):
        kernels.gather_rows([entries], np.array([piece], np.int32), np.array([row], np.int32))


@pytest.mark.parametrize(
    ("indices", "values"),
    [(np.uint8, np.int8), (np.int64, np.int8), (np.uint16, np.int64), (np.uint16, np.float16)],
)
def test_entries_of_other_types_are_refused(indices: Any, values: Any) -> None:
    entries = kernels.Entries(np.array([3], np.int32), np.arange(3, dtype=indices), np.ones(3, values), 0)
    with pytest.raises(ValueError, match="unknown types"):
        kernels.gather_rows([entries], np.zeros(1, np.int32), np.zeros(1, np.int32))
    short = kernels.Entries(np.array([1, 4], np.int32), np.arange(2, dtype=np.uint16), np.ones(4, np.int8), 0)
    with pytest.raises(ValueError, match="out of range"):
        kernels.gather_rows([short], np.zeros(1, np.int32), np.ones(1, np.int32))
    fewer = kernels.Entries(np.array([3], np.int32), np.arange(3, dtype=np.uint16), np.ones(2, np.int8), 0)
    with pytest.raises(ValueError, match="different number"):
        kernels.gather_rows([fewer], np.zeros(1, np.int32), np.zeros(1, np.int32))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_widened_numbers_are_the_quotients_that_a_division_rounds(dtype: type[np.signedinteger[Any]]) -> None:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    some = rng.integers(info.min, info.max, 200_000, endpoint=True)
    ends = np.arange(1000) - 500
    edges = np.concatenate([ends, info.max - np.arange(100), info.min + np.arange(100)])
    integers = np.concatenate([some, edges[(edges >= info.min) & (edges <= info.max)]]).astype(dtype)
    for places in range(10):
        found = kernels.widen(integers, scale=10.0**places)
        assert found is not None
        assert found.tobytes() == (integers / 10.0**places).tobytes()
    # of a scale that is no power of ten too
    found = kernels.widen(integers, scale=3.0)
    assert found is not None
    assert found.tobytes() == (integers / 3.0).tobytes()


@given(st.binary(max_size=300), st.integers(0, 40), st.integers(0, 2**32 - 1), st.integers(0, 17))
def test_checksums_are_those_of_zlib(some: bytes, times: int, crc: int, first: int) -> None:
    data = memoryview(some * times)[first:]
    assert kernels.crc32(data, crc) == zlib.crc32(data, crc)
    # lanes of 16 bytes, four at a time, and what is left behind either, from any address on
    assert native.crc32(data, crc) in (zlib.crc32(data, crc), None)
    array: Any = np.frombuffer(data, np.uint8)
    assert kernels.crc32(array) == zlib.crc32(data)
