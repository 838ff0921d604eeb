"""What an optimizer asks and is told. Optimizers know flat vectors and nothing of rows, passes or files.

    while (ask := optimizer.ask(state)) is not None:
        state = optimizer.tell(state, evaluate(ask))

A state is an immutable value that round-trips through storage; every pass is a restart point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Leads:
    """How far classes are apart: over all rows, the least and the most by which the own class is ahead of another one,
    and by which the direction, taken once, moves it ahead. Negatives of what is most, so that all are minima; infinite
    where there is nothing.
    """

    least: float
    minus_most: float
    least_move: float = math.inf
    minus_most_move: float = math.inf


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective's values (n_steps,) and gradient (n,); and as asked for, the Hessian (n, n) and its diagonal (n,).

    With the Hessian the diagonal always comes. `unit`, (n,) or (1,), is the size of what the components of the gradient
    are the sums of, `fit_unit` that of what (g' H^-1 g)^1/2 is measured by; `leads` comes where the objective may have
    no minimum.
    """

    values: Floats
    gradient: Floats
    curvature: Floats | None = None
    hessian: Floats | None = None
    unit: Floats = field(default_factory=lambda: np.ones(1))
    fit_unit: float = 1.0
    leads: Leads | None = None


class Stop(Enum):
    """Why a run ended; the value is what the user reads."""

    GRADIENT = "converged: the largest gradient component is below the tolerance"
    ROUNDING = (
        "converged as far as floating point goes: what is left of the gradient is rounding; "
        "the tolerance asks for more than the data's rounding allows"
    )
    SEPARABLE = (
        "stopped: there is no finite optimum, or none that so small a penalty brings within reach: the classes can be "
        "separated, so that coefficients grow for ever; give --l2 or a larger one, or drop the features that separate "
        "them"
    )
    FLAT = (
        "stopped: the data does not determine the fit in double precision: some features are almost a sum of others; "
        "drop, centre or combine such features, or give --l2"
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
