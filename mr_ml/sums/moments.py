"""What features and labels are like, as sums over rows: counts, means, squared deviations, extremes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.data.features import DenseFeatures, Features
from mr_ml.sums.by_column import BlockParts, ByColumn, ColumnQuery
from mr_ml.sums.parts import Keyed, Minimum, Moments, Part, Sum, WeightedMoments
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]

MAX_LABEL_VALUES = 1024


@dataclass(frozen=True, eq=False)
class MomentsQuery(ColumnQuery):
    """Count, mean, squared deviations, extremes and non-zero count of each feature, and rows of each label (if few).

    `lows` holds the minimum of each column's non-zero values and `highs` the minimum of their negatives
    (infinity where a column has none); labels are counted as the keys of their float64 bits. Where rows have weights,
    these are summed beside the counts, `heaviest` is the negative of the largest, and `weighted` holds the weighted
    mean and variance of each feature.
    """

    kind: ClassVar[str] = "moments"

    n_features: int

    @property
    def width(self) -> int:
        """How many columns the sums have that may be in slices."""
        return self.n_features

    def over(self, columns: Array) -> MomentsQuery:
        """Return the query over some of its columns."""
        return MomentsQuery(len(columns))

    def block_parts(self, block: Block) -> BlockParts:
        """Return the parts of a prepared block by name, those with columns marked."""
        moments, low, high, stored = _feature_moments(block.features, self.n_features)
        label_moments, *_ = _feature_moments(DenseFeatures(block.labels[:, None]), 1)
        values, counts = np.unique(block.labels, return_counts=True)
        columns, weighted = [counts.astype(np.float64)], dict[str, Part | ByColumn]()
        if block.weights is not None:
            which = np.searchsorted(values, block.labels)
            columns.append(np.asarray(np.bincount(which, block.weights, len(values)), np.float64))
            weighted["heaviest"] = Minimum(np.asarray(-block.weights.max(initial=0.0)))
            weighted["weighted"] = ByColumn(_weighted_moments(block.features, block.weights, self.n_features))
        return {
            **weighted,
            "moments": ByColumn(moments),
            "lows": ByColumn(Minimum(low)),
            "highs": ByColumn(Minimum(-high)),
            "stored": ByColumn(Sum(stored)),
            "labels": Keyed.of(values.view(np.int64), np.stack(columns, axis=1), limit=MAX_LABEL_VALUES),
            "label_moments": label_moments,
        }

    def read(self, total: Statistic) -> MomentSums:
        """Return the moments by name."""
        return MomentSums(total)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {"n_features": self.n_features}, {}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> MomentsQuery:
        """Undo `to_parts`."""
        return cls(n_features=meta["n_features"])


@dataclass(frozen=True, eq=False)
class MomentSums:
    """The result of a `MomentsQuery`; arrays are put together when they are read.

    Attributes
    ----------
    columns
        The features that the arrays of features are about, ascending; None for all.
    n_rows
        How many rows there are.
    """

    total: Statistic

    @property
    def columns(self) -> Array | None:
        """Which features the arrays are about, ascending; None for all."""
        return self.total.columns

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.moments.count)

    @property
    def moments(self) -> Moments:
        """Of the features."""
        return self.total.held_of("moments", Moments)

    @property
    def lows(self) -> Floats:
        """The minimum of each feature's values that are not zero, infinite if there are none."""
        return self.total.held_of("lows", Minimum).value

    @property
    def highs(self) -> Floats:
        """The maximum of each feature's values that are not zero, minus infinity if there are none."""
        return -self.total.held_of("highs", Minimum).value

    @property
    def stored(self) -> Array:
        """How many values of each feature are not zero."""
        return self.total.held_of("stored", Sum).value

    @property
    def label_moments(self) -> Moments:
        """Of the labels; the arrays are (1,)."""
        return self.total.part_of("label_moments", Moments)

    @property
    def heaviest(self) -> float | None:
        """The largest weight of a row; None if rows have no weights."""
        return -float(self.total.part_of("heaviest", Minimum).value) if "heaviest" in self.total else None

    @property
    def weighted(self) -> WeightedMoments | None:
        """Of the features, by the rows' weights; None if rows have none."""
        return self.total.held_of("weighted", WeightedMoments) if "weighted" in self.total else None

    @property
    def label_values(self) -> frozenset[float] | None:
        """The label values that occur; None if there are too many."""
        labels = self._labels
        return None if labels.shift else frozenset(labels.keys.view(np.float64).tolist())

    def by_label(self, codes: Sequence[float]) -> list[list[float]]:
        """Return, for each label value, its number of rows and, if rows have weights, the sum of these."""
        labels = self._labels
        sums = dict(zip(labels.keys.view(np.float64).tolist(), labels.values.tolist(), strict=True))
        none = [0.0] * labels.values.shape[1]
        return [sums.get(code, none) for code in codes]

    @property
    def _labels(self) -> Keyed:
        return self.total.part_of("labels", Keyed)


def _feature_moments(features: Features, n_features: int) -> tuple[Moments, Floats, Floats, Array]:
    """Return moments of all entries; minimum, maximum and count of those that are not zero."""
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
