"""The loss of a quantile, smoothed within a width of the label.

With r = z - y, level q and width w:

|r| > w:   l = (1 - q) r where r > 0, else -q r        l' = 1 - q or -q               l'' = 0
|r| <= w:  l = r^2 / (4 w) + w / 4 + (1/2 - q) r       l' = r / (2 w) + 1/2 - q       l'' = 1 / (2 w)

The pinball loss (Koenker & Bassett 1978), convolved with a uniform distribution on [-w, w] (Fernandes, Guerre & Horta
2021, sec. 2). Where |r| > w the curvature that is given is not l'', see `mr_ml.models.linear.losses.robust`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.robust import RobustLoss, curvature


@dataclass(frozen=True)
class QuantileLoss(RobustLoss):
    """The pinball loss, smoothed.

    Attributes
    ----------
    width
        Of what is smoothed, to either side of the label, in its unit.
    level
        The share of rows whose label is below the prediction: 0.5 for the median.
    """

    name: ClassVar[str] = "quantile"
    may_lack: ClassVar[frozenset[str]] = frozenset({"level"})

    width: Annotated[float, stored.Rule("a number above 0", lambda width: width > 0)]
    level: Annotated[float, stored.Rule("a number above 0 and below 1", lambda level: 0 < level < 1)] = 0.5

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        residual = margins[:, 0] - labels
        size = np.abs(residual)
        # at most 1, so that nothing overflows
        share = np.minimum(size / self.width, 1.0)
        smooth = self.width * ((1 - share) / 2) ** 2
        # the pinball loss itself, which does not cancel, and what smoothing adds to it
        return np.asarray(np.where(residual > 0, 1 - self.level, self.level) * size + smooth)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the curvature for the search, both (n_rows, n_outputs)."""
        residual = margins - labels[:, None]
        half = np.clip(residual / self.width, -1, 1) / 2
        return half + (0.5 - self.level), curvature(residual, self.width) / (2 * self.width)
