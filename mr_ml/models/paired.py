"""Two models on the same rows: the metrics of each, and how much they differ row by row.

With a row's weight u_i and the difference d_i = (metric of the one) - (metric of the other):

    mean            m = sum_i u_i d_i / sum_i u_i
    standard error  s, s^2 = n / (n - 1) sum_i u_i^2 (d_i - m)^2 / (sum_i u_i)^2
    n = (sum_i u_i)^2 / sum_i u_i^2, the effective number of rows (Kish 1965, sec. 11.7); of equal weights, the number

Both models meet the same rows, so what is hard about a row is hard for both and leaves the difference: a few thousand
rows show what two separate means would not. Rows count as drawn independently of each other.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.sums.parts import Part, Sum, WeightedMoments
from mr_ml.sums.query import Array, Query
from mr_ml.sums.query_kinds import query_from, query_parts
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]

#: The metrics of which more is better; of all others less is.
HIGHER = frozenset(
    {
        "accuracy", "auc", "average_precision", "balanced_accuracy", "d2", "f1", "ks", "mcc", "precision", "r2",
        "recall",
    }
)  # fmt: skip
#: What is told beside metrics, and says nothing, or not in a number, of how good a model is.
NO_JUDGES = frozenset(
    {
        "auc_by_class", "auc_error", "average_precision_error", "bias", "calibration", "curves", "gains", "ks_error",
        "mean_label", "n_rows", "weight_sum",
    }
)  # fmt: skip

_MEAN, _ERROR = "difference:", "squares:"


@dataclass(frozen=True, eq=False, kw_only=True)
class RowMetrics:
    """What each row adds to the metrics that are means over rows.

    Attributes
    ----------
    weights
        (n_rows,); rows of weight 0 count nowhere.
    values
        (n_rows,) by the metric's name.
    units
        Of metrics that say the same of two models only if it is the same one, by the metric's name.
    """

    weights: Floats
    values: Mapping[str, Floats]
    units: Mapping[str, str] = field(default_factory=dict)


class MeasuringQuery(Query):
    """Base of the queries that measure a model and can tell the metrics of each row too."""

    @abstractmethod
    def map_rows(self, block: Block) -> tuple[Statistic, RowMetrics]:
        """Return the statistic of a prepared block, without receipts, and the metrics of each row."""


@dataclass(frozen=True, eq=False)
class PairedQuery(Query):
    """Two models measured on the same rows, with the differences of the metrics that both have.

    Attributes
    ----------
    queries
        Of the one and of the other.
    columns
        The features that each of them is about, int32 and ascending; None for all.
    """

    kind: ClassVar[str] = "paired"

    queries: tuple[MeasuringQuery, MeasuringQuery]
    columns: tuple[Array | None, Array | None] = (None, None)

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a block as it is stored, without receipts."""
        parts: dict[str, Part] = {}
        found = []
        for k, (query, columns) in enumerate(zip(self.queries, self.columns, strict=True)):
            statistic, rows = query.map_rows(query.prepare(block if columns is None else block.over(columns)))
            parts.update({f"{k}:{name}": part for name, part in statistic.parts.items()})
            found.append(rows)
        one, other = found
        counted = one.weights > 0
        u = one.weights[counted]
        parts["counted"] = Sum(np.asarray(len(u), float))
        for name in sorted(one.values.keys() & other.values.keys()):
            if one.units.get(name) != other.units.get(name):
                continue
            difference = (one.values[name] - other.values[name])[counted]
            parts[_MEAN + name] = _moments(difference, u)
            parts[_ERROR + name] = _moments(difference, u * u)
        return Statistic(parts)

    def statistics(self, total: Statistic) -> tuple[Statistic, Statistic]:
        """Return what the queries would have found in passes of their own."""
        one, other = (
            Statistic(
                {name.removeprefix(p): part for name, part in total.parts.items() if name.startswith(p)},
                total.receipts,
            )
            for p in ("0:", "1:")
        )
        return one, other

    def read(self, total: Statistic) -> dict[str, Difference]:
        """Return the differences by metric: that of the one less that of the other."""
        n_rows = int(total.sum("counted"))
        names = [name.removeprefix(_MEAN) for name in total.parts if name.startswith(_MEAN)]
        return {name: _difference(total, name, n_rows) for name in sorted(names)}

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        metas, arrays = [], dict[str, Array]()
        for k, (query, columns) in enumerate(zip(self.queries, self.columns, strict=True)):
            meta, mine = query_parts(query)
            metas.append(meta)
            arrays.update({f"{k}:{name}": array for name, array in mine.items()})
            if columns is not None:
                arrays[f"{k}/columns"] = columns
        return {"queries": metas}, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> PairedQuery:
        """Undo `to_parts`."""
        one, other = (
            query_from(
                mine,
                {name.removeprefix(f"{k}:"): array for name, array in arrays.items() if name.startswith(f"{k}:")},
                where=f"query {k} of a pair",
            )
            for k, mine in enumerate(meta["queries"])
        )
        if not isinstance(one, MeasuringQuery) or not isinstance(other, MeasuringQuery):
            raise ValueError("expected two queries that measure models")
        return cls((one, other), (arrays.get("0/columns"), arrays.get("1/columns")))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean difference of a metric between two models, and how certain it is.

    Attributes
    ----------
    mean, standard_error
        Of the difference, by row weights; the error is infinite where fewer than two rows count.
    n_rows
        Rows of positive weight.
    effective_rows
        How many rows of equal weight tell as much.
    """

    mean: float
    standard_error: float
    n_rows: int
    effective_rows: float

    def half_width(self, confidence: float) -> float:
        """Return how far the true mean can be above `mean`, but for one case in 1 / (1 - confidence)."""
        from scipy.special import stdtrit

        if not self.effective_rows > 1:
            return math.inf
        return float(stdtrit(self.effective_rows - 1, confidence)) * self.standard_error


def _moments(values: Floats, weights: Floats) -> WeightedMoments:
    weight = weights.sum()
    shares = weights / (weight or 1.0)
    mean = (shares * values).sum()
    return WeightedMoments(np.asarray(weight), np.array([mean]), np.array([(shares * (values - mean) ** 2).sum()]))


def _difference(total: Statistic, name: str, n_rows: int) -> Difference:
    by_weight = total.part_of(_MEAN + name, WeightedMoments)
    by_square = total.part_of(_ERROR + name, WeightedMoments)
    weight, squares, mean = float(by_weight.weight), float(by_square.weight), float(by_weight.mean[0])
    effective = weight * weight / squares if squares > 0 else 0.0
    error = math.inf
    if effective > 1:
        # sum of u^2 (d - m)^2, about the mean by u
        spread = squares * (float(by_square.variance[0]) + (float(by_square.mean[0]) - mean) ** 2)
        error = math.sqrt(spread * effective / (effective - 1)) / weight
    return Difference(mean=mean, standard_error=error, n_rows=n_rows, effective_rows=effective)
