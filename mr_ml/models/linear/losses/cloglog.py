"""The complementary log-log loss of two classes: the probability of the first is e^-a with a = e^z.

y = 0:  l = a                    l' = a                  l'' = a
y = 1:  l = -log(1 - e^-a)       l' = -a / (e^a - 1)     l'' = a / (e^a - 1) (a / (1 - e^-a) - 1)

Minus the log-likelihood where the second class is an event that has happened by the end of a time, at a rate whose
logarithm is linear (McCullagh & Nelder 1989, sec. 4.3): the classes cannot be swapped.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.formula import Response
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.special import bounded_exp, exp, exp_rest
from mr_ml.models.linear.losses.two_sides import TwoSidedLoss


@dataclass(frozen=True)
class CloglogLoss(TwoSidedLoss):
    """Minus the log-likelihood of the class; the margin is the log of the second one's rate."""

    name: ClassVar[str] = "cloglog"

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        z = margins[:, 0]
        a = exp(z)
        few = np.where((z < 0) & (a > 0), a, 1.0)
        # log((1 - e^-a) / a), which is next to 0 where a is small, as far as that is not 0 itself
        share = np.where((z < 0) & (a > 0), np.log1p(-exp_rest(-few) / few), 0.0)
        many = -np.log1p(-np.exp(-np.where(z < 0, 1.0, a)))
        return np.asarray(np.where(labels == 0, a, np.where(z < 0, -z - share, many)))

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        a = bounded_exp(margins)
        first = (labels == 0)[:, None]
        b = np.where(a > 0, a, 1.0)
        with np.errstate(over="ignore"):
            steep = np.where(a > 0, b / np.expm1(b), 1.0)
        # a / (1 - e^-a) - 1 = (e^-a - 1 + a) / (1 - e^-a)
        bend = np.where(a > 0, steep * (exp_rest(-b) / -np.expm1(-b)), 0.0)
        return np.where(first, a, -steep), np.where(first, a, bend)

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.CLOGLOG

    def inverse_link(self, margins: Floats) -> Floats:
        """Return class probabilities (n_rows, n_classes)."""
        a = bounded_exp(margins)
        return np.concatenate([np.exp(-a), -np.expm1(-a)], axis=1)
