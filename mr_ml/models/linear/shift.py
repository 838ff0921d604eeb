"""What is taken off features and targets before anything is multiplied.

A time in milliseconds or a counter near 2^32 has a mean m that is large against its spread s. Sums of products of such
values lose (m/s)^2 of their digits when they are centred afterwards (Higham 2002, sec. 1.9), so those columns are read
as x_j - m_j. One subtraction is exact to half a unit in the last place of its result, however much cancels; and as
m_j is a constant of the dataset, x . w + b = (x - m) . w + (b + m . w) holds with nothing approximated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block

Floats = NDArray[np.float64]

# Below this many spreads the digits lost in a sum of squares are fewer than two, and centring on the driver will do.
FROM_SPREADS = 8.0


@dataclass(frozen=True)
class Shift:
    """What is taken off features and targets.

    Attributes
    ----------
    ids
        Columns that are shifted, ascending.
    by
        What is taken off each of them.
    target
        What is taken off the labels of a regression.
    """

    ids: tuple[int, ...] = ()
    by: tuple[float, ...] = ()
    target: float = 0.0

    @classmethod
    def of(cls, *, mean: Floats, spread: Floats, target: tuple[float, float] = (0.0, 0.0)) -> Shift:
        """Shift the columns, and the target given as (mean, spread), whose mean is at least `FROM_SPREADS` spreads."""
        with np.errstate(over="ignore"):
            far = np.flatnonzero((np.abs(mean) >= FROM_SPREADS * spread) & (mean != 0))
            centre, width = target
            off = centre if centre and abs(centre) >= FROM_SPREADS * width else 0.0
        return cls(tuple(far.tolist()), tuple(mean[far].tolist()), off)

    def __bool__(self) -> bool:
        return bool(self.ids) or self.target != 0

    def read(self, block: Block) -> Block:
        """Return the block with everything shifted."""
        if not self:
            return block
        features, labels = block.features, block.labels
        if self.ids:
            features = features.shifted(np.array(self.ids, np.int64), np.array(self.by))
        return replace(block, features=features, labels=labels - self.target if self.target else labels)

    def left_of(self, mean: Floats) -> Floats:
        """Return what remains of the features' means, (n_features,)."""
        if not self.ids:
            return mean
        left = mean.copy()
        left[list(self.ids)] = 0.0
        return left

    def of_features(self, n_features: int) -> Floats:
        """Return what is taken off each of all features, (n_features,)."""
        off = np.zeros(n_features)
        off[list(self.ids)] = self.by
        return off

    def placed(self, columns: NDArray[np.int32], among: NDArray[np.int32]) -> Shift:
        """Return the same where more columns are read, which are not shifted; both are ascending."""
        return replace(self, ids=tuple(np.searchsorted(among, columns[list(self.ids)]).tolist()))

    def intercepts(self, coef: Floats) -> Floats:
        """Those of rows as they are, (n_outputs,), from coefficients (n_outputs, n_features + 1) of what was read."""
        if not self:
            return coef[:, -1]
        return np.asarray(coef[:, -1] - coef[:, list(self.ids)] @ np.array(self.by) + self.target)

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"ids": list(self.ids), "by": list(self.by), "target": self.target}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Shift:
        """Undo `to_json`."""
        return cls(tuple(data["ids"]), tuple(data["by"]), data["target"])


NO_SHIFT = Shift()
