"""Towards the minimum of a quadratic model with kinks, by products with its matrix alone.

Two kinds of steps take turns (Dostal 1997; Moré & Toraldo 1991). A proximal gradient step says which coefficients are
0 or on a bound, and lets go of those that should not be. Conjugate gradients then solve for the others, the face, whose
step is cut off where a coefficient comes to 0 or to a bound. All of that in units in which the diagonal of the matrix
is 1. A search for the minimum that is not finished is one: any point below the start gives a direction that leads down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.base import Floats, Kinks
from mr_ml.optimize.line_state import LineState

# What is left of slopes in the end, as a share of what there was; and of those on the face in each turn.
_ENOUGH, _FACE = 0.02, 0.1
# Products with the matrix at most, and numbers that they may read altogether, if that is for more than a few.
_MOST, _FEWEST, _NUMBERS = 120, 12, 2e9
_FACE_STEPS = 25
_HALVINGS = 4


@dataclass(frozen=True, eq=False)
class Matrix:
    """A symmetric matrix, positive definite but for rounding.

    Attributes
    ----------
    times
        Multiplies with it a vector (n,).
    n_products
        How many vectors that reads and writes, besides one.
    """

    times: Callable[[Floats], Floats]
    n_products: int


def towards_minimum(matrix: Matrix, state: LineState, kinks: Kinks, *, diagonal: Floats) -> Floats:
    """Return the direction (n,) from the point of a state to where the model is near its minimum.

    Parameters
    ----------
    diagonal
        (n,) of the matrix, or about: positive.
    """
    unit = 1 / np.sqrt(diagonal)
    most = int(np.clip(_NUMBERS / (max(len(unit), 1) * (1 + matrix.n_products)), _FEWEST, _MOST))
    model = _Model(lambda vector: unit * matrix.times(unit * vector), kinks.per(unit), most)
    found = model.descend(state.point / unit, unit * state.gradient)
    return kinks.within(found * unit, np.abs(state.point)) - state.point


@dataclass(eq=False)
class _Model:
    """The model in units of its diagonal; counts down the products that are left."""

    times: Callable[[Floats], Floats]
    kinks: Kinks
    n_left: int
    largest: float = 1.0

    def descend(self, point: Floats, gradient: Floats) -> Floats:
        kinks = self.kinks
        first = float(np.linalg.norm(kinks.steepest(point, gradient)))
        while self.n_left > 0:
            point, gradient = self._proximal_step(point, gradient)
            if float(np.linalg.norm(kinks.steepest(point, gradient))) <= _ENOUGH * first:
                break
            point, gradient = self._face_step(point, gradient)
        return point

    def _product(self, vector: Floats) -> Floats:
        self.n_left -= 1
        return self.times(vector)

    def _proximal_step(self, point: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        """Take a step as long as the largest curvature seen allows."""
        while True:
            weight = np.full(len(point), self.largest)
            move = self.kinks.nearest(point - gradient / self.largest, weight) - point
            change = self._product(move)
            size = float(move @ move)
            curvature = float(move @ change) / size if size > 0 else 0.0
            # not a number: no step is of use
            if not curvature > self.largest * (1 + 1e-9) or self.n_left <= 0:
                return point + move, gradient + change
            self.largest = max(curvature, 1.5 * self.largest)

    def _face_step(self, point: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        """Solve for the face, and go there as far as signs and bounds allow."""
        kinks = self.kinks
        inside = (point > kinks.lower) & (point < kinks.upper) & ((point != 0) | (kinks.l1 == 0))
        slopes = np.where(inside, gradient + kinks.l1 * np.sign(point), 0.0)
        towards = self._solved(slopes, inside)
        lower = np.where((kinks.l1 > 0) & (point > 0), np.maximum(kinks.lower, 0.0), kinks.lower)
        upper = np.where((kinks.l1 > 0) & (point < 0), np.minimum(kinks.upper, 0.0), kinks.upper)
        for _ in range(_HALVINGS):
            move = np.where(inside, np.clip(point + towards, lower, upper) - point, 0.0)
            change = self._product(move)
            slope = float(slopes @ move)
            if slope + 0.5 * float(move @ change) <= 0.1 * min(slope, 0.0):
                return point + move, gradient + change
            towards = 0.5 * towards
        return point, gradient

    def _solved(self, slopes: Floats, inside: Floats) -> Floats:
        """Return about -B^-1 slopes within the face, by conjugate gradients."""
        found, left = np.zeros_like(slopes), -slopes
        towards = left
        size = first = float(left @ left)
        for _ in range(min(_FACE_STEPS, self.n_left)):
            if not size > _FACE**2 * first:
                break
            product = np.where(inside, self._product(towards), 0.0)
            curvature = float(towards @ product)
            if not curvature > 0:
                break
            length = size / curvature
            found = found + length * towards
            left = left - length * product
            before, size = size, float(left @ left)
            towards = left + (size / before) * towards
        return found
