"""Base of the losses of two classes with one margin: the second class where it is positive, else the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mr_ml.models.linear.labels import TWO_CLASSES, LabelDomain
from mr_ml.models.linear.losses.base import Floats, Loss

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


class TwoSidedLoss(Loss):
    """Minus the log-likelihood of one of two classes, y in {0, 1}."""

    label_domain: ClassVar[LabelDomain] = TWO_CLASSES
    may_separate: ClassVar[bool] = True

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import ClassLikelihood

        return ClassLikelihood()

    def expected_information(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted means of second derivatives over labels, (n_rows,), keyed (0, 0)."""
        # (dp/dz)^2 / (p (1 - p)), and l' is -(dp/dz) / p and (dp/dz) / (1 - p)
        second, first = (self.derivatives(margins, np.full(len(margins), label))[0][:, 0] for label in (1.0, 0.0))
        return {(0, 0): weights * (-second * first)}

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return the least and the most by which a row's own class is ahead of another one, (n_rows,) each."""
        ahead = (2 * labels - 1) * margins[:, 0]
        return ahead, ahead
