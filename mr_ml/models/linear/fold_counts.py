"""Counts of the rows that folds have, by class: whether a model can be trained without each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.errors import BadDataError
from mr_ml.models.linear.reading import RowQuery, RowSpec
from mr_ml.sums.parts import Sum
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class FoldCountsQuery(RowQuery):
    """Rows of positive weight by fold and class, (n_folds, n_classes), or (n_folds, 1) without classes.

    Attributes
    ----------
    names
        Of the classes, for messages; tasks do not get them.
    """

    kind: ClassVar[str] = "fold_counts"

    rows: RowSpec
    names: tuple[str, ...] = ()

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        spec = self.rows
        assert spec.counted is not None
        assert block.folds is not None
        n_folds, n_classes = spec.counted.folds.n_folds, max(len(spec.classes), 1)
        targets = spec.targets(block)
        counted = replace(spec, counted=None).weights(block, targets) > 0
        column = targets.astype(np.int64) if spec.classes else np.zeros(block.n_rows, np.int64)
        cells = (block.folds.astype(np.int64) * n_classes + column)[counted]
        counts = np.bincount(cells, minlength=n_folds * n_classes).astype(float)
        return Statistic({"rows": Sum(counts.reshape(n_folds, n_classes))})

    def read(self, total: Statistic) -> Array:
        """Return the counts.

        Raises
        ------
        BadDataError
            If a fold has no rows, or the others have none of a class.
        """
        rows = total.sum("rows")
        of_fold, of_class = rows.sum(axis=1), rows.sum(axis=0)
        empty = (np.flatnonzero(of_fold == 0) + 1).tolist()
        if empty:
            raise BadDataError(
                f"expected rows in each of {len(of_fold)} folds, found none in {', '.join(map(str, empty))}: equal "
                "rows, and rows of a group, share a fold, and too few differ; take fewer `folds`"
            )
        fold, lacking = np.nonzero((of_class > 0) & (of_class - rows == 0))
        if self.names and len(fold):
            raise BadDataError(
                f"expected rows of each label in two folds at least, found all of label {self.names[lacking[0]]!r} in "
                f"fold {fold[0] + 1} of {len(of_fold)}: a model trained without that fold would not know it; take "
                "fewer `folds`, or pack with another `seed`"
            )
        return rows

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {"rows": self.rows.to_json()}, {}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> FoldCountsQuery:
        """Undo `to_parts`."""
        return cls(RowSpec.from_json(meta["rows"]))
