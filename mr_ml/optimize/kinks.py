"""What of an objective is not smooth: absolute values and bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass

Floats = NDArray[np.float64]
# Of what rounding does to a sum, in terms of its parts.
_SLACK = 4 * float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Kinks:
    """What of an objective is not smooth: sum_j l1_j |x_j|, and that lower_j <= x_j <= upper_j.

    Attributes
    ----------
    l1
        (n,) at least 0.
    lower, upper
        (n,) infinite where there is no bound.
    """

    l1: Floats
    lower: Floats
    upper: Floats

    def at(self, index: NDArray[Any]) -> Kinks:
        """Return those of some coefficients."""
        return Kinks(self.l1[index], self.lower[index], self.upper[index])

    def per(self, unit: Floats) -> Kinks:
        """Return those of x / unit, (n,), where `unit` is positive."""
        return Kinks(self.l1 * unit, self.lower / unit, self.upper / unit)

    def steepest(self, point: Floats, gradient: Floats) -> Floats:
        """Return the subgradient of least size at a point within the bounds, (n,).

        Parameters
        ----------
        gradient
            Of what is smooth, there. Component j is 0 where moving x_j either way raises the objective, or is not
            allowed.
        """
        upwards = gradient + np.where(point >= 0, self.l1, -self.l1)
        downwards = gradient + np.where(point > 0, self.l1, -self.l1)
        rises = np.where((downwards > 0) & (point > self.lower), downwards, 0.0)
        return np.where((upwards < 0) & (point < self.upper), upwards, rises)

    def change(self, point: Floats, direction: Floats, gradient: Floats) -> float:
        """Return gradient' p + sum_j l1_j (|x_j + p_j| - |x_j|), p being the direction: negative where it leads down.

        Whatever is smooth and convex in the objective, it falls along the direction no faster than that.
        """
        there = point + direction
        side = np.sign(np.where(there == 0, point, there))
        # of those that stay on their side nothing cancels
        across = np.where(point * there < 0, -2 * self.l1 * np.abs(point), 0.0)
        return float((gradient + self.l1 * side) @ direction + across.sum())

    def nearest(self, point: Floats, weight: Floats) -> Floats:
        """Return what makes weight / 2 (x - point)^2 + l1 |x| least within the bounds, (n,); weights are positive."""
        shrunk = np.maximum(np.abs(point) - self.l1 / weight, 0.0)
        return np.clip(np.copysign(shrunk, point) + 0.0, self.lower, self.upper)

    def within(self, point: Floats, size: Floats) -> Floats:
        """Return a point (n,) that is a sum of numbers of this size, put on bounds where rounding took it off."""
        slack = _SLACK * (size + np.abs(point))
        for bound in (self.lower, self.upper):
            # infinite bounds are near to nothing
            point = np.where(np.abs(point - bound) <= slack, bound, point)
        return np.clip(point, self.lower, self.upper)
