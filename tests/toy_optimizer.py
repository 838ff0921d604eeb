"""An optimizer from outside: Newton's method, damped as Levenberg and Marquardt do it; no line search, no history.

It is written for the protocol alone, shares no code with those of `mr_ml.optimize`, and is registered by tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.optimize.base import Ask, Cost, Evaluation, Optimizer, Result, SearchProgress, Separation, Stop, Stored

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToyState:
    """The last accepted point, and the move (n,) from there that is asked for."""

    point: Floats
    gradient: Floats
    hessian: Floats
    move: Floats
    value: float = np.inf
    norm: float = 0.0
    step: float = 0.0
    damping: float = 1e-4
    passes: int = 0
    stop: Stop | None = None
    separation: Separation | None = None


@dataclass(frozen=True)
class Toy(Optimizer[ToyState, Ask, Evaluation]):
    """Solves (H + damping diag(H)) move = -g; ten times the damping where that does not lower the objective."""

    tolerance: float
    max_passes: int

    name = "toy"

    def init(self, point: Floats) -> ToyState:
        zero = np.zeros(len(point))
        return ToyState(point, zero, np.zeros((len(point),) * 2), zero)

    def ask(self, state: ToyState) -> Ask | None:
        return None if state.stop else Ask(state.point, state.move, (1.0,), hessian=True)

    def tell(self, state: ToyState, evaluation: Evaluation) -> ToyState:
        value, gradient, hessian = float(evaluation.values[0]), evaluation.gradient, evaluation.hessian
        assert hessian is not None
        finite = all(np.isfinite(part).all() for part in (value, gradient, hessian))
        first = not state.passes
        state = replace(state, passes=state.passes + 1)
        if finite and (first or value <= state.value):
            norm = float(np.abs(gradient / evaluation.unit).max(initial=0))
            state = replace(
                state, point=state.point + state.move, gradient=gradient, hessian=hessian, value=value, norm=norm,
                step=float(not first), damping=state.damping / 10, separation=evaluation.separation,
                stop=Stop.GRADIENT if norm <= self.tolerance else None,
            )  # fmt: skip
            if evaluation.separation is not None and evaluation.separation.min_gap > 0:
                state = replace(state, stop=Stop.SEPARABLE)
        elif first:
            return replace(state, value=value, stop=Stop.DIVERGED)
        else:
            # what is left is rounding, or no move is good
            stop = Stop.ROUNDING if finite and state.damping >= 1e12 else None
            stop = Stop.LINE_SEARCH if np.isfinite(value) and not finite else stop
            state = replace(state, damping=state.damping * 10, stop=stop)
        if state.stop is None and state.passes >= self.max_passes:
            return replace(state, stop=Stop.PASSES)
        size = np.sqrt(np.maximum(np.diag(state.hessian), 0))
        unit = np.divide(1, size, out=np.zeros_like(size), where=size > 0)
        scaled = state.hessian * np.outer(unit, unit) + max(state.damping, 1e-15) * np.eye(len(unit))
        return replace(state, move=-unit * np.linalg.solve(scaled, unit * state.gradient))

    def progress(self, state: ToyState) -> SearchProgress:
        return SearchProgress(state.passes, state.value, state.norm, state.step)

    def result(self, state: ToyState) -> Result:
        assert state.stop is not None
        return Result(state.point, state.move, state.stop, frozenset(), self.progress(state), state.separation)

    def cost(self, size: int) -> Cost:
        return Cost(pass_bytes=8 * (3 * size + size * size), state_bytes=8 * (6 * size + 5 * size * size + 9))

    def encode(self, state: ToyState) -> tuple[dict[str, Any], dict[str, Stored]]:
        separation = () if state.separation is None else astuple(state.separation)
        numbers = np.array([state.value, state.norm, state.step, state.damping, *separation])
        arrays = {"point": state.point, "gradient": state.gradient, "hessian": state.hessian, "move": state.move}
        return {"passes": state.passes, "stop": state.stop and state.stop.name}, {**arrays, "numbers": numbers}

    def decode(self, meta: Mapping[str, Any], arrays: Mapping[str, Stored], *, size: int) -> ToyState:
        shapes = {"point": (size,), "gradient": (size,), "hessian": (size, size), "move": (size,)}
        given = {name: np.asarray(array) for name, array in arrays.items()}
        for name, shape in shapes.items():
            if given[name].shape != shape or given[name].dtype != np.float64:
                raise ValueError(f"{name} of {given[name].dtype} and shape {given[name].shape}")
        value, norm, step, damping, *separation = given["numbers"].tolist()
        passes, stop = meta["passes"], meta["stop"]
        if type(passes) is not int or passes < 0 or not np.isfinite(given["point"]).all():
            raise ValueError(f"{passes} passes to {given['point']}")
        return ToyState(
            **{name: given[name] for name in shapes}, value=value, norm=norm, step=step, damping=damping,
            passes=passes, stop=None if stop is None else Stop[stop],
            separation=Separation(*separation) if separation else None,
        )  # fmt: skip


def toy(*, size: int, tolerance: float, max_passes: int) -> Toy:
    """Its `mr_ml.optimize.choose.Factory`."""
    return Toy(tolerance, max_passes)
