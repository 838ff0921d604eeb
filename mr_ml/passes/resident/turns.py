"""Engines of a session take turns on one application: it outlasts each of them, and tasks keep what they hold.

The next engine gets a new one if its tasks are gone, or about to go because nobody wanted anything of them for long, or
if it is to have more tasks than there are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from mr_ml.interrupts import uninterrupted
from mr_ml.passes.resident.application import Application, Turn
from mr_ml.runners.staying import Seats


@dataclass(eq=False)
class Turns:
    """Of the engines of one session; see `mr_ml.passes.engines.Kept`.

    Attributes
    ----------
    application
        On which they take turns; None before the first one, and after `close`.
    turn
        That is being taken.
    nobody_came
        Whether no task of an application ever came, so that an engine gave it up.
    """

    application: Application | None = None
    turn: Turn | None = None
    nobody_came: bool = False
    _work: ExitStack = field(default_factory=ExitStack)

    def take(self, turn: Turn, seats: Seats, *, say: Callable[[str], None]) -> tuple[Application, int]:
        """Begin a turn on an application that will do: it, and the number of the turn's first unit.

        Raises
        ------
        NoTasksError, UnavailableError, LockedError
            As `Application.start` and `Seats.serving`.
        """
        self.end(self.turn)
        application = self.application
        if application is not None and not (turn.n_tasks <= application.n_tasks and application.has_tasks()):
            self.close()
            application = None
        if application is None:
            application = self.application = Application(seats, say=say)
            try:
                application.start(turn)
            except BaseException:
                self.application = None
                raise
        assert application.staying is not None
        with uninterrupted():
            # what a work owns is given back
            self._work.enter_context(seats.serving(application.staying))
            self.turn = turn
        return application, application.begin(turn)

    def end(self, turn: Turn | None) -> None:
        """End a turn, if it is the one that is being taken."""
        if turn is None or turn is not self.turn:
            return
        with uninterrupted():
            self.turn = None
            if self.application is not None:
                self.application.rest()
            self._work.close()

    def give_up(self) -> None:
        """End the application, which has no tasks, and remember it if none ever came."""
        self.nobody_came = self.application is not None and not self.application.n_came
        self.close()

    def close(self) -> None:
        """End the application; a later turn begins another one."""
        self.end(self.turn)
        application, self.application = self.application, None
        if application is not None:
            application.close()
