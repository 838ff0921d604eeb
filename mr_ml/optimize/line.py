"""The part that all smooth methods share: one flat machine of accepted and rejected steps, one pass an iteration.

Every ask carries losses at several steps along the direction, with the gradient at step 1. Step 1 is taken
if it decreases the objective enough (Armijo), else the best of the tried steps is asked for once more with its
gradient: one more pass. At the level of rounding, where values no longer tell, the slopes decide (Hager & Zhang 2005,
eq. 4.1). A method is a way to aim: `direction` from what the last accepted point brought.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.optimize.base import Ask, Evaluation, Floats, Stop

STEPS = (1.0, 4.0, 2.0, 0.5, 0.25, 2.0**-4, 2.0**-7, 2.0**-12)
# Once the last direction was taken at its full length, others seldom matter; for rows of few entries, losses are what a
# pass takes time for.
SETTLED_STEPS = (1.0, 0.5, 0.25, 2.0**-4)
_SETTLED_FROM = 3
_ARMIJO = 1e-4
_ROUNDING = 1e-12
# what the rounding of the coefficients alone does to a gradient, relative to curvature times coefficient
_NOISE = 4 * np.finfo(float).eps
_SHRINK = 2.0**-13
_PAIRS = ("pairs_s", "pairs_y")
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
    none); curvature is the Hessian's diagonal where the objective was `curved_value`, here or some iterations ago.
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

    @property
    def gradient_norm(self) -> float:
        """Largest absolute component."""
        return float(np.abs(self.gradient).max(initial=0.0))


@dataclass(frozen=True)
class LineMethod(ABC):
    """What to minimise how far.

    Attributes
    ----------
    tolerance
        Stop when no component of the gradient (per standard deviation of its feature) is larger.
    max_passes
        Stop after this many passes.
    """

    tolerance: float = 1e-7
    max_passes: int = 500

    name: ClassVar[str]
    hessian: ClassVar[bool] = False
    # of how many first directions the length means little
    early_steps: ClassVar[int] = 0
    memory = 0

    @abstractmethod
    def direction(self, state: LineState, hessian: Floats | None) -> Floats:
        """Where to go from a freshly accepted point; `hessian` (n, n) if the method asks for it."""

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
        curvature = not self.hessian and self._wants_curvature(state)
        return Ask(state.point, direction, state.steps, state.chosen, curvature=curvature, hessian=self.hessian)

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
            steps=SETTLED_STEPS if settled else STEPS, chosen=0, shrinks=0,
        )  # fmt: skip
        if state.gradient_norm <= self.tolerance:
            return replace(state, stop=Stop.GRADIENT)
        if state.gradient_norm <= _NOISE * (state.curvature * (1 + np.abs(state.point))).max(initial=0.0):
            return replace(state, stop=Stop.ROUNDING)
        return self._budget(self._aim(state, ev.hessian))

    def _retreat(self, state: LineState, slope: float) -> LineState:
        """No step was good enough: try much shorter ones, then forget the pairs, then give up."""
        if abs(slope) <= 64 * np.finfo(float).eps * max(abs(state.value), 1e-300):
            return replace(state, stop=Stop.ROUNDING)
        if state.steps == SETTLED_STEPS:
            return self._budget(replace(state, steps=STEPS, chosen=0))
        if state.shrinks < _MAX_SHRINKS:
            scale = _SHRINK ** (state.shrinks + 1)
            steps = tuple(t * scale for t in STEPS)
            return self._budget(replace(state, steps=steps, chosen=0, shrinks=state.shrinks + 1))
        if len(state.pairs_s):
            fresh = replace(state, pairs_s=(), pairs_y=(), steps=STEPS, chosen=0, shrinks=0)
            return self._budget(replace(fresh, direction=scaled_descent(fresh)))
        return replace(state, stop=Stop.LINE_SEARCH)

    def _aim(self, state: LineState, hessian: Floats | None) -> LineState:
        direction = self.direction(state, hessian)
        if not state.gradient @ direction < 0:
            state = replace(state, pairs_s=(), pairs_y=())
            direction = scaled_descent(state)
        return replace(state, direction=direction)

    def _budget(self, state: LineState) -> LineState:
        return replace(state, stop=Stop.PASSES) if state.n_passes >= self.max_passes else state

    def encode(self, state: LineState) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON and arrays that `decode` turns into the same state, bit for bit."""
        values = {f.name: getattr(state, f.name) for f in fields(state)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        for name in _PAIRS:
            arrays[name] = np.array(values[name]) if len(values[name]) else np.empty((0, len(state.point)))
        # as arrays: infinity has no JSON
        arrays["scalars"] = np.array([state.value, state.step, *state.steps])
        arrays["curved_value"] = np.array([state.curved_value])
        meta = {name: values[name] for name in ("chosen", "shrinks", "n_passes", "n_iterations")}
        return {**meta, "stop": state.stop and state.stop.name}, arrays

    def decode(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LineState:
        """Undo `encode`."""
        vectors = ("point", "gradient", "curvature", "direction", *_PAIRS)
        named: dict[str, Any] = {name: arrays[name] for name in vectors}
        named.update({name: tuple(named[name]) for name in _PAIRS})
        value, step, *steps = arrays["scalars"].tolist()
        # states were without it once; then the curvature is asked for at the next pass
        (curved_value,) = arrays.get("curved_value", np.array([np.inf])).tolist()
        counts = {name: meta[name] for name in ("chosen", "shrinks", "n_passes", "n_iterations")}
        stop = None if meta["stop"] is None else Stop[meta["stop"]]
        return LineState(
            **named, **counts, value=value, curved_value=curved_value, step=step, steps=tuple(steps), stop=stop
        )


def _enough(state: LineState, value: float, step: float, slope: float) -> bool:
    return bool(value <= state.value + _ARMIJO * step * slope)


def _flat_enough(state: LineState, value: float, slope: float, ev: Evaluation) -> bool:
    if not value <= state.value + _ROUNDING * abs(state.value):
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


def scaled_descent(state: LineState) -> Floats:
    """The negative gradient divided by the Hessian's diagonal."""
    return -state.gradient * inverse_diagonal(state)


def inverse_diagonal(state: LineState) -> Floats:
    """1 / h, and 1 where the objective is flat."""
    h = state.curvature
    return np.divide(1.0, h, out=np.ones_like(h), where=h > 0)
