"""Base of the losses that are half the unit deviance of a family of distributions: what is predicted is their mean.

    l = log p(y; y) - log p(y; mu),   times the dispersion       mu = the mean at margin z

The least l is 0, at mu = y, so that a sum of l is half a deviance. Of two means a and b, with the weighted mean y' of
the labels, sum_i u_i (l(y_i, a) - l(y_i, b)) = sum_i u_i (l(y', a) - l(y', b)): l is a Bregman divergence. So what the
best constant leaves follows from one more sum.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import TrainingLabels
from mr_ml.models.linear.losses.base import Floats, Loss
from mr_ml.models.linear.losses.special import exp
from mr_ml.models.linear.measured import Asked, Measured, Metrics
from mr_ml.models.linear.number_metrics import NumberMetrics, deviance_metrics
from mr_ml.sums.parts import Moments, Part, Sum
from mr_ml.sums.statistic import Statistic


class FamilyLoss(Loss):
    """Half the unit deviance; with the link log, unless a loss says otherwise.

    Attributes
    ----------
    unit_margin
        The margin at which the mean is 1.
    """

    unit_margin: ClassVar[float] = 0.0

    @property
    def ratio(self) -> str | None:
        """What e to the power of a coefficient is, with the link log."""
        return "mean ratio"

    def start(self, labels: TrainingLabels) -> Floats | None:
        """Return the intercept of the mean label, if that is known; with offsets it may be far off."""
        # a mean below 0 is of labels that the first pass refuses, in words
        known = np.isfinite(labels.mean) and labels.mean > 0 and not labels.has_offsets
        return np.array([np.log(labels.mean)]) if known else None

    @abstractmethod
    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,); infinite where it is larger than any number, or the margin stands for no mean."""

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        # of a loss that says another link it is not known
        return Response.EXP if type(self).inverse_link is FamilyLoss.inverse_link else None

    def inverse_link(self, margins: Floats) -> Floats:
        """Return the mean (n_rows, 1); infinite where it is larger than any number."""
        return exp(margins)

    def metric_sums(self, measured: Measured) -> dict[str, Part]:
        """Return the sums that `metrics` reads."""
        counted = measured.weights > 0
        y, u = measured.targets[counted], measured.weights[counted]
        at_one = self._at_one(y)
        return {**super().metric_sums(measured), "at_one": Sum((u * at_one).sum())}

    def metrics(self, total: Statistic, *, asked: Asked) -> Metrics:
        """Return the metrics that sums over all rows say."""
        weight, mean = float(total.sum("weight_sum")), total.part_of("targets", Moments).mean
        at_one = float(total.sum("at_one")) / weight
        null = at_one - float(self._at_one(mean)[0])
        metrics = super().metrics(total, asked=asked)
        assert isinstance(metrics, NumberMetrics)
        return deviance_metrics(
            metrics,
            mean_loss=float(total.sum("loss_sum")) / weight,
            # a difference at the level of rounding is none
            null=null if null > 1e-12 * at_one else None,
        )

    def row_metrics(self, measured: Measured, losses: Floats) -> dict[str, Floats]:
        """Return the metrics that are means over rows as they are of each row, (n_rows,) by name."""
        return {**super().row_metrics(measured, losses), "mean_deviance": 2 * losses}

    def _at_one(self, labels: Floats) -> Floats:
        """Return l where the mean is 1, (n_rows,)."""
        return self.value(np.full((len(labels), 1), self.unit_margin), labels)


class CountLoss(FamilyLoss):
    """One whose labels may be 0: such rows alone can be moved down for ever."""

    may_separate: ClassVar[bool] = True

    @property
    def ratio(self) -> str:
        """What e to the power of a coefficient is."""
        return "rate ratio"

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return how far rows of label 0 are down; others are to stay, and each move of theirs is one back."""
        z = margins[:, 0]
        ahead = np.where(labels == 0, -z, -np.abs(z))
        return ahead, ahead

    def sides(self, labels: Floats, n_classes: int) -> list[NDArray[np.bool_]]:
        """Return all rows, and those that are to stay."""
        return [np.ones(len(labels), bool), labels > 0]
