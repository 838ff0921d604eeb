"""The gamma loss of positive amounts, whose standard deviation grows with their mean.

    l = (y - mu) / mu - log(y / mu),   y > 0
    link log:      mu = e^z             l' = 1 - y / mu      l'' = y / mu
    link inverse:  mu = 1 / z, z > 0    l' = y - mu          l'' = mu^2       infinite where z <= 0

Half the unit deviance of the gamma distribution (McCullagh & Nelder 1989, table 2.1 and ch. 8). The link inverse is the
canonical one, and R's default; it needs an intercept to start from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import POSITIVE, LabelDomain, TrainingLabels
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.family import FamilyLoss
from mr_ml.models.linear.losses.special import LARGEST, exp_rest, times_exp

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class GammaLoss(FamilyLoss):
    """Half the unit deviance of amounts.

    Attributes
    ----------
    link
        What of the mean is linear: its logarithm, or 1 over it.
    """

    name: ClassVar[str] = "gamma"
    label_domain: ClassVar[LabelDomain] = POSITIVE
    may_lack: ClassVar[frozenset[str]] = frozenset({"link"})

    link: Literal["log", "inverse"] = "log"

    @property
    def unit_margin(self) -> float:  # type: ignore[override]
        """The margin at which the mean is 1."""
        return 0.0 if self.link == "log" else 1.0

    @property
    def needs_intercept(self) -> bool:  # type: ignore[override]
        """Whether margins of 0 stand for no mean."""
        return self.link == "inverse"

    @property
    def ratio(self) -> str | None:
        """What e to the power of a coefficient is."""
        return super().ratio if self.link == "log" else None

    def start(self, labels: TrainingLabels) -> Floats | None:
        """Return intercepts (n_outputs,) to start from; None for zeros."""
        return super().start(labels) if self.link == "log" else np.array([1 / labels.mean])

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import GammaLikelihood

        return GammaLikelihood(self)

    def expected_information(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats] | None:
        """Return the weighted means of second derivatives over labels, (n_rows,), keyed (0, 0)."""
        return {(0, 0): weights} if self.link == "log" else None

    def _ratio(self, margins: Floats, labels: Floats) -> Floats:
        """Return y / mu, (n_rows,); not positive where there is no mean."""
        z = margins[:, 0]
        with np.errstate(over="ignore"):
            return times_exp(labels, -z) if self.link == "log" else labels * z

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        z, ratio = margins[:, 0], self._ratio(margins, labels)
        is_mean = ratio > 0 if self.link == "inverse" else np.ones(len(ratio), bool)
        t = np.log(labels) + (-z if self.link == "log" else np.log(np.where(z > 0, z, 1.0)))
        t = np.where(np.abs(ratio - 1) < 0.5, np.log1p(np.clip(ratio - 1, -0.5, 0.5)), t)
        near = np.abs(t) < 1
        found = np.where(near, exp_rest(np.where(near, t, 0.0)), ratio - 1 - t)
        return np.asarray(np.where(is_mean, found, np.inf))

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        if self.link == "log":
            ratio = np.minimum(self._ratio(margins, labels), LARGEST)[:, None]
            return 1 - ratio, ratio
        mean = 1 / np.where(margins > 0, margins, 1.0)
        with np.errstate(over="ignore"):
            return labels[:, None] - mean, np.minimum(mean * mean, LARGEST)

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.EXP if self.link == "log" else Response.RECIPROCAL

    def inverse_link(self, margins: Floats) -> Floats:
        """Return the mean (n_rows, 1); infinite where the margin stands for none."""
        if self.link == "log":
            return super().inverse_link(margins)
        with np.errstate(over="ignore"):
            return np.asarray(np.where(margins > 0, 1 / np.where(margins > 0, margins, 1.0), np.inf))
