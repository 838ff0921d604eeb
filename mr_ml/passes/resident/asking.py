"""What the driver has asked its tasks in a pass, and what is still missing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import MrMlError
from mr_ml.passes.resident.members import Event, Member
from mr_ml.passes.resident.wire import Message, Payload
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums, SumTree

# Runs of blocks: partition, first and last.
Blocks = Sequence[tuple[int, int, int]]


@dataclass(frozen=True)
class Ask:
    """What a member was asked about, when, and how many bytes of lines that is."""

    member: Member
    units: frozenset[int]
    n_bytes: int
    blocks: Blocks
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """For which it has been expected."""
        return time.monotonic() - self.since


@dataclass(eq=False)
class Pass:
    """A pass that is under way, whose members answer with their sums.

    Attributes
    ----------
    missing
        Units whose sums are not there.
    asks
        Of which an answer is expected, by number.
    rates
        Seconds a byte that answers took.
    """

    request: Payload
    tree: SumTree
    missing: set[int]
    asks: dict[int, Ask] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sums: PartialSums[Statistic] = PartialSums(self.tree, Statistic.absorb)

    def asked_of(self, member: Member) -> set[int]:
        """Return the units for which the member owes an answer."""
        return {unit for ask in self.asks.values() if ask.member is member for unit in ask.units}

    def ask(self, asks: Mapping[int, Ask]) -> None:
        """Ask members, by the numbers of their asks."""
        self.asks.update(asks)
        for number, ask in asks.items():
            ask.member.tell({"kind": "ask", "ask": number, "blocks": ask.blocks}, self.request)

    def take(self, message: Message, ask: Ask) -> None:
        """Take the answer to an ask whose units are missing."""
        self.missing -= ask.units
        for payload in message.payloads:
            self._sums.add(*Statistic.decode(payload, where=f"the answer of {ask.member.name}"))

    def hear(self, event: Event, member: Member) -> None:
        """Hear what else a member says."""

    def fail(self, message: Message, member: Member, error: MrMlError) -> None:
        """Hear that a member could not take part in what is done when all units are summed."""

    def lose(self, member: Member) -> None:
        """Go on without a member."""
        self.asks = {number: ask for number, ask in self.asks.items() if ask.member is not member}

    def straggler(self, *, slow_seconds: float, slow_times: float) -> Member | None:
        """Return the member that is waited for too long in what is done when all units are summed."""
        return None

    def go_on(self) -> None:
        """Do what is to be done when all units are summed."""

    @property
    def is_over(self) -> bool:
        """Whether all is there."""
        return not self.missing

    def totals(self) -> list[Statistic]:
        """Return the pieces of the sum of the dataset, each complete.

        Raises
        ------
        InternalError
            If that is not so.
        """
        return [self._sums.total()]

    def end(self, members: Iterable[Member]) -> None:
        """Let members forget the pass, be it complete or not."""
