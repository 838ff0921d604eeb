"""How many rows have the values of a feature in each of some ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.sums.parts import Sum
from mr_ml.sums.query import Array, Query
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HistogramQuery(Query):
    """Rows by ranges of values; `read` gives (n, m + 1) counts.

    Attributes
    ----------
    columns : int32 (n,), ascending
        The features.
    edges
        (n, m), ascending in each row: values from one edge on, below the next, are in one range; the first range has
        those below all edges.
    """

    kind: ClassVar[str] = "histogram"

    columns: Array
    edges: Floats

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a block as it is stored, without receipts."""
        n, m = self.edges.shape
        values = block.features.over(self.columns).toarray(n_features=n)
        counts = np.zeros((n, m + 1))
        for k in range(n):
            counts[k] = np.bincount(np.searchsorted(self.edges[k], values[:, k], side="right"), minlength=m + 1)
        return Statistic({"counts": Sum(counts)})

    def read(self, total: Statistic) -> Floats:
        """Return the counts."""
        return np.asarray(total.sum("counts"))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {}, {"columns": self.columns, "edges": self.edges}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> HistogramQuery:
        """Undo `to_parts`."""
        return cls(arrays["columns"], arrays["edges"])
