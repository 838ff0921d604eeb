"""What weights of rows by truth, then by prediction, say.

precision of a class   weight on the diagonal / weight of the rows predicted so
recall of a class      weight on the diagonal / weight of the rows that are so
F1 of a class          2 diagonal / (predicted so + are so)
balanced accuracy      mean recall of the classes that have rows
MCC                    the correlation of truth and prediction (Matthews 1975; of more classes Gorodkin 2004):
                       sum_jk (c_jj c_kk - c_jk c_kj) / sqrt((1 - sum_k p_k^2) (1 - sum_k t_k^2))
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Confusion:
    """Weights of rows by truth, then by prediction, (n_classes, n_classes), of positive sum."""

    weights: Floats

    @property
    def accuracy(self) -> float:
        """The share on the diagonal."""
        return float(np.trace(self.weights) / self.weights.sum())

    @property
    def truth(self) -> Floats:
        """Weight of the rows that are of each class, (n_classes,)."""
        return np.asarray(self.weights.sum(axis=1))

    @property
    def predicted(self) -> Floats:
        """Weight of the rows that are predicted to be of each class, (n_classes,)."""
        return np.asarray(self.weights.sum(axis=0))

    def by_class(self) -> list[dict[str, Any]]:
        """Return what is said of each class; None where no row is so, or is predicted so."""
        found = []
        for hit, truth, predicted in zip(np.diag(self.weights), self.truth, self.predicted, strict=True):
            both = truth + predicted
            found.append(
                {
                    "precision": float(hit / predicted) if predicted > 0 else None,
                    "recall": float(hit / truth) if truth > 0 else None,
                    "f1": float(2 * hit / both) if both > 0 else None,
                }
            )
        return found

    def balanced_accuracy(self) -> float:
        """Return the mean recall of the classes that have rows."""
        some = self.truth > 0
        return float((np.diag(self.weights)[some] / self.truth[some]).mean())

    def overall(self) -> dict[str, float | None]:
        """Return precision, recall and F1: of the second of two classes; else the means over classes that have rows.

        In the means the precision of a class that is never predicted is 0.
        """
        by_class = self.by_class()
        if len(by_class) == 2:
            return by_class[1]
        having = [of for of, truth in zip(by_class, self.truth, strict=True) if truth > 0]
        return {name: float(np.mean([of[name] or 0.0 for of in having])) for name in ("precision", "recall", "f1")}

    def mcc(self) -> float | None:
        """Return the correlation; None where all rows are of one class, or are predicted to be."""
        c = self.weights / self.weights.sum()
        t, p = c.sum(axis=1), c.sum(axis=0)
        if len(c) == 2:
            # without differences of large sums
            spread = math.sqrt(t[0] * t[1]) * math.sqrt(p[0] * p[1])
            return float((c[0, 0] * c[1, 1] - c[0, 1] * c[1, 0]) / spread) if spread > 0 else None
        if (t > 0).sum() < 2 or (p > 0).sum() < 2:
            return None
        spread = math.sqrt((t * (1 - t)).sum()) * math.sqrt((p * (1 - p)).sum())
        return float((np.trace(c) - (t * p).sum()) / spread)
