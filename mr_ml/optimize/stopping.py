"""When a search has arrived, and whether there is anything to arrive at.

Features are standardised; g is the gradient, A_j its unit (the mean absolute slope of the loss, of which g_j is the
sum), h the diagonal of the Hessian. Component j has arrived when

    |g_j| <= tolerance A_j    or    |g_j| <= noise_j = 8 eps (A_j + sqrt(h_j) R),    R = sum_i sqrt(h_i) |theta_i|

which does not depend on the units of features or target. R bounds what rows add up, so noise_j is what rounding does to
that component; no component is excused for the rounding of another one. That says nothing yet of directions in which
the objective is almost flat: there the distance to the optimum (g' H^-1 g)^1/2, the root mean square of what the fit is
off by, has to be small too, or to have come to its end.

Where the classes can be separated there is no optimum and gradients vanish on the way to infinity (Albert & Anderson
1984). Either every row is on its right side: a proof. Or some rows stay on the boundary for ever: then the search
ends, but its steps go on to move rows by whole units, and hardly any row the wrong way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mr_ml.optimize.base import Floats, Stop

if TYPE_CHECKING:
    from mr_ml.optimize.line_search import LineState

_EPS = float(np.finfo(float).eps)
# Progress that is less than this from one iteration to the next is none.
_PROGRESS = 0.5
# What the distance may be at the end of floating point, in units of the fit as it is, or as it was at the start, of
# which an exact fit leaves nothing.
_LAST_FIT = 1e-3
_LAST_OF_START = 1e-9
# Mean absolute slope of separated classes at which the model has nothing more to learn.
_LEARNED = 0.01
# A step that moves a row by so much, and no other the wrong way by more than a share of that, may go on for ever.
_MOVES = 0.1
_WRONG_WAY = 0.1
_SUSPICIONS = 6


def reach(state: LineState) -> float:
    """R, which bounds the root mean square of what rows add up."""
    return float(np.sqrt(np.maximum(state.curvature, 0)) @ np.abs(state.point))


def noise(state: LineState) -> Floats:
    """What rounding may have done to each component of the gradient."""
    return np.asarray(8 * _EPS * (state.unit + np.sqrt(np.maximum(state.curvature, 0)) * reach(state)))


def value_size(state: LineState) -> float:
    """What the objective's value is the result of: where residuals are small beside margins, much more than itself."""
    return abs(state.value) + float(state.unit.max()) * reach(state)


def arrived(state: LineState, *, tolerance: float) -> Stop | None:
    """GRADIENT or ROUNDING if every component is small enough, else None."""
    size, enough = np.abs(state.gradient), tolerance * state.unit
    if (size <= enough).all():
        return Stop.GRADIENT
    return Stop.ROUNDING if (size <= np.maximum(enough, noise(state))).all() else None


def separated(state: LineState) -> bool:
    """Whether every row is on its right side, with little left to learn."""
    return state.leads is not None and state.leads.least > 0 and float(state.unit.max()) <= _LEARNED


def judged(state: LineState, found: Stop, *, before: float, fit_tolerance: float, patience: int) -> LineState:
    """The state of a gradient that has arrived, stopped or sent on.

    Parameters
    ----------
    before
        The distance at the iteration before.
    fit_tolerance
        What the distance is to be, in units of the fit.
    patience
        So many iterations that do not halve the distance are the end of it.
    """
    if state.leads is not None and state.leads.least > 0:
        return replace(state, stop=Stop.SEPARABLE)
    if _recedes(state):
        suspicions = state.suspicions + 1
        return replace(state, suspicions=suspicions, stop=Stop.SEPARABLE if suspicions >= _SUSPICIONS else None)
    if state.distance <= max(fit_tolerance * state.fit_unit, 16 * _EPS * reach(state)):
        return replace(state, stop=found)
    stalls = state.stalls + 1 if state.distance > _PROGRESS * before else 0
    return replace(state, stalls=stalls, stop=at_last(state) if stalls >= patience else None)


def at_last(state: LineState) -> Stop:
    """Why to stop where floating point allows no more."""
    if (state.leads is not None and state.leads.least > 0) or _recedes(state):
        return Stop.SEPARABLE
    fits = state.distance <= max(_LAST_FIT * state.fit_unit, _LAST_OF_START * state.start_unit)
    return Stop.ROUNDING if fits else Stop.FLAT


def _recedes(state: LineState) -> bool:
    if state.leads is None or not state.step:
        return False
    furthest = -state.leads.minus_most_move * state.step
    wrong_way = -state.leads.least_move * state.step
    return furthest > _MOVES and wrong_way <= _WRONG_WAY * furthest
