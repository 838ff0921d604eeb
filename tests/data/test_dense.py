"""Dense rows held in few bytes: the products of those in full, bit for bit, and near exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from builders import make_block
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data import kernels
from mr_ml.data.block import BlockAddress, decode_line, encode_line
from mr_ml.data.features import DenseFeatures
from mr_ml.data.narrow import widen

DTYPES = ["|i1", "<i2", "<i4", "<f4", "<f8"]
# of one piece, of several, and of one that begins with the last row
SHAPES = [(0, 3), (5, 1), (65537, 1), (1030, 2), (50, 300), (1025, 130), (7, 5000)]


def narrow_rows(shape: tuple[int, int], dtype: str, seed: int = 0) -> DenseFeatures:
    """Rows that no fewer bytes would hold, with a column of zeros and a constant one."""
    rng = np.random.default_rng(seed)
    if dtype[1] == "f":
        return DenseFeatures((rng.normal(size=shape) * 10.0 ** rng.integers(-8, 8, shape)).astype(dtype))
    info = np.iinfo(dtype)
    numbers = rng.integers(-info.max, info.max, shape, endpoint=True).astype(dtype)
    numbers[:, 1::7], numbers[:, 2::7] = 0, info.max
    return DenseFeatures(numbers, int(rng.integers(1, 10)))


def results(x: DenseFeatures, seed: int = 1) -> Iterator[tuple[str, Any]]:
    """Whatever is asked of features, by name."""
    rng, n, d = np.random.default_rng(seed), x.n_rows, x.width + 1
    for k in (1, 3):
        coef, rows = rng.normal(size=(d, k)), rng.normal(size=(n, k))
        yield f"dot {k}", x.dot(coef)
        yield f"both {k}", x.transpose_dots(rows, rows**2, n_features=d)[:2]
        yield f"three {k}", x.transpose_dots(rows, rows**2, n_features=d, cross=True)
        yield f"slope {k}", x.transpose_dots(rows, None, n_features=d)[0]
        yield f"transpose {k}", x.transpose_dot(rows, n_features=d)
        yield f"squares {k}", x.squares_dot(rows, n_features=d)
    weights, mean = rng.normal(size=n), rng.normal(size=d)
    yield "flat", (x.dot(mean), x.transpose_dot(weights, n_features=d))
    if d < 1000:
        yield "gram", x.gram(weights, n_features=d)
        yield "gram of squares", x.gram(weights**2, n_features=d)
    yield "sums", x.column_sums(n_features=d)
    yield "deviations", x.deviations(mean)
    yield "moments", x.weighted_moments(weights**2 / max((weights**2).sum(), 1e-9), n_features=d)
    yield "array", x.toarray(n_features=d)
    yield "squared", x.squared().array
    yield "shifted", x.shifted(np.array([0, d - 1]), np.array([0.3, 2.0])).array
    sparse = x.as_sparse()
    yield "sparse", (sparse.indptr, sparse.indices, sparse.wide.values)
    yield "counts", np.array([x.n_rows, x.width, x.nnz, x.nbytes_in_full])
    array, places = x.narrow()
    yield "narrow", (array, np.array(places))


def same(ours: DenseFeatures, theirs: DenseFeatures) -> None:
    for (name, found), (_, expected) in zip(results(ours), results(theirs), strict=True):
        pair = (found, expected) if isinstance(found, tuple) else ((found,), (expected,))
        for a, b in zip(*pair, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), name
            assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes(), name


def in_full(x: DenseFeatures) -> DenseFeatures:
    return DenseFeatures(np.array(widen(x.numbers, x.places)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_in_few_bytes_give_the_bits_of_those_in_full(shape: tuple[int, int], dtype: str) -> None:
    x = narrow_rows(shape, dtype)
    full = in_full(x)
    same(x, full)
    chosen = np.random.default_rng(2).permutation(shape[0])[: shape[0] // 2]
    columns = np.arange(0, shape[1] + 3, 2, dtype=np.int32)
    for some, of_full in (
        (x.rows(chosen), full.rows(chosen)),
        (x.head(3), full.head(3)),
        (x.over(columns), full.over(columns)),
    ):
        assert some.numbers.dtype == dtype
        same(some, of_full)


@pytest.mark.skipif(not kernels.installed(), reason="there are no compiled loops")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_plain_loops_give_the_bits_of_compiled_ones(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], dtype: str
) -> None:
    x = narrow_rows(shape, dtype)
    compiled = list(results(x))
    monkeypatch.setattr(kernels, "native", None)
    for (name, ours), (_, theirs) in zip(compiled, results(x), strict=True):
        pair = (ours, theirs) if isinstance(ours, tuple) else ((ours,), (theirs,))
        for a, b in zip(*pair, strict=True):
            assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes(), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 4])
@pytest.mark.parametrize(("n", "width"), [(3, 2), (1500, 150), (9000, 8)])
def test_products_are_near_those_of_whole_arrays(n: int, width: int, n_outputs: int, dtype: str) -> None:
    # the oracle: sums of extended precision, of which each of ours may be off by a rounding for each term
    x, d, rng = narrow_rows((n, width), dtype, seed=n), width + 2, np.random.default_rng(3)
    whole = np.zeros((n, d), np.longdouble)
    whole[:, :width] = x.numbers.astype(np.longdouble) / np.longdouble(10) ** x.places
    coef, rows, bends = rng.normal(size=(d, n_outputs)), rng.normal(size=(n, n_outputs)), rng.random((n, n_outputs))
    pulled, squares, cross = x.transpose_dots(rows, bends, n_features=d, cross=True)
    assert squares is not None
    assert cross is not None
    checked: list[tuple[Any, Any, Any]] = [
        (x.dot(coef), whole, coef),
        (pulled, whole.T, rows),
        (squares, (whole * whole).T, bends),
        (cross, whole.T, bends),
    ]
    for u in (bends[:, 0], rng.normal(size=n)):
        inner, sums = x.gram(u, n_features=d)
        checked += [(inner, whole.T * u, whole), (sums, whole.T, u)]
    for found, left, right in checked:
        bound = (left.shape[1] + 4) * 2.0**-53 * (np.abs(left) @ np.abs(right))
        assert (np.abs(found - left @ right) <= bound).all()


@given(
    values=st.lists(
        st.sampled_from([0.0, 1.0, -2.5, 0.067414, 1e-9, 3e9, 1 / 3, 1e300, np.nan, np.inf, -np.inf]),
        min_size=6, max_size=6,
    ),
    of_every_row=st.booleans(),
)  # fmt: skip
def test_whatever_is_stored_is_kept_as_it_is(values: list[float], of_every_row: bool) -> None:
    array = np.tile(values, (9, 1)) if of_every_row else np.ones((9, 6))
    array[0], array[-1, -1] = values, 7.0
    line = encode_line(make_block(array, np.ones(9)), BlockAddress(0, 0))
    features = decode_line(line, where="").block.features
    assert isinstance(features, DenseFeatures)
    assert features.array.tobytes() == array.tobytes()
    # what no integers or singles hold is in full
    finite = np.isfinite(array).all() and not {1 / 3, 1e300} & set(values)
    assert features.nbytes < array.nbytes or not finite or {1e-9, 3e9, 0.067414} & set(values)
    coef = np.ones((6, 1))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(features.dot(coef), DenseFeatures(array).dot(coef))


def test_rows_lie_as_they_do_in_full_wherever_they_come_from() -> None:
    x = narrow_rows((300, 40), "<f8")
    coef = np.random.default_rng(1).normal(size=(40, 1))
    turned = DenseFeatures(np.asfortranarray(x.numbers))
    assert turned.dot(coef).tobytes() == x.dot(coef).tobytes()
    assert (
        turned.transpose_dot(x.dot(coef), n_features=40).tobytes()
        == x.transpose_dot(x.dot(coef), n_features=40).tobytes()
    )


def test_a_share_of_the_scale_rounds_as_a_division_does() -> None:
    # what mr_ml/native/native.h says of i * share + i * rest, for integers of 31 bits
    for places in range(10):
        scale = 10.0**places
        spread = 1 / scale * (2.0**31 + 1)
        share = spread - (spread - 1 / scale)
        rest = (1 - share * scale) / scale
        assert Fraction(share).numerator.bit_length() <= 22
        off = abs(Fraction(share) + Fraction(rest) - Fraction(1, 10**places)) + abs(Fraction(rest)) / 2**53
        assert off * 10**places * 2**53 < min(Fraction(3, 10**7), Fraction(1, 2 * 5**places))


@pytest.mark.parametrize("lowest", [0.0, -1.0])
@pytest.mark.parametrize(("n", "width", "n_features"), [(1, 1, 1), (7, 3, 5), (40, 6, 6), (0, 2, 3)])
def test_the_gram_is_that_of_exact_arithmetic(n: int, width: int, n_features: int, lowest: float) -> None:
    rng = np.random.default_rng(n + width)
    x, d = rng.normal(size=(n, width)) * 10.0 ** rng.integers(-3, 4, width), rng.uniform(lowest, 1, n)
    d[: n // 4] = 0
    found, sums = DenseFeatures(x).gram(d, n_features=n_features)
    assert (found.shape, sums.shape) == ((n_features, n_features), (n_features,))
    assert not found[width:].any()
    assert not found[:, width:].any()
    assert not sums[width:].any()
    for i in range(width):
        terms = [Fraction(a) * Fraction(u) for a, u in zip(x[:, i], d, strict=True)]
        assert abs(sums[i] - float(sum(terms))) <= 1e-13 * float(sum(map(abs, terms)))
        for j in range(width):
            terms = [Fraction(a) * Fraction(b) * Fraction(u) for a, b, u in zip(x[:, i], x[:, j], d, strict=True)]
            assert abs(found[i, j] - float(sum(terms))) <= 1e-13 * float(sum(map(abs, terms)))


def test_the_gram_of_weights_that_are_not_negative_is_symmetric() -> None:
    rng = np.random.default_rng(1)
    found, _ = DenseFeatures(rng.normal(size=(100, 30))).gram(rng.random(100), n_features=30)
    assert (found == found.T).all()
