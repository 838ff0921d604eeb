"""What is told of work while it goes on, to whoever listens; it knows nothing of terminals.

Work is told in *stages*, which may lie within each other: scanning text, a training, one job on a cluster. Sessions,
engines, runners and packing open them, and a listener hears of each that it started, advanced and finished, and of each
pass of a training. Within `listening` a listener hears what its thread does; nobody else does, and then next to nothing
is spent on it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar

from mr_ml.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    Unit = Literal["bytes", "tasks", "passes", "steps"]


class Stage:
    """Work that goes on.

    Attributes
    ----------
    name
        In words: "scanning text".
    unit
        What is counted: bytes, tasks, passes or steps.
    total
        How many there are; None if that is not known.
    detail
        What else is to be known, such as the application on a cluster.
    began
        By `time.monotonic`.
    is_whole
        Whether it came to its end; until it is finished, False.
    """

    def __init__(
        self, listener: Listener, name: str, unit: Unit, total: int | None, measure: Callable[[], int] | None
    ) -> None:
        self.name, self.unit, self.total, self.detail = name, unit, total, ""
        self.began, self.is_whole = time.monotonic(), False
        self._listener, self._measure, self._done = listener, measure, 0

    @property
    def done(self) -> int:
        """How many are done, never more than there are."""
        done = self._done if self._measure is None else self._measure()
        return done if self.total is None else min(done, self.total)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def advance(self, n: int = 1) -> None:
        """Count what is done."""
        self._done += n
        self._listener.advanced(self)

    def tell(self, detail: str, *, done: int | None = None) -> None:
        """Say what else is to be known, and how many are done in all."""
        self.detail, self._done = detail, self._done if done is None else done
        self._listener.advanced(self)


class PassEnded:
    """A pass of a training that ended, after its checkpoint.

    Attributes
    ----------
    number
        From 1 on.
    objective, gradient_norm
        At the best point so far; the largest component of the gradient, in units of the mean absolute slope.
    step
        Length of the last accepted step.
    seconds
        Since the pass before.
    rows_per_second
        That it read.
    tolerance
        What `gradient_norm` has to come below; None where many searches go on at once.
    """

    def __init__(
        self, *, number: int, objective: float, gradient_norm: float, step: float, seconds: float,
        rows_per_second: float, tolerance: float | None,
    ) -> None:  # fmt: skip
        self.number, self.objective, self.gradient_norm, self.step = number, objective, gradient_norm, step
        self.seconds, self.rows_per_second, self.tolerance = seconds, rows_per_second, tolerance

    def __repr__(self) -> str:
        return f"PassEnded({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class Listener:
    """Hears of work; this one makes nothing of it. What a method raises ends the work."""

    #: Whether it makes something of stages, so that it is worth counting.
    hears_stages = False

    def started(self, stage: Stage) -> None:
        """Hear that a stage has started, within those that started before it and are not finished."""

    def advanced(self, stage: Stage) -> None:
        """Hear that more of a stage is done, or its detail is another; maybe in another thread."""

    def pass_ended(self, ended: PassEnded) -> None:
        """Hear that a pass of a training has ended."""

    def finished(self, stage: Stage) -> None:
        """Hear that a stage is finished, however it ended."""


NOBODY = Listener()
_current: ContextVar[Listener] = ContextVar("listener", default=NOBODY)


def current() -> Listener:
    """Return who listens to this thread."""
    return _current.get()


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a listener hear of what this thread does within the block."""
    token = _current.set(listener)
    try:
        yield
    finally:
        _current.reset(token)


class _Passes(Listener):
    """Calls a function with each pass, and tells somebody else of everything."""

    def __init__(self, call: Callable[[PassEnded], object], other: Listener) -> None:
        self._call, self._other = call, other
        self.hears_stages = other.hears_stages

    def started(self, stage: Stage) -> None:
        self._other.started(stage)

    def advanced(self, stage: Stage) -> None:
        self._other.advanced(stage)

    def pass_ended(self, ended: PassEnded) -> None:
        self._other.pass_ended(ended)
        self._call(ended)

    def finished(self, stage: Stage) -> None:
        self._other.finished(stage)


@contextmanager
def calling(on_pass: Callable[[PassEnded], object] | None) -> Iterator[None]:
    """Call a function with each pass of a training within the block; who listens already goes on to; None for none."""
    if on_pass is not None and not callable(on_pass):
        raise UsageError(f"`on_pass`: expected a function of a pass, found {on_pass!r}")
    if on_pass is None:
        yield
        return
    with listening(_Passes(on_pass, current())):
        yield


@contextmanager
def stage(
    name: str, *, unit: Unit, total: int | None = None, measure: Callable[[], int] | None = None
) -> Iterator[Stage]:
    """Tell that work starts, and at the end of the block that it is finished.

    Parameters
    ----------
    name, unit, total
        As of `Stage`.
    measure
        Says how many are done, when asked; else `Stage.advance` counts them.
    """
    listener = current()
    made = Stage(listener, name, unit, total, measure)
    listener.started(made)
    try:
        yield made
        made.is_whole = True
    finally:
        listener.finished(made)
