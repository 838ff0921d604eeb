"""Penalties: what is added to the mean loss, once, on the driver.

A penalty is what was asked for; `of` gives its value and derivatives in the optimizer's coordinates theta, where the
coefficient of feature j is w_j = theta_j / s_j (see `mr_ml.models.linear.scaling`).

    L2, raw      1/2 l2 |w|^2               q_j = l2 / s_j^2
    L2, scaled   1/2 l2 sum_j (d_j w_j)^2   q_j = l2 (d_j / s_j)^2,   d_j being the standard deviation of feature j

Both are 1/2 sum_j q_j theta_j^2. Intercepts are never penalised: theirs is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml.models.linear.scaling import Scaling

Floats = NDArray[np.float64]


class PenaltyOfTheta(Protocol):
    """A penalty in the optimizer's coordinates, theta (size,)."""

    def value(self, theta: Floats) -> float:
        """Return what is added to the mean loss."""

    def gradient(self, theta: Floats) -> Floats:
        """Return the derivative, (size,)."""

    @property
    def curvature(self) -> Floats:
        """The diagonal of the Hessian, (size,)."""


class Penalty(Protocol):
    """A penalty on the coefficients, which keeps them small."""

    @property
    def is_zero(self) -> bool:
        """Whether it is none at all."""

    def curvatures(self, scaling: Scaling) -> Floats:
        """Return what it adds to the Hessian's diagonal for each feature, (n_features,)."""

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

    def of(self, scaling: Scaling, n_outputs: int) -> QuadraticPenalty:
        """Return the penalty of all outputs' coefficients in the optimizer's coordinates."""
        q = self.curvatures(scaling)
        return QuadraticPenalty(np.tile(np.append(q, 0.0) if scaling.intercept else q, n_outputs))


NO_PENALTY = L2Penalty()


@dataclass(frozen=True, eq=False)
class QuadraticPenalty:
    """1/2 sum_j q_j theta_j^2; `curvature` is q, (size,)."""

    curvature: Floats

    def value(self, theta: Floats) -> float:
        """Return what is added to the mean loss."""
        return float(0.5 * (self.curvature * theta) @ theta)

    def gradient(self, theta: Floats) -> Floats:
        """Return the derivative, (size,)."""
        return self.curvature * theta
