"""Metrics of predicted numbers: mean squared and absolute error, r2, and what the loss adds to these.

mean deviance   2 sum_i u_i l_i / sum_i u_i, of a loss l that is half the unit deviance of a family
D2              1 - (mean deviance) / (that of the mean label for all rows)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mr_ml.models.linear.measured import Floats, Measured, Metrics
from mr_ml.sums.parts import Moments, Part, Sum
from mr_ml.sums.statistic import Statistic


@dataclass(frozen=True, kw_only=True)
class NumberMetrics(Metrics):
    """How well numbers are predicted; `r2` is None where all labels are the same."""

    mean_squared_error: float
    root_mean_squared_error: float
    mean_absolute_error: float
    r2: float | None


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
    error = (measured.predictions[:, 0] - measured.targets)[counted]
    sums = np.array([u * error * error, u * np.abs(error)]).sum(axis=1)
    return {"errors": Sum(sums), "targets": _weighted_moments(y, u)}


def _weighted_moments(y: Floats, u: Floats) -> Moments:
    weight = u.sum()
    mean = (u * y).sum() / (weight or 1.0)
    return Moments(weight, np.array([mean]), np.array([(u * (y - mean) ** 2).sum()]))


def number_metrics(total: Statistic, *, weight_exponent: int) -> NumberMetrics:
    """Return the metrics that the sums over all rows say."""
    weight = float(total.sum("weight_sum"))
    squares, absolute = (float(v) for v in total.sum("errors"))
    targets = total.part_of("targets", Moments)
    mean, spread = float(targets.mean[0]), float(targets.m2[0])
    mean_square = squares / weight
    return NumberMetrics(
        n_rows=total.n_rows,
        weight_sum=float(np.ldexp(weight, weight_exponent)),
        mean_squared_error=mean_square,
        root_mean_squared_error=mean_square**0.5,
        mean_absolute_error=absolute / weight,
        # a spread at the level of the mean's rounding is none
        r2=1 - squares / spread if spread > 1e-24 * weight * mean * mean else None,
    )


def mean_loss_metrics(metrics: NumberMetrics, *, mean_loss: float) -> MeanLossMetrics:
    """Return the metrics with the mean of the loss."""
    return MeanLossMetrics(**vars(metrics), mean_loss=mean_loss)


def deviance_metrics(metrics: NumberMetrics, *, mean_loss: float, null: float | None) -> DevianceMetrics:
    """Return the metrics with those of a loss that is half a unit deviance.

    `null` is the mean of the loss where the mean label is predicted for all rows; None if that is 0.
    """
    d2 = None if null is None else 1 - mean_loss / null
    return DevianceMetrics(**vars(metrics), mean_deviance=2 * mean_loss, d2=d2)
