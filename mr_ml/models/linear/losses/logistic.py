"""The logistic loss of two classes.

l = log(1 + e^z) - y z,  y in {0, 1}        l' = p - y        l'' = p (1 - p),  p = 1 / (1 + e^-z)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import TWO_CLASSES, LabelDomain
from mr_ml.models.linear.losses.base import Floats, Loss

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class LogisticLoss(Loss):
    """Minus the log-likelihood of the class; the margin is the log-odds of the second one."""

    name: ClassVar[str] = "logistic"
    label_domain: ClassVar[LabelDomain] = TWO_CLASSES
    may_separate: ClassVar[bool] = True
    bends_by_reach: ClassVar[bool] = True
    begins_by_sample: ClassVar[bool] = True

    @property
    def ratio(self) -> str:
        """What e to the power of a coefficient is."""
        return "odds ratio"

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import ClassLikelihood

        return ClassLikelihood()

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        # log(1 + e^z) - y z = log(1 + e^{sz}) with s = 1 - 2y, which does not cancel in the tails; likewise below
        z = (1 - 2 * labels) * margins[:, 0]
        # in few arrays, which stay near the processor
        small = np.abs(z)
        np.exp(np.negative(small, out=small), out=small)
        np.maximum(z, 0, out=z)
        return np.add(z, np.log1p(small, out=small), out=z)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        sign = (1 - 2 * labels)[:, None]
        z = sign * margins
        smaller, larger = _two_classes(z)
        return sign * np.where(z > 0, larger, smaller), smaller * larger

    def second_derivatives(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted second derivatives in margins j <= k, (n_rows,) each, keyed (j, k)."""
        smaller, larger = _two_classes(margins[:, 0])
        return {(0, 0): weights * smaller * larger}

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return the least and the most by which a row's own class is ahead of another one, (n_rows,) each."""
        ahead = (2 * labels - 1) * margins[:, 0]
        return ahead, ahead

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.SIGMOID

    def inverse_link(self, margins: Floats) -> Floats:
        """Return class probabilities (n_rows, n_classes), or the predicted value (n_rows, 1)."""
        smaller, larger = _two_classes(margins)
        one = margins > 0
        return np.concatenate([np.where(one, smaller, larger), np.where(one, larger, smaller)], axis=1)


def _two_classes(z: Floats) -> tuple[Floats, Floats]:
    """Return the smaller and the larger of 1 / (1 + e^z) and 1 / (1 + e^-z), neither of which cancels."""
    e = np.exp(-np.abs(z))
    larger = 1 / (1 + e)
    return e * larger, larger
