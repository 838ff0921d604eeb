"""The part that all line-search methods share: one flat machine of accepted and rejected steps, one pass an iteration.

Every ask is for the objective at several steps along the direction, with the gradient at step 1. Step 1 is taken if it
decreases the objective enough (Armijo; Nocedal & Wright 2006, eq. 3.4), else the best of the tried steps is asked for
once more with its gradient: one more pass. At the level of rounding, where values no longer tell, the slopes decide
(Hager & Zhang 2005, eq. 4.1). A method only gives the direction from the last accepted point.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize import leaps, line_state, starts, stopping
from mr_ml.optimize.base import (
    Ask,
    Cost,
    Evaluation,
    Floats,
    Optimizer,
    Result,
    SearchProgress,
    Separation,
    Stop,
    Stored,
)
from mr_ml.optimize.line_state import LineState

STEPS = (1.0, 4.0, 2.0, 0.5, 0.25, 2.0**-4, 2.0**-7, 2.0**-12)
# Once the last direction was taken at its full length, others seldom matter; for rows of few entries, losses are what a
# pass takes time for.
SETTLED_STEPS = (1.0, 0.5, 0.25, 2.0**-4)
_SETTLED_FROM = 3
_ARMIJO = 1e-4
_ROUNDING = 1e-12
_SHRINK = 2.0**-13
# The steps of the one evaluation with the Hessian where the search seems to have converged.
_HESSIAN_CHECK = (0.0,)
# Those of the same where floating point allows no more progress, after which rows are looked at whatever it says.
LAST_CHECK = (0.0, 0.0)
# What the distance may be where the Hessian is known, in tolerances.
EXACT_SLACK = 10.0
_MAX_SHRINKS = 2
# How far the last direction that is tried moves a coefficient, if all slopes point the same way: in margins per
# standard deviation of the feature.
_LONGEST = 16.0
# When the curvature is asked for, which is as large as the gradient: at first, and where it may have changed. Asked for
# at every iteration it saves no pass.
_CURVATURE_FIRST = 3
_CURVATURE_EVERY = 8
_CURVATURE_BELOW = 0.98
# Vectors of the size of the model that the driver holds at most, pairs aside.
_STATE_VECTORS = 20


@dataclass(frozen=True)
class LineMethod(Optimizer[LineState, Ask, Evaluation]):
    """Base of the line-search methods.

    Attributes
    ----------
    tolerance
        Stop when no component of the gradient is larger, in the units of the evaluation (of the gradient per standard
        deviation of a feature: the mean absolute slope), and the distance to the optimum is as small.
    max_passes
        Stop after this many passes.
    """

    tolerance: float = 1e-6
    max_passes: int = 500

    name: ClassVar[str]
    # whether every pass returns the Hessian
    hessian: ClassVar[bool] = False
    # what a converged search rules out, see `Result`
    rules_out: ClassVar[frozenset[Stop]] = frozenset()
    # of how many first directions a sample says how far to go
    sampled_steps: ClassVar[int] = 0
    # pairs of changes of point and gradient that are remembered
    memory = 0
    # the distance may be so many times the tolerance, in units of the fit; after so many iterations without much
    # progress the search ends
    distance_slack: ClassVar[float] = EXACT_SLACK
    patience: ClassVar[int] = 3
    # whether the Hessian is asked for once where the search seems to have converged
    checks_hessian = False
    # whether directions go by how coefficients go together with the intercept, where the objective is smooth
    couples: ClassVar[bool] = False
    # the steps that are tried, the same once they seem settled
    steps: ClassVar[tuple[float, ...]] = STEPS
    settled_steps: ClassVar[tuple[float, ...]] = SETTLED_STEPS
    # what a step changes a margin by that may go on for ever
    moves: ClassVar[float] = stopping.MOVES
    # the largest gap of a row at a warm start, where classes may be separable: with no penalty, or with a slight one.
    # Gradients have nothing of rows that are further out, so that it would not be noticed if these could go on for ever
    warm_gaps: ClassVar[tuple[float, float]] = (0.0, 10.0)

    @abstractmethod
    def direction(self, state: LineState, ev: Evaluation) -> tuple[Floats, float]:
        """Choose where to go from a freshly accepted point.

        Parameters
        ----------
        state
            Of the point.
        ev
            What was found there; it knows the Hessian, if that was asked for.

        Returns
        -------
        direction
            (n,) from the point.
        distance
            (g' H^-1 g)^1/2, as far as it is known.
        """

    def max_distance(self, state: LineState) -> float:
        """Bound (g' H^-1 g)^1/2 from above by what is known of H without having asked for it."""
        return state.distance

    def slope(self, state: LineState) -> float:
        """Return how fast the objective falls along the direction at the point, as a negative number."""
        return float(state.gradient @ state.direction)

    def moved(self, state: LineState, step: float) -> Floats:
        """Return the point (n,) at a step along the direction."""
        return state.point + step * state.direction

    def descent(self, state: LineState) -> Floats:
        """Return a direction (n,) that leads down by the Hessian's diagonal alone."""
        return scaled_descent(state)

    def flat_enough(self, state: LineState, value: float, slope: float, ev: Evaluation) -> bool:
        """Say whether a step is taken where values no longer tell: `value` and `ev` are those at its end."""
        return _flat_enough(state, value, slope, ev)

    def stored_pair(self, vector: Floats) -> NDArray[Any]:
        """Make of a vector (n,) of a pair what is remembered of it."""
        return vector

    def init(self, point: Floats) -> LineState:
        """Make the state whose first ask is for the point (n,) itself."""
        zero = np.zeros(len(point))
        return LineState(
            point=point, gradient=zero, curvature=zero, direction=zero, pairs_s=(), pairs_y=(),
            value=np.inf, curvature_value=np.inf, steps=(0.0,), chosen=0, shrinks=0, step=0.0, n_passes=0,
            n_iterations=0, stop=None,
        )  # fmt: skip

    def init_warm(self, point: Floats, guess: Floats) -> LineState:
        """Make the state whose first ask is for the guess, and for the value at the point beside it."""
        return replace(self.init(point), direction=guess - point, steps=starts.AT_MODEL)

    def init_sampled(self, point: Floats, guess: Floats, *, columns: int | None) -> LineState:
        """Make the state whose first ask is for the guess, and for the value at the point, or all there, beside it."""
        warm = self.init_warm(point, guess)
        if columns is None:
            return replace(warm, steps=starts.AT_BOTH)
        return replace(warm, steps=starts.AT_SAMPLE, flat=np.zeros((0, columns)))

    def ask(self, state: LineState) -> Ask | None:
        """Ask for values at the open steps along the direction, for derivatives at the chosen one."""
        if state.stop is not None:
            return None
        direction = None if starts.is_start(state) and state.steps == starts.AT_POINT else state.direction
        hessian = self.hessian or _is_hessian_check(state)
        curvature = not hessian and self.wants_curvature(state)
        return Ask(
            state.point, direction, state.steps, state.chosen, curvature=curvature, hessian=hessian,
            factor=hessian and state.fine, coupling=curvature and self.couples,
            beside=self.ask(self.init(state.point)) if state.steps == starts.AT_BOTH else None,
        )  # fmt: skip

    def wants_curvature(self, state: LineState) -> bool:
        """Say whether the next pass is to return the Hessian's diagonal: at first, and where it may have changed."""
        iteration = state.n_iterations + 1
        due = not state.n_passes or iteration <= _CURVATURE_FIRST or not iteration % _CURVATURE_EVERY
        return due or state.value < _CURVATURE_BELOW * state.curvature_value

    def tell(self, state: LineState, evaluation: Evaluation) -> LineState:
        """Accept a step, or try others; where it ends, see that rows do not go on for ever, if the Hessian is small."""
        told = self._told(state, evaluation)
        converged = told.stop is not None and told.stop.converged and told.separation is not None
        if not converged or not self.checks_hessian or leaps.is_look(state):
            return told
        return self._within_budget(replace(told, stop=None, steps=LAST_CHECK, chosen=0))

    def _told(self, state: LineState, evaluation: Evaluation) -> LineState:
        if evaluation.beside is not None and evaluation.beside.columns is not None:
            state = replace(state, flat=evaluation.beside.columns.after(None))
        columns = evaluation.columns
        flat = state.flat if columns is None else columns.after(state.flat)
        state = replace(state, kinks=evaluation.kinks, flat=flat)
        passed = replace(state, n_passes=state.n_passes + 1)
        value = float(evaluation.values[state.chosen])
        if starts.is_start(state):
            return self._started(passed, value, evaluation)
        if state.steps == LAST_CHECK:
            there = passed.curved(evaluation, value)
            return self._looks(self._with_direction(there, evaluation), evaluation)
        if _is_hessian_check(state):
            return self._accept(passed, state.point, value, evaluation, 0.0)
        if leaps.is_look(state):
            stop = stopping.gradient_stop(state, tolerance=self.tolerance) or Stop.ROUNDING
            return self._within_budget(leaps.seen(passed, evaluation.separation, stop=stop, steps=self.steps))
        step = state.steps[state.chosen]
        slope = self.slope(state)
        best = _best_step(state, evaluation.values, slope)
        last_chance = len(state.steps) == 1
        good = _enough(state, value, step, slope) or self.flat_enough(state, value, slope, evaluation)
        if good and (last_chance or best is None or not _much_better(state, evaluation.values, best)):
            moved = replace(passed, n_iterations=state.n_iterations + 1)
            return self._accept(moved, self.moved(state, step), value, evaluation, step)
        if best is not None and not last_chance:
            return self._within_budget(replace(passed, steps=(state.steps[best],), chosen=0))
        return self._shorten(passed, slope)

    def _started(self, state: LineState, value: float, ev: Evaluation) -> LineState:
        """Begin where the first evaluation was made, or, if that was a warm start of no use, without it."""
        assert ev.curvature is not None
        is_finite = all(np.isfinite(part).all() for part in (value, ev.gradient, ev.curvature))
        begun = replace(state, start_unit=ev.fit_unit)
        if state.steps not in starts.AT_GUESS:
            if not is_finite:
                return replace(state, value=value, stop=Stop.DIVERGED)
            return self._accept(begun, state.point, value, ev, 0.0)
        without = starts.value_at_point(state, ev)
        # half of the way is better where it goes too far out, where hardly any row has curvature
        if not is_finite or min(without, *ev.values) < value or self._hides(ev.separation):
            if ev.beside is not None:
                return self._told(self.init(state.point), ev.beside)
            return self._within_budget(replace(self.init(state.point), value=without, n_passes=state.n_passes))
        # what led there was no step of the search
        apart = ev.separation and replace(ev.separation, min_gap_change=np.inf, minus_max_gap_change=np.inf)
        warm = self._accept(begun, self.moved(state, 1.0), value, replace(ev, separation=apart), 0.0)
        if apart is None or not (_is_hessian_check(warm) or (warm.stop is not None and warm.stop.converged)):
            return warm
        # whether classes are separable shows in how a step moves the rows
        return self._within_budget(replace(warm, stop=None, steps=self.steps))

    def _hides(self, there: Separation | None) -> bool:
        """Whether it could not be told from a warm start if classes were separable."""
        if there is None:
            return False
        free, penalised = self.warm_gaps
        # with a penalty rows on their right side are no proof
        return -there.minus_max_gap > (free if there.min_gap > -np.inf else penalised)

    def ask_sample(self, state: LineState) -> Ask | None:
        """Say the open ask if it is the first one along one of the first directions."""
        is_new = state.steps == self.steps and state.n_iterations < self.sampled_steps
        return self.ask(state) if is_new else None

    def tell_sample(self, state: LineState, length: float) -> LineState:
        """Make the direction `length` times as long."""
        return replace(state, direction=length * state.direction)

    def point(self, state: LineState) -> Floats:
        """Return the last accepted point."""
        return state.point

    def progress(self, state: LineState) -> SearchProgress:
        """Report the last accepted point."""
        note = starts.NO_GUESS if state.n_passes and starts.is_start(state) else None
        return SearchProgress(state.n_passes, state.value, state.gradient_norm, state.step, note)

    def result(self, state: LineState) -> Result:
        """Return the last accepted point."""
        assert state.stop is not None
        return Result(
            point=state.point,
            direction=state.direction,
            stop=state.stop,
            rules_out=self.rules_out if state.stop.converged else frozenset(),
            progress=self.progress(state),
            separation=state.separation,
            curvature=state.curvature,
            flat=state.flat,
        )

    def encode(self, state: LineState) -> tuple[dict[str, Any], dict[str, Stored]]:
        """Call `line_state.encode`."""
        return line_state.encode(state)

    def decode(self, meta: Mapping[str, Any], arrays: Mapping[str, Stored], *, size: int) -> LineState:
        """Call `line_state.decode`."""
        return line_state.decode(meta, arrays, size=size)

    def _accept(self, state: LineState, point: Floats, value: float, ev: Evaluation, step: float) -> LineState:
        pairs_s, pairs_y = state.pairs_s, state.pairs_y
        if step:
            s, y = point - state.point, ev.gradient - state.gradient
            if self.memory and s @ y > 1e-14 * np.sqrt((s @ s) * (y @ y)):
                pairs_s = (*pairs_s, self.stored_pair(s))[-self.memory :]
                pairs_y = (*pairs_y, self.stored_pair(y))[-self.memory :]
            # of the size of the model, like all that is left of it here
            del s, y
        if ev.curvature is not None:
            state = state.curved(ev, value)
        settled = step == 1 and len(state.steps) > 1 and state.n_iterations >= _SETTLED_FROM
        settled = settled and state.value - value > _ROUNDING * abs(value)
        state = replace(
            state, point=point, value=value, gradient=ev.gradient, pairs_s=pairs_s, pairs_y=pairs_y, step=step,
            steps=self.settled_steps if settled else self.steps, chosen=0, shrinks=0, unit=ev.unit,
            fit_unit=ev.fit_unit, separation=ev.separation,
            left=None if ev.kinks is None else ev.kinks.steepest(point, ev.gradient),
        )  # fmt: skip
        if stopping.all_separated(state):
            return replace(state, stop=Stop.SEPARABLE)
        small_enough = stopping.gradient_stop(state, tolerance=self.tolerance)
        before, state = state.distance, self._with_direction(state, ev)
        if small_enough is None:
            return self._within_budget(replace(state, stalls=0, suspicions=0))
        known = ev.hessian is not None
        state = state if known else replace(state, distance=self.max_distance(state))
        slack = EXACT_SLACK if known else self.distance_slack
        judged = stopping.judge(
            state,
            small_enough,
            before=before,
            fit_tolerance=slack * self.tolerance,
            patience=self.patience,
            moves=self.moves,
            exact=self.hessian,
        )
        if judged.stop is None or not judged.stop.converged or not self.checks_hessian:
            return self._within_budget(judged)
        if not known:
            # a distance by what few steps have seen may miss directions that are almost flat
            return judged if judged.n_passes >= self.max_passes else replace(judged, stop=None, steps=_HESSIAN_CHECK)
        if ev.separation is None:
            return judged
        return self._looks(judged, ev)

    def _looks(self, state: LineState, ev: Evaluation) -> LineState:
        return self._within_budget(leaps.look(state, ev, unit=np.sqrt(inverse_diagonal(state))))

    def _shorten(self, state: LineState, slope: float) -> LineState:
        """Try much shorter steps where none was good enough, then forget the pairs, then give up."""
        small_enough = stopping.gradient_stop(state, tolerance=self.tolerance)
        if small_enough is not None:
            # it went on for the sake of the fit only
            return replace(state, stop=stopping.last_stop(state, moves=self.moves))
        if _is_rounding(state, slope):
            fresh = replace(state, direction=self.descent(state))
            if not len(state.pairs_s) or _is_rounding(state, self.slope(fresh)):
                return replace(state, stop=stopping.last_stop(state, moves=self.moves))
            return self._restart(fresh)
        if state.steps == self.settled_steps:
            return self._within_budget(replace(state, steps=self.steps, chosen=0))
        if state.shrinks < _MAX_SHRINKS:
            scale = _SHRINK ** (state.shrinks + 1)
            steps = tuple(t * scale for t in self.steps)
            return self._within_budget(replace(state, steps=steps, chosen=0, shrinks=state.shrinks + 1))
        if len(state.pairs_s):
            return self._restart(replace(state, direction=self.descent(state)))
        if state.shrinks == _MAX_SHRINKS:
            cautious = replace(state, direction=self._cautious(state), steps=self.steps, chosen=0)
            if not _is_rounding(state, self.slope(cautious)):
                return self._within_budget(replace(cautious, shrinks=_MAX_SHRINKS + 1))
        return replace(state, stop=Stop.LINE_SEARCH)

    def _cautious(self, state: LineState) -> Floats:
        """Return a direction (n,) down of bounded length, for where curvatures say nothing of how far to go.

        Offsets that are sure of the wrong class leave rows slopes but no curvature, and an optimum that is far away.
        """
        return self.descent(replace(state, curvature=np.maximum(state.curvature, state.unit / _LONGEST)))

    def _restart(self, state: LineState) -> LineState:
        return self._within_budget(replace(state, pairs_s=(), pairs_y=(), steps=self.steps, chosen=0, shrinks=0))

    def _with_direction(self, state: LineState, ev: Evaluation) -> LineState:
        direction, distance = self.direction(state, ev)
        there = replace(state, direction=direction, distance=distance)
        if self.slope(there) < 0:
            return there
        fresh = replace(there, pairs_s=(), pairs_y=(), direction=self.descent(state))
        along = float(np.sqrt(abs(self.slope(fresh))))
        # where a factor of the Hessian is known, so is the distance, whatever rounding makes of the direction
        return replace(fresh, distance=along if ev.factor is None else max(distance, along))

    def _within_budget(self, state: LineState) -> LineState:
        used_up = state.stop is None and state.n_passes >= self.max_passes
        return replace(state, stop=Stop.PASSES) if used_up else state


def _is_hessian_check(state: LineState) -> bool:
    return state.steps in (_HESSIAN_CHECK, LAST_CHECK) and not starts.is_start(state)


def _is_rounding(state: LineState, slope: float) -> bool:
    """Whether a step would gain less than the value is known to."""
    return abs(slope) <= 64 * float(np.finfo(float).eps) * max(stopping.value_size(state), 1e-300)


def _enough(state: LineState, value: float, step: float, slope: float) -> bool:
    return bool(value <= state.value + _ARMIJO * step * slope)


def _flat_enough(state: LineState, value: float, slope: float, ev: Evaluation) -> bool:
    if not value <= state.value + _ROUNDING * stopping.value_size(state):
        return False
    new_slope = float(ev.gradient @ state.direction)
    return (2 * _ARMIJO - 1) * slope >= new_slope >= 0.9 * slope


def _best_step(state: LineState, values: Floats, slope: float) -> int | None:
    """Find the tried step of lowest value among those that decrease enough."""
    good = [j for j, step in enumerate(state.steps) if _enough(state, float(values[j]), step, slope)]
    return min(good, key=lambda j: values[j]) if good else None


def _much_better(state: LineState, values: Floats, best: int) -> bool:
    """Whether another step wins so much that its gradient is worth one more pass."""
    gain, best_gain = state.value - values[state.chosen], state.value - values[best]
    # below this share of the value gains are soon rounding, and convergence is fast anyway
    return best != state.chosen and bool(best_gain > 1e-6 * abs(state.value) and gain < 0.2 * best_gain)


def with_distance(state: LineState, direction: Floats) -> tuple[Floats, float]:
    """Return a direction p (n,) and (-g' p)^1/2: the distance of the optimum if p is -H^-1 g."""
    return direction, float(np.sqrt(abs(state.gradient @ direction)))


def scaled_descent(state: LineState) -> Floats:
    """Divide the negative gradient by the Hessian's diagonal, (n,)."""
    return -state.gradient * inverse_diagonal(state)


def vector_cost(size: int, *, hessian: bool) -> Cost:
    """Count what a search over `size` coefficients takes, pairs aside; `hessian`: whether passes return it."""
    # gradient, curvature and cross terms
    numbers = 3 * size + (size * size if hessian else 0)
    return Cost(pass_bytes=8 * numbers, state_bytes=8 * _STATE_VECTORS * size)


def inverse_diagonal(state: LineState) -> Floats:
    """Compute 1 / h (n,), and 1 where the objective is flat, or so flat that 1 / h is no number."""
    h = state.curvature
    return np.divide(1.0, h, out=np.ones_like(h), where=h >= np.finfo(float).tiny)
