"""The resident engine: every pass is answered by the tasks of one job, which stay for the next engine too.

The dataset is cut into units, each of which one task holds. A unit without a task is given to the one that has least,
which reads it; a task that is lost leaves its units to the others, in the midst of a pass too, and one that comes late
takes a share before the next pass. What is missing for a pass is asked for until it is there, and then the sums are
proved as in every engine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from hdfs_layout import Address, Store
from hdfs_layout.dataclass import dataclass
from mr_ml import spent
from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import UsageError
from mr_ml.passes.base import Array, check_receipts
from mr_ml.passes.engines import PassesWanted
from mr_ml.passes.mapreduce import PartitionInput, encoded_request
from mr_ml.passes.resident.application import Application, NoTasksError, Turn
from mr_ml.passes.resident.asking import Ask, Pass
from mr_ml.passes.resident.gathering import WidePass
from mr_ml.passes.resident.members import ANSWER, LOST, SUMMED, Event, Member
from mr_ml.passes.resident.shares import Shares
from mr_ml.passes.resident.turns import Turns
from mr_ml.passes.resident.units import UNIT_BYTES, Unit, cut, runs_of
from mr_ml.passes.resident.wire import Payload
from mr_ml.runners import task_errors
from mr_ml.runners.staying import Seats
from mr_ml.spent import Meter
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import SumTree

_ATTEMPTS = 3
# A task is waited for so long at least, before others do its work too.
SLOW_SECONDS = 5.0
WIDE_BYTES = 64 << 20
# One task for about so much text of partitions, if nothing else is said.
_TASK_BYTES, _MOST_TASKS = 64 << 20, 100


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
    return ResidentEngine(
        wanted.dataset, wanted.split, wanted.store, seats, wanted.kept.of(Turns), levels_bytes=needs.levels_bytes,
        sum_bytes=needs.sum_bytes, wide_bytes=WIDE_BYTES, say=wanted.say,
    )  # fmt: skip


@dataclass(eq=False)
class ResidentEngine:
    """Runs queries over one split of a dataset; an `Engine`.

    Attributes
    ----------
    seats
        Of the runner.
    turns
        On the application of the session; the first pass takes one.
    levels_bytes, sum_bytes
        Of one sum of each level, and of the whole one; see `Needs`.
    wide_bytes
        If all tasks together would exchange so much with this process in a pass, they exchange it with each other.
    most_bytes
        That they may exchange with this process where they cannot reach each other; None for any number.
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
    turns: Turns
    levels_bytes: int = 0
    sum_bytes: int = 0
    wide_bytes: int = WIDE_BYTES
    most_bytes: int | None = None
    unit_bytes: int = UNIT_BYTES
    slow_seconds: float = SLOW_SECONDS
    say: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        self._failures: dict[int, int] = {}
        self._turn: Turn | None = None
        self._units: dict[int, Unit] = {}
        self._shares = Shares(self._units, self._order)

    @property
    def application(self) -> Application:
        """That of this engine's turn."""
        assert self.turns.application is not None
        return self.turns.application

    @cached_property
    def _tree(self) -> SumTree:
        return self.dataset.tree(self.split)

    @cached_property
    def _input(self) -> PartitionInput:
        return PartitionInput(self.dataset.of_split(self.split), self.store)

    @cached_property
    def _cut(self) -> list[Unit]:
        partitions = [partition.facts for partition in self.dataset.of_split(self.split)]
        return cut(partitions, self._tree, unit_bytes=self.unit_bytes)

    @cached_property
    def _paths(self) -> dict[int, str]:
        return {partition.facts.partition: partition.path for partition in self.dataset.of_split(self.split)}

    # --- what tasks hold ----------------------------------------------------------------------------------------------

    def _begin(self, request: Payload) -> None:
        """Take a turn, unless this engine has it.

        Parameters
        ----------
        request
            Of the first pass of the turn.

        Raises
        ------
        BadDataError
            If a partition is not there, or as long as it was.
        NoTasksError
            If tasks could not read, or could not reach this process.
        """
        if self._turn is not None and self._turn is self.turns.turn:
            return
        self._input.check_files()
        addresses = self._addresses(self._cut[0]) if self._cut else (Address(url="http://localhost:0"),)
        if not addresses:
            raise NoTasksError(f"tasks have no address at which they could read {self.store.root} by themselves")
        self._turn = Turn(
            data=self.dataset.data_id, split=self.split, n_units=len(self._cut), n_tasks=self.n_tasks,
            sums_bytes=self._sums_bytes(request), url=addresses[0].url,
        )  # fmt: skip
        application, first = self.turns.take(self._turn, self.seats, say=self.say)
        self._units = dict(enumerate(self._cut, first))
        self._shares = Shares(self._units, self._order, application.members)

    def _sums_bytes(self, request: Payload) -> int:
        """Return what each task needs beside its blocks."""
        # later queries have twice as much: a point and a direction
        needed = 2 * len(request.data) + self.levels_bytes + self.sum_bytes
        # what is sent whole is beside it, as arrays and as bytes
        return needed if self._is_wide(request, self.n_tasks) else needed + 2 * self.sum_bytes

    @property
    def n_tasks(self) -> int:
        """How many tasks the job is to have."""
        if self.seats.n_tasks is not None:
            return self.seats.n_tasks
        n_bytes = sum(unit.n_bytes for unit in self._cut)
        return max(1, min(len(self._cut), -(-n_bytes // _TASK_BYTES), _MOST_TASKS))

    def _addresses(self, unit: Unit) -> tuple[Address, ...]:
        return self.store.addresses(self._paths[unit.partition], offset=unit.offset, length=unit.n_bytes)

    def _order(self, member: Member, number: int) -> None:
        unit = self._units[number]
        member.ordered.add(number)
        member.tell(
            {
                "kind": "load", "unit": number, "partition": unit.partition, "first": unit.first,
                "line_bytes": unit.line_bytes, "addresses": [vars(one) for one in self._addresses(unit)],
                "where": self.store.uri(self._paths[unit.partition]),
            }
        )  # fmt: skip

    def close(self) -> None:
        """See `Engine.close`; tasks keep what they hold for the next engine of the session."""
        self.turns.end(self._turn)

    # --- a pass -------------------------------------------------------------------------------------------------------

    def run(self, query: Query, *, columns: Array | None = None) -> Statistic:
        """See `Engine.run`.

        Raises
        ------
        NoTasksError
            If there are no tasks, and none are to be expected; the pass may be run by another engine.
        """
        request = Payload(encoded_request(query, self._tree, self.dataset, self.split, columns=columns))
        # with millions of features both are large
        del query
        meter = spent.current()
        with meter.part("start"):
            self._begin(request)
        now, (sent, received) = self._pass(request), self.application.traffic
        try:
            totals = self._totals(now, meter)
        finally:
            now.end(self._shares.members)
        after = self.application.traffic
        meter.bytes(sent=after[0] - sent, received=after[1] - received)
        for total in totals:
            check_receipts(
                total, tree=self._tree, expected=self.dataset.expected(self.split),
                dataset=f"{self.dataset.reference} {self.split}",
            )  # fmt: skip
        return Statistic.joined(totals)

    def _pass(self, request: Payload) -> Pass:
        """Choose how query and sums come to members and back."""
        units = set(self._units)
        if not units or not self._is_wide(request, self.application.n_tasks):
            return Pass(request, self._tree, units)

        def cut_off(why: str) -> None:
            self._may_pass_through(request, why)
            self.say(f"tasks that stay do not reach each other: {why}. Their queries and sums go through this process")

        if not self.application.peers_reach:
            self._may_pass_through(request, "they did not before")
        return WidePass(request, self._tree, units, application=self.application, cut_off=cut_off)

    def _is_wide(self, request: Payload, n_tasks: int) -> bool:
        return self._exchanged(request, n_tasks) >= self.wide_bytes

    def _exchanged(self, request: Payload, n_tasks: int) -> int:
        """Return how many bytes pass through this process if all tasks get the query and send their sums here."""
        return n_tasks * (len(request.data) + self.sum_bytes)

    def _may_pass_through(self, request: Payload, why: str) -> None:
        """Raise NoTasksError if what tasks exchange that do not reach each other is too much for this process."""
        exchanged = self._exchanged(request, self.application.n_tasks)
        if self.most_bytes is not None and exchanged > self.most_bytes:
            raise NoTasksError(
                f"tasks that stay do not reach each other: {why}. Their {exchanged >> 20} MB of queries and sums a "
                f"pass are too much for this process, more than {self.most_bytes >> 20}"
            )

    def _totals(self, now: Pass, meter: Meter) -> list[Statistic]:
        """Run a pass to its end, and say what that took; the pieces of the sum."""
        # what failed in a pass that raised may work in this one
        self._failures.clear()
        for member in self._shares.members:
            member.unable.clear()
        for event in self.application.heard():
            self._handle(event, now)
        self._shares.balance()
        while not now.is_over:
            with meter.part("start" if not self._shares.members else "map" if now.missing else "reduce"):
                self._shares.relieve(now, slow_seconds=self.slow_seconds, say=self.say)
                self._shares.give_out()
                self._ask(now)
                now.go_on()
                if (said := self.application.next()) is not None:
                    self._handle(said, now)
        return now.totals()

    def _ask(self, now: Pass) -> None:
        """Ask every member that has read all that it was told to about the units that are missing."""
        asks: dict[int, Ask] = {}
        for member in self._shares.members:
            if member.ordered:
                continue
            units = sorted((member.units & now.missing) - now.asked_of(member))
            if units:
                n_bytes = sum(self._units[unit].n_bytes for unit in units)
                blocks = runs_of([self._units[unit] for unit in units])
                asks[self.application.new_ask()] = Ask(member, frozenset(units), n_bytes, blocks)
        now.ask(asks)

    def _handle(self, event: Event, now: Pass) -> None:
        member = event.member
        assert member is not None
        if event.kind == LOST:
            self._lose(member, event.error, now)
            return
        assert event.message is not None
        if event.kind == "loaded":
            unit = event.message.header.get("unit")
            if unit in member.ordered:
                member.ordered.discard(unit)
                member.units.add(unit)
        elif event.kind in (ANSWER, SUMMED):
            self._take(event, member, now)
        elif event.kind == "error":
            self._failed(event, member, now)
        else:
            # be it of an earlier pass
            member.is_slow = member.is_slow and event.kind not in ("joined", "given")
            now.hear(event, member)

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
        if ask.units <= now.missing:
            # others have not been quicker
            now.take(event.message, ask)

    def _failed(self, event: Event, member: Member, now: Pass) -> None:
        """Raise what a member could not do, unless another may."""
        assert event.message is not None
        header = event.message.header
        error = task_errors.decode(str(header.get("error")).encode())
        unit, ask = header.get("unit"), header.get("ask")
        if header.get("round") is not None:
            now.fail(event.message, member, error)
        elif unit in member.ordered:
            member.ordered.discard(unit)
            member.unable.add(unit)
            self._shares.free.add(unit)
            self._failures[unit] = self._failures.get(unit, 0) + 1
            everybody = all(unit in one.unable for one in self._shares.members)
            if not header.get("elsewhere") or everybody or self._failures[unit] >= _ATTEMPTS:
                # a file that is missing or has been cut is called by its name
                self._input.check_files()
                # a job for each pass reads by Hadoop's own ways
                raise NoTasksError(f"tasks cannot read by themselves: {error}") if header.get("elsewhere") else error
        elif unit is not None or (ask is not None and ask not in now.asks):
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
        if not self.application.lose(member):
            return
        self._shares.lose(member)
        now.lose(member)
        self.say(f"{member.name} is gone ({error}); its {member.n_units} units are for others")
