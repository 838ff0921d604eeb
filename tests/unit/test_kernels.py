"""The compiled loops give the bits of the numpy and scipy ones, and refuse what would read outside an array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mr_ml import kernels
from mr_ml.features import SparseFeatures
from mr_ml.pack import miniblock, rowhash
from mr_ml.readers import libsvm_lines
from mr_ml.readers.rows import Rows

pytestmark = pytest.mark.skipif(kernels.native is None, reason="mr_ml was installed without its compiled loops")


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


@pytest.mark.parametrize("n_outputs", [1, 2, 3, 7])
def test_products_have_the_same_bits(monkeypatch: pytest.MonkeyPatch, n_outputs: int) -> None:
    x, rng = matrix(1, 300, 40), np.random.default_rng(2)
    coef, slope = rng.normal(size=(41, n_outputs)), rng.normal(size=(300, n_outputs))
    compiled = x.dot(coef), *x.pull(slope, slope**2, n_features=41)
    without_kernels(monkeypatch)
    plain = x.dot(coef), *x.pull(slope, slope**2, n_features=41)
    for ours, theirs in zip(compiled, plain, strict=True):
        assert ours.tobytes() == np.ascontiguousarray(theirs).tobytes()


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
    lines: list[tuple[str, list[tuple[int, str]], str]], labels_required: bool, base: int
) -> None:
    text = "".join(
        label + "".join(f" {i}:{v}" for i, v in sorted(pairs)) + (end if end != "\n" else "") + "\n"
        for label, pairs, end in lines
    ).encode()

    def read() -> libsvm_lines.Lines:
        return libsvm_lines.read_lines(
            text, lowest_id=base, highest_id=2**31 - 1 + base, labels_required=labels_required
        )

    compiled = read()
    with pytest.MonkeyPatch.context() as patch:
        without_kernels(patch)
        plain = read()
    for name, theirs in vars(plain).items():
        ours = getattr(compiled, name)
        same = ours.tobytes() == theirs.tobytes() if isinstance(theirs, np.ndarray) else ours == theirs
        assert same, name


def test_ordinary_lines_do_take_the_compiled_loop() -> None:
    text = b"+1 1:0.5 7:-2e-3\r\n\n-1\t2:1 \n"
    found = kernels.read_libsvm(text, lowest_id=1, highest_id=100, labels_required=True)
    assert found is not None
    n_lines, labels, row_lines, row_ends, ids, values = found
    assert n_lines == 3
    assert labels.tolist() == [1, -1]
    assert row_lines.tolist() == [0, 2]
    assert row_ends.tolist() == [2, 3]
    assert ids.tolist() == [1, 7, 2]
    assert values.tolist() == [0.5, -2e-3, 1]


def test_arrays_that_point_outside_are_refused() -> None:
    x = matrix(5, 10, 6)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.csr_dot(x.indptr, x.indices, x.values, np.ones((3, 1)))
    broken = x.indptr.copy()
    broken[4] = 10_000
    with pytest.raises(ValueError, match="do not fit"):
        kernels.csr_pull(broken, x.indices, x.values, np.ones((10, 1)), np.ones((10, 1)), n_features=6)
    with pytest.raises(ValueError, match="out of range"):
        kernels.native.take_rows(
            np.array([99]),
            x.indptr.astype(np.int64),
            x.indices,
            x.values,
            np.empty(2, np.int64),
            np.empty(50, np.int32),
            np.empty(50),
        )
