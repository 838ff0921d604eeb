"""The negative binomial loss of counts that vary more than Poisson's, with the link log: mu = e^z.

l = y log(y / mu) - (y + theta) log((y + theta) / (mu + theta)),  y >= 0
l' = theta (mu - y) / (mu + theta)      l'' = theta mu (y + theta) / (mu + theta)^2

Half the unit deviance of the distribution whose variance is mu + mu^2 / theta, theta being known (Venables & Ripley
2002, sec. 7.4). With p = mu / (mu + theta) and q = 1 - p it is y log(p_y / p) + theta log(q_y / q), p_y and q_y being
those of mu = y; it is convex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.models.linear.labels import NOT_NEGATIVE, LabelDomain
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.family import CountLoss
from mr_ml.models.linear.losses.special import bounded_exp

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class NegativeBinomialLoss(CountLoss):
    """Half the unit deviance of counts that vary more than Poisson's.

    Attributes
    ----------
    theta
        The number that R calls so, and others the size; many call 1 / theta alpha.
    """

    name: ClassVar[str] = "negative_binomial"
    label_domain: ClassVar[LabelDomain] = NOT_NEGATIVE

    theta: Annotated[float, stored.Rule("a number above 0", lambda theta: theta > 0)]

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import NegativeBinomialLikelihood

        return NegativeBinomialLikelihood(self, self.theta)

    def expected_information(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted means of second derivatives over labels, (n_rows,), keyed (0, 0)."""
        p, _ = self._shares(margins[:, 0])
        return {(0, 0): weights * (self.theta * p)}

    def _shares(self, z: Floats) -> tuple[Floats, Floats]:
        """Return p and q, neither of which cancels."""
        e = np.exp(-np.abs(z))
        up, down = np.where(z > 0, 1.0, e), self.theta * np.where(z > 0, e, 1.0)
        return up / (up + down), down / (up + down)

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        z, theta = margins[:, 0], self.theta
        e, up = np.exp(-np.abs(z)), z > 0
        some = labels > 0
        y = np.where(some, labels, 1.0)
        with np.errstate(over="ignore"):
            minus_log_p = np.where(up, np.log1p(theta * e), np.log(theta + e) - z)
            ratio = bounded_exp(z) / theta
            minus_log_q = np.where(up & (ratio > 1), z + np.log(e + 1 / theta), np.log1p(ratio))
            found = y * (minus_log_p - np.log1p(theta / y)) + theta * (minus_log_q - np.log1p(y / theta))
        return np.maximum(np.where(some, found, theta * minus_log_q), 0)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        p, q = self._shares(margins)
        y = labels[:, None]
        return self.theta * p - y * q, (y + self.theta) * p * q
