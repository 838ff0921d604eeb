"""L-BFGS whose starting matrix is the exact diagonal of the Hessian, one pass an iteration.

The direction is -B g by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) with

    B_0 = gamma diag(h)^-1,    gamma = s'y / y' diag(h)^-1 y  clipped to [0.1, 4]

h the diagonal at the current point, which makes the method indifferent to the scale of each feature. Every ask
carries losses at several steps along the direction, with gradient and curvature at step 1. Step 1 is taken if it
decreases the objective enough (Armijo), else the best of the tried steps is asked for once more with its gradient:
one more pass. At the level of rounding, where values no longer tell, the slopes decide (Hager & Zhang 2005, eq. 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.optimize.base import Ask, Evaluation, Floats, Stop

STEPS = (1.0, 4.0, 2.0, 0.5, 0.25, 2.0**-4, 2.0**-7, 2.0**-12)
_ARMIJO = 1e-4
_ROUNDING = 1e-12
_SHRINK = 2.0**-13
_MAX_SHRINKS = 2
_GAMMA = (0.1, 4.0)


@dataclass(frozen=True, eq=False)
class LbfgsState:
    """Everything that the next pass depends on.

    `steps` and `chosen` describe the ask that is open; pairs are (n_pairs, n), oldest first.
    """

    point: Floats
    gradient: Floats
    curvature: Floats
    direction: Floats
    pairs_s: Floats
    pairs_y: Floats
    value: float
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
class Lbfgs:
    """The optimizer's settings.

    Attributes
    ----------
    tolerance
        Stop when no component of the gradient (per standard deviation of its feature) is larger.
    max_passes
        Stop after this many passes.
    memory
        Pairs kept; each costs 16 bytes per coefficient.
    """

    tolerance: float = 1e-7
    max_passes: int = 500
    memory: int = 20

    name = "lbfgs"

    def init(self, point: Floats) -> LbfgsState:
        zero, none = np.zeros_like(point), np.empty((0, len(point)))
        return LbfgsState(
            point=point, gradient=zero, curvature=zero, direction=zero, pairs_s=none, pairs_y=none,
            value=np.inf, steps=(0.0,), chosen=0, shrinks=0, step=0.0, n_passes=0, n_iterations=0, stop=None,
        )  # fmt: skip

    def ask(self, state: LbfgsState) -> Ask | None:
        if state.stop is not None:
            return None
        direction = state.direction if state.n_passes else None
        return Ask(state.point, direction, state.steps, state.chosen)

    def tell(self, state: LbfgsState, evaluation: Evaluation) -> LbfgsState:
        passed = replace(state, n_passes=state.n_passes + 1)
        value = float(evaluation.values[state.chosen])
        if not state.n_passes:
            if not (np.isfinite(value) and np.isfinite(evaluation.gradient).all()):
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

    def _move(self, state: LbfgsState, point: Floats, value: float, ev: Evaluation, step: float) -> LbfgsState:
        pairs_s, pairs_y = state.pairs_s, state.pairs_y
        if step:
            s, y = point - state.point, ev.gradient - state.gradient
            if s @ y > 1e-14 * np.sqrt((s @ s) * (y @ y)):
                pairs_s = np.concatenate([pairs_s, s[None]])[-self.memory :]
                pairs_y = np.concatenate([pairs_y, y[None]])[-self.memory :]
        state = replace(
            state, point=point, value=value, gradient=ev.gradient, curvature=ev.curvature,
            pairs_s=pairs_s, pairs_y=pairs_y, step=step, steps=STEPS, chosen=0, shrinks=0,
        )  # fmt: skip
        if state.gradient_norm <= self.tolerance:
            return replace(state, stop=Stop.GRADIENT)
        return self._budget(_aim(state))

    def _retreat(self, state: LbfgsState, slope: float) -> LbfgsState:
        """No step was good enough: try much shorter ones, then forget the pairs, then give up."""
        if abs(slope) <= 64 * np.finfo(float).eps * max(abs(state.value), 1e-300):
            return replace(state, stop=Stop.ROUNDING)
        if state.shrinks < _MAX_SHRINKS:
            scale = _SHRINK ** (state.shrinks + 1)
            steps = tuple(t * scale for t in STEPS)
            return self._budget(replace(state, steps=steps, chosen=0, shrinks=state.shrinks + 1))
        if len(state.pairs_s):
            none = state.pairs_s[:0]
            fresh = replace(state, pairs_s=none, pairs_y=none, steps=STEPS, chosen=0, shrinks=0)
            return self._budget(_aim(fresh))
        return replace(state, stop=Stop.LINE_SEARCH)

    def _budget(self, state: LbfgsState) -> LbfgsState:
        return replace(state, stop=Stop.PASSES) if state.n_passes >= self.max_passes else state

    def encode(self, state: LbfgsState) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON and arrays that `decode` turns into the same state, bit for bit."""
        values = {f.name: getattr(state, f.name) for f in fields(state)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        # as an array: infinity has no JSON
        arrays["scalars"] = np.array([state.value, state.step, *state.steps])
        meta = {name: values[name] for name in ("chosen", "shrinks", "n_passes", "n_iterations")}
        return {**meta, "stop": state.stop and state.stop.name}, arrays

    def decode(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LbfgsState:
        """Undo `encode`."""
        named = {f.name: arrays[f.name] for f in fields(LbfgsState) if f.name in arrays}
        value, step, *steps = arrays["scalars"].tolist()
        counts = {name: meta[name] for name in ("chosen", "shrinks", "n_passes", "n_iterations")}
        stop = None if meta["stop"] is None else Stop[meta["stop"]]
        return LbfgsState(**named, **counts, value=value, step=step, steps=tuple(steps), stop=stop)


def _enough(state: LbfgsState, value: float, step: float, slope: float) -> bool:
    return bool(value <= state.value + _ARMIJO * step * slope)


def _flat_enough(state: LbfgsState, value: float, slope: float, ev: Evaluation) -> bool:
    if not value <= state.value + _ROUNDING * abs(state.value):
        return False
    new_slope = float(ev.gradient @ state.direction)
    return (2 * _ARMIJO - 1) * slope >= new_slope >= 0.9 * slope


def _best_step(state: LbfgsState, values: Floats, slope: float) -> int | None:
    """The tried step of lowest value among those that decrease enough."""
    good = [j for j, step in enumerate(state.steps) if _enough(state, float(values[j]), step, slope)]
    return min(good, key=lambda j: values[j]) if good else None


def _much_better(state: LbfgsState, values: Floats, best: int) -> bool:
    """Whether another step wins so much that its gradient is worth one more pass."""
    return best != state.chosen and bool(state.value - values[state.chosen] < 0.2 * (state.value - values[best]))


def _aim(state: LbfgsState) -> LbfgsState:
    direction = _direction(state)
    if not state.gradient @ direction < 0:
        none = state.pairs_s[:0]
        state = replace(state, pairs_s=none, pairs_y=none)
        direction = _direction(state)
    return replace(state, direction=direction)


def _direction(state: LbfgsState) -> Floats:
    usable = state.curvature > 0
    inverse = np.divide(1.0, state.curvature, out=np.ones_like(state.curvature), where=usable)
    pairs = list(zip(state.pairs_s, state.pairs_y, strict=True))
    q, alphas = -state.gradient, []
    for s, y in reversed(pairs):
        alpha = (s @ q) / (s @ y)
        alphas.append(alpha)
        q = q - alpha * y
    if pairs:
        s, y = pairs[-1]
        q = q * float(np.clip((s @ y) / (y @ (inverse * y)), *_GAMMA))
    q = q * inverse
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + s * (alpha - (y @ q) / (s @ y))
    return q
