"""The job whose tasks stay: started when it is first needed, heard and told, and ended.

Engines take turns on it, see `mr_ml.passes.resident.turns`. What its tasks are asked, and which of them holds what, is
the engine's to know whose turn it is: `mr_ml.passes.resident.engine`.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import field
from urllib.parse import urlsplit

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import MrMlError, UnavailableError
from mr_ml.interrupts import uninterrupted
from mr_ml.passes.resident.addresses import driver_addresses
from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.members import ANSWER, HELLO, LOST, OPENED, SUMMED, Event, Member, Reception
from mr_ml.passes.resident.peers import Peer
from mr_ml.passes.resident.wire import SECRET_BYTES, Wire
from mr_ml.runners.staying import Seats, StayingTasks

ENDED = "ended"
_LOOK_SECONDS = 0.5
# For a task that has been told to end, and for its job.
_BYE_SECONDS, _JOB_SECONDS = 5.0, 15.0
# What each task sets aside for queries and sums, at least: those of the next engine are not the same.
_SUMS_BYTES = 16 << 20
# Tasks of which nobody has wanted anything for so much less than they wait are about to end.
_MARGIN_SECONDS = 15.0


class NoTasksError(UnavailableError):
    """There are no tasks that stay, or none any more, and none are to be expected."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What an engine needs of tasks.

    Attributes
    ----------
    data, split
        Of which they hold blocks.
    n_units
        Into which the split is cut.
    n_tasks
        How many there are to be, as a rule.
    sums_bytes
        That each needs beside its blocks.
    url
        One at which they read; they reach this process at its address on the way there.
    """

    data: str
    split: str
    n_units: int
    n_tasks: int
    sums_bytes: int
    url: str


@dataclass(eq=False)
class Application:
    """A job whose tasks stay, and those of them that are connected.

    Attributes
    ----------
    seats
        Of the runner: starts the job.
    say
        Called with what the user should know.
    members
        The tasks that have come and have not been lost.
    n_tasks
        How many were asked for.
    staying
        The job.
    n_came
        How many tasks have ever come.
    peers_reach
        Whether tasks reach each other, as far as is known.
    """

    seats: Seats
    say: Callable[[str], None] = lambda text: None
    members: list[Member] = field(default_factory=list, init=False)
    n_tasks: int = field(default=0, init=False)
    staying: StayingTasks | None = field(default=None, init=False)
    n_came: int = field(default=0, init=False)
    peers_reach: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._reception: Reception | None = None
        self._n_asks = self._n_units = self._n_byes = 0
        self._alone_since = self._unused_since = 0.0
        self._over: BaseException | None = None
        # of what tasks hold blocks: by split and number of units, the number of the first one
        self._data, self._firsts = "", dict[tuple[str, int], int]()
        self._sums_bytes = self._first = 0
        self._wires: list[Wire] = []

    def start(self, turn: Turn) -> None:
        """Start the job, for a first turn.

        Raises
        ------
        NoTasksError
            If tasks could not reach this process.
        UnavailableError, LockedError
            As `Seats.start`.
        """
        secret = secrets.token_bytes(SECRET_BYTES)
        self._reception = open_reception(self.seats, url=turn.url, secret=secret, events=self._events)
        invitation = Invitation(
            addresses=(self._reception.address,), secret=secret.hex(), memory_bytes=self.seats.memory_bytes,
            idle_seconds=self.seats.idle_seconds,
        )  # fmt: skip
        from mr_ml_jobs.resident_job import MRResident

        self.n_tasks = turn.n_tasks
        with uninterrupted():
            # a job that has been started is one that `close` knows of
            try:
                self.staying = self.seats.start(
                    MRResident, request=invitation.encode(), n_tasks=turn.n_tasks,
                    ended=lambda error: self._events.put(Event(ENDED, None, error=error)),
                )  # fmt: skip
            except BaseException:
                self._reception.close()
                self._reception = None
                raise

    def begin(self, turn: Turn) -> int:
        """Begin a turn: the number of its first unit; tasks keep what they hold of the same data.

        No two units have one number, be it that they are of two turns.
        """
        assert self._reception is not None
        if turn.data != self._data or turn.sums_bytes > self._sums_bytes:
            self._data, self._firsts = turn.data, {}
            self._sums_bytes = max(turn.sums_bytes, _SUMS_BYTES)
            for member in self.members:
                member.clear(sums_bytes=self._sums_bytes)
        key = turn.split, turn.n_units
        if key not in self._firsts:
            self._firsts[key] = self._n_units
            self._n_units += turn.n_units
        self._first = self._firsts[key]
        for member in self.members:
            member.turn_to(self._first)
        self._alone_since = time.monotonic()
        self._reception.needs_members = True
        return self._first

    def rest(self) -> None:
        """End a turn: if no other one begins soon, the tasks end, and with them the job."""
        if self._reception is not None:
            self._reception.needs_members = False
            self._unused_since = time.monotonic()

    def has_tasks(self) -> bool:
        """Whether there are tasks for another turn, by all that has been heard; what they said before is for nobody."""
        try:
            for event in self.heard():
                assert event.member is not None
                if event.kind == LOST:
                    self.lose(event.member)
                elif event.kind in (ANSWER, SUMMED):
                    event.member.is_slow = False
        except MrMlError:
            # whatever ended it: the next one is another
            return False
        unused = time.monotonic() - self._unused_since
        return bool(self.members) and unused < self.seats.idle_seconds - _MARGIN_SECONDS

    def new_ask(self) -> int:
        """Return a number by which an answer is known; none is given twice."""
        self._n_asks += 1
        return self._n_asks

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes that were sent to all tasks so far, also to those that are lost, and received from them."""
        return sum(wire.bytes_sent for wire in self._wires), sum(wire.bytes_received for wire in self._wires)

    # --- what its tasks say -------------------------------------------------------------------------------------------

    def heard(self) -> Iterator[Event]:
        """Yield what members have said that nobody has looked at; NoTasksError if the job has ended."""
        while not self._events.empty():
            event = self._seen(self._events.get())
            if event is not None:
                yield event

    def next(self) -> Event | None:
        """Wait some time for a member to say something.

        Raises
        ------
        NoTasksError
            If there has been no task for long, or comes none.
        """
        if not self.members:
            if self._over is not None:
                raise self._over
            alone = time.monotonic() - self._alone_since
            if alone > self.seats.patience_seconds:
                raise NoTasksError(
                    f"no task has come for {alone:.0f} s, of {self.n_tasks} that were asked for. Is there room on the "
                    f"cluster (`yarn application -list`), and can its nodes reach {self._reception}?"
                )
        else:
            self._alone_since = time.monotonic()
        try:
            return self._seen(self._events.get(timeout=_LOOK_SECONDS))
        except queue.Empty:
            return None

    def _seen(self, event: Event) -> Event | None:
        """Take in who comes; what else members say is for whoever runs a pass."""
        member = event.member
        if member is None:
            self._job_ended(event.error)
        elif event.kind == HELLO:
            if member not in self.members:
                self.n_came += 1
                self.members.append(member)
                self._wires.append(member.wire)
                member.clear(sums_bytes=self._sums_bytes)
                member.turn_to(self._first)
        elif event.kind == OPENED and event.message is not None:
            header = event.message.header
            member.peer = Peer(member.number, header["host"], header["port"]) if "port" in header else None
        elif event.kind == LOST or member.alive:
            return event
        # given up, and yet it speaks: somebody else has its units
        return None

    def lose(self, member: Member) -> bool:
        """Hang up on a member that counts no more; whether it did until now."""
        member.wire.close()
        if not member.alive or member not in self.members:
            return False
        member.alive = False
        self.members.remove(member)
        self._alone_since = time.monotonic()
        return True

    def _job_ended(self, error: BaseException | None) -> None:
        if error is not None and not self.n_came:
            # such as a cluster that does not answer, or nodes without numpy: other jobs would fare no better
            self._over = error
            raise error
        if error is not None:
            self._over = NoTasksError(f"the job whose tasks answer passes has ended: {error}")
        elif not self.n_came:
            self._over = NoTasksError(
                f"none of {self.n_tasks} tasks reached this process at {self._reception}. If a firewall is "
                "between, open a range of ports to here and name it as `driver_port` in the settings of `config`; if "
                "nodes reach this machine at another address, name that as `driver_host`"
            )
        else:
            self._over = NoTasksError("the job whose tasks answer passes has ended before the last pass")
        raise self._over from error

    # --- its end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the job: its tasks are told to, and the job is stopped if that is not enough."""
        if self._reception is None:
            return
        with uninterrupted():
            # a signal would leave the job's folder behind, and what it asks for is done here
            self._close(self._reception)

    def _close(self, reception: Reception) -> None:
        try:
            for member in self.members:
                member.tell({"kind": "end"})
            end = time.monotonic() + _BYE_SECONDS
            while self.members and (left := end - time.monotonic()) > 0:
                self._wait_for_byes(left)
            # a task that comes only now has nobody who would tell it to end
            reception.close()
            if self.staying is not None:
                # tasks that hang, or that had no room until now, are waited for by nobody
                self.staying.stop(_JOB_SECONDS if self._n_byes >= self.n_tasks else 0.0)
        except UnavailableError as error:
            # what was found stands, and what goes wrong otherwise is said
            self.say(str(error))
        finally:
            reception.close()
            self._reception = self.staying = None
            self.members.clear()

    def _wait_for_byes(self, seconds: float) -> None:
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return
        if event.kind in ("bye", LOST) and event.member in self.members:
            self._n_byes += event.kind == "bye"
            self.members.remove(event.member)
        elif event.kind == HELLO and event.member is not None:
            self.members.append(event.member)
            event.member.tell({"kind": "end"})


def open_reception(seats: Seats, *, url: str, secret: bytes, events: queue.SimpleQueue[Event]) -> Reception:
    """Listen where tasks reach this process that read at a URL.

    Raises
    ------
    NoTasksError
        If there is no address, or no port, at which they could.
    """
    parts = urlsplit(url)
    towards = parts.hostname or "localhost", parts.port or 80
    try:
        host, told = driver_addresses(seats.host, towards=towards)
    except OSError as error:
        named = f", or none to `driver_host` {seats.host}" if seats.host else ""
        raise NoTasksError(f"no way from here to {towards[0]}{named}: {error}") from error
    try:
        return Reception(host=host, told=told, ports=seats.ports, secret=secret, events=events)
    except UnavailableError as error:
        raise NoTasksError(str(error)) from error
