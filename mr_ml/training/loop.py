"""The driver loop: ask, one pass, tell, write down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml import interrupts, spent
from mr_ml import progress as listener
from mr_ml.catalog.attempts import now
from mr_ml.catalog.checkpoints import Journal
from mr_ml.optimize.base import Result, SearchProgress
from mr_ml.passes.base import Engine
from mr_ml.progress import PassEnded
from mr_ml.training.early_steps import EarlySteps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.models.problem import Problem


@dataclass(frozen=True)
class Progress:
    """One finished pass, for the log and for the caller.

    Attributes
    ----------
    number
        Of the pass, from 1 on.
    rows_per_second
        By the time since the pass before, the driver's work included.
    seconds
        That time.
    note
        A sentence for the user about it, if there is one.
    spent
        What is known of where the time went, and of bytes; see `mr_ml.spent`.
    """

    number: int
    objective: float
    gradient_norm: float
    step: float
    rows_per_second: float
    seconds: float = 0.0
    note: str | None = None
    spent: Mapping[str, Any] | None = None

    @property
    def event(self) -> dict[str, Any]:
        """What the log says of it."""
        return {
            "event": "pass",
            "at": now(),
            **{name: value for name, value in vars(self).items() if value is not None},
        }


class Watch:
    """Makes the progress of each pass.

    Parameters
    ----------
    n_rows
        That a pass reads.
    tell, say
        Called with the progress of each pass, after its checkpoint, and with its note, if it has one; who listens (see
        `mr_ml.progress`) is told too.
    tolerance
        What the gradient has to come below; None where many searches go on at once.
    """

    def __init__(
        self, n_rows: int, tell: Callable[[Progress], None], say: Callable[[str], None], *,
        tolerance: float | None = None,
    ) -> None:  # fmt: skip
        self._tell, self._say, self._tolerance = tell, say, tolerance
        self._n_rows, self._last = n_rows, time.monotonic()
        self._spent: Mapping[str, Any] = {}

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Note what the pass takes that is run within the block, as far as it is told."""
        with spent.metering() as meter:
            yield
        self._spent = meter.spent

    def tell(self, progress: Progress) -> None:
        """Tell the caller of a pass."""
        self._tell(progress)
        listener.current().pass_ended(
            PassEnded(
                number=progress.number, objective=progress.objective, gradient_norm=progress.gradient_norm,
                step=progress.step, seconds=progress.seconds, rows_per_second=progress.rows_per_second,
                tolerance=self._tolerance,
            )
        )  # fmt: skip
        if progress.note is not None:
            self._say(progress.note)

    def seen(self, done: SearchProgress) -> Progress:
        """Return the progress of the pass after which the search has come so far."""
        before, self._last = self._last, time.monotonic()
        seconds = max(self._last - before, 1e-9)
        rate = self._n_rows / seconds
        told, self._spent = self._spent, {}
        return Progress(done.passes, done.value, done.gradient_norm, done.step, rate, seconds, done.note, told or None)


def search(
    problem: Problem, state: Any, *, engine: Engine, sample: EarlySteps, journal: Journal, watch: Watch
) -> Result:
    """Run passes until the optimizer stops; return what it found.

    Parameters
    ----------
    state
        Of the optimizer, from which to go on.
    sample
        Says how far to go along a direction whose length means little.
    """
    optimizer, objective, columns = problem.optimizer, problem.objective, problem.columns
    # with millions of features everything here is large: nothing is kept that the next pass does not need
    while (ask := optimizer.ask(state)) is not None:
        with watch.measuring():
            state = optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask), columns=columns)))
        del ask
        state = sample.advised(optimizer, state)
        progress = watch.seen(optimizer.progress(state))
        journal.add(state, progress.event)
        watch.tell(progress)
        interrupts.raise_if_asked()
    return optimizer.result(state)
