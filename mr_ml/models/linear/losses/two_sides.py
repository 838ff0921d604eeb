"""Base of the losses of two classes with one margin: the second class where it is positive, else the first."""

from __future__ import annotations

from typing import ClassVar

from mr_ml.models.linear.labels import TWO_CLASSES, LabelDomain
from mr_ml.models.linear.losses.base import Floats, Loss


class TwoSidedLoss(Loss):
    """Minus the log-likelihood of one of two classes, y in {0, 1}."""

    label_domain: ClassVar[LabelDomain] = TWO_CLASSES
    may_separate: ClassVar[bool] = True

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return the least and the most by which a row's own class is ahead of another one, (n_rows,) each."""
        ahead = (2 * labels - 1) * margins[:, 0]
        return ahead, ahead
