"""Newton's last step without a pass that looks at where it ends, if that is proved to be the optimum.

At a point with gradient g and Hessian H, let p be Newton's step, e = g + H p what rounding leaves of it, and a the
reach of p (see `mr_ml.optimize.reach`). Along the way the Hessian is between e^-a H and e^a H, so with

    g(x + p) = e + int_0^1 (H(x + t p) - H) p dt,    rho = (e^a - 1) / a - 1,    |v|_H = (v' H v)^1/2

the gradient at the end is no larger than |g_j| <= |e_j| + rho H_jj^1/2 |p|_H in each component, and the optimum no
further away than e^(a/2) (|e|_H^-1 + rho |p|_H). What these are measured by is no smaller there than e^-a and e^(-3a/2)
times what it was. So the two conditions under which a search has converged are known to hold, not seen: the last pass,
which would find what Newton's method leaves after a step that is almost nothing, is not made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mr_ml.optimize import stopping
from mr_ml.optimize.base import Evaluation, Floats, Stop
from mr_ml.optimize.line_state import LineState

# Of longer reaches the bounds are of no use.
_LONGEST = 0.5


def at_optimum(
    state: LineState, ev: Evaluation, *, tolerance: float, slack: float, length: Callable[[Floats], float]
) -> LineState | None:
    """Return the state at the end of the step, if it is proved that the search has converged there; else None.

    Parameters
    ----------
    state
        With the direction to the minimum by the Hessian.
    ev
        Of its point, with the Hessian.
    tolerance
        As of `LineMethod`.
    slack
        What the distance may be, in tolerances.
    length
        Returns |v|_H^-1 of a vector v (n,).

    Returns
    -------
    LineState or None
        Its gradient is what bounds it, its value what the Hessian says.
    """
    assert ev.hessian is not None
    # a search that moves rows as if there were no optimum has to be looked at
    if ev.reach is None or ev.kinks is not None or state.suspicions or not np.isfinite(state.direction).all():
        return None
    a = ev.reach.of(state.direction)
    if not a <= _LONGEST or _may_be_right(state, a):
        return None
    change = ev.hessian @ state.direction
    along = math.sqrt(max(float(state.direction @ change), 0.0))
    # the series, where the difference would cancel
    bend = math.expm1(a) / a - 1 if a > 1e-4 else a / 2 + a * a / 6
    residual = state.gradient + change
    known = np.maximum(np.abs(residual), stopping.gradient_rounding(state))
    bound = known + bend * np.sqrt(np.maximum(state.curvature, 0)) * along
    if not (bound <= tolerance * math.exp(-a) * state.unit).all():
        return None
    distance = math.exp(a / 2) * (length(residual) + bend * along)
    if not distance <= slack * tolerance * math.exp(-1.5 * a) * state.fit_unit:
        return None
    gain = float(state.gradient @ state.direction) + along * along / 2
    return replace(
        state, point=state.point + state.direction, value=state.value + min(gain, 0.0), gradient=bound,
        direction=np.zeros_like(state.direction), step=1.0, n_iterations=state.n_iterations + 1, distance=distance,
        stalls=0, stop=Stop.GRADIENT,
    )  # fmt: skip


def _may_be_right(state: LineState, a: float) -> bool:
    """Whether every row may be on its right side at the end of a step of reach a, where that would mean no optimum."""
    apart = state.separation
    return apart is not None and apart.min_gap > -np.inf and apart.min_gap + a >= 0
