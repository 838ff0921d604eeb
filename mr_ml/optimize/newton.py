"""Newton's method with the exact Hessian from the pass: the fewest passes where the Hessian is small enough to send.

The direction p solves (H + r diag(H)) p = -g in units of diag(H)^1/2: by Cholesky, or where some directions are almost
flat, by eigenvectors, which separate what is known of these from all others. r is the relative rounding error of H:
directions along which the objective is flat (the common shift of softmax intercepts, collinear features) move little,
and what is lost in others the next iterations make up for, since the gradient is exact. Also known as IRLS (McCullagh &
Nelder 1989, sec. 2.5).

Of a quadratic objective the step ends at the optimum. Where the condition number leaves no doubt of that, no other pass
is made to see it; else the next pass brings a factor of the Hessian, which has twice the digits, and the step solves a
least squares problem: see `mr_ml.optimize.least_squares`. Of others the last step is taken unseen where what it leaves
is known to be small enough: see `mr_ml.optimize.last_step`.

Its steps move rows by a unit or so even where these go on for ever, which tells that there is no optimum. But of fewer
rows than coefficients, or in rounding, a step may leap so far that rows have no curvature left. Where the search ends
with a row that far ahead, what of the point lies where the Hessian is flat is looked at: see `mr_ml.optimize.leaps`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize import cholesky, last_step, leaps, least_squares, stopping
from mr_ml.optimize.base import Cost, Evaluation, Floats, Stop
from mr_ml.optimize.line_search import (
    EXACT_SLACK,
    LAST_CHECK,
    LineMethod,
    inverse_diagonal,
    scaled_descent,
    vector_cost,
    with_distance,
)
from mr_ml.optimize.line_state import LineState
from mr_ml.sums.blas import one_thread

# Up to so many coefficients a Hessian costs hardly more than a pass without.
HESSIAN_UP_TO = 700
RIDGE = 4 * np.finfo(float).eps
# Pivots below this are those of almost flat directions.
_FLAT = 1e-9
# Rows that are further ahead have left nothing in the Hessian.
_LOST = 30.0


@dataclass(frozen=True)
class Newton(LineMethod):
    """Newton's method; asks for the Hessian in every pass."""

    name: ClassVar[str] = "newton"
    hessian: ClassVar[bool] = True
    rules_out: ClassVar[frozenset[Stop]] = frozenset({Stop.SEPARABLE, Stop.FLAT})
    # they soon move none by as much where there is an optimum; of some losses slopes vanish so fast that they move rows
    # that go on for ever by little more
    moves: ClassVar[float] = 1e-3
    # its steps move them by a unit wherever the Hessian holds more than rounding
    warm_gaps: ClassVar[tuple[float, float]] = (20.0, 20.0)

    def unfit(self, size: int) -> str | None:
        """Refuse Hessians that are large."""
        large = size > HESSIAN_UP_TO
        return f"the Hessian of {size:,} coefficients is too large for {self.name} ({HESSIAN_UP_TO})" if large else None

    @property
    def begins_by_sample(self) -> bool:
        """Say yes: where rows are many, the way there from zero is most of its passes."""
        return True

    def cost(self, size: int) -> Cost:
        """Count the Hessian, and vectors."""
        return vector_cost(size, hessian=True)

    def direction(self, state: LineState, ev: Evaluation) -> tuple[Floats, float]:
        """Call `newton_direction`."""
        return newton_direction(state, ev)

    def tell(self, state: LineState, evaluation: Evaluation) -> LineState:
        """Accept a step, or try others; where it ends with a row far ahead, see whether it has leapt there."""
        told = super().tell(state, evaluation)
        if leaps.is_look(state):
            return told if told.stop is Stop.SEPARABLE else self._converged(told)
        if state.steps == LAST_CHECK:
            return told
        converged, apart = told.stop is not None and told.stop.converged, told.separation
        if not converged or apart is None or -apart.minus_max_gap <= _LOST or told.n_passes >= self.max_passes:
            return told
        return replace(told, stop=None, steps=LAST_CHECK, chosen=0)

    def _looks(self, state: LineState, ev: Evaluation) -> LineState:
        looking = super()._looks(state, ev)
        return looking if looking.steps == leaps.FAR else self._converged(state)

    def _converged(self, state: LineState) -> LineState:
        stop = stopping.gradient_stop(state, tolerance=self.tolerance)
        return replace(state, stop=stop or Stop.ROUNDING, steps=self.steps)

    def _accept(self, state: LineState, point: Floats, value: float, ev: Evaluation, step: float) -> LineState:
        there = super()._accept(state, point, value, ev, step)
        if ev.factor is not None and there.stop is not None and there.stop.converged:
            # near enough by what the pass found, and nearer by what it brought
            return replace(least_squares.moved(there, ev), stop=there.stop)
        if not ev.quadratic and there.stop in (None, Stop.GRADIENT, Stop.PASSES):
            return self._last_step(there, ev)
        if there.stop is not None:
            return there
        return least_squares.at_optimum(there, ev, tolerance=self.tolerance) or replace(there, fine=True)

    def _last_step(self, state: LineState, ev: Evaluation) -> LineState:
        """Go to the end of the next step, if it is proved that no pass needs to look at it.

        Also from where the search has converged: it costs nothing, and squares what is left.
        """
        # where a search begins, a step shows whether there is an optimum
        if not state.step:
            return state
        length = lambda vector: newton_direction(replace(state, gradient=vector), ev)[1]  # noqa: E731
        return last_step.at_optimum(state, ev, tolerance=self.tolerance, slack=EXACT_SLACK, length=length) or state


def newton(*, size: int, tolerance: float, max_passes: int) -> Newton:
    """Make Newton's method for a problem; a `choose.Factory`."""
    return Newton(tolerance=tolerance, max_passes=max_passes)


def newton_direction(state: LineState, ev: Evaluation) -> tuple[Floats, float]:
    """Solve for Newton's direction.

    Parameters
    ----------
    state
        Of a freshly accepted point; g is its gradient.
    ev
        Of that point; it knows the Hessian.

    Returns
    -------
    direction
        (n,) -H^-1 g, as far as H is known.
    distance
        (g' H^-1 g)^1/2. Where the curvature along a direction is lost in the rounding of H, but the gradient along it
        is not, the optimum may be anywhere: there the curvature is taken to be eps^2.

    Notes
    -----
    O(n^3) time, 3 n^2 numbers of memory besides the Hessian.
    """
    assert ev.hessian is not None
    # some versions of scipy raise for empty arrays
    if not (ev.hessian.size and np.isfinite(ev.hessian).all() and np.isfinite(state.gradient).all()):
        return with_distance(state, scaled_descent(state))
    if ev.factor is not None:
        with one_thread("scipy.linalg"):
            return least_squares.direction(state, ev.factor)
    with one_thread():
        return hessian_direction(state, ev.hessian)


def hessian_direction(state: LineState, hessian: Floats) -> tuple[Floats, float]:
    """Return what `newton_direction` does, of a Hessian (n, n) that is finite, n > 0; BLAS has one thread."""
    unit = np.sqrt(inverse_diagonal(state))
    scaled = hessian * unit * unit[:, None]
    ridge = RIDGE * max(len(unit), 8)
    scaled[np.diag_indices_from(scaled)] += ridge
    try:
        factor = np.linalg.cholesky(scaled)
        if (np.diag(factor) ** 2 > _FLAT).all():
            return with_distance(state, -unit * cholesky.solved(factor, unit * state.gradient))
    except np.linalg.LinAlgError:
        pass
    curvature, vectors = np.linalg.eigh(scaled)
    along = vectors.T @ (unit * state.gradient)
    known = np.maximum(curvature, ridge)
    rounding = np.linalg.norm(unit * stopping.gradient_rounding(state))
    lost = (curvature < 2 * ridge) & (np.abs(along) > 8 * rounding)
    distance = np.sqrt(along**2 @ (1 / np.where(lost, np.finfo(float).eps ** 2, known)))
    return np.asarray(-unit * (vectors @ (along / known))), float(distance)
