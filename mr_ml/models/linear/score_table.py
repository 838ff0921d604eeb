"""What a table of scores says: how well the rows of one class are ranked before all others.

A table holds, for each score, the weight of the negative and of the positive rows that have it. Rows are taken for
positive from some score on, so that with P and N of all weight, and TP and FP of that from a score on:

    AUC                 sum over scores of positive (negative below + negative / 2) / (P N)
    average precision   sum over scores of (positive / P) TP / (TP + FP)          (no interpolation)
    K-S                 the largest |TP / P - FP / N|

All are exact while a table has a key for each score. One with more scores than it has room for has keys that stand for
neighbouring scores; what these could change at the most is the error that is stated beside each value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.sums.parts import Keyed

Floats = NDArray[np.float64]

# Of a curve at most so many are told, and one: each half as far from the next as 1 % of both axes together.
CURVE_POINTS = 200

_TENTHS = np.arange(1, 11) / 10
_ROUNDING = 1e-12


def order_keys(scores: Floats) -> NDArray[np.int64]:
    """Return int64 keys in the order of the float64 scores, equal where those are equal."""
    bits = (scores + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits)


def scores_of(keys: NDArray[np.int64]) -> Floats:
    """Undo `order_keys`; what is beyond the infinities is one of these."""
    scores = np.where(keys < 0, keys ^ np.int64(2**63 - 1), keys).view(np.float64)
    return np.where(np.isnan(scores), np.where(keys < 0, -np.inf, np.inf), scores)


def tenths(weights: Floats) -> Iterator[slice]:
    """Yield runs of keys in each of which is a tenth of all weight, or more where single keys have so much."""
    total = np.cumsum(weights)
    ends = np.searchsorted(total, _TENTHS * (1 - _ROUNDING) * total[-1]) if len(total) else []
    first = 0
    for end in np.unique(ends).tolist():
        yield slice(first, end + 1)
        first = end + 1


@dataclass(frozen=True)
class Ranked:
    """A value that ranks say, and how far the true one can be from it; None where it is not defined."""

    value: float | None
    error: float = 0.0


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """A table of scores, the highest first.

    Attributes
    ----------
    lowest, highest
        The scores that a key stands for, (n_keys,) each; the same where it is one.
    negative, positive
        Weights of the rows with these scores, (n_keys,).
    """

    lowest: Floats
    highest: Floats
    negative: Floats
    positive: Floats

    @classmethod
    def of(cls, table: Keyed) -> ScoreTable:
        """Read sums (negative, positive) by `order_keys`, perhaps of neighbouring ones together."""
        keys, values = table.keys[::-1], table.values[::-1]
        first = keys << table.shift
        last = first | np.int64((1 << table.shift) - 1)
        return cls(scores_of(first), scores_of(last), values[:, 0], values[:, 1])

    @property
    def is_cut(self) -> bool:
        """Whether keys stand for several scores."""
        return bool((self.lowest < self.highest).any())

    @property
    def flipped(self) -> ScoreTable:
        """The same rows ranked the other way round, for the other class."""
        return ScoreTable(-self.highest[::-1], -self.lowest[::-1], self.positive[::-1], self.negative[::-1])

    def auc(self) -> Ranked:
        """Return the area under the ROC curve; None if a side has no weight."""
        negative, positive = self.negative[::-1], self.positive[::-1]
        pairs = negative.sum() * positive.sum()
        if not pairs > 0:
            return Ranked(None)
        below = np.cumsum(negative) - negative
        value = float((positive * (below + negative / 2)).sum() / pairs)
        return Ranked(value, float((positive * negative).sum() / 2 / pairs) if self.is_cut else 0.0)

    def average_precision(self) -> Ranked:
        """Return the mean of the precisions at each positive row's score; None if there is none.

        Of the rows of a key the positive ones may come first or last. The precision TP / (TP + FP) grows with TP, so
        that no order of them brings more than all of them before the negative ones, nor less than the integral of
        t / (t + FP) with all negative ones before.
        """
        some = self.positive > 0
        tp, fp = np.cumsum(self.positive)[some], np.cumsum(self.negative)[some]
        positive, negative = self.positive[some], self.negative[some]
        if not len(tp):
            return Ranked(None)
        found = positive * (tp / (tp + fp))
        value, error = float(found.sum() / tp[-1]), 0.0
        if self.is_cut:
            before, at_most = tp - positive, positive * (tp / (tp + fp - negative))
            at_least = positive - fp * np.log((tp + fp) / np.where(before + fp > 0, before + fp, 1.0))
            at_least = np.where(fp > 0, at_least, positive)
            error = float(max((at_most - found).sum(), (found - at_least).sum(), 0.0) / tp[-1])
        return Ranked(value, error)

    def ks(self) -> Ranked:
        """Return the largest distance between the distributions of both sides; None if one has no weight."""
        tp, fp = np.cumsum(self.positive), np.cumsum(self.negative)
        if not len(tp) or not (tp[-1] > 0 and fp[-1] > 0):
            return Ranked(None)
        value, most = float(np.abs(tp / tp[-1] - fp / fp[-1]).max()), 0.0
        if self.is_cut:
            # the positive rows of a key before its negative ones, and after them
            first = np.abs(tp / tp[-1] - (fp - self.negative) / fp[-1])
            last = np.abs((tp - self.positive) / tp[-1] - fp / fp[-1])
            most = float(max(first.max(), last.max()))
        return Ranked(value, max(most - value, 0.0))

    def with_precision(self, least: float) -> int | None:
        """Return which key the rows taken for positive end with, of those of such a precision with the most recall."""
        tp, fp = np.cumsum(self.positive), np.cumsum(self.negative)
        enough = np.flatnonzero((tp > 0) & (tp >= least * (1 - _ROUNDING) * (tp + fp)))
        # of equal recall the highest threshold, which is of the greatest precision
        return int(np.searchsorted(tp, tp[enough[-1]])) if len(enough) else None

    def with_recall(self, least: float) -> int | None:
        """Return which key the rows taken for positive end with, of those of such a recall with the most precision."""
        tp, fp = np.cumsum(self.positive), np.cumsum(self.negative)
        if not len(tp) or not tp[-1] > 0:
            return None
        enough = np.flatnonzero(tp >= least * (1 - _ROUNDING) * tp[-1])
        precision = tp[enough] / (tp + fp)[enough]
        best = enough[np.flatnonzero(precision == precision.max())[-1]]
        # rows of no weight change nothing
        return int(np.searchsorted(tp, tp[best]))

    def curve(self, prediction: Callable[[Floats], Floats]) -> dict[str, list[float]] | None:
        """Return points of the curves of ROC and of precision over recall; None if a side has no weight.

        Parameters
        ----------
        prediction
            Of the positive class by scores.

        Returns
        -------
        dict
            Columns of the same length, the highest `threshold` first: `false_positive_rate`, `recall` and `precision`
            of the rows whose prediction is at least that. The points are on the curves, whose first point (0, 0) is
            left out; of more than `CURVE_POINTS` keys those that are evenly spread along the ROC curve.
        """
        tp, fp = np.cumsum(self.positive), np.cumsum(self.negative)
        if not len(tp) or not (tp[-1] > 0 and fp[-1] > 0):
            return None
        recall, out = tp / tp[-1], fp / fp[-1]
        some = np.flatnonzero(self.positive + self.negative)
        if len(some) > CURVE_POINTS:
            way = (recall + out)[some]
            ends = np.searchsorted(way, np.linspace(way[0], way[-1], CURVE_POINTS))
            some = some[np.unique(np.minimum(ends, len(some) - 1))]
        columns = {
            "threshold": prediction(self.lowest[some]),
            "false_positive_rate": out[some],
            "recall": recall[some],
            "precision": tp[some] / (tp + fp)[some],
        }
        return {name: column.tolist() for name, column in columns.items()}

    def confusion_at(self, key: int) -> Floats:
        """Return weights by truth, then by prediction, where the rows down to a key are taken for positive."""
        sides = np.stack([self.negative, self.positive])
        return np.stack([sides[:, key + 1 :].sum(axis=1), sides[:, : key + 1].sum(axis=1)], axis=1)

    def gains(self, prediction: Callable[[Floats], Floats]) -> Iterator[dict[str, Any]]:
        """Yield what is in each tenth of the rows, those with the highest scores first; equal scores stay together.

        Parameters
        ----------
        prediction
            Of the positive class by scores.
        """
        weight = self.negative + self.positive
        total, tp = np.cumsum(weight), np.cumsum(self.positive)
        lowest, highest = prediction(self.lowest), prediction(self.highest)
        for of in tenths(weight):
            u, end = weight[of] / weight[of].sum(), of.stop - 1
            low, high = float((u * lowest[of]).sum()), float((u * highest[of]).sum())
            rate, overall = float(self.positive[of].sum() / weight[of].sum()), float(tp[-1] / total[-1])
            yield {
                "share": float(total[end] / total[-1]),
                "threshold": float(lowest[end]),
                "weight": float(weight[of].sum()),
                "mean_prediction": low + (high - low) / 2,
                "mean_prediction_error": (high - low) / 2,
                "rate": rate,
                "lift": float(tp[end] / total[end]) / overall if overall > 0 else None,
                "gain": float(tp[end] / tp[-1]) if overall > 0 else None,
            }
