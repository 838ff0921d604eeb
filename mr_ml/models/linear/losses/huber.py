"""The Huber loss, which outliers pull no more than rows at a distance of delta do.

With r = z - y:

l = 1/2 r^2 where |r| <= delta, else delta (|r| - 1/2 delta)      l' = r within [-delta, delta]      l'' = 1 or 0

(Huber 1964.) Where |r| > delta the curvature that is given is not l'', see `mr_ml.models.linear.losses.robust`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.robust import RobustLoss, curvature


@dataclass(frozen=True)
class HuberLoss(RobustLoss):
    """Squared for small residuals, linear for large ones.

    Attributes
    ----------
    delta
        The residual at which it turns from one to the other, in the unit of the label.
    """

    name: ClassVar[str] = "huber"

    delta: Annotated[float, stored.Rule("a number above 0", lambda delta: delta > 0)]

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        size = np.abs(margins[:, 0] - labels)
        with np.errstate(over="ignore"):
            near = np.minimum(size, self.delta)
            return np.asarray(0.5 * near * near + self.delta * (size - near))

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the curvature for the search, both (n_rows, n_outputs)."""
        residual = margins - labels[:, None]
        return np.clip(residual, -self.delta, self.delta), curvature(residual, self.delta)
