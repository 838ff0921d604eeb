"""The conditions that the optimum of a penalised model meets, from its rows and coefficients alone: no code of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax

Floats = np.ndarray[Any, np.dtype[np.float64]]


def slopes(loss: str, z: Floats, y: Floats) -> Floats:
    """Derivatives of the loss in the margins, (n, K) each; `y` are numbers, or class numbers."""
    if loss == "softmax":
        return np.asarray(softmax(z, axis=1) - np.eye(z.shape[1])[y.astype(int)])
    own = y[:, None]
    return np.asarray({"squared": z, "logistic": expit(z), "poisson": np.exp(np.minimum(z, 700))}[loss] - own)


@dataclass(frozen=True, kw_only=True, eq=False)
class Penalised:
    """What was minimised: mean loss, l1 and l2 with factors, a prior, within bounds; by feature or one for all."""

    loss: str
    l1: float = 0.0
    l2: float = 0.0
    factor: Any = 1.0
    lower: Any = -np.inf
    upper: Any = np.inf
    prior_mean: Any = 0.0
    prior_precision: Any = 0.0
    scaled: bool = False
    intercept: bool = True

    def worst(self, x: Any, y: Any, coef: Floats, b: Floats, *, weights: Any = None, offsets: Any = None) -> float:
        """By how much a condition is missed, in standard deviations of its feature times the mean slope of the loss.

        coef is (K, d), b (K,). At an optimum every coefficient's slope is 0, or it is at a kink or bound that holds it.
        """
        n = len(y)
        u = np.ones(n) if weights is None else np.asarray(weights, float)
        o = np.zeros(n) if offsets is None else np.asarray(offsets, float)
        u = u / u.sum()
        s = slopes(self.loss, x @ coef.T + b + o[:, None], np.asarray(y, float)) * u[:, None]
        unit = np.abs(s).sum(axis=0)
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        size = np.where(deviation > 0, deviation, 1.0)
        gradient = s.T @ x
        if self.intercept:
            # what the intercept leaves open is its own condition
            gradient -= np.outer(s.sum(axis=0), mean)
        else:
            size = np.where(np.hypot(deviation, mean) > 0, np.hypot(deviation, mean), 1.0)
        # that of a scaled penalty goes by what rows weigh
        by_weight = np.sqrt(u @ (x - u @ x) ** 2)
        spread = np.where(deviation > 0, by_weight, 1.0) if self.scaled else 1.0
        gradient = gradient + self.l2 * self.factor * spread**2 * coef
        gradient = gradient + self.prior_precision * spread**2 * (coef - self.prior_mean)
        kink = self.l1 * self.factor * spread * np.ones_like(coef)
        upwards, downwards = gradient + np.where(coef >= 0, kink, -kink), gradient + np.where(coef > 0, kink, -kink)
        missed = np.maximum(np.where(coef < self.upper, -upwards, 0), np.where(coef > self.lower, downwards, 0))
        assert ((coef >= self.lower) & (coef <= self.upper)).all()
        # without any slope nothing is left to be judged by it
        measured = (missed / size / np.maximum(unit, 1e-300)[:, None]).max(initial=0.0)
        return float(max(measured, (np.abs(s.sum(axis=0)) / np.maximum(unit, 1e-300)).max() if self.intercept else 0.0))
