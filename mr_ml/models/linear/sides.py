"""Single features that tell a class without fail: proofs that coefficients have no finite optimum.

Feature j tells class k from all others if some c has x_ij >= c in every row of k and x_ij <= c in all others, or the
reverse, and x_ij is not the same everywhere. Moving the coefficient of j and the intercept of k along then raises no
row's loss and lowers some row's for ever (quasi-complete separation: Albert & Anderson 1984). Without an intercept, c
is 0. Words that one class alone uses are of this kind, and so are categories all of whose rows are of one class.

Where there is one coefficient vector for two groups of rows, its margins grow towards the last of them, so that the
coefficient of j has to rise or has to fall, and a bound on that side stops it. With one for each class, to raise that
of k is to lower those of all others: only bounds on both sides stop it.

Directions of several features can be looked at besides: one that moves some row ahead and none back is the same proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.models.linear.reading import Linear, RowQuery, RowSpec
from mr_ml.sums.by_column import BlockParts, ByColumn, ColumnQuery
from mr_ml.sums.parts import Minimum, Part, Sum
from mr_ml.sums.query import check_width
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]

# What moves no row by as much has moved none for certain.
_AHEAD = 1.0


@dataclass(frozen=True, eq=False)
class SidesQuery(RowQuery, ColumnQuery):
    """Extremes of each feature by class, over rows of positive weight.

    lows, highs   (n_classes, n_features): minimum of the values that are not zero, and of their negatives
    stored        (n_classes, n_features): how many are not zero
    class_rows    (n_classes,)
    moved         (n_directions, 2), if there are `directions`, (n_outputs, n_features + 1) each: the least that one
                  adds to how far a row's own class is ahead of another one, and the negative of the most
    """

    kind: ClassVar[str] = "sides"

    rows: RowSpec
    directions: tuple[Floats, ...] = ()

    @property
    def width(self) -> int:
        """How many columns the sums have that may be in slices."""
        return self.rows.n_features

    def over(self, columns: Array) -> SidesQuery:
        """Return the query over some of its columns."""
        kept = np.append(columns, self.rows.n_features)
        return SidesQuery(
            replace(self.rows, n_features=len(columns)), tuple(direction[:, kept] for direction in self.directions)
        )

    def block_parts(self, block: Block) -> BlockParts:
        """Return the parts of a prepared block by name, those with columns marked."""
        n_features = self.rows.n_features
        check_width(block, n_features)
        targets = self.rows.targets(block)
        counted = self.rows.weights(block, targets) > 0
        sides = self.rows.loss.sides(targets, len(self.rows.classes))
        members = [np.flatnonzero(counted & side) for side in sides]
        sums = [block.features.rows(chosen).column_sums(n_features=n_features) for chosen in members]
        parts: dict[str, Part | ByColumn] = {
            "lows": ByColumn(Minimum(np.array([low for _, _, low, _, _ in sums]))),
            "highs": ByColumn(Minimum(-np.array([high for _, _, _, high, _ in sums]))),
            "stored": ByColumn(Sum(np.array([nonzero for *_, nonzero in sums]))),
            "class_rows": Sum(np.array([len(chosen) for chosen in members])),
        }
        if self.directions:
            parts["moved"] = Minimum(self._moved(block, targets, counted))
        return parts

    def _moved(self, block: Block, targets: Floats, counted: NDArray[np.bool_]) -> Floats:
        moved = np.full((len(self.directions), 2), np.inf)
        for k, direction in enumerate(self.directions):
            least, most = self.rows.loss.lead(self.rows.products(block, Linear.of(direction)), targets)
            moved[k] = least.min(where=counted, initial=np.inf), -most.max(where=counted, initial=-np.inf)
        return moved

    def read(self, total: Statistic) -> Sides:
        """Return the extremes of each feature by class."""
        # rows that store nothing in a column hold a zero there
        full = total.sum("stored") == total.sum("class_rows")[:, None]
        lows, highs = (total.part_of(name, Minimum).value for name in ("lows", "highs"))
        return Sides(
            np.where(full, lows, np.minimum(lows, 0)), np.where(full, -highs, np.maximum(-highs, 0)),
            one_output=self.rows.n_outputs == 1,
            moved=total.part_of("moved", Minimum).value if self.directions else np.zeros((0, 2)),
        )  # fmt: skip

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        return {"rows": self.rows.to_json()}, {f"direction{k}": one for k, one in enumerate(self.directions)}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> SidesQuery:
        """Undo `to_parts`."""
        directions = tuple(arrays[f"direction{k}"] for k in range(len(arrays)))
        rows = RowSpec.from_json(meta["rows"])
        if any(direction.shape != (rows.n_outputs, rows.n_features + 1) for direction in directions):
            raise ValueError(f"directions of shapes {[direction.shape for direction in directions]}")
        return cls(rows, directions)


@dataclass(frozen=True, eq=False)
class Sides:
    """The least and the largest value of each feature in the rows of each class, (n_classes, n_features).

    Attributes
    ----------
    one_output
        Whether there is one coefficient vector for all classes, which are then two.
    moved
        (n_directions, 2) as of `SidesQuery`.
    """

    low: Floats
    high: Floats
    one_output: bool
    moved: Floats

    def endless(self) -> int | None:
        """Return the number of the first direction that moves some row ahead, and none back; None if there is none."""
        ahead = (self.moved[:, 0] >= 0) & (-self.moved[:, 1] >= _AHEAD) & np.isfinite(self.moved).all(axis=1)
        return int(ahead.argmax()) if ahead.any() else None

    def telling_features(self, *, intercept: bool, free: NDArray[np.bool_] | None = None) -> Array:
        """Return the numbers of the features that tell some class from all others, ascending.

        Parameters
        ----------
        free
            Which features' coefficients may fall (first) and rise (second) for ever, (2, n_features); others tell
            nothing. None for all of them.
        """
        low, high = self.low, self.high
        above, below = np.zeros(low.shape, bool), np.zeros(low.shape, bool)
        for k in range(len(low)):
            others = np.arange(len(low)) != k
            rest_low, rest_high = low[others].min(axis=0), high[others].max(axis=0)
            if intercept:
                above[k], below[k] = low[k] >= rest_high, high[k] <= rest_low
            else:
                above[k], below[k] = (low[k] >= 0) & (rest_high <= 0), (high[k] <= 0) & (rest_low >= 0)
        ways = np.stack([below[-1], above[-1]] if self.one_output else [(above | below).any(axis=0)] * 2)
        if free is not None:
            ways &= free
        return np.flatnonzero(ways.any(axis=0) & (low.min(axis=0) < high.max(axis=0)))
