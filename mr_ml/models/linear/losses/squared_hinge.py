"""The squared hinge loss of two classes: that of a linear support vector machine.

With the margin m = z for the second class (y = 1), -z for the first:

l = max(0, 1 - m)^2      l' = -2 max(0, 1 - m) dm/dz      l'' = 2 where m < 1, else 0

(Chang, Hsieh & Lin 2008; liblinear's L2 loss.) There are no probabilities: what is predicted is the decision value of
each class, -z and z. There always is an optimum, since l is quadratic in pieces and bounded below; where all rows can
be beyond the margin there are many, of loss 0.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import TWO_SIDES, LabelDomain
from mr_ml.models.linear.losses.base import Floats, Loss


@dataclass(frozen=True)
class SquaredHingeLoss(Loss):
    """The square of what a row lacks of a margin of 1."""

    name: ClassVar[str] = "squared_hinge"
    label_domain: ClassVar[LabelDomain] = TWO_SIDES
    most_curved: ClassVar[float | None] = 2.0

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        lacking = np.maximum(1 - (2 * labels - 1) * margins[:, 0], 0)
        with np.errstate(over="ignore"):
            return np.asarray(lacking * lacking)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        sign = (2 * labels - 1)[:, None]
        lacking = np.maximum(1 - sign * margins, 0)
        return -2 * sign * lacking, np.where(lacking > 0, 2.0, 0.0)

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.SIDES

    def inverse_link(self, margins: Floats) -> Floats:
        """Return the decision value of each class (n_rows, 2)."""
        return np.concatenate([-margins, margins], axis=1)
