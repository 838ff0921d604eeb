"""The Poisson loss of counts and rates, with the link log: mu = e^z.

l = y log(y / mu) - (y - mu),  y >= 0      l' = mu - y      l'' = mu

Half the unit deviance of the Poisson distribution (McCullagh & Nelder 1989, table 2.1). With t = z - log y it is
y (e^t - 1 - t), and mu where y is 0. Labels need not be whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.linear.labels import NOT_NEGATIVE, LabelDomain
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.family import CountLoss
from mr_ml.models.linear.losses.special import bounded_exp, exp, exp_rest

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class PoissonLoss(CountLoss):
    """Half the unit deviance of counts."""

    name: ClassVar[str] = "poisson"
    label_domain: ClassVar[LabelDomain] = NOT_NEGATIVE
    begins_by_sample: ClassVar[bool] = True

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import PoissonLikelihood

        return PoissonLikelihood(self)

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        z = margins[:, 0]
        some = labels > 0
        t = z - np.log(np.where(some, labels, 1.0))
        mean, near = exp(z), np.abs(t) < 1
        return np.asarray(
            np.where(some & near, labels * exp_rest(np.where(near, t, 0.0)), mean - np.where(some, labels * (1 + t), 0))
        )

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        mean = bounded_exp(margins)
        return mean - labels[:, None], mean
