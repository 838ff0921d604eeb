"""The inverse Gaussian loss of positive amounts with long tails, with the link 1 / mu^2: mu = z^-1/2, z > 0.

l = (y - mu)^2 / (2 y mu^2) = (y z^1/2 - 1)^2 / (2 y),  y > 0      l' = (y - mu) / 2      l'' = mu^3 / 4

Half the unit deviance of the inverse Gaussian distribution (McCullagh & Nelder 1989, table 2.1) with its canonical
link, R's default; infinite where z < 0, so that it needs an intercept to start from. With the link log it would not be
convex: a search could end in a local optimum and say that it converged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import POSITIVE, LabelDomain, TrainingLabels
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.family import FamilyLoss
from mr_ml.models.linear.losses.special import LARGEST

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class InverseGaussianLoss(FamilyLoss):
    """Half the unit deviance of amounts with long tails."""

    name: ClassVar[str] = "inverse_gaussian"
    label_domain: ClassVar[LabelDomain] = POSITIVE
    unit_margin: ClassVar[float] = 1.0
    needs_intercept: ClassVar[bool] = True

    @property
    def ratio(self) -> None:
        """What e to the power of a coefficient is: nothing."""
        return

    def start(self, labels: TrainingLabels) -> Floats | None:
        """Return intercepts (n_outputs,) to start from; None for zeros."""
        return np.array([labels.mean**-2.0])

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import InverseGaussianLikelihood

        return InverseGaussianLikelihood(self)

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        z = margins[:, 0]
        off = labels * np.sqrt(np.maximum(z, 0)) - 1
        with np.errstate(over="ignore"):
            return np.asarray(np.where(z > 0, off / labels * off / 2, np.inf))

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        mean = 1 / np.sqrt(np.where(margins > 0, margins, 1.0))
        with np.errstate(over="ignore"):
            return (labels[:, None] - mean) / 2, np.minimum(mean * mean * mean / 4, LARGEST)

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.RECIPROCAL_ROOT

    def inverse_link(self, margins: Floats) -> Floats:
        """Return the mean (n_rows, 1); infinite where the margin stands for none."""
        return np.asarray(np.where(margins > 0, 1 / np.sqrt(np.where(margins > 0, margins, 1.0)), np.inf))
