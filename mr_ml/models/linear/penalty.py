"""Penalties: what is added to the mean loss, once, on the driver; bounds too, which add infinity beyond.

A penalty is what was asked for; `of` gives it in the optimizer's coordinates theta, where the coefficient of feature j
is w_j = theta_j / s_j (see `mr_ml.models.linear.scaling`). With f_j the feature's factor (1 where none is given), and
d_j its standard deviation where the penalty acts in scaled space, 1 in raw space:

    L2       1/2 l2 sum_j f_j (d_j w_j)^2            1/2 sum_j q_j theta_j^2,     q_j = l2 f_j (d_j / s_j)^2
    L1       l1 sum_j f_j |d_j w_j|                  sum_j k_j |theta_j|,         k_j = l1 f_j d_j / s_j
    prior    1/2 sum_j p_j (d_j (w_j - m_j))^2       1/2 sum_j q_j (theta_j - m_j s_j)^2,   q_j = p_j (d_j / s_j)^2
    bounds   low_j <= w_j <= high_j                  low_j s_j <= theta_j <= high_j s_j

A coefficient is 0 where its theta is, exactly, also where features are centred: what that takes off them is in the
intercept. Intercepts are never penalised or bounded: theirs is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.models.linear.scaling import Scaling
from mr_ml.optimize.base import Kinks

# What two roundings do to a number, relative to it.
_BESIDE = 4 * float(np.finfo(float).eps)
# Of very many coefficients so many at a time, which the caches hold. Sums over more go by it.
_PIECE = 1 << 16
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PenaltyOfTheta:
    """A penalty in the optimizer's coordinates, theta (size,).

    Attributes
    ----------
    quadratics
        What is added is half the sum of their squares, each weighted.
    kinks
        What is not smooth; None for nothing.
    """

    quadratics: Sequence[Quadratic]
    kinks: Kinks | None = None

    @cached_property
    def curvature(self) -> Floats:
        """The diagonal of the Hessian, (size,)."""
        first, *others = self.quadratics
        return sum((quadratic.curvature for quadratic in others), start=first.curvature)

    def value(self, theta: Floats) -> float:
        """Return what is added to the mean loss, bounds aside."""
        return float(self.values(theta, None, (0.0,))[0])

    def values(self, theta: Floats, direction: Floats | None, steps: Sequence[float]) -> Floats:
        """Return what is added at theta + t direction for each step t, (n_steps,); without a direction at theta."""
        found = np.zeros(len(steps))
        for first in range(0, len(theta), _PIECE):
            some = slice(first, first + _PIECE)
            quadratics = [quadratic.over(some) for quadratic in self.quadratics]
            for k, step in enumerate(steps):
                there = theta[some] if direction is None else theta[some] + step * direction[some]
                smooth = sum(quadratic.value(there) for quadratic in quadratics)
                found[k] += smooth if self.kinks is None else smooth + float(self.kinks.l1[some] @ np.abs(there))
        return found

    def gradient(self, theta: Floats) -> Floats:
        """Return the derivative of what is smooth, (size,)."""
        first, *others = (quadratic.gradient(theta) for quadratic in self.quadratics)
        return sum(others, start=first)


@dataclass(frozen=True, eq=False)
class Quadratic:
    """1/2 sum_j q_j (theta_j - centre_j)^2; `curvature` is q, (size,), and a centre of None is 0."""

    curvature: Floats
    centre: Floats | None = None

    def over(self, some: slice) -> Quadratic:
        """Return the part that some of the coefficients have."""
        return Quadratic(self.curvature[some], None if self.centre is None else self.centre[some])

    def off(self, theta: Floats) -> Floats:
        """Return theta less the centre, (size,)."""
        return theta if self.centre is None else theta - self.centre

    def value(self, theta: Floats) -> float:
        """Return what is added to the mean loss."""
        off = self.off(theta)
        return float(0.5 * (self.curvature * off) @ off)

    def gradient(self, theta: Floats) -> Floats:
        """Return the derivative, (size,)."""
        return self.curvature * self.off(theta)


class Penalty(Protocol):
    """A penalty on the coefficients, which keeps them small or within bounds."""

    @property
    def is_zero(self) -> bool:
        """Whether it is none at all."""

    def curvatures(self, scaling: Scaling) -> Floats:
        """Return what it adds to the Hessian's diagonal for each feature, (n_features,)."""

    @property
    def is_cone(self) -> bool:
        """Whether it is 0 for all multiples of coefficients for which it is 0, and infinite for all others."""

    def keeps(self, scaling: Scaling, *, slightly: float = 0.0) -> Bools:
        """Return which features it keeps from growing for ever, (n_features,).

        Parameters
        ----------
        slightly
            Those aside that have less than such a curvature and nothing else.
        """

    def leaves_free(self, scaling: Scaling) -> Bools:
        """Return which features' coefficients may fall (first) and rise (second) for ever, (2, n_features).

        A bound on one side only leaves the other one free.
        """

    def l1_weights(self, scaling: Scaling) -> Floats:
        """Return what an `l1` of 1 is, or would be, multiplied by for each feature in theta, (n_features,)."""

    def bounded(self, coef: Floats) -> Floats:
        """Return coefficients (n_outputs, n_features + 1) within the bounds, up to rounding those that are given."""

    def of(self, scaling: Scaling, n_outputs: int) -> PenaltyOfTheta:
        """Return the penalty of the coefficients of all outputs in the optimizer's coordinates."""


@dataclass(frozen=True)
class L2Penalty:
    """Half the sum of squares.

    Attributes
    ----------
    strength
        Relative to the mean loss.
    space
        "raw" for coefficients of features as they are, "scaled" for those of features divided by their standard
        deviations.
    """

    strength: float = 0.0
    space: str = "raw"

    @property
    def is_zero(self) -> bool:
        """Whether it is none at all."""
        return self.strength == 0

    def curvatures(self, scaling: Scaling) -> Floats:
        """Return what it adds to the Hessian's diagonal for each feature, (n_features,)."""
        if self.space == "raw":
            return np.asarray(self.strength / scaling.scale**2)
        return np.asarray(self.strength * (scaling.deviation / scaling.scale) ** 2)

    @property
    def is_cone(self) -> bool:
        """Whether it is 0 for all multiples of coefficients for which it is 0, and infinite for all others."""
        return self.is_zero

    def keeps(self, scaling: Scaling, *, slightly: float = 0.0) -> Bools:
        """Return which features it keeps from growing for ever, (n_features,)."""
        return (self.curvatures(scaling) >= slightly) & (not self.is_zero)

    def leaves_free(self, scaling: Scaling) -> Bools:
        """Return which features' coefficients may fall (first) and rise (second) for ever, (2, n_features)."""
        return np.tile(~self.keeps(scaling), (2, 1))

    def l1_weights(self, scaling: Scaling) -> Floats:
        """Return what an `l1` of 1 would be multiplied by for each feature in theta, (n_features,)."""
        return np.sqrt(L2Penalty(1.0, self.space).curvatures(scaling))

    def bounded(self, coef: Floats) -> Floats:
        """Return coefficients (n_outputs, n_features + 1) within the bounds, up to rounding those that are given."""
        return coef

    def of(self, scaling: Scaling, n_outputs: int) -> PenaltyOfTheta:
        """Return the penalty of all outputs' coefficients in the optimizer's coordinates."""
        return PenaltyOfTheta((Quadratic(tiled(self.curvatures(scaling), scaling, n_outputs)),))


NO_PENALTY = L2Penalty()


@dataclass(frozen=True, eq=False)
class FeaturePenalty:
    """L1, L2, a prior and bounds, which may differ from feature to feature.

    Attributes
    ----------
    l1, l2
        Relative to the mean loss.
    space
        As of `L2Penalty`; bounds and means are of coefficients of features as they are, whatever it is.
    factors
        (n_features,) of both; None for 1.
    lower, upper
        (n_features,) bounds of raw coefficients, infinite where there are none; None for none.
    mean, precision
        (n_outputs or 1, n_features) of raw coefficients, and (n_features,) relative to the mean loss; None for no
        prior.
    """

    l1: float = 0.0
    l2: float = 0.0
    space: str = "raw"
    factors: Floats | None = None
    lower: Floats | None = None
    upper: Floats | None = None
    mean: Floats | None = None
    precision: Floats | None = None

    @property
    def is_zero(self) -> bool:
        """Whether it is none at all."""
        return self._is_smooth_zero and not self.l1 and self.lower is None and self.upper is None

    @property
    def _is_smooth_zero(self) -> bool:
        return not self.l2 and self.precision is None

    @property
    def is_cone(self) -> bool:
        """Whether it is 0 for all multiples of coefficients for which it is 0, and infinite for all others."""
        bounds = [bound for bound in (self.lower, self.upper) if bound is not None]
        return self._is_smooth_zero and not self.l1 and all((np.isinf(b) | (b == 0)).all() for b in bounds)

    def curvatures(self, scaling: Scaling) -> Floats:
        """Return what it adds to the Hessian's diagonal for each feature, (n_features,)."""
        of_l2 = self._of_l2(scaling)
        return of_l2 if self.precision is None else of_l2 + self._squares(scaling) * self.precision

    def keeps(self, scaling: Scaling, *, slightly: float = 0.0) -> Bools:
        """Return which features it keeps from growing for ever, (n_features,)."""
        curvatures = self.curvatures(scaling)
        kept = (curvatures > 0) & (curvatures >= slightly)
        kept |= self.l1_weights(scaling) * self.l1 > 0
        if self.lower is not None and self.upper is not None:
            kept |= np.isfinite(self.lower) & np.isfinite(self.upper)
        return kept

    def leaves_free(self, scaling: Scaling) -> Bools:
        """Return which features' coefficients may fall (first) and rise (second) for ever, (2, n_features)."""
        free = np.tile(~self.keeps(scaling), (2, 1))
        for side, bound in zip(free, (self.lower, self.upper), strict=True):
            side &= True if bound is None else np.isinf(bound)
        return free

    def bounded(self, coef: Floats) -> Floats:
        """Return coefficients (n_outputs, n_features + 1) within the bounds, up to rounding those that are given."""
        if self.lower is None and self.upper is None:
            return coef
        of_features = np.clip(coef[:, :-1], self.lower, self.upper)
        for bound in (self.lower, self.upper):
            if bound is not None:
                # theta's bound divided by the scale may be the number beside it
                near = np.isfinite(bound) & (np.abs(of_features - bound) <= _BESIDE * np.abs(bound))
                of_features = np.where(near, bound, of_features)
        return np.concatenate([of_features, coef[:, -1:]], axis=1)

    def of(self, scaling: Scaling, n_outputs: int) -> PenaltyOfTheta:
        """Return the penalty of all outputs' coefficients in the optimizer's coordinates."""
        quadratics = [Quadratic(tiled(self._of_l2(scaling), scaling, n_outputs))]
        if self.precision is not None and self.mean is not None:
            means = np.zeros((n_outputs, len(scaling.scale) + 1))
            means[:, :-1] = self.mean
            # of intercepts, which have no precision, whatever comes out
            centre = scaling.from_raw(means)
            quadratics.append(Quadratic(tiled(self._squares(scaling) * self.precision, scaling, n_outputs), centre))
        bounded = self.lower is not None or self.upper is not None
        if not self.l1 and not bounded:
            return PenaltyOfTheta(quadratics)
        lower, upper = (
            tiled(
                np.full(len(scaling.scale), none) if bound is None else bound * scaling.scale, scaling, n_outputs, none
            )
            for bound, none in ((self.lower, -np.inf), (self.upper, np.inf))
        )
        weights = tiled(self.l1 * self.l1_weights(scaling), scaling, n_outputs)
        return PenaltyOfTheta(quadratics, Kinks(weights, lower, upper))

    def l1_weights(self, scaling: Scaling) -> Floats:
        """Return what an `l1` of 1 is, or would be, multiplied by for each feature in theta, (n_features,)."""
        sizes = np.sqrt(self._squares(scaling))
        return sizes if self.factors is None else sizes * self.factors

    def _of_l2(self, scaling: Scaling) -> Floats:
        plain = L2Penalty(self.l2, self.space).curvatures(scaling)
        return plain if self.factors is None else plain * self.factors

    def _squares(self, scaling: Scaling) -> Floats:
        return L2Penalty(1.0, self.space).curvatures(scaling)


def tiled(of_features: Floats, scaling: Scaling, n_outputs: int, of_intercept: float = 0.0) -> Floats:
    """Return numbers of features (n_features,) for all outputs and their intercepts, as theta has them."""
    return np.tile(np.append(of_features, of_intercept) if scaling.intercept else of_features, n_outputs)
