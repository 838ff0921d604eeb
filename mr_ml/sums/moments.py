"""What features and labels are like, as sums over rows: counts, means, squared deviations, extremes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.data.features import DenseFeatures, Features
from mr_ml.sums.parts import Keyed, Minimum, Moments, Part, Sum, WeightedMoments
from mr_ml.sums.query import check_width, compact, sliced
from mr_ml.sums.slices import is_wide
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MomentsQuery:
    """Count, mean, squared deviations, extremes and non-zero count of each feature, and rows of each label (if few).

    `lows` holds the minimum of each column's non-zero values and `highs` the minimum of their negatives
    (infinity where a column has none); labels are counted as the keys of their float64 bits. Where rows have weights,
    these are summed beside the counts, `heaviest` is the negative of the largest, and `weighted` holds the weighted
    mean and variance of each feature.
    """

    kind: ClassVar[str] = "moments"

    n_features: int

    @property
    def reading(self) -> str:
        return ""

    def prepare(self, block: Block) -> Block:
        return block

    def map(self, block: Block) -> Statistic:
        d = self.n_features
        if not is_wide(d):
            return Statistic(_moment_parts(block, d))
        check_width(block, d)
        found = compact(block, d)
        if found is None:
            return sliced(_moment_parts(block, d), width=d)
        ids, small = found
        return sliced(_moment_parts(small, len(ids)), width=d, ids=ids)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return {"n_features": self.n_features}, {}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> MomentsQuery:
        return cls(n_features=meta["n_features"])


MAX_LABEL_VALUES = 1024


def _moment_parts(block: Block, n_features: int) -> dict[str, Part]:
    moments, low, high, stored = _feature_moments(block.features, n_features)
    label_moments, *_ = _feature_moments(DenseFeatures(block.labels[:, None]), 1)
    values, counts = np.unique(block.labels, return_counts=True)
    columns, weighted = [counts.astype(np.float64)], dict[str, Part]()
    if block.weights is not None:
        which = np.searchsorted(values, block.labels)
        columns.append(np.asarray(np.bincount(which, block.weights, len(values)), np.float64))
        weighted["heaviest"] = Minimum(np.asarray(-block.weights.max(initial=0.0)))
        weighted["weighted"] = _weighted_moments(block.features, block.weights, n_features)
    return {
        **weighted,
        "moments": moments,
        "lows": Minimum(low),
        "highs": Minimum(-high),
        "stored": Sum(stored),
        "labels": Keyed.of(values.view(np.int64), np.stack(columns, axis=1), limit=MAX_LABEL_VALUES),
        "label_moments": label_moments,
    }


def _feature_moments(features: Features, n_features: int) -> tuple[Moments, Floats, Floats, Array]:
    """Moments of all entries; minimum, maximum and count of those that are not zero."""
    n = features.n_rows
    sums, stored, low, high, nonzero = features.column_sums(n_features=n_features)
    mean = sums / max(n, 1)
    deviations, squares = features.deviations(mean)
    # not even where the mean is infinite do rows that store all add anything
    absent = np.where(stored < n, (n - stored) * mean, 0)
    moments = _corrected(n, mean, squares + np.where(stored < n, absent * mean, 0), deviations - absent)
    return moments, low, high, nonzero


def _weighted_moments(features: Features, weights: Floats, n_features: int) -> WeightedMoments:
    """Of the rows of positive weight; added from the first row to the last, without BLAS: packing stores it."""
    counted = np.flatnonzero(weights > 0)
    if not len(counted):
        return WeightedMoments(np.asarray(0.0), np.zeros(n_features), np.zeros(n_features))
    if len(counted) < len(weights):
        features, weights = features.rows(counted), weights[counted]
    # times a power of two, so that products are in the range of numbers
    u = np.ldexp(weights, -np.frexp(weights.max())[1])
    total = np.cumsum(u)[-1]
    mean, variance = features.weighted_moments(u / total, n_features=n_features)
    return WeightedMoments(np.cumsum(weights)[-1], mean, variance)


def _corrected(n: int, mean: Floats, m2: Floats, left: Floats) -> Moments:
    """Take back the rounding of the mean: `left` is the sum of deviations (Chan, Golub & LeVeque 1983, eq. 1.7)."""
    shift = left / max(n, 1)
    return Moments(np.float64(n), mean + shift, np.maximum(m2 - left * shift, 0))  # type: ignore[arg-type]
