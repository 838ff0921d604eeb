"""Tasks that stay for many passes: what a runner must offer whose tasks can, see `mr_ml.passes.resident`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mr_ml.errors import MrMlError


class StayingTasks(Protocol):
    """A job that was started by `Seats.start`."""

    @property
    def name(self) -> str:
        """By which its cluster knows it."""

    def stop(self, patience: float) -> None:
        """Wait some seconds for the end of the job, and then end it; nothing of it is left."""


class Seats(Protocol):
    """How map tasks of a runner can stay for many passes and talk to the driver."""

    @property
    def n_tasks(self) -> int | None:
        """How many a user wants; None leaves it to the size of the data."""

    @property
    def host(self) -> str | None:
        """Address of this machine at which they reach the driver; None for the one on the way to the store."""

    @property
    def ports(self) -> Sequence[int]:
        """Those of the driver, of which the first that is free is taken; 0 is any."""

    @property
    def memory_bytes(self) -> int | None:
        """For decoded blocks, of each; None for what the container leaves."""

    @property
    def patience_seconds(self) -> float:
        """For which the driver waits for a task where there is none."""

    @property
    def idle_seconds(self) -> float:
        """For which a task waits for a word of the driver, and the driver keeps tasks of which it wants nothing."""

    def start(
        self, job: Any, *, request: bytes, n_tasks: int, ended: Callable[[MrMlError | None], None]
    ) -> StayingTasks:
        """Start a job of so many map tasks that are fed nothing, and return before it has ended.

        It is a work of its own, beside that of the runner.

        Parameters
        ----------
        request
            Is a secret.
        ended
            Called from another thread when the job has ended, with what went wrong if anything did.

        Raises
        ------
        UnavailableError, LockedError
            If it may not be started.
        """

    def serving(self, staying: StayingTasks) -> AbstractContextManager[None]:
        """Have the runner's work be done by tasks that stay, within the block: who takes it over stops these.

        Raises
        ------
        LockedError
            If another process is at that work.
        UnavailableError
            If what an earlier one left of it cannot be stopped.
        """
