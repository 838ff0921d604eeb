"""Very many features of which few occur: rows, moments and sums over those alone say the same as over all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import make_block, make_engine

from mr_ml.catalog.feature_moments import FeatureMoments, checked_features
from mr_ml.data.features import DenseFeatures, SparseFeatures
from mr_ml.errors import BadDataError
from mr_ml.packing.totals import feature_moments
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary, sampled_ids
from mr_ml.readers.text.options import TextOptions
from mr_ml.sums import slices
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.parts import Sum
from mr_ml.sums.statistic import Statistic

D = 400


def rows(n: int = 60) -> Any:
    rng = np.random.default_rng(3)
    x = np.zeros((n, D))
    for j in rng.choice(D, 30, replace=False):
        x[:, j] = rng.normal(size=n) * (rng.random(n) < 0.2)
    return x


@pytest.mark.parametrize("form", ["sparse", "dense"])
@pytest.mark.parametrize("columns", [[], [0], [3, 5, 399], range(0, D, 7), range(D), range(390, 2000)])
def test_rows_over_some_columns(form: str, columns: Any) -> None:
    ids = np.array(columns, np.int32)
    x = rows()
    block = make_block(x, np.zeros(len(x)), form=form)
    found = block.over(ids)
    expected = np.zeros((len(x), len(ids)))
    expected[:, ids < D] = x[:, ids[ids < D]]
    assert type(found.features) is type(block.features)
    np.testing.assert_array_equal(found.features.toarray(n_features=len(ids)), expected)
    coef = np.random.default_rng(0).normal(size=(len(ids), 2))
    np.testing.assert_allclose(found.features.dot(coef), expected @ coef, atol=1e-12)
    held = found.features
    assert not np.shares_memory(held.array if isinstance(held, DenseFeatures) else held.values, x)


def test_largest_ids() -> None:
    ids = np.array([0, 70_000, 2**31 - 1], np.int32)
    features = SparseFeatures(np.array([0, 2, 3]), np.array([70_000, 2**31 - 1, 5], np.int32), np.array([1.0, 2, 3]))
    np.testing.assert_array_equal(features.over(ids).toarray(n_features=3), [[0, 1, 2], [0, 0, 0]])
    many = np.arange(100_000, dtype=np.int32)
    assert features.over(many).indices.tolist() == [70_000, 5]


@pytest.mark.parametrize("width", [16, 1])
@pytest.mark.parametrize("n_few", [True, False])
def test_moments_of_those_that_occur(monkeypatch: pytest.MonkeyPatch, width: int, n_few: bool) -> None:
    """Against numpy on whole columns; a value of zero that is stored is none."""
    monkeypatch.setattr(slices, "FEATURE_BLOCK", width)
    x = rows()
    if not n_few:
        x[5, ::2] = 1.0
    schema = Schema(
        format="libsvm", part=LibsvmPart(TextOptions()), index_base=1, n_features=D, labels=(0.0,), label_kind="numeric"
    )
    query = MomentsQuery(D)
    total = make_engine(x, np.zeros(len(x)), form="sparse", block_rows=8).run(query)
    found = feature_moments(query.read(total), schema)
    occur = np.flatnonzero((x != 0).any(axis=0))
    assert (found.features is not None) == n_few
    if n_few:
        assert found.features is not None
        assert found.features.tolist() == occur.tolist()
        assert found.features.dtype == np.int32
    places = occur if n_few else np.arange(D)
    assert [found.feature(k) for k in range(found.n_features)] == places.tolist()
    np.testing.assert_allclose(found.mean, x[:, places].mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(found.variance, x[:, places].var(axis=0), atol=1e-14)
    np.testing.assert_array_equal(found.minimum, x[:, places].min(axis=0))
    np.testing.assert_array_equal(found.maximum, x[:, places].max(axis=0))
    np.testing.assert_array_equal(found.nonzero, (x[:, places] != 0).sum(axis=0))
    # as datasets had them before: over all
    whole: dict[str, Any] = {name: np.zeros(D) for name in ("mean", "variance", "minimum", "maximum", "nonzero")}
    for name, column in whole.items():
        column[places] = getattr(found, name)
    again = FeatureMoments(count=len(x), **whole).compact(D)
    assert (again.features is None) == (found.features is None)
    np.testing.assert_array_equal(again.mean, found.mean)


def test_slices_of_the_largest_ids_are_few() -> None:
    """Sums over ids up to 2^31 take as much as the ids that occur."""
    rng = np.random.default_rng(1)
    ids = [np.unique(rng.integers(0, 2**31, 50)).astype(np.int32) for _ in range(4)]
    total: Statistic | None = None
    for mine in ids:
        features = SparseFeatures(np.array([0, len(mine)]), mine, np.ones(len(mine)))
        block = replace(make_block(np.zeros((1, 1)), np.zeros(1)), features=features)
        found = MomentsQuery(2**31).map(block)
        total = found if total is None else total + found
    assert total is not None
    assert len(total.slices) <= 128
    assert sum(mine.last - mine.first for mine in total.slices) == 2**31
    assert total.columns is not None
    np.testing.assert_array_equal(total.columns, np.unique(np.concatenate(ids)))
    stored = total.held("stored")
    assert isinstance(stored, Sum)
    assert len(stored.value) == len(total.columns)
    assert len(total.encode(make_engine(np.ones((1, 1)), np.zeros(1)).tree.root)) < 200_000


def test_about_how_many_ids_there_are() -> None:
    rng = np.random.default_rng(2)
    ids = np.unique(rng.integers(0, 2**31, 2_000_000)).astype(np.int32)
    halves = [sampled_ids(part, highest=2**31 - 1) for part in (ids[: len(ids) // 2], ids[len(ids) // 3 :])]
    total = sum((Summary(nnz=len(ids), some_ids=half) for half in halves), Summary())
    assert total.n_columns(2**31) == pytest.approx(2_000_000, rel=0.2)
    assert Summary(nnz=6).n_columns(2**31) == 6
    assert Summary(nnz=10**9).n_columns(100) == 100
    assert not sampled_ids(np.arange(1 << 18, dtype=np.int32), highest=(1 << 18) - 1)


@pytest.mark.parametrize("wrong", [[3, 2], [2, 2], [-1, 4], [4, D], [[1, 2]], [1.0, 2.0]])
def test_files_with_other_features(wrong: Any) -> None:
    with pytest.raises(BadDataError, match=r"coef\.npz: expected"):
        checked_features(np.array(wrong), D, where="coef.npz")
