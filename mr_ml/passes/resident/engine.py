"""The resident engine: every pass is answered by the tasks of one job, which stay for as long as the engine is open.

The dataset is cut into units, each of which one task holds. A unit without a task is given to the one that has least,
which reads it; a task that is lost leaves its units to the others, in the midst of a pass too, and one that comes late
takes a share before the next pass. What is missing for a pass is asked for until it is there, and then the sums are
proved as in every engine.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from hdfs_layout import Store
from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import UnavailableError, UsageError
from mr_ml.interrupts import uninterrupted
from mr_ml.passes.base import Array, check_receipts
from mr_ml.passes.engines import PassesWanted
from mr_ml.passes.mapreduce import PartitionInput, encoded_request
from mr_ml.passes.resident.asking import Ask, Pass
from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.members import HELLO, LOST, Event, Member, Reception
from mr_ml.passes.resident.shares import Shares
from mr_ml.passes.resident.units import UNIT_BYTES, Unit, cut, runs_of
from mr_ml.passes.resident.wire import SECRET_BYTES, Payload, address_towards
from mr_ml.runners import task_errors
from mr_ml.runners.staying import Seats, StayingTasks
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums, SumTree

ENDED = "ended"
_ATTEMPTS = 3
_LOOK_SECONDS = 0.5
# A task is waited for so long at least, before others do its work too.
SLOW_SECONDS = 5.0
# For a task that has been told to end, and for its job.
_BYE_SECONDS, _JOB_SECONDS = 5.0, 15.0
# One task for about so much text of partitions, if nothing else is said.
_TASK_BYTES, _MOST_TASKS = 64 << 20, 100


class NoTasksError(UnavailableError):
    """There are no tasks that stay, or none any more, and none are to be expected."""


def open_resident(wanted: PassesWanted) -> ResidentEngine:
    """Open the engine; an entry of `mr_ml.passes.engines.ENGINES`.

    Raises
    ------
    UsageError
        If tasks of the runner do not stay.
    """
    seats = wanted.runner.tasks.seats
    if seats is None:
        raise UsageError(
            f"`engine` resident: tasks of `runner` {wanted.runner.name} do not stay from pass to pass; leave `engine` "
            "out, or use `runner` hadoop"
        )
    needs = wanted.needs
    # the query as it comes and as it is, sums of each level, and what is sent
    sums_bytes = 3 * needs.query_bytes + needs.levels_bytes + 3 * needs.sum_bytes
    return ResidentEngine(wanted.dataset, wanted.split, wanted.store, seats, sums_bytes=sums_bytes, say=wanted.say)


@dataclass(eq=False)
class ResidentEngine:
    """Runs queries over one split of a dataset; an `Engine`.

    Attributes
    ----------
    seats
        Of the runner: starts the job.
    sums_bytes
        That each task needs beside its blocks.
    unit_bytes
        Of the lines of a unit, at most.
    slow_seconds
        For which a task is waited for at least, before others do its work too.
    say
        Called with what the user should know.
    """

    dataset: Dataset
    split: str
    store: Store
    seats: Seats
    sums_bytes: int = 0
    unit_bytes: int = UNIT_BYTES
    slow_seconds: float = SLOW_SECONDS
    say: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._reception: Reception | None = None
        self._staying: StayingTasks | None = None
        self._n_asks = self._n_hellos = self._n_byes = 0
        self._failures: dict[int, int] = {}
        self._shares = Shares((), self._order)
        self._alone_since = 0.0
        self._over: NoTasksError | None = None

    @cached_property
    def _tree(self) -> SumTree:
        return self.dataset.tree(self.split)

    @cached_property
    def _input(self) -> PartitionInput:
        return PartitionInput(self.dataset.of_split(self.split), self.store)

    @cached_property
    def _units(self) -> list[Unit]:
        partitions = [partition.facts for partition in self.dataset.of_split(self.split)]
        return cut(partitions, self._tree, unit_bytes=self.unit_bytes)

    @cached_property
    def _paths(self) -> dict[int, str]:
        return {partition.facts.partition: partition.path for partition in self.dataset.of_split(self.split)}

    # --- the job ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start the job, once.

        Raises
        ------
        BadDataError
            If a partition is not there, or as long as it was.
        NoTasksError
            If tasks could not read, or could not reach this process.
        """
        if self._reception is not None:
            return
        self._input.check_files()
        urls = self._urls(self._units[0]) if self._units else ("http://localhost:0",)
        if not urls:
            raise NoTasksError(f"tasks have no address at which they could read {self.store.root} by themselves")
        secret = secrets.token_bytes(SECRET_BYTES)
        towards = urlsplit(urls[0])
        try:
            host = self.seats.host or address_towards(towards.hostname or "localhost", towards.port or 80)
        except OSError as error:
            raise NoTasksError(f"no way from here to {towards.hostname}: {error}") from error
        try:
            self._reception = Reception(host=host, ports=self.seats.ports, secret=secret, events=self._events)
        except UnavailableError as error:
            raise NoTasksError(str(error)) from error
        invitation = Invitation(
            addresses=(self._reception.address,), secret=secret.hex(), memory_bytes=self.seats.memory_bytes,
            sums_bytes=self.sums_bytes,
        )  # fmt: skip
        from mr_ml_jobs.resident_job import MRResident

        self._shares = Shares(self._units, self._order)
        self._alone_since = time.monotonic()
        with uninterrupted():
            # a job that has been started is one that `close` knows of
            try:
                self._staying = self.seats.start(
                    MRResident, request=invitation.encode(), n_tasks=self.n_tasks,
                    ended=lambda error: self._events.put(Event(ENDED, None, error=error)),
                )  # fmt: skip
            except BaseException:
                self._reception.close()
                self._reception = None
                raise

    @property
    def n_tasks(self) -> int:
        """How many tasks the job has."""
        if self.seats.n_tasks is not None:
            return self.seats.n_tasks
        n_bytes = sum(unit.n_bytes for unit in self._units)
        return max(1, min(len(self._units), -(-n_bytes // _TASK_BYTES), _MOST_TASKS))

    def _urls(self, unit: Unit) -> tuple[str, ...]:
        return self.store.urls(self._paths[unit.partition], offset=unit.offset, length=unit.n_bytes)

    def _order(self, member: Member, number: int) -> None:
        unit = self._units[number]
        member.ordered.add(number)
        member.tell(
            {
                "kind": "load", "unit": number, "partition": unit.partition, "first": unit.first,
                "line_bytes": unit.line_bytes, "urls": self._urls(unit),
                "where": self.store.uri(self._paths[unit.partition]),
            }
        )  # fmt: skip

    def close(self) -> None:
        """End the job: its tasks are told to, and the job is stopped if that is not enough."""
        if self._reception is None:
            return
        with uninterrupted():
            # a signal would leave the job's folder behind, and what it asks for is done here
            self._close(self._reception)

    def _close(self, reception: Reception) -> None:
        try:
            for member in self._shares.members:
                member.tell({"kind": "end"})
            end = time.monotonic() + _BYE_SECONDS
            while self._shares.members and (left := end - time.monotonic()) > 0:
                self._wait_for_byes(left)
            # a task that comes only now has nobody who would tell it to end
            reception.close()
            if self._staying is not None:
                # tasks that hang, or that had no room until now, are waited for by nobody
                self._staying.stop(_JOB_SECONDS if self._n_byes >= self.n_tasks else 0.0)
        except UnavailableError as error:
            # what was found stands, and what goes wrong otherwise is said
            self.say(str(error))
        finally:
            reception.close()
            self._reception = self._staying = None
            self._shares.members.clear()

    def _wait_for_byes(self, seconds: float) -> None:
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return
        if event.kind in ("bye", LOST) and event.member in self._shares.members:
            self._n_byes += event.kind == "bye"
            self._shares.members.remove(event.member)
        elif event.kind == HELLO and event.member is not None:
            self._shares.members.append(event.member)
            event.member.tell({"kind": "end"})

    # --- a pass -------------------------------------------------------------------------------------------------------

    def run(self, query: Query, *, columns: Array | None = None) -> Statistic:
        """See `Engine.run`.

        Raises
        ------
        NoTasksError
            If there are no tasks, and none are to be expected; the pass may be run by another engine.
        """
        self._start()
        request = Payload(encoded_request(query, self._tree, self.dataset, self.split, columns=columns))
        # with millions of features both are large
        del query
        now = Pass(request, PartialSums(self._tree, Statistic.absorb), set(range(len(self._units))))
        # what failed in a pass that raised may work in this one
        self._failures.clear()
        for member in self._shares.members:
            member.unable.clear()
        while not self._events.empty():
            self._handle(self._events.get(), now)
        self._shares.balance()
        while now.missing:
            self._shares.relieve(now, slow_seconds=self.slow_seconds, say=self.say)
            self._shares.give_out()
            self._ask(now)
            self._handle(self._next(), now)
        total = now.sums.total()
        check_receipts(
            total, tree=self._tree, expected=self.dataset.expected(self.split),
            dataset=f"{self.dataset.reference} {self.split}",
        )  # fmt: skip
        return total

    def _ask(self, now: Pass) -> None:
        """Ask every member that has read all that it was told to about the units that are missing."""
        for member in self._shares.members:
            if member.ordered:
                continue
            units = sorted((member.units & now.missing) - now.asked_of(member))
            if units:
                self._n_asks += 1
                n_bytes = sum(self._units[unit].n_bytes for unit in units)
                now.asks[self._n_asks] = Ask(member, frozenset(units), n_bytes)
                blocks = runs_of([self._units[unit] for unit in units])
                member.tell({"kind": "ask", "ask": self._n_asks, "blocks": blocks}, now.request)

    def _next(self) -> Event | None:
        """Wait for the next event, some time; NoTasksError if there has been no task for long, or comes none."""
        if not self._shares.members:
            if self._over is not None:
                raise self._over
            alone = time.monotonic() - self._alone_since
            if alone > self.seats.patience_seconds:
                raise NoTasksError(
                    f"no task has come for {alone:.0f} s, of {self.n_tasks} that were asked for. Is there room on the "
                    f"cluster (`yarn application -list`), and can its nodes reach {_shown(self._reception)}?"
                )
        else:
            self._alone_since = time.monotonic()
        try:
            return self._events.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            return None

    def _handle(self, event: Event | None, now: Pass) -> None:
        if event is None:
            return
        member = event.member
        if member is None:
            self._job_ended(event.error)
        elif event.kind == LOST:
            self._lose(member, event.error, now)
        elif event.kind == HELLO:
            if member not in self._shares.members:
                self._n_hellos += 1
                self._shares.members.append(member)
        elif not member.alive or event.message is None:
            # given up, and yet it speaks: somebody else has its units
            return
        elif event.kind == "loaded":
            unit = event.message.header.get("unit")
            if unit in member.ordered:
                member.ordered.discard(unit)
                member.units.add(unit)
        elif event.kind == "answer":
            self._take(event, member, now)
        elif event.kind == "error":
            self._failed(event, member, now)

    def _take(self, event: Event, member: Member, now: Pass) -> None:
        """Add what a member found; an answer that nobody waits for changes nothing."""
        assert event.message is not None
        # it has done what it was slow with, be that of this pass or of an earlier one
        member.is_slow = False
        ask = now.asks.get(event.message.header.get("ask", 0))
        if ask is None or ask.member is not member:
            return
        del now.asks[event.message.header["ask"]]
        now.rates.append(ask.seconds / ask.n_bytes)
        if not ask.units <= now.missing:
            # others have been quicker
            return
        now.missing -= ask.units
        for payload in event.message.payloads:
            now.sums.add(*Statistic.decode(payload, where=f"the answer of {member.name}"))

    def _failed(self, event: Event, member: Member, now: Pass) -> None:
        """Raise what a member could not do, unless another may."""
        assert event.message is not None
        header = event.message.header
        error = task_errors.decode(str(header.get("error")).encode())
        unit, ask = header.get("unit"), header.get("ask")
        if unit in member.ordered:
            member.ordered.discard(unit)
            member.unable.add(unit)
            self._shares.free.add(unit)
            self._failures[unit] = self._failures.get(unit, 0) + 1
            everybody = all(unit in one.unable for one in self._shares.members)
            if not header.get("elsewhere") or everybody or self._failures[unit] >= _ATTEMPTS:
                # a file that is missing or has been cut is called by its name
                self._input.check_files()
                raise error
        elif ask is not None and ask not in now.asks:
            # of a pass that has raised already
            return
        elif not header.get("elsewhere"):
            raise error
        elif ask is not None:
            self._failures[-1] = self._failures.get(-1, 0) + 1
            if self._failures[-1] >= _ATTEMPTS:
                raise error
            self._lose(member, error, now)
        else:
            raise error

    def _lose(self, member: Member, error: BaseException | None, now: Pass) -> None:
        """Go on without a member: what it held and owed is for the others."""
        member.wire.close()
        if not member.alive or member not in self._shares.members:
            return
        member.alive = False
        self._shares.lose(member)
        self._alone_since = time.monotonic()
        now.asks = {number: ask for number, ask in now.asks.items() if ask.member is not member}
        self.say(f"{member.name} is gone ({error}); its {member.n_units} units are for others")

    def _job_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._over = NoTasksError(f"the job whose tasks answer passes has ended: {error}")
        elif not self._n_hellos:
            self._over = NoTasksError(
                f"none of {self.n_tasks} tasks reached this process at {_shown(self._reception)}. If a firewall is "
                "between, open a range of ports to here and name it as `driver_port` in the settings of `config`; if "
                "nodes reach this machine at another address, name that as `driver_host`"
            )
        else:
            self._over = NoTasksError("the job whose tasks answer passes has ended before the last pass")
        raise self._over from error


def _shown(reception: Reception | None) -> str:
    return "no address" if reception is None else "{} port {}".format(*reception.address)
