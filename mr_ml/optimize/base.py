"""What an optimizer asks and is told. Optimizers know flat vectors and nothing of rows, passes or files.

    while (ask := optimizer.ask(state)) is not None:
        state = optimizer.tell(state, evaluate(ask))

A state is an immutable value that round-trips through storage; every pass is a restart point.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = TypeVar("State")


@dataclass(frozen=True, eq=False)
class Ask:
    """Values at point + steps[j] direction; gradient and, if wanted, curvature and the Hessian at j = chosen."""

    point: Floats
    direction: Floats | None = None
    steps: tuple[float, ...] = (0.0,)
    chosen: int = 0
    curvature: bool = True
    hessian: bool = False


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective's values (n_steps,) and gradient (n,); and as asked for, the Hessian (n, n) and its diagonal (n,).

    With the Hessian the diagonal always comes.
    """

    values: Floats
    gradient: Floats
    curvature: Floats | None = None
    hessian: Floats | None = None


class Stop(Enum):
    """Why a run ended; the value is what the user reads."""

    GRADIENT = "converged: the largest gradient component is below the tolerance"
    ROUNDING = (
        "converged as far as floating point goes: no step lowers the objective; "
        "the tolerance asks for more than the data's rounding allows"
    )
    LINE_SEARCH = (
        "stopped: no step lowers the objective although the gradient is large; "
        "look for features of enormous range (mr-ml describe) and raise --l2"
    )
    PASSES = "stopped: the budget of passes is used up; raise --max-passes, loosen --tolerance or raise --l2"
    DIVERGED = (
        "stopped: the objective is not finite at the starting point; "
        "look for huge feature values, offsets or weights (mr-ml describe)"
    )

    @property
    def converged(self) -> bool:
        return self in (Stop.GRADIENT, Stop.ROUNDING)


class Optimizer(Protocol[State]):
    def init(self, point: Floats) -> State: ...

    def ask(self, state: State) -> Ask | None: ...

    def tell(self, state: State, evaluation: Evaluation) -> State: ...

    def encode(self, state: State) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]: ...

    def decode(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> State: ...
