"""What the proximal methods have in common: steps towards the minimum of a model that has the kinks of the objective.

At a point x with gradient g a method knows a matrix B that stands for the Hessian, and goes along p = z - x, where z is
the minimum, or near to it, of

    m(z) = g'(z - x) + 1/2 (z - x)' B (z - x) + sum_j l1_j |z_j|     within the bounds

(Lee, Sun & Saunders 2014). Along the line from x to z the objective falls at first by at least `Kinks.change`, of which
Armijo's rule asks for a share. At step 1 the point is z, with its exact zeros; beyond, it may be outside of the bounds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from mr_ml.optimize.base import Evaluation, Floats
from mr_ml.optimize.line_search import LineMethod, inverse_diagonal, scaled_descent
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.stopping import value_size

_STEPS = (1.0, 0.5, 0.25, 2.0**-4, 2.0**-7, 2.0**-12)
_SETTLED_STEPS = (1.0, 0.5, 0.25, 2.0**-4)
_ROUNDING = 1e-12


class Proximal(LineMethod):
    """A line-search method of objectives that need not be smooth: its directions lead to points within the bounds."""

    steps: ClassVar[tuple[float, ...]] = _STEPS
    settled_steps: ClassVar[tuple[float, ...]] = _SETTLED_STEPS

    @property
    def takes_kinks(self) -> bool:
        """True."""
        return True

    def slope(self, state: LineState) -> float:
        """Return a bound of how fast the objective falls along the direction at the point, as a negative number."""
        if state.kinks is None:
            return super().slope(state)
        return state.kinks.change(state.point, state.direction, state.gradient)

    def moved(self, state: LineState, step: float) -> Floats:
        """Return the point (n,) at a step along the direction, on the bounds where it is meant to be."""
        there = super().moved(state, step)
        return there if state.kinks is None else state.kinks.within(there, np.abs(state.point))

    def descent(self, state: LineState) -> Floats:
        """Return the direction (n,) of a model whose matrix is the Hessian's diagonal."""
        towards = scaled_descent(state)
        if state.kinks is None:
            return towards
        return state.kinks.nearest(state.point + towards, 1 / inverse_diagonal(state)) - state.point

    def tell_sample(self, state: LineState, length: float) -> LineState:
        """Make the direction `length` times as long, if that is not beyond its end."""
        return super().tell_sample(state, length if state.kinks is None else min(length, 1.0))

    def flat_enough(self, state: LineState, value: float, slope: float, ev: Evaluation) -> bool:
        """Say whether a step is taken where values no longer tell: one that makes what is left of slopes smaller."""
        if state.kinks is None:
            return super().flat_enough(state, value, slope, ev)
        if not value <= state.value + _ROUNDING * value_size(state):
            return False
        left = state.kinks.steepest(self.moved(state, state.steps[state.chosen]), ev.gradient)
        return replace(state, left=left).gradient_norm < state.gradient_norm


def along(state: LineState, direction: Floats) -> tuple[Floats, float]:
    """Return a direction (n,), and the distance of the optimum if it leads there: (p' B p)^1/2 or a little more."""
    assert state.kinks is not None
    return direction, float(np.sqrt(abs(state.kinks.change(state.point, direction, state.gradient))))
