"""Metrics of predicted numbers: mean squared and absolute error, bias, r2, and what the loss adds to these.

bias            sum_i u_i (prediction - y_i) / sum_i u_i
mean deviance   2 sum_i u_i l_i / sum_i u_i, of a loss l that is half the unit deviance of a family
D2              1 - (mean deviance) / (that of the mean label for all rows)
"""

from __future__ import annotations

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.models.linear.measured import Asked, Floats, Measured, Metrics
from mr_ml.models.linear.score_table import order_keys, scores_of, tenths
from mr_ml.sums.parts import Keyed, Moments, Part, Sum
from mr_ml.sums.statistic import Statistic

# Beyond so many distinct predictions neighbouring ones go together, of which the ends of tenths may be off a little.
PREDICTION_KEYS = 1 << 12


@dataclass(frozen=True, kw_only=True)
class NumberMetrics(Metrics):
    """How well numbers are predicted; `r2` is None where all labels are the same.

    Attributes
    ----------
    bias
        The mean prediction less the mean label.
    calibration
        What is in each tenth of the rows, those with the lowest predictions first; None if it is not asked for.
    """

    mean_squared_error: float
    root_mean_squared_error: float
    mean_absolute_error: float
    r2: float | None
    bias: float
    mean_label: float
    calibration: list[dict[str, float]] | None


@dataclass(frozen=True, kw_only=True)
class MeanLossMetrics(NumberMetrics):
    """How well numbers are predicted, with the mean of the loss."""

    mean_loss: float


@dataclass(frozen=True, kw_only=True)
class DevianceMetrics(NumberMetrics):
    """How well the means of a family are predicted; `d2` is None where all labels are the same."""

    mean_deviance: float
    d2: float | None


def number_sums(measured: Measured) -> dict[str, Part]:
    """Return the sums that `number_metrics` reads; rows of weight 0 count nowhere."""
    counted = measured.weights > 0
    u, y = measured.weights[counted], measured.targets[counted]
    predictions = measured.predictions[counted, 0]
    error = predictions - y
    sums = np.array([u * error * error, u * np.abs(error), u * error]).sum(axis=1)
    parts: dict[str, Part] = {"errors": Sum(sums), "targets": _weighted_moments(y, u)}
    if measured.choices.details:
        sides = np.stack([u, u * predictions, u * y], axis=1)
        parts["predictions"] = Keyed.of(order_keys(predictions), sides, limit=PREDICTION_KEYS)
    return parts


def _weighted_moments(y: Floats, u: Floats) -> Moments:
    weight = u.sum()
    mean = (u * y).sum() / (weight or 1.0)
    return Moments(weight, np.array([mean]), np.array([(u * (y - mean) ** 2).sum()]))


def number_metrics(total: Statistic, *, asked: Asked) -> NumberMetrics:
    """Return the metrics that the sums over all rows say."""
    weight = float(total.sum("weight_sum"))
    squares, absolute, signed = (float(v) for v in total.sum("errors"))
    targets = total.part_of("targets", Moments)
    mean, spread = float(targets.mean[0]), float(targets.m2[0])
    mean_square = squares / weight
    return NumberMetrics(
        n_rows=total.n_rows,
        weight_sum=asked.in_unit(weight),
        mean_squared_error=mean_square,
        root_mean_squared_error=mean_square**0.5,
        mean_absolute_error=absolute / weight,
        # a spread at the level of the mean's rounding is none
        r2=1 - squares / spread if spread > 1e-24 * weight * mean * mean else None,
        bias=signed / weight,
        mean_label=mean,
        calibration=_calibration(total.part_of("predictions", Keyed), asked) if asked.choices.details else None,
    )


def _calibration(table: Keyed, asked: Asked) -> list[dict[str, float]]:
    """Return what is in each tenth of the rows; equal predictions stay together."""
    lowest = scores_of(table.keys << table.shift)
    found = []
    for of in tenths(table.values[:, 0]):
        weight, predictions, labels = table.values[of].sum(axis=0)
        found.append(
            {
                "from": float(lowest[of][0]),
                "weight": asked.in_unit(weight),
                "mean_prediction": float(predictions / weight),
                "mean_label": float(labels / weight),
            }
        )
    return found


def mean_loss_metrics(metrics: NumberMetrics, *, mean_loss: float) -> MeanLossMetrics:
    """Return the metrics with the mean of the loss."""
    return MeanLossMetrics(**vars(metrics), mean_loss=mean_loss)


def deviance_metrics(metrics: NumberMetrics, *, mean_loss: float, null: float | None) -> DevianceMetrics:
    """Return the metrics with those of a loss that is half a unit deviance.

    `null` is the mean of the loss where the mean label is predicted for all rows; None if that is 0.
    """
    d2 = None if null is None else 1 - mean_loss / null
    return DevianceMetrics(**vars(metrics), mean_deviance=2 * mean_loss, d2=d2)
