"""What the driver has asked its tasks in a pass, and what is still missing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mr_ml.passes.resident.members import Member
from mr_ml.passes.resident.wire import Payload
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums


@dataclass(eq=False)
class Pass:
    """A pass that is under way.

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
    sums: PartialSums[Statistic]
    missing: set[int]
    asks: dict[int, Ask] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    def asked_of(self, member: Member) -> set[int]:
        """Return the units for which the member owes an answer."""
        return {unit for ask in self.asks.values() if ask.member is member for unit in ask.units}


@dataclass(frozen=True)
class Ask:
    """What a member was asked about, when, and how many bytes of lines that is."""

    member: Member
    units: frozenset[int]
    n_bytes: int
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """For which it has been expected."""
        return time.monotonic() - self.since
