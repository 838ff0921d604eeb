"""Whether a search that seems to have converged has leapt to where rows go on for ever: one pass looks.

At a point with gradient g, Hessian H and gaps m_i (see `mr_ml.optimize.base.Separation`), let p be Newton's step. At
its end the slopes of the rows, were they linear, would sum to 0. Where p changes no gap by as much as 1 or so, none of
them changes its sign, which proves an optimum: there is no direction that moves some rows ahead and none back
(Stiemke's theorem; Albert & Anderson 1984). Where the classes can be separated, Newton's step moves some rows ahead by
1 or so, however far they are, and hardly any other one back; the next step does so again.

Rows may be so far ahead that H has nothing of them either. Then directions V are left in which H has no curvature,
since all other rows stay where they are; and since the search went there along V, what of the point lies in V, v, is a
direction in which rows go ahead, none goes back, and all others stay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mr_ml.optimize.base import Evaluation, Floats, Separation, Stop
from mr_ml.optimize.line_state import LineState
from mr_ml.sums.blas import one_thread

# The steps of a look along Newton's step, and of one along v besides; the first is the point itself.
NEAR, FAR = (0.0, 1.0), (0.0, 2.0**-20, 1.0)
# A curvature below this, where the diagonal of the Hessian is 1, is none.
_FLAT = 1e-10
# A gap that changes by no more has not changed.
_STILL = 1e-3
# Along v rows go ahead by more than that, and back by no more than a share of it.
_AHEAD, _BACK = 1.0, 1e-4
# Of a step that goes on for ever, the share of how far it moves any row back.
_WRONG_WAY = 0.1
_MOST_LOOKS = 6


def look(state: LineState, ev: Evaluation, *, unit: Floats) -> LineState:
    """Make the state that asks how rows move.

    Parameters
    ----------
    state
        Of a point whose gradient is small; its direction is Newton's.
    ev
        Of that point; it knows the Hessian.
    unit
        (n,) in which the diagonal of the Hessian is 1, or 0 where it is flat.
    """
    assert ev.hessian is not None
    free = _free(state.point, ev)
    newton, away = state.direction, np.zeros_like(state.point)
    if free.size and np.isfinite(ev.hessian).all():
        of = unit[free]
        with one_thread():
            curvature, vectors = np.linalg.eigh(ev.hessian[np.ix_(free, free)] * of * of[:, None])
        flat = vectors[:, curvature <= _FLAT]
        away[free] = of * (flat @ (flat.T @ (state.point[free] / of)))
        if away.any() and _is_endless(away, ev):
            newton = newton.copy()
            newton[free] -= of * (flat @ (flat.T @ (newton[free] / of)))
            return replace(state, stop=None, direction=newton + away, steps=FAR, chosen=0)
    return replace(state, stop=None, steps=NEAR, chosen=0)


def is_look(state: LineState) -> bool:
    """Say whether the open ask is that of `look`."""
    return state.steps in (NEAR, FAR)


def seen(state: LineState, moved: Separation | None, *, stop: Stop, steps: tuple[float, ...]) -> LineState:
    """Stop the search, or let it go on along Newton's step.

    Parameters
    ----------
    state
        That asked.
    moved
        How far the direction moves rows.
    stop
        Why it stops where there is an optimum.
    steps
        By which it goes on where that is not sure.
    """
    assert moved is not None
    ahead, back = -moved.minus_max_gap_change, -moved.min_gap_change
    if max(ahead, back) <= _STILL:
        return replace(state, stop=stop)
    if state.steps == FAR and ahead > _AHEAD:
        return replace(state, stop=Stop.SEPARABLE if back <= _BACK * ahead else Stop.FLAT)
    looks = state.suspicions + 1
    if looks >= _MOST_LOOKS:
        return replace(state, stop=Stop.SEPARABLE if back <= _WRONG_WAY * ahead else Stop.FLAT)
    return replace(state, suspicions=looks, steps=steps)


def _free(point: Floats, ev: Evaluation) -> NDArray[np.int64]:
    """Return the coefficients that are on no bound, and cost nothing by their size alone, (m,)."""
    if ev.kinks is None:
        return np.arange(len(point))
    return np.flatnonzero((point > ev.kinks.lower) & (point < ev.kinks.upper) & (ev.kinks.l1 == 0))


def _is_endless(direction: Floats, ev: Evaluation) -> bool:
    """Say whether no bound is met along a direction."""
    if ev.kinks is None:
        return True
    room = np.where(direction > 0, ev.kinks.upper, -ev.kinks.lower)
    return bool((np.isinf(room) | (direction == 0)).all())
