"""The probit loss of two classes: the probability of the second is Phi(z), that of a normal variable below z.

With m = z for the second class (y = 1), -z for the first, and s = phi(m) / Phi(m):

l = -log Phi(m)      l' = -s dm/dz      l'' = s (s + m)

Minus the log-likelihood (Bliss 1935; McCullagh & Nelder 1989, sec. 4.3).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.formula import Response
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.special import half_square_exp, mills, normal_tail, tail_fraction
from mr_ml.models.linear.losses.two_sides import TwoSidedLoss

_FAR = 4.0


@dataclass(frozen=True)
class ProbitLoss(TwoSidedLoss):
    """Minus the log-likelihood of the class; the margin is the normal quantile of the second one."""

    name: ClassVar[str] = "probit"

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        m = (2 * labels - 1) * margins[:, 0]
        x = np.abs(m)
        with np.errstate(over="ignore"):
            # Phi(-x) = phi(x) / mills(x)
            wrong = x * x / 2 + np.log(mills(x)) + np.log(2 * np.pi) / 2
        return np.asarray(np.where(m > 0, -np.log1p(-normal_tail(x)), wrong))

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        sign = (2 * labels - 1)[:, None]
        m = sign * margins
        x = np.abs(m)
        right = (2 * np.pi) ** -0.5 * half_square_exp(x) / (1 - normal_tail(x))
        steep = np.where(m > 0, right, mills(x))
        # s + m cancels far out
        far = np.maximum(x, _FAR)
        beyond = np.where(m < -_FAR, tail_fraction(far), steep + m)
        return -sign * steep, np.where(m < -_FAR, (far + beyond) * beyond, steep * beyond)

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.NORMAL

    def inverse_link(self, margins: Floats) -> Floats:
        """Return class probabilities (n_rows, n_classes)."""
        smaller = normal_tail(np.abs(margins))
        one = margins > 0
        return np.concatenate([np.where(one, smaller, 1 - smaller), np.where(one, 1 - smaller, smaller)], axis=1)
