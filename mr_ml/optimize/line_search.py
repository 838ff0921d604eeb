"""The part that all smooth methods share: one flat machine of accepted and rejected steps, one pass an iteration.

Every ask carries losses at several steps along the direction, with the gradient at step 1. Step 1 is taken
if it decreases the objective enough (Armijo), else the best of the tried steps is asked for once more with its
gradient: one more pass. At the level of rounding, where values no longer tell, the slopes decide (Hager & Zhang 2005,
eq. 4.1). A method is a way to aim: `direction` from what the last accepted point brought.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.optimize import stopping
from mr_ml.optimize.base import Ask, Evaluation, Floats, Leads, Stop

STEPS = (1.0, 4.0, 2.0, 0.5, 0.25, 2.0**-4, 2.0**-7, 2.0**-12)
# Once the last direction was taken at its full length, others seldom matter; for rows of few entries, losses are what a
# pass takes time for.
SETTLED_STEPS = (1.0, 0.5, 0.25, 2.0**-4)
_SETTLED_FROM = 3
_ARMIJO = 1e-4
_ROUNDING = 1e-12
_SHRINK = 2.0**-13
# One evaluation where the search has arrived, with the Hessian.
_PROOF = (0.0,)
# What the distance may be where the Hessian is known, in tolerances.
EXACT_SLACK = 10.0
PAIRS = ("pairs_s", "pairs_y")
_COUNTS = ("chosen", "shrinks", "n_passes", "n_iterations", "stalls", "suspicions")
_MAX_SHRINKS = 2
# When the curvature is asked for, which is as large as the gradient: at first, and where it may have become another
# one. Asked for at every iteration it saves no pass.
_CURVED_FIRST = 3
_CURVED_EVERY = 8
_CURVED_BELOW = 0.98


@dataclass(frozen=True, eq=False)
class LineState:
    """Everything that the next pass depends on.

    `steps` and `chosen` describe the ask that is open; pairs are (n,) each, oldest first (none for methods that keep
    none); curvature is the Hessian's diagonal where the objective was `curved_value`, here or some iterations ago;
    fit_unit is that of the fit here, start_unit that at the start; distance is (g' H^-1 g)^1/2, as far as it is known;
    stalls and suspicions are counted by `mr_ml.optimize.stopping`.
    """

    point: Floats
    gradient: Floats
    curvature: Floats
    direction: Floats
    pairs_s: Sequence[NDArray[Any]]
    pairs_y: Sequence[NDArray[Any]]
    value: float
    curved_value: float
    steps: tuple[float, ...]
    chosen: int
    shrinks: int
    step: float
    n_passes: int
    n_iterations: int
    stop: Stop | None
    unit: Floats = field(default_factory=lambda: np.ones(1))
    fit_unit: float = 1.0
    start_unit: float = 1.0
    distance: float = np.inf
    stalls: int = 0
    suspicions: int = 0
    leads: Leads | None = None

    @property
    def gradient_norm(self) -> float:
        """Largest component, in units of what it is the sum of."""
        size = np.abs(self.gradient)
        return float(np.divide(size, self.unit, out=size, where=self.unit > 0).max(initial=0.0))


@dataclass(frozen=True)
class LineMethod(ABC):
    """What to minimise how far.

    Attributes
    ----------
    tolerance
        Stop when no component of the gradient (per standard deviation of its feature) is larger, in units of the mean
        absolute slope; and what is left to gain is as small.
    max_passes
        Stop after this many passes.
    """

    tolerance: float = 1e-6
    max_passes: int = 500

    name: ClassVar[str]
    hessian: ClassVar[bool] = False
    # of how many first directions the length means little
    early_steps: ClassVar[int] = 0
    memory = 0
    # the distance may be so many times the tolerance, in units of the fit; after so many iterations without much
    # progress it is what it is
    fit_slack: ClassVar[float] = EXACT_SLACK
    patience: ClassVar[int] = 3
    # whether its steps are so measured that it sees by itself where coefficients grow for ever
    measured: ClassVar[bool] = True
    # whether it asks for the Hessian once it has arrived
    proves = False

    @abstractmethod
    def direction(self, state: LineState, hessian: Floats | None) -> tuple[Floats, float]:
        """Where to go from a freshly accepted point, and how far the optimum seems to be; `hessian` (n, n) if it was
        asked for."""

    def distance(self, state: LineState) -> float:
        """How far the optimum is at most, (g' H^-1 g)^1/2, by what is known of H without having asked for it."""
        return state.distance

    def kept(self, vector: Floats) -> NDArray[Any]:
        """A vector of a pair as it is kept."""
        return vector

    def init(self, point: Floats) -> LineState:
        zero = np.zeros(len(point))
        return LineState(
            point=point, gradient=zero, curvature=zero, direction=zero, pairs_s=(), pairs_y=(),
            value=np.inf, curved_value=np.inf, steps=(0.0,), chosen=0, shrinks=0, step=0.0, n_passes=0,
            n_iterations=0, stop=None,
        )  # fmt: skip

    def ask(self, state: LineState) -> Ask | None:
        if state.stop is not None:
            return None
        direction = state.direction if state.n_passes else None
        hessian = self.hessian or _is_proof(state)
        curvature = not hessian and self._wants_curvature(state)
        return Ask(state.point, direction, state.steps, state.chosen, curvature=curvature, hessian=hessian)

    def _wants_curvature(self, state: LineState) -> bool:
        iteration = state.n_iterations + 1
        due = not state.n_passes or iteration <= _CURVED_FIRST or not iteration % _CURVED_EVERY
        return due or state.value < _CURVED_BELOW * state.curved_value

    def tell(self, state: LineState, evaluation: Evaluation) -> LineState:
        passed = replace(state, n_passes=state.n_passes + 1)
        value = float(evaluation.values[state.chosen])
        if not state.n_passes:
            assert evaluation.curvature is not None
            parts = (value, evaluation.gradient, evaluation.curvature)
            if not all(np.isfinite(part).all() for part in parts):
                return replace(passed, value=value, stop=Stop.DIVERGED)
            return self._move(replace(passed, start_unit=evaluation.fit_unit), state.point, value, evaluation, 0.0)
        if _is_proof(state):
            return self._move(passed, state.point, value, evaluation, 0.0)
        step = state.steps[state.chosen]
        slope = float(state.gradient @ state.direction)
        best = _best_step(state, evaluation.values, slope)
        last_chance = len(state.steps) == 1
        good = _enough(state, value, step, slope) or _flat_enough(state, value, slope, evaluation)
        if good and (last_chance or best is None or not _much_better(state, evaluation.values, best)):
            moved = replace(passed, n_iterations=state.n_iterations + 1)
            return self._move(moved, state.point + step * state.direction, value, evaluation, step)
        if best is not None and not last_chance:
            return self._budget(replace(passed, steps=(state.steps[best],), chosen=0))
        return self._retreat(passed, slope)

    def is_early(self, state: LineState) -> bool:
        """Whether the open ask is for a new direction whose length means little."""
        fresh = state.steps == STEPS and state.stop is None
        return fresh and state.n_iterations < self.early_steps

    def stretched(self, state: LineState, factor: float) -> LineState:
        """The state with a direction of another length."""
        return replace(state, direction=factor * state.direction)

    def _move(self, state: LineState, point: Floats, value: float, ev: Evaluation, step: float) -> LineState:
        pairs_s, pairs_y = state.pairs_s, state.pairs_y
        if step:
            s, y = point - state.point, ev.gradient - state.gradient
            if self.memory and s @ y > 1e-14 * np.sqrt((s @ s) * (y @ y)):
                pairs_s = (*pairs_s, self.kept(s))[-self.memory :]
                pairs_y = (*pairs_y, self.kept(y))[-self.memory :]
            # of the size of the model, like all that is left of it here
            del s, y
        if ev.curvature is not None:
            state = replace(state, curvature=ev.curvature, curved_value=value)
        settled = step == 1 and len(state.steps) > 1 and state.n_iterations >= _SETTLED_FROM
        settled = settled and state.value - value > _ROUNDING * abs(value)
        state = replace(
            state, point=point, value=value, gradient=ev.gradient, pairs_s=pairs_s, pairs_y=pairs_y, step=step,
            steps=SETTLED_STEPS if settled else STEPS, chosen=0, shrinks=0, unit=ev.unit, fit_unit=ev.fit_unit,
            leads=ev.leads,
        )  # fmt: skip
        if stopping.separated(state):
            return replace(state, stop=Stop.SEPARABLE)
        arrived = stopping.arrived(state, tolerance=self.tolerance)
        before, state = state.distance, self._aim(state, ev.hessian)
        if arrived is None:
            return self._budget(replace(state, stalls=0, suspicions=0))
        known = ev.hessian is not None
        state = state if known else replace(state, distance=self.distance(state))
        slack = EXACT_SLACK if known else self.fit_slack
        judged = stopping.judged(
            state, arrived, before=before, fit_tolerance=slack * self.tolerance, patience=self.patience
        )
        if known or judged.stop is None or not judged.stop.converged or not self.proves:
            return self._budget(judged)
        # a distance by what few steps have seen may miss directions that are almost flat
        return judged if judged.n_passes >= self.max_passes else replace(judged, stop=None, steps=_PROOF)

    def _retreat(self, state: LineState, slope: float) -> LineState:
        """No step was good enough: try much shorter ones, then forget the pairs, then give up."""
        arrived = stopping.arrived(state, tolerance=self.tolerance)
        if arrived is not None:
            # it went on for the sake of the fit only
            return replace(state, stop=stopping.at_last(state))
        if _is_rounding(state, slope):
            fresh = scaled_descent(state)
            if not len(state.pairs_s) or _is_rounding(state, float(state.gradient @ fresh)):
                return replace(state, stop=stopping.at_last(state))
            return self._afresh(state, fresh)
        if state.steps == SETTLED_STEPS:
            return self._budget(replace(state, steps=STEPS, chosen=0))
        if state.shrinks < _MAX_SHRINKS:
            scale = _SHRINK ** (state.shrinks + 1)
            steps = tuple(t * scale for t in STEPS)
            return self._budget(replace(state, steps=steps, chosen=0, shrinks=state.shrinks + 1))
        if len(state.pairs_s):
            return self._afresh(state, scaled_descent(state))
        return replace(state, stop=Stop.LINE_SEARCH)

    def _afresh(self, state: LineState, direction: Floats) -> LineState:
        fresh = replace(state, pairs_s=(), pairs_y=(), steps=STEPS, chosen=0, shrinks=0)
        return self._budget(replace(fresh, direction=direction))

    def _aim(self, state: LineState, hessian: Floats | None) -> LineState:
        direction, distance = self.direction(state, hessian)
        if not state.gradient @ direction < 0:
            state = replace(state, pairs_s=(), pairs_y=())
            direction, distance = with_distance(state, scaled_descent(state))
        return replace(state, direction=direction, distance=distance)

    def _budget(self, state: LineState) -> LineState:
        used_up = state.stop is None and state.n_passes >= self.max_passes
        return replace(state, stop=Stop.PASSES) if used_up else state

    def encode(self, state: LineState) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON and arrays that `decode` turns into the same state, bit for bit."""
        values = {f.name: getattr(state, f.name) for f in fields(state)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        for name in PAIRS:
            arrays[name] = np.array(values[name]) if len(values[name]) else np.empty((0, len(state.point)))
        # as arrays: infinity has no JSON
        arrays["scalars"] = np.array([state.value, state.step, *state.steps])
        arrays["curved_value"] = np.array([state.curved_value])
        arrays["fit"] = np.array([state.fit_unit, state.start_unit, state.distance])
        if state.leads is not None:
            arrays["leads"] = np.array(astuple(state.leads))
        meta = {name: values[name] for name in _COUNTS}
        return {**meta, "stop": state.stop and state.stop.name}, arrays

    def decode(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LineState:
        """Undo `encode`."""
        vectors = ("point", "gradient", "curvature", "direction", *PAIRS)
        named: dict[str, Any] = {name: arrays[name] for name in vectors}
        named.update({name: tuple(named[name]) for name in PAIRS})
        value, step, *steps = arrays["scalars"].tolist()
        # states were without it once; then the curvature is asked for at the next pass
        (curved_value,) = arrays.get("curved_value", np.array([np.inf])).tolist()
        # nor did they have what stopping now is judged by: until the next pass they are judged as they were then
        fit_unit, start_unit, distance = arrays.get("fit", np.array([1.0, 1.0, np.inf])).tolist()
        leads = Leads(*arrays["leads"].tolist()) if "leads" in arrays else None
        counts = {name: meta.get(name, 0) for name in _COUNTS}
        stop = None if meta["stop"] is None else Stop[meta["stop"]]
        return LineState(
            **named, **counts, value=value, curved_value=curved_value, step=step, steps=tuple(steps), stop=stop,
            unit=arrays.get("unit", np.ones(1)), fit_unit=fit_unit, start_unit=start_unit, distance=distance,
            leads=leads,
        )  # fmt: skip


def _is_proof(state: LineState) -> bool:
    return state.n_passes > 0 and state.steps == _PROOF


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
    """The tried step of lowest value among those that decrease enough."""
    good = [j for j, step in enumerate(state.steps) if _enough(state, float(values[j]), step, slope)]
    return min(good, key=lambda j: values[j]) if good else None


def _much_better(state: LineState, values: Floats, best: int) -> bool:
    """Whether another step wins so much that its gradient is worth one more pass."""
    gain, best_gain = state.value - values[state.chosen], state.value - values[best]
    # below this share of the value gains are soon rounding, and convergence is fast anyway
    return best != state.chosen and bool(best_gain > 1e-6 * abs(state.value) and gain < 0.2 * best_gain)


def with_distance(state: LineState, direction: Floats) -> tuple[Floats, float]:
    """The direction p and (-g' p)^1/2: the distance of the optimum if p is -H^-1 g."""
    return direction, float(np.sqrt(abs(state.gradient @ direction)))


def scaled_descent(state: LineState) -> Floats:
    """The negative gradient divided by the Hessian's diagonal."""
    return -state.gradient * inverse_diagonal(state)


def inverse_diagonal(state: LineState) -> Floats:
    """1 / h, and 1 where the objective is flat."""
    h = state.curvature
    return np.divide(1.0, h, out=np.ones_like(h), where=h > 0)
