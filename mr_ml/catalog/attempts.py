"""When and where processes were at work on a run, what ended each, and what that makes of the run.

A process that begins or goes on with a run adds the event `begun` to its log, with a name that says which process it is
(`hdfs_layout.owners`), and `stopped`, with the error, where it ends without a model. A killed one adds nothing: on the
same machine it is known to be gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hdfs_layout import Root, append_events
from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import of_machine
from hdfs_layout.owners import can_be_seen, is_gone, owned, user_name
from mr_ml.errors import MrMlError
from mr_ml.interrupts import note_run, uninterrupted

_MOST_CHARACTERS = 4_000


def now() -> str:
    """Return the time as the log writes it, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def begin(root: Root, run: str, events: Sequence[Mapping[str, Any]] = (), *, part_of: str | None = None) -> None:
    """Write into its log that this process begins, or goes on with, a run; and note it for who interrupts that.

    Parameters
    ----------
    events
        That are written with it.
    part_of
        The run that is to be gone on with instead, which was noted before.
    """
    where = {"host": os.uname().nodename, "pid": os.getpid(), "user": user_name()}
    begun = {"event": "begun", "at": now(), "owner": owned("run"), **where}
    append_events(root.store, root.layout.run_log(run), [begun, *events])
    if part_of is None:
        note_run(run)


@contextmanager
def noting_errors(root: Root, run: str) -> Iterator[None]:
    """Write into the log of a run what ends the block before its time, if the run has begun; the error is raised on."""
    try:
        yield
        note_run(None)
    except BaseException as error:
        # what went wrong with the log is not worth as much as what went wrong before
        with uninterrupted(), suppress(MrMlError, OSError):
            if root.store.exists(root.layout.run_spec(run)):
                append_events(root.store, root.layout.run_log(run), [_stopped_event(error)])
        raise


def _stopped_event(error: BaseException) -> dict[str, Any]:
    known = error if isinstance(error, MrMlError) else of_machine(error)
    text = str(known) if known is not None else f"{type(error).__name__}: {error}"
    interrupted = isinstance(error, KeyboardInterrupt)
    said = {} if interrupted else {"error": text[:_MOST_CHARACTERS]}
    return {"event": "stopped", "at": now(), "interrupted": interrupted, **said}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One process that was at work on a run.

    Attributes
    ----------
    owner
        The name that says which process.
    begun, last
        When it began, and its last sign of life in the log: seconds since the epoch.
    ended
        Whether it wrote that it ended.
    interrupted
        Whether a signal ended it.
    error
        What ended it, if that was an error.
    published
        Whether it published a model, after which only a retraining has something left to do; or fitted an estimator.
    """

    owner: str
    host: str
    pid: int
    begun: float
    last: float
    ended: bool = False
    interrupted: bool = False
    error: str | None = None
    published: bool = False

    @property
    def is_running(self) -> bool:
        """Whether its process is alive, as far as can be seen from here."""
        return not self.ended and can_be_seen(self.owner) and not is_gone(self.owner)

    @property
    def seconds(self) -> float:
        """How long it was at work; of one that was killed, until the last pass that it wrote down."""
        return max((time.time() if self.is_running and not self.published else self.last) - self.begun, 0.0)

    @property
    def status(self) -> str:
        """What has become of it: running, interrupted, failed, killed; unfinished if that cannot be seen from here."""
        if self.ended:
            return "interrupted" if self.interrupted else "failed"
        if not can_be_seen(self.owner):
            return "unfinished"
        return "running" if self.is_running else "killed"


def attempts_of(events: Sequence[Mapping[str, Any]]) -> tuple[Attempt, ...]:
    """Return the attempts that the checked events of a log tell of, in their order; earlier releases wrote none."""
    attempts: list[Attempt] = []
    for event in events:
        if event["event"] == "begun":
            at = seconds_of(event["at"])
            attempts.append(Attempt(owner=event["owner"], host=event["host"], pid=event["pid"], begun=at, last=at))
        elif attempts and isinstance(event.get("at"), str):
            last = replace(attempts[-1], last=seconds_of(event["at"]))
            last = replace(last, published=last.published or event["event"] in ("published", "fitted"))
            if event["event"] == "stopped":
                last = replace(last, ended=True, interrupted=event["interrupted"], error=event.get("error"))
            attempts[-1] = last
    return tuple(attempts)


def seconds_of(text: str) -> float:
    """Return seconds since the epoch; 0 of a text that is no time."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
