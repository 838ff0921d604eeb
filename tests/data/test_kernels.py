"""The compiled loops give the bits of the numpy and scipy ones, and refuse what would read outside an array."""

from __future__ import annotations

import zlib
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mr_ml.data import kernels, rowhash
from mr_ml.data.features import DenseFeatures, NarrowFeatures, SparseFeatures
from mr_ml.data.narrow import widen
from mr_ml.packing import miniblock
from mr_ml.readers.libsvm import reader as libsvm
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.rows import Parsed, Rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.numbers import parse_floats
from mr_ml.readers.text.options import TextOptions

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
        both = x.transpose_dots(slope, slope**2, n_features=n_features)
        return x.dot(coef), *both, x.transpose_dots(slope, None, n_features=n_features)[0]

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


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-100, 100, places=6).map(str),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(["1.", ".5", "+3", "-0", "1e-400", "1e22", "1e23", "0" * 70 + "1", "9007199254740993", "1E+2"]),
    st.sampled_from(["1e400", "nan", "inf", "1_0", "0x1", "", ".", "-", "1e", "\uff11", "1\x00", "1,5"]),
)
LINES = st.lists(
    st.tuples(NUMBERS, st.lists(st.tuples(st.integers(0, 2**31 + 2), NUMBERS), max_size=4), st.sampled_from("\n\r "))
)


@settings(max_examples=300, deadline=None)
@given(lines=LINES, labels_required=st.booleans(), base=st.sampled_from([0, 1]))
def test_libsvm_lines_read_the_same(
    lines: list[tuple[str, list[tuple[int, str]], str]], labels_required: bool, base: Literal[0, 1]
) -> None:
    text = "".join(
        label + "".join(f" {i}:{v}" for i, v in sorted(pairs)) + (end if end != "\n" else "") + "\n"
        for label, pairs, end in lines
    ).encode()

    schema = Schema(format="libsvm", part=LibsvmPart(TextOptions()), index_base=base, n_features=2**31 - 1)

    def read() -> Parsed:
        return libsvm.parse(text, schema, labels="required" if labels_required else "optional")

    compiled = read()
    with pytest.MonkeyPatch.context() as patch:
        without_kernels(patch)
        plain = read()
    assert_same(compiled, plain)


# what of a feature is read at once, and what is just not
SHORT = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "-", "+"]), st.text("0123456789", max_size=9), st.sampled_from(["", "."]),
    st.text("0123456789", max_size=9),
)  # fmt: skip
STRANGE = st.sampled_from("-+.:eE \t\r#\x00\x1f/;\xff")


@settings(max_examples=400, deadline=None)
@given(
    features=st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10), SHORT), min_size=1, max_size=12),
    blank=st.sampled_from([" ", "\t", "  ", "\r\n1 "]),
    strange=st.none() | st.tuples(st.integers(0, 200), STRANGE),
)
def test_short_features_read_the_same(
    features: list[tuple[int, int, str]], blank: str, strange: tuple[int, str] | None
) -> None:
    line = "1 " + blank.join(f"{number % 10**digits}:{value}" for number, digits, value in sorted(features)) + "\n"
    if strange is not None:
        at = strange[0] % len(line)
        line = line[:at] + strange[1] + line[at + 1 :]
    # the last features of a text are read by other means
    text = (line + "0 1:1 2:0.5 3:-0.25\n" * 2).encode("latin-1")
    schema = Schema(format="libsvm", part=LibsvmPart(TextOptions()), index_base=0, n_features=2**31 - 1)
    compiled = libsvm.parse(text, schema, labels="required")
    with pytest.MonkeyPatch.context() as patch:
        without_kernels(patch)
        assert_same(compiled, libsvm.parse(text, schema, labels="required"))


def test_every_short_number_is_the_one_that_python_reads() -> None:
    """Of each length, with the dot at each place, and behind ids of each length."""
    rng = np.random.default_rng(9)
    for n_id in range(1, 11):
        for n in range(1, 11):
            for dot in range(n + 1):
                for sign in ("", "-"):
                    digits = "".join(map(str, rng.integers(0, 10, n)))
                    value = f"{sign}{digits[:dot]}.{digits[dot:]}" if dot < n else sign + digits
                    number = int(rng.integers(10 ** (n_id - 1), min(10**n_id, 2**31 - 1)))
                    text = f"1 {number}:{value} 2147483647:1\n0 1:1 2:1 3:1 4:1\n".encode()
                    arrays = (
                        np.zeros(3),
                        np.zeros(3, np.int64),
                        np.zeros(4, np.int64),
                        np.zeros(9, np.int32),
                        np.zeros(9),
                    )
                    found = kernels.read_libsvm(
                        text, 0, len(text), lowest_id=0, highest_id=2**31 - 1, base=0, labels_required=True,
                        filled=(0, 0, 0), arrays=arrays,
                    )  # fmt: skip
                    assert found is not None
                    assert found[:3] == (2, 6, 2)
                    assert arrays[3][0] == number
                    assert arrays[4][:1].tobytes() == np.array([float(value) + 0.0]).tobytes(), value


def assert_same(compiled: Parsed, plain: Parsed) -> None:
    assert (compiled.bad, compiled.bad_counts, compiled.n_lines) == (plain.bad, plain.bad_counts, plain.n_lines)
    for name, theirs in vars(plain.rows).items():
        ours = getattr(compiled.rows, name)
        assert (ours is theirs is None) or (ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()), name


def test_long_texts_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    lines = [
        f"{rng.integers(0, 2)} "
        + " ".join(f"{i}:{rng.normal():.{rng.integers(0, 9)}f}" for i in np.unique(rng.integers(1, 10**7, 20)))
        + ("" if rng.random() < 0.99 else rng.choice(["\r", "   ", " # comment", " 3:x"]))
        for _ in range(6000)
    ]
    text = "\n".join(lines).encode()
    schema = Schema(format="libsvm", part=LibsvmPart(TextOptions()), index_base=1, n_features=10**7)
    compiled = libsvm.parse(text, schema, labels="required")
    without_kernels(monkeypatch)
    assert_same(compiled, libsvm.parse(text, schema, labels="required"))


def test_ordinary_lines_do_take_the_compiled_loop() -> None:
    text = b"0 9:9\n+1 1:0.5 7:-2e-3\r\n\n-1\t2:1 \n"
    arrays = np.zeros(4), np.zeros(4, np.int64), np.zeros(5, np.int64), np.zeros(4, np.int32), np.zeros(4)
    found = kernels.read_libsvm(
        text, 6, len(text), lowest_id=1, highest_id=100, base=1, labels_required=True, filled=(1, 1, 1), arrays=arrays
    )
    assert found == (3, 4, 4, 1, 7)
    labels, row_lines, indptr, indices, values = arrays
    assert labels.tolist() == [0, 1, -1, 0]
    assert row_lines.tolist() == [0, 1, 3, 0]
    assert indptr.tolist() == [0, 0, 3, 4, 0]
    assert indices.tolist() == [0, 0, 6, 1]
    assert values.tolist() == [0, 0.5, -2e-3, 1]


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


@pytest.mark.parametrize("dtype", ["|i1", "<i2", "<i4", "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(0, 3), (5, 1), (1030, 2), (50, 300), (7, 5000)])
def test_rows_in_few_bytes_have_the_moments_of_those_in_full(shape: tuple[int, int], dtype: str) -> None:
    numbers = np.random.default_rng(shape[0]).integers(-100, 100, shape).astype(dtype)
    places = 2 if dtype[1] == "i" else 0
    x, full, d = NarrowFeatures(numbers, places), DenseFeatures(widen(numbers, places)), shape[1] + 1
    mean = np.random.default_rng(1).normal(size=d)
    assert (x.n_rows, x.width, x.nnz) == (full.n_rows, full.width, full.nnz)
    pairs = zip(x.column_sums(n_features=d), full.column_sums(n_features=d), strict=True)
    for ours, theirs in (*pairs, *zip(x.deviations(mean), full.deviations(mean), strict=True)):
        assert ours.tobytes() == theirs.tobytes()
    narrow, found = x.narrow()
    plain, as_found = full.narrow()
    assert (narrow.dtype, narrow.tobytes(), found) == (plain.dtype, plain.tobytes(), as_found)
    assert x.array.tobytes() == full.array.tobytes()


def test_rows_of_other_types_or_widths_have_no_moments() -> None:
    zeros = [np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3, np.int64)]
    for values in (np.zeros((2, 3), np.int64), np.zeros(4, np.int16)):
        with pytest.raises(ValueError, match="do not fit"):
            native.dense_sums(values, False, 1.0, *zeros)
        with pytest.raises(ValueError, match="do not fit"):
            native.dense_deviations(values, False, 1.0, *zeros[:3])


def test_products_with_arrays_that_do_not_fit_are_refused() -> None:
    x = matrix(5, 10, 6)
    ends = x.indptr[1:]
    whole = kernels.Entries(ends, x.indices, x.values, 0)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.csr_dot(whole, np.ones((3, 1)), width=x.width)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.csr_transpose_dots(whole, np.ones((10, 1)), np.ones((9, 1)), width=x.width, n_features=6)
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


@given(text=st.binary(max_size=1000), repeats=st.integers(1, 3))
def test_bytes_are_counted(text: bytes, repeats: int) -> None:
    text *= repeats
    assert kernels.count_bytes(text, b"\n:\n") == (text.count(b"\n"), text.count(b":"), text.count(b"\n"))
    assert kernels.count_bytes(text, b"") == ()


def test_many_equal_bytes_are_counted() -> None:
    assert kernels.count_bytes(b":" * 1_000_001, b"\n:") == (0, 1_000_001)


@settings(max_examples=300, deadline=None)
@given(fields=st.lists(NUMBERS, max_size=20), delimiter=st.sampled_from(",;\t|+e"))
def test_fields_read_the_same(fields: list[str], delimiter: str) -> None:
    """Bits and all, whatever stands behind a field: the sign of zero, what underflows, what is no number."""
    encoded = [field.encode() for field in fields]
    buffer = np.frombuffer(delimiter.encode().join([*encoded, b""]), np.uint8)
    ends = np.cumsum([len(field) + 1 for field in encoded], dtype=np.int64) - 1
    starts = ends - np.array([len(field) for field in encoded], np.int64)
    found = kernels.read_floats(buffer, starts, ends)
    assert found is not None
    values, left = found
    plain, ok = parse_floats(buffer, starts, ends)
    usual = np.delete(np.arange(len(fields)), left)
    assert ok[usual].all()
    assert values[usual].tobytes() == plain[usual].tobytes()
    if delimiter in ",;\t|":
        short = [k for k, field in enumerate(fields) if ok[k] and len(field) < 25]
        assert set(short) <= set(usual.tolist())


def test_fields_outside_the_text_are_refused() -> None:
    buffer = np.frombuffer(b"1,2,", np.uint8)
    for start, end in ((-1, 1), (2, 1), (3, 5)):
        with pytest.raises(ValueError, match="out of range"):
            kernels.read_floats(buffer, np.array([start]), np.array([end]))
    values, left = kernels.read_floats(buffer, np.array([0, 2, 2]), np.array([1, 4, 2])) or (None, None)
    assert values is not None
    assert left is not None
    assert (values[0], left.tolist()) == (1, [1, 2])


@settings(max_examples=300, deadline=None)
@given(values=st.lists(st.floats(), max_size=20))
def test_numbers_are_written_as_python_does(values: list[float]) -> None:
    assert written(np.array(values)) == values_as_python_writes(values)


def test_numbers_around_every_edge_are_written_as_python_does() -> None:
    """Powers of two and ten and their neighbours, halves of the last decimal, every binary exponent."""
    rng = np.random.default_rng(7)
    powers = np.concatenate([2.0 ** np.arange(-1074, 1024), 10.0 ** np.arange(-320, 309)])
    near = (powers.view(np.int64)[:, None] + np.arange(-3, 4)).clip(min=0).ravel().view(np.float64)
    exponents = np.repeat(np.arange(2047, dtype=np.uint64) << np.uint64(52), 20)
    anywhere = (exponents | rng.integers(0, 2**52, len(exponents)).astype(np.uint64)).view(np.float64)
    ties = rng.integers(2**50, 2**53, 20_000) / 2.0 ** rng.integers(0, 8, 20_000)
    short = np.round(rng.random(20_000), 6), rng.random(20_000), rng.random(20_000) * 1e-6
    for values in (near, -near, anywhere, ties, *short, np.array([0.0, -0.0, np.nan, np.inf, -np.inf])):
        assert written(values) == values_as_python_writes(values.tolist())


def written(values: Any) -> str:
    n = len(values)
    found = kernels.write_rows(
        values[:, None], starts=b"", start_ends=np.zeros(1, np.int64), choice=np.zeros(n, np.int64),
        lines=np.arange(n), n_lines=n,
    )  # fmt: skip
    assert found is not None
    return bytes(found).decode()


def values_as_python_writes(values: list[float]) -> str:
    return "".join(f"{value!r}\n" for value in values)


def test_rows_go_to_their_lines() -> None:
    found = kernels.write_rows(
        np.array([[0.5, 2], [0.25, -1e-7]]), starts=b"a\tlong\t", start_ends=np.array([2, 7]), choice=np.array([1, 0]),
        lines=np.array([1, 3]), n_lines=5,
    )  # fmt: skip
    assert found is not None
    assert bytes(found) == b"\nlong\t0.5\t2.0\n\na\t0.25\t-1e-07\n\n"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lines": np.array([1, 1])}, "out of range"),
        ({"lines": np.array([0, 2])}, "out of range"),
        ({"lines": np.array([-1, 1])}, "out of range"),
        ({"choice": np.array([0, 1])}, "out of range"),
        ({"start_ends": np.array([9])}, "out of range"),
        ({"choice": np.array([0])}, "do not fit"),
        ({"n_lines": 1}, "do not fit"),
        ({"out": np.empty(30, np.uint8)}, "no room"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change: dict[str, Any], match: str) -> None:
    given: dict[str, Any] = {
        "values": np.ones((2, 1)), "n_columns": 1, "starts": b"a\t", "start_ends": np.array([2]),
        "choice": np.array([0, 0]), "lines": np.array([0, 1]), "n_lines": 2, "out": np.empty(100, np.uint8),
        **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=match):
        native.write_rows(*given.values())


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
    # no scale of ours: by division
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
