"""When a search has converged, and whether there is an optimum to converge to.

Features are standardised; g is the gradient, A_j its unit (the mean absolute slope of the loss, of which g_j is the
sum), h the diagonal of the Hessian. Component j is small enough when

    |g_j| <= tolerance A_j    or    |g_j| <= rounding_j = 8 eps (A_j + sqrt(h_j) R),    R = sum_i sqrt(h_i) |theta_i|

which does not depend on the units of features or target. R bounds the margins, so rounding_j is what rounding does to
that component; no component is excused by the rounding of another one. That says nothing yet of directions in which
the objective is almost flat: there the distance to the optimum (g' H^-1 g)^1/2, the root mean square error of the
fit, has to be small too, or to have stopped decreasing.

Where the classes can be separated there is no optimum and gradients vanish on the way to infinity (Albert & Anderson
1984). Either every row is on its right side, or a step moves all of them further there: a proof. Or some rows stay on
the boundary for ever: then the gradient becomes small, but steps still change margins by whole units, and those of
hardly any row the wrong way. Newton's steps square the distance to an optimum, in the end: those that do not even halve
it, and still move rows, go on for ever too, whichever way they move some of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mr_ml.optimize.base import Floats, Stop
from mr_ml.optimize.line_state import LineState

_EPS = float(np.finfo(float).eps)
# A distance above this share of the one before has not decreased.
_PROGRESS = 0.5
# What the distance may be at the end of floating point, in units of the fit as it is, or as it was at the start, of
# which an exact fit leaves nothing.
_LAST_FIT = 1e-3
_LAST_OF_START = 1e-9
# Mean absolute slope of separated classes at which the model has nothing more to learn.
_LEARNED = 0.01
# A step that changes a margin by so much, and no other the wrong way by more than a share of that, may go on for ever.
MOVES = 0.1
_WRONG_WAY = 0.1
_SUSPICIONS = 6
# A slope that is so many times what rounding may have made of it is known.
_NOT_ROUNDING = 64
# What rounding does to the changes of gaps, as a share of the largest of them.
_BEYOND_ROUNDING = 1e-6


def margin_bound(state: LineState) -> float:
    """Compute R, which bounds the root mean square of the margins."""
    return float(np.sqrt(np.maximum(state.curvature, 0)) @ np.abs(state.point))


def gradient_rounding(state: LineState) -> Floats:
    """Estimate what rounding may have done to each component of the gradient, (n,)."""
    return np.asarray(8 * _EPS * (state.unit + np.sqrt(np.maximum(state.curvature, 0)) * margin_bound(state)))


def value_size(state: LineState) -> float:
    """Bound what the value is computed from: where residuals are small beside margins, much more than itself."""
    return abs(state.value) + float(state.unit.max()) * margin_bound(state)


def gradient_stop(state: LineState, *, tolerance: float) -> Stop | None:
    """Return GRADIENT or ROUNDING if every component is small enough, else None."""
    size, enough = np.abs(state.slopes), tolerance * state.unit
    if (size <= enough).all():
        return Stop.GRADIENT
    return Stop.ROUNDING if (size <= np.maximum(enough, gradient_rounding(state))).all() else None


def all_separated(state: LineState) -> bool:
    """Say whether every row is on its right side, with little left to learn."""
    return _every_row_is_right(state) and float(state.unit.max()) <= _LEARNED


def judge(
    state: LineState, stop: Stop, *, before: float, fit_tolerance: float, patience: int, moves: float = MOVES,
    exact: bool = False,
) -> LineState:  # fmt: skip
    """Stop a search whose gradient is small enough, or let it go on.

    Parameters
    ----------
    state
        With its distance.
    stop
        What `gradient_stop` said.
    before
        The distance at the iteration before.
    fit_tolerance
        What the distance must not exceed, in units of the fit.
    patience
        Stop after so many iterations in a row that did not halve the distance.
    moves
        Steps that change a margin by more may go on for ever, if they move hardly any other one the wrong way.
    exact
        Whether steps are Newton's.

    Returns
    -------
    LineState
        With `stop`, `stalls` and `suspicions` brought up to date.
    """
    if _every_row_is_right(state):
        return replace(state, stop=Stop.SEPARABLE)
    if _has_no_slopes(state):
        return replace(state, stop=Stop.FLAT)
    if _goes_on_for_ever(state, moves) or (exact and _does_not_settle(state, moves, before)):
        suspicions = state.suspicions + 1
        return replace(state, suspicions=suspicions, stop=Stop.SEPARABLE if suspicions >= _SUSPICIONS else None)
    if state.distance <= max(fit_tolerance * state.fit_unit, 16 * _EPS * margin_bound(state)):
        return replace(state, stop=stop)
    stalls = state.stalls + 1 if state.distance > _PROGRESS * before else 0
    return replace(state, stalls=stalls, stop=last_stop(state, moves=moves) if stalls >= patience else None)


def last_stop(state: LineState, *, moves: float = MOVES) -> Stop:
    """Say why to stop where floating point allows no more progress."""
    if _every_row_is_right(state) or _goes_on_for_ever(state, moves):
        return Stop.SEPARABLE
    fits = state.distance <= max(_LAST_FIT * state.fit_unit, _LAST_OF_START * state.start_unit)
    return Stop.ROUNDING if fits else Stop.FLAT


def _every_row_is_right(state: LineState) -> bool:
    """Whether the point moves every row to its right side, offsets aside, or the last step took all of them further."""
    apart = state.separation
    if apart is None:
        return False
    # with a penalty or bounds going on like that has an end, or costs something
    is_free = state.step > 0 and state.kinks is None and apart.min_gap > -np.inf
    return apart.min_gap > 0 or (is_free and apart.min_gap_change > _BEYOND_ROUNDING * -apart.minus_max_gap_change)


def _does_not_settle(state: LineState, moves: float, before: float) -> bool:
    """Whether the last step, a whole one, moved rows but did not halve the distance, and not because of rounding."""
    apart = state.separation
    if apart is None or state.step != 1 or not state.distance > _PROGRESS * before:
        return False
    moved = max(-apart.minus_max_gap_change, -apart.min_gap_change)
    return moved > moves and bool((np.abs(state.slopes) > _NOT_ROUNDING * gradient_rounding(state)).any())


def _has_no_slopes(state: LineState) -> bool:
    """Whether rows are so far on their right side that what is left of their slopes are no longer digits of them."""
    lost = float(state.unit.max()) < float(np.finfo(float).tiny)
    return lost and state.separation is not None and state.separation.minus_max_gap < 0


def _goes_on_for_ever(state: LineState, moves: float) -> bool:
    """Whether the last step changed margins by much, and none of them the wrong way by much."""
    if state.separation is None or not state.step:
        return False
    furthest = -state.separation.minus_max_gap_change * state.step
    wrong_way = -state.separation.min_gap_change * state.step
    return furthest > moves and wrong_way <= _WRONG_WAY * furthest
