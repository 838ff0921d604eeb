"""The minimum of |R p - q|^2, R and q of a QR factorisation: the step of `mr_ml.optimize.newton` on quadratics.

With the columns of R of length 1, its singular values are square roots of those of the Hessian, so that a condition
number of 1e12 leaves four digits where a Hessian has none (Golub & Van Loan 2013, sec. 5.3). Where some are at the
level of rounding, the least of all solutions is taken, which does not move along these: sums of features that are
another feature, as categories and the intercept are. Nothing in the data tells such from features of which each is
almost a sum of others, beyond what rounding leaves to see, but for the singular values between: the former have none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mr_ml.optimize import stopping
from mr_ml.optimize.base import Evaluation, Floats, Stop
from mr_ml.optimize.line_search import inverse_diagonal
from mr_ml.optimize.line_state import LineState
from mr_ml.sums.blas import one_thread

_EPS = float(np.finfo(float).eps)
# Singular values below this, in multiples of rounding, are those of directions that are flat.
_NOTHING = 4
# From reciprocal condition numbers above this on there are none.
_FIRM = 1e-8
# Singular values below this are of features that are almost sums of others.
_ALMOST = 1e-10
# Of a value that is a difference, below this share of what it was taken off it is not known well enough.
_LEFT = 1e-4
# What may be wrong of a fit that is not looked at again, in tolerances.
_SURE = 1e-3


def direction(state: LineState, factor: Floats) -> tuple[Floats, float]:
    """Solve for the step to the minimum.

    Parameters
    ----------
    state
        Of the point of the factor.
    factor
        As of `Evaluation`, (m, n + 1).

    Returns
    -------
    direction
        (n,)
    distance
        As of `newton_direction`: of R p, without what no step makes up for.
    """
    from scipy import linalg

    unit, scaled, q = _scaled(state, factor)
    if _reciprocal_condition(scaled) > _FIRM:
        n = len(unit)
        return unit * linalg.solve_triangular(scaled[:n], q[:n]), float(np.linalg.norm(q[:n]))
    left, singular, right = linalg.svd(scaled, full_matrices=False)
    along = left.T @ q
    known = singular > _NOTHING * _EPS * max(len(unit), 8) * singular.max(initial=0.0)
    steps = np.divide(along, singular, out=np.zeros_like(along), where=known)
    rounding = np.linalg.norm(unit * stopping.gradient_rounding(state))
    almost = (singular[known] < _ALMOST).any()
    # gradients where there is no curvature, or curvature that cannot be seen
    lost = ~known & (almost | (np.abs(singular * along) > 8 * rounding))
    distance = np.linalg.norm(np.where(lost, along / _EPS, np.where(known, along, 0.0)))
    return unit * (right.T @ steps), float(distance)


def at_optimum(state: LineState, ev: Evaluation, *, tolerance: float) -> LineState | None:
    """Return the state at the end of the step, if rounding leaves no doubt that it is the optimum; else None.

    Parameters
    ----------
    state
        With the direction to the minimum.
    ev
        Of its point, with the Hessian.
    tolerance
        As of `LineMethod`.

    Notes
    -----
    A fit is wrong by some eps K (|R| |p| + |r|) in the root mean square, with r its residual and K the condition number
    of what was solved with: of R, or of R'R (Higham 2002, sec. 20.1 and 20.4).
    """
    assert ev.hessian is not None
    if not (ev.hessian.size and np.isfinite(ev.hessian).all() and np.isfinite(state.direction).all()):
        return None
    there = moved(state, ev)
    if not there.value > _LEFT * state.value and ev.factor is None:
        # what is left of a difference
        return None
    known = (
        reciprocal_condition_of(state, ev.hessian)
        if ev.factor is None
        else _reciprocal_condition(_scaled(state, ev.factor)[1])
    )
    condition, residual = 1 / max(known, _EPS), there.fit_unit
    wrong = 8 * _EPS * condition * (stopping.margin_bound(there) + condition * residual)
    small = np.maximum(np.abs(there.gradient), stopping.gradient_rounding(there)) <= tolerance * there.unit
    return there if wrong < _SURE * tolerance * residual and small.all() else None


def moved(state: LineState, ev: Evaluation) -> LineState:
    """Return the state at the end of the step, by what is known of a quadratic objective, the optimum.

    Its units are the root mean square of the residual, penalty included: a pass would say what they are.
    """
    assert ev.hessian is not None
    if ev.factor is None:
        change = ev.hessian @ state.direction
        # of which what is wrong in the direction is a square
        value = max(state.value + float((state.gradient + 0.5 * change) @ state.direction), 0.0)
        gradient = state.gradient + change
    else:
        left = ev.factor[:, -1] - ev.factor[:, :-1] @ state.direction
        value, gradient = 0.5 * float(left @ left), -(ev.factor[:, :-1].T @ left)
    residual = float(np.sqrt(2 * value))
    return replace(
        state, point=state.point + state.direction, value=value, gradient=gradient, curvature_value=value,
        unit=np.full_like(state.unit, residual), fit_unit=residual, step=1.0, n_iterations=state.n_iterations + 1,
        distance=0.0, stalls=0, suspicions=0, stop=Stop.GRADIENT,
    )  # fmt: skip


def _scaled(state: LineState, factor: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the lengths of the columns of R, inverted, R with columns of length 1 (or 0), and q."""
    unit = np.sqrt(inverse_diagonal(state))
    return unit, factor[:, :-1] * unit, factor[:, -1]


def _reciprocal_condition(scaled: Floats) -> float:
    """Estimate 1 / (|R| |R^-1|) from above; 0 of fewer rows than columns."""
    m, n = scaled.shape
    if m < n or not (np.diagonal(scaled) > 0).all():
        return 0.0
    r = scaled[:n]
    return float(np.sqrt(_of_cholesky(r, r.T @ r)))


def reciprocal_condition_of(state: LineState, hessian: Floats) -> float:
    """Estimate the same of the Hessian, its diagonal made ones; 0 where it has no Cholesky factor."""
    from scipy import linalg

    unit = np.sqrt(inverse_diagonal(state))
    scaled = hessian * unit * unit[:, None]
    with one_thread("scipy.linalg"):
        factor, failed = linalg.lapack.dpotrf(scaled)
    return 0.0 if failed else _of_cholesky(factor, scaled)


def _of_cholesky(factor: Floats, whole: Floats) -> float:
    """Estimate 1 / (|A| |A^-1|) in the 1-norm, of A with its upper Cholesky factor."""
    from scipy import linalg

    with one_thread("scipy.linalg"):
        reciprocal, _ = linalg.lapack.dpocon(factor, np.abs(whole).sum(axis=0).max())
    return float(reciprocal)
