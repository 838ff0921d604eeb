"""Newton's method for objectives with absolute values and bounds, where the Hessian is small enough to send.

Each step goes to the minimum of the quadratic model with the exact Hessian (see `mr_ml.optimize.proximal`), found on
the driver without a pass. Coordinate descent finds out which coefficients are 0 or on a bound (Friedman, Hastie &
Tibshirani 2010); the others, the face, are then solved for at once by Cholesky, since coordinate descent takes
thousands of sweeps where features go together. The two take turns until nothing is left to gain. Coefficients that are
put on a bound or on 0 are there exactly.

Of a quadratic objective that is the optimum: where the condition number of the face leaves no doubt, no other pass is
made to see it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize import cholesky, least_squares, stopping
from mr_ml.optimize.base import Cost, Evaluation, Floats, Kinks, Stop
from mr_ml.optimize.line_search import LineMethod, inverse_diagonal
from mr_ml.optimize.line_state import LineState
from mr_ml.optimize.newton import RIDGE, Newton, hessian_direction
from mr_ml.optimize.proximal import Proximal, along
from mr_ml.sums.blas import one_thread

_EPS = float(np.finfo(float).eps)
# Turns of coordinate descent and of solving for the face, and sweeps of the former in each.
_TURNS, _SWEEPS = 60, 8
# As large as the Hessian, held at the same time.
_MATRICES = 6
# What may be left of slopes in the model, in multiples of rounding.
_SOLVED = 16
# What may be wrong of a fit that is not looked at again, in tolerances; and how little of a value is still known.
_SURE, _LEFT = 1e-3, 1e-4


@dataclass(frozen=True)
class ProximalNewton(Proximal, Newton):
    """Newton's method with kinks; asks for the Hessian in every pass. Without kinks it is Newton's."""

    name: ClassVar[str] = "proximal-newton"

    def cost(self, size: int) -> Cost:
        """Count what Newton's method takes, and what the driver solves the model with."""
        cost = super().cost(size)
        return replace(cost, state_bytes=cost.state_bytes + 8 * _MATRICES * size * size)

    def direction(self, state: LineState, ev: Evaluation) -> tuple[Floats, float]:
        """Go to the minimum of the model."""
        return super().direction(state, ev) if ev.kinks is None else model_direction(state, ev)

    def _accept(self, state: LineState, point: Floats, value: float, ev: Evaluation, step: float) -> LineState:
        if ev.kinks is None:
            return super()._accept(state, point, value, ev, step)
        # what Newton's does afterwards is about quadratics without kinks
        there = LineMethod._accept(self, state, point, value, ev, step)
        if there.stop is not None or not ev.quadratic:
            return there
        return self._at_optimum(there, ev) or there

    def _at_optimum(self, state: LineState, ev: Evaluation) -> LineState | None:
        """Return the state at the end of the step, if rounding leaves no doubt that it is the optimum; else None."""
        kinks, hessian = ev.kinks, ev.hessian
        assert kinks is not None
        assert hessian is not None
        if not (np.isfinite(hessian).all() and np.isfinite(state.direction).all()):
            return None
        point = self.moved(state, 1.0)
        change = hessian @ state.direction
        fall = kinks.change(state.point, state.direction, state.gradient) + 0.5 * float(change @ state.direction)
        value, gradient = state.value + fall, state.gradient + change
        # of the loss, and of what is quadratic in the penalty
        smooth = value - float(kinks.l1 @ np.abs(point))
        if not smooth > _LEFT * state.value:
            return None
        residual = float(np.sqrt(2 * smooth))
        there = replace(
            state, point=point, value=value, gradient=gradient, curvature_value=value,
            left=kinks.steepest(point, gradient), unit=np.full_like(state.unit, residual), fit_unit=residual, step=1.0,
            n_iterations=state.n_iterations + 1, distance=0.0, stalls=0, suspicions=0, stop=Stop.GRADIENT,
        )  # fmt: skip
        face = _face(point, kinks)
        known = 1.0
        if face.size:
            known = least_squares.reciprocal_condition_of(_on_face(state, face), hessian[np.ix_(face, face)])
        condition = 1 / max(known, _EPS)
        wrong = 8 * _EPS * condition * (stopping.margin_bound(there) + condition * residual)
        small = np.maximum(np.abs(there.slopes), stopping.gradient_rounding(there)) <= self.tolerance * there.unit
        return there if wrong < _SURE * self.tolerance * residual and small.all() else None


def proximal_newton(*, size: int, tolerance: float, max_passes: int) -> ProximalNewton:
    """Make the method for a problem; a `choose.Factory`."""
    return ProximalNewton(tolerance=tolerance, max_passes=max_passes)


def model_direction(state: LineState, ev: Evaluation) -> tuple[Floats, float]:
    """Solve for the step to the minimum of the model.

    Parameters
    ----------
    state
        Of a freshly accepted point.
    ev
        Of that point; it knows the Hessian, and what is not smooth.

    Returns
    -------
    direction
        (n,)
    distance
        By what the model promises, and by Newton's method on the face: there a gradient along a direction whose
        curvature is lost in rounding means that the optimum may be anywhere.
    """
    kinks, hessian = ev.kinks, ev.hessian
    assert kinks is not None
    assert hessian is not None
    if not (hessian.size and np.isfinite(hessian).all() and np.isfinite(state.gradient).all()):
        return along(state, _fallback(state, kinks))
    with one_thread():
        found = _minimum(state, hessian, kinks)
        direction, distance = along(state, found - state.point)
        face = _face(found, kinks)
        if face.size:
            distance = max(distance, hessian_direction(_on_face(state, face), hessian[np.ix_(face, face)])[1])
    return direction, distance


def _on_face(state: LineState, face: NDArray[np.int64]) -> LineState:
    """Return the state of a search over these coefficients alone, where the objective is smooth in them."""
    return replace(
        state, point=state.point[face], gradient=state.slopes[face], curvature=state.curvature[face],
        direction=state.direction[face], unit=state.unit if len(state.unit) == 1 else state.unit[face], left=None,
        kinks=None,
    )  # fmt: skip


def _fallback(state: LineState, kinks: Kinks) -> Floats:
    inverse = inverse_diagonal(state)
    return kinks.nearest(state.point - inverse * state.gradient, 1 / inverse) - state.point


def _face(point: Floats, kinks: Kinks) -> NDArray[np.int64]:
    """Return which coefficients are on no kink and no bound, (m,)."""
    inside = (point > kinks.lower) & (point < kinks.upper)
    return np.flatnonzero(inside & ((point != 0) | (kinks.l1 == 0)))


def _minimum(state: LineState, hessian: Floats, kinks: Kinks) -> Floats:
    """Return the minimum of the model, (n,)."""
    # in units in which the diagonal of the Hessian is 1, or 0 where it is flat
    unit = np.sqrt(inverse_diagonal(state))
    scaled = hessian * unit * unit[:, None]
    scaled[np.diag_indices_from(scaled)] += RIDGE * max(len(unit), 8)
    model = _Model(scaled, kinks.per(unit), state.point / unit, unit * state.gradient)
    for _ in range(_TURNS):
        model.sweep()
        if not model.solve_face():
            break
    return kinks.within(model.point * unit, np.abs(state.point))


class _Model:
    """The quadratic model, in units in which the diagonal of its matrix is about 1, and a point on the way down."""

    def __init__(self, matrix: Floats, kinks: Kinks, point: Floats, gradient: Floats) -> None:
        self.matrix, self.kinks = matrix, kinks
        self.point, self.gradient = point.copy(), gradient.copy()
        self.diagonal = np.maximum(np.diagonal(matrix), RIDGE)
        self.rounding = _SOLVED * _EPS * (np.abs(gradient) + kinks.l1)
        self.least = _SOLVED * _EPS * float(np.abs(gradient).max(initial=0.0))

    def left(self) -> NDArray[np.int64]:
        """Return the coefficients whose slope is more than rounding, (m,)."""
        return np.flatnonzero(
            np.abs(self.kinks.steepest(self.point, self.gradient)) > np.maximum(self.rounding, self.least)
        )

    def sweep(self) -> None:
        """Minimise over one coefficient after the other, those that have something to gain."""
        l1, lower, upper = self.kinks.l1.tolist(), self.kinks.lower.tolist(), self.kinks.upper.tolist()
        diagonal, matrix, gradient, point = self.diagonal.tolist(), self.matrix, self.gradient, self.point
        for _ in range(_SWEEPS):
            changing = self.left().tolist()
            if not changing:
                break
            for j in changing:
                before = float(point[j])
                there = before - float(gradient[j]) / diagonal[j]
                shrink = l1[j] / diagonal[j]
                after = there - shrink if there > shrink else there + shrink if there < -shrink else 0.0
                after = min(max(after, lower[j]), upper[j])
                if after != before:
                    point[j] = after
                    gradient += (after - before) * matrix[j]

    def solve_face(self) -> bool:
        """Minimise over the face, as far as the first kink or bound; say whether there is something left to gain."""
        if not self.left().size:
            return False
        point, kinks = self.point, self.kinks
        face = _face(point, kinks)
        while face.size:
            here, of = point[face], kinks.at(face)
            slopes = self.gradient[face] + of.l1 * np.sign(here)
            matrix = self.matrix[np.ix_(face, face)]
            towards = -_solved(matrix, slopes)
            # the first one that comes to a bound, or to 0
            lower = np.where((of.l1 > 0) & (here > 0), np.maximum(of.lower, 0.0), of.lower)
            upper = np.where((of.l1 > 0) & (here < 0), np.minimum(of.upper, 0.0), of.upper)
            room = np.where(towards < 0, lower - here, np.where(towards > 0, upper - here, np.inf))
            lengths = np.divide(room, towards, out=np.full(len(face), np.inf), where=towards != 0)
            first = int(lengths.argmin())
            after = np.clip(here + towards, lower, upper)
            if lengths[first] <= 1:
                stopped = np.clip(here + lengths[first] * towards, lower, upper)
                stopped[first] = lower[first] if towards[first] < 0 else upper[first]
                # all that would cross at once, where that is no worse
                if not _change(matrix, slopes, after - here) < _change(matrix, slopes, stopped - here):
                    after = stopped
            point[face] = after
            self.gradient += (after - here) @ self.matrix[face]
            if not lengths[first] <= 1:
                break
            face = _face(point, kinks)
        return True


def _change(matrix: Floats, slopes: Floats, move: Floats) -> float:
    return float(slopes @ move + 0.5 * move @ (matrix @ move))


def _solved(matrix: Floats, slopes: Floats) -> Floats:
    ridge = _EPS * len(slopes)
    while True:
        try:
            return cholesky.solved(np.linalg.cholesky(matrix), slopes)
        except np.linalg.LinAlgError:
            # rounding has made it indefinite, or the objective is not convex
            ridge *= 100
            matrix = matrix + ridge * np.eye(len(slopes))
