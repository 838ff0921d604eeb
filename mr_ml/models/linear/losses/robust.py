"""What losses share that are quadratic next to the label and linear further out.

They are means of something that users know, so their mean is among the metrics. And they need curvature for the search.

Where a loss is linear it has no second derivative, and a search that starts where all rows are far out would know
nothing of how far to go. There a small share of the curvature is given with which a parabola through the point stays
above the loss, |l'| / |r| (Huber 1981, sec. 7.8). The share is small so that steps near the optimum are hardly
shortened, and is that of a step that a line search tries, which then goes down for certain.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import NUMBERS, LabelDomain, TrainingLabels
from mr_ml.models.linear.losses.base import Floats, Loss
from mr_ml.models.linear.measured import Asked, Measured
from mr_ml.models.linear.number_metrics import MeanLossMetrics, NumberMetrics, mean_loss_metrics
from mr_ml.sums.statistic import Statistic

SHARE = 2.0**-7


class RobustLoss(Loss):
    """One of a residual z - y, linear for large ones."""

    label_domain: ClassVar[LabelDomain] = NUMBERS
    follows_labels: ClassVar[bool] = True
    exact_curvature: ClassVar[bool] = False

    def start(self, labels: TrainingLabels) -> Floats | None:
        """Return the mean label for an intercept, if it is known."""
        return np.array([labels.mean]) if np.isfinite(labels.mean) and not labels.has_offsets else None

    def observed_information(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted second derivatives within reach, and 0 further out."""
        (_, second), (_, most) = self.derivatives(margins, labels), self.derivatives(labels[:, None], labels)
        return {(0, 0): weights * np.where(second[:, 0] > SHARE * most[:, 0], second[:, 0], 0.0)}

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.IDENTITY

    def inverse_link(self, margins: Floats) -> Floats:
        """Return the predicted value (n_rows, 1)."""
        return margins

    def metrics(self, total: Statistic, *, asked: Asked) -> MeanLossMetrics:
        """Return the metrics that sums over all rows say."""
        metrics = super().metrics(total, asked=asked)
        assert isinstance(metrics, NumberMetrics)
        return mean_loss_metrics(metrics, mean_loss=float(total.sum("loss_sum")) / float(total.sum("weight_sum")))

    def row_metrics(self, measured: Measured, losses: Floats) -> dict[str, Floats]:
        """Return the metrics that are means over rows as they are of each row, (n_rows,) by name."""
        return {**super().row_metrics(measured, losses), "mean_loss": losses}


def curvature(residual: Floats, reach: float) -> Floats:
    """Return 1 where the residual is within reach, else the share of reach / |residual|."""
    size = np.abs(residual)
    return np.asarray(np.where(size <= reach, 1.0, SHARE * (reach / np.maximum(size, reach))))
