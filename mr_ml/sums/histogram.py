"""How many rows have the values of a feature in each of some ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.sums.parts import Sum
from mr_ml.sums.query import Array, Query
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]

# So many values are held dense at a time.
_DENSE_VALUES = 1 << 20


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
        counts = np.zeros((n, m + 1))
        step = max(_DENSE_VALUES // max(block.n_rows, 1), 1)
        for first in range(0, n, step):
            some = self.columns[first : first + step]
            values = block.features.over(some).toarray(n_features=len(some))
            for k in range(len(some)):
                at = np.searchsorted(self.edges[first + k], values[:, k], side="right")
                counts[first + k] = np.bincount(at, minlength=m + 1)
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
