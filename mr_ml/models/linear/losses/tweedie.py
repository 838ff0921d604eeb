"""The Tweedie loss of amounts that are often 0, with the link log: mu = e^z.

With a = 2 - power and b = power - 1:

l = mu^a / a + y mu^-b / b - y^a / (a b),  y >= 0      l' = mu^a - y mu^-b      l'' = a mu^a + b y mu^-b

Half the unit deviance of the compound Poisson-gamma distribution, whose variance is proportional to mu^power
(Jorgensen 1987; Dunn & Smyth 2005, sec. 2). With t = z - log y it is
y^a ((e^(a t) - 1 - a t) / a + (e^(-b t) - 1 + b t) / b), and mu^a / a where y is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.models.linear.labels import NOT_NEGATIVE, LabelDomain
from mr_ml.models.linear.losses.base import Floats
from mr_ml.models.linear.losses.family import CountLoss
from mr_ml.models.linear.losses.special import LARGEST, exp, exp_rest, times_exp

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class TweedieLoss(CountLoss):
    """Half the unit deviance of amounts that are often 0.

    Attributes
    ----------
    power
        Of the mean, to which the variance is proportional.
    """

    name: ClassVar[str] = "tweedie"
    label_domain: ClassVar[LabelDomain] = NOT_NEGATIVE
    may_lack: ClassVar[frozenset[str]] = frozenset({"power"})

    power: Annotated[
        float,
        stored.Rule(
            "a number above 1 and below 2 (the loss poisson is power 1, gamma 2, inverse_gaussian 3, squared 0)",
            lambda p: 1 < p < 2,
        ),
    ] = 1.5

    @property
    def ratio(self) -> str:
        """What e to the power of a coefficient is: labels are amounts, not rates."""
        return "mean ratio"

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import TweedieLikelihood

        return TweedieLikelihood(self, self.power)

    def expected_information(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted means of second derivatives over labels, (n_rows,), keyed (0, 0)."""
        return {(0, 0): weights * exp((2 - self.power) * margins[:, 0])}

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        z, a, b = margins[:, 0], 2 - self.power, self.power - 1
        some = labels > 0
        y = np.where(some, labels, 1.0)
        t = z - np.log(y)
        with np.errstate(over="ignore"):
            found = y**a * (exp_rest(a * t) / a + exp_rest(-b * t) / b)
        return np.asarray(np.where(some, found, exp(a * z) / a))

    def _parts(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return mu^a and y mu^-b, both (n_rows, 1)."""
        y = labels[:, None]
        less = times_exp(np.where(y > 0, y, 1.0), (1 - self.power) * margins)
        return np.minimum(exp((2 - self.power) * margins), LARGEST), np.where(y > 0, np.minimum(less, LARGEST), 0.0)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        more, less = self._parts(margins, labels)
        return more - less, (2 - self.power) * more + (self.power - 1) * less
