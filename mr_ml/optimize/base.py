"""The protocol of optimizers: `ask` and `tell`. They know flat vectors and nothing of rows, passes or files.

    while (ask := optimizer.ask(state)) is not None:
        state = optimizer.tell(state, evaluate(ask))
    result = optimizer.result(state)

A state is an immutable value that can be stored and read back, so that a search can go on from every pass.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.optimize.columns import Columns as Columns
from mr_ml.optimize.kinks import Kinks as Kinks
from mr_ml.optimize.reach import Reach as Reach

Floats = NDArray[np.float64]
Stored = NDArray[Any] | Sequence[NDArray[Any]]  # an array, or the vectors that are its rows
State = TypeVar("State")
AskT = TypeVar("AskT", covariant=True)
EvaluationT = TypeVar("EvaluationT", contravariant=True)


@dataclass(frozen=True, eq=False)
class Ask:
    """What one pass is to compute: values at several steps along a line, derivatives at one of them.

    Attributes
    ----------
    point
        (n,) where the line begins.
    direction
        (n,) of the line; None for the point alone.
    steps
        The objective's value is wanted at point + step * direction for each of them.
    chosen
        Index of the step at which the gradient is wanted, and what follows.
    curvature
        Whether the Hessian's diagonal is wanted.
    hessian
        Whether the Hessian and its diagonal are wanted.
    factor
        Whether a factor of the Hessian is wanted too, where the objective is quadratic.
    coupling
        Whether it is wanted beside the diagonal how coefficients go together with the intercept, if that costs little.
    beside
        What the same pass is to compute besides.
    """

    point: Floats
    direction: Floats | None = None
    steps: tuple[float, ...] = (0.0,)
    chosen: int = 0
    curvature: bool = True
    hessian: bool = False
    factor: bool = False
    coupling: bool = False
    beside: Ask | None = None


@dataclass(frozen=True)
class Separation:
    """How far the classes are apart, over all rows.

    A row's gap is its margin for its own class minus that for another class, so a row is on its right side where all
    its gaps are positive. Maxima are stored as minima of the negatives; all four are infinite where there are no rows.

    Attributes
    ----------
    min_gap
        At the point, but for offsets: where it is positive, larger coefficients make every gap larger.
    minus_max_gap
        At the point, with offsets: where it is far below 0, the gradient has nothing of some row.
    min_gap_change, minus_max_gap_change
        What the direction, taken once, adds to the gaps.
    """

    min_gap: float
    minus_max_gap: float
    min_gap_change: float = math.inf
    minus_max_gap_change: float = math.inf


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective as one pass found it.

    Attributes
    ----------
    values
        (n_steps,) at the steps of the ask, with what is not smooth.
    gradient
        (n,) at the chosen step, of what is smooth.
    curvature
        (n,) the Hessian's diagonal there, if it or the Hessian was asked for.
    hessian
        (n, n) if it was asked for.
    quadratic
        Whether the objective is quadratic, so that the Hessian is the same everywhere.
    factor
        (m, n + 1), m <= n + 1, upper triangular, if it was asked for and the objective is quadratic: with R its first n
        columns and q the last one, 1/2 |R p - q|^2 is the value at the chosen step and p from there.
    unit
        (n,) or (1,): the size of what each component of the gradient is the sum of.
    fit_unit
        What the distance (g' H^-1 g)^1/2 is measured by.
    separation
        Given where the objective may have no minimum because classes can be separated.
    kinks
        What is not smooth; None where all is.
    reach
        How far steps move the derivatives of the loss at most; None where that is not known.
    columns
        How columns go together, where the Hessian says so.
    coupling
        (n_outputs, n / n_outputs - 1) of the Hessian at the chosen step: how each coefficient goes together with its
        output's intercept, which is the last one of each; if it was asked for and is known.
    beside
        Of what was asked for besides.
    """

    values: Floats
    gradient: Floats
    curvature: Floats | None = None
    hessian: Floats | None = None
    quadratic: bool = False
    factor: Floats | None = None
    unit: Floats = field(default_factory=lambda: np.ones(1))
    fit_unit: float = 1.0
    separation: Separation | None = None
    kinks: Kinks | None = None
    reach: Reach | None = None
    columns: Columns | None = None
    coupling: Floats | None = None
    beside: Evaluation | None = None


class SampledLoss(Protocol):
    """The mean loss of some of the rows near a point, in the optimizer's coordinates and without the penalty.

    It says where to go, never whether it is good there: that is for the objective of all rows.
    """

    @property
    def rows(self) -> Floats:
        """Of how many of the rows each coefficient moves the margins, (n,)."""

    @property
    def share(self) -> float:
        """The share of all rows that these are, at most 1."""

    @property
    def noise(self) -> float:
        """The share, from 0 to 1, of what the Hessian has off its diagonal that comes of there being no more rows."""

    @property
    def penalty(self) -> Floats:
        """The diagonal, (n,), of the Hessian of the whole objective's penalty, where that is quadratic."""

    @property
    def gradient(self) -> Floats:
        """The gradient, (n,)."""

    @property
    def diagonal(self) -> Floats:
        """That of the Hessian, (n,)."""

    def times(self, vector: Floats) -> Floats:
        """Multiply the Hessian with a vector (n,)."""

    def gains(self, direction: Floats, steps: Sequence[float]) -> Floats:
        """Return what each step along a direction (n,) changes the mean loss by, less slope times step; (n_steps,)."""

    def moved(self, direction: Floats) -> SampledLoss:
        """Return the same at the point plus a direction (n,)."""


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
        """Whether an optimum was found."""
        return self in (Stop.GRADIENT, Stop.ROUNDING)


@dataclass(frozen=True)
class SearchProgress:
    """How far a search has come, for the log and for people who watch.

    Attributes
    ----------
    passes
        Number of evaluations so far.
    value
        The objective at the best point so far.
    gradient_norm
        Largest component of the gradient there, in the units of the evaluation.
    step
        Length of the last accepted step, in multiples of its direction; 0 at the start.
    note
        A sentence for the user about the last pass.
    """

    passes: int
    value: float
    gradient_norm: float
    step: float
    note: str | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """What a search that has ended found.

    Attributes
    ----------
    point
        (n,) the best point.
    direction
        (n,) where the search would have gone next: if it did not converge, which coefficients were still changing.
    stop
        Why it ended.
    rules_out
        What cannot be the true reason where the search has converged: one that does not rule out SEPARABLE or FLAT may
        take a flat region for an optimum, and the caller has to look for itself.
    progress
        At the end.
    separation
        How far classes are apart at the point, if the last evaluation said so.
    curvature
        (n,) the Hessian's diagonal there, or not long before; None where that is not known.
    flat
        (k, n_columns) directions along which no row changes, see `mr_ml.optimize.columns`; None where that is not
        known.
    """

    point: Floats
    direction: Floats
    stop: Stop
    rules_out: frozenset[Stop]
    progress: SearchProgress
    separation: Separation | None = None
    curvature: Floats | None = None
    flat: Floats | None = None


@dataclass(frozen=True)
class Cost:
    """Upper bounds of what a search takes, in bytes.

    Attributes
    ----------
    pass_bytes
        The sums that one pass has to return.
    state_bytes
        What the driver holds of the state, its history aside, and while it is told of a pass; not what is computed from
        a Hessian, which takes no more than the sums of the pass did before.
    history_bytes
        The state's history.
    sampled
        Whether the loss of a sample of the rows is asked for, which the driver holds then.
    """

    pass_bytes: int
    state_bytes: int
    history_bytes: int = 0
    sampled: bool = False


class Optimizer(Protocol[State, AskT, EvaluationT]):
    """A method that minimises an objective, as pure functions of its state.

    Implementations are frozen dataclasses of their settings; those that inherit need only define what is abstract.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that states and models are stored with, and that `choose.OPTIMIZERS` knows."""

    @property
    def takes_kinks(self) -> bool:
        """Whether it minimises what is not smooth too: see `Evaluation.kinks`."""
        return False

    def unfit(self, size: int) -> str | None:
        """Say why it is not what `auto` chooses for so many coefficients; None if it may be."""
        return None

    @property
    def histories(self) -> Mapping[str, str]:
        """Names of arrays in `encode` whose rows do not change once they are there, and the names of such rows.

        All have the same number of rows. Later states have some of the rows of earlier ones, as the same objects, and
        new ones. So each row of large states is stored once, in a file of the pass it came with, by name and number.
        """
        return {}

    @abstractmethod
    def init(self, point: Floats) -> State:
        """Make the state of a search that begins at a point (n,)."""

    def init_warm(self, point: Floats, guess: Floats) -> State:
        """Make the state of a search that begins at a guess (n,), or at the point if it finds that better."""
        return self.init(guess)

    @property
    def begins_by_sample(self) -> bool:
        """Whether the optimum of a sample of the rows, as it finds it itself, is a good place to begin."""
        return False

    def init_sampled(self, point: Floats, guess: Floats, *, columns: int | None) -> State:
        """Make the state of a search that begins at that optimum (n,), or at the point if it finds that better.

        Parameters
        ----------
        columns
            How many columns there are, if it is known that none is a sum of others; else None.
        """
        return self.init_warm(point, guess)

    @abstractmethod
    def ask(self, state: State) -> AskT | None:
        """Say what the next pass is to compute; None where the search has ended."""

    @abstractmethod
    def tell(self, state: State, evaluation: EvaluationT) -> State:
        """Make the state after a pass that computed what was asked for."""

    def ask_sample(self, state: State) -> AskT | None:
        """Say the open ask, if a sample of the rows should first say how far to go along its direction; else None."""
        return None

    def tell_sample(self, state: State, length: float) -> State:
        """Make the state whose direction is `length` times that of `ask_sample`; of no use to those that never ask."""
        return state

    def point(self, state: State) -> Floats:
        """Say which is the best point (n,) so far; here, of a state whose `ask` is None."""
        return self.result(state).point

    def ask_sampled(self, state: State) -> Floats | None:
        """Say the point (n,) at which the loss of a sample of the rows is of use for the open ask; else None.

        After each `tell`, before the state is stored. Where there is such a sample `tell_sampled` follows, and
        `ask_sample` only if that leaves the direction as it is, the very array.
        """
        return None

    def tell_sampled(self, state: State, loss: SampledLoss) -> State:
        """Make the state whose open ask goes by the loss of a sample there; of no use to those that never ask."""
        return state

    @abstractmethod
    def progress(self, state: State) -> SearchProgress:
        """Say how far the search has come."""

    @abstractmethod
    def result(self, state: State) -> Result:
        """Say what was found; of a state whose `ask` is None."""

    @abstractmethod
    def cost(self, size: int) -> Cost:
        """Say what a search over `size` coefficients takes."""

    @abstractmethod
    def encode(self, state: State) -> tuple[dict[str, Any], dict[str, Stored]]:
        """Turn a state into JSON and arrays that `decode` turns into the same state, bit for bit.

        Arrays in `histories` are sequences of their rows.
        """

    @abstractmethod
    def decode(self, meta: Mapping[str, Any], arrays: Mapping[str, Stored], *, size: int) -> State:
        """Undo `encode`, whatever the JSON and the arrays are.

        Parameters
        ----------
        meta, arrays
            As `encode` gave them; histories may also be arrays.
        size
            Number of coefficients.

        Raises
        ------
        KeyError, TypeError, ValueError
            If this is no state of a search over so many coefficients that the optimizer can be in.
        """


def stacked(arrays: Mapping[str, Stored], size: int) -> dict[str, NDArray[Any]]:
    """Make histories among the arrays of `Optimizer.encode` arrays too, (n_rows, size)."""
    return {
        name: rows if isinstance(rows, np.ndarray) else np.array(rows).reshape(len(rows), size)
        for name, rows in arrays.items()
    }
