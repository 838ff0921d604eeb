"""Which task holds which units: every unit one of them, as even as their number allows, neighbours together."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from mr_ml.passes.resident.asking import Pass
from mr_ml.passes.resident.members import Member
from mr_ml.passes.resident.units import Unit, next_unit

# How many units a task has on order: one that it reads, and one that it goes on with.
_AHEAD = 2
# A task that takes so many times as long as others for as much data is not waited for.
_SLOW_TIMES = 3.0


@dataclass(eq=False)
class Shares:
    """The members, and the units that none of them holds or is to read.

    Attributes
    ----------
    units
        By number.
    order
        Has a member read a unit.
    """

    units: Mapping[int, Unit]
    order: Callable[[Member, int], None]
    members: list[Member] = field(default_factory=list)
    free: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.free = set(self.units).difference(*(member.units for member in self.members))

    def lose(self, member: Member) -> None:
        """Go on without one that is no longer among the members: what it held is free."""
        self.free |= member.units | member.ordered
        # what none of those who are left could read, one of them is to try again
        for unit in self.free.intersection(*(one.unable for one in self.members)):
            for one in self.members:
                one.unable.discard(unit)

    def give_out(self) -> None:
        """Have members read the units that nobody holds, a few at a time."""
        # where none but slow ones are left, they must do
        quick = [one for one in self.members if not one.is_slow] or self.members
        first = min(self.units, default=0)
        while self.free:
            able = [one for one in quick if len(one.ordered) < _AHEAD and not self.free <= one.unable]
            if not able:
                return
            member = min(able, key=lambda one: one.n_units)
            unit = next_unit(sorted(self.free - member.unable), member.units | member.ordered, first=first)
            self.free.remove(unit)
            self.order(member, unit)

    def relieve(self, now: Pass, *, slow_seconds: float, say: Callable[[str], None]) -> None:
        """Let members that have nothing to do take over what a slow one holds; whose answer comes first counts."""
        straggler = now.straggler(slow_seconds=slow_seconds, slow_times=_SLOW_TIMES)
        if straggler is not None:
            now.lose(straggler)
            self._release(straggler, frozenset(straggler.units), "to join sums", say)
        if not any(not one.ordered and not now.asked_of(one) for one in self.members) or not now.rates:
            return
        usual = statistics.median(now.rates)
        for ask in now.asks.values():
            member = ask.member
            limit = max(_SLOW_TIMES * usual * ask.n_bytes, slow_seconds)
            if ask.seconds > limit and not member.is_slow and ask.units <= member.units:
                self._release(member, ask.units, f"({ask.seconds:.0f} s)", say)

    def _release(self, member: Member, units: frozenset[int], why: str, say: Callable[[str], None]) -> None:
        member.is_slow = True
        member.units -= units
        self.free |= units
        # it hears of that when it has answered
        member.tell({"kind": "drop", "blocks": [self.units[unit].blocks for unit in units]})
        say(f"{member.name} takes long {why}; its {len(units)} units are for others")

    def balance(self) -> None:
        """Let members that came late take units of those that have more; before a pass, so that nothing is asked."""
        quick = [member for member in self.members if not member.is_slow]
        while len(quick) > 1:
            least = min(quick, key=lambda one: one.n_units)
            most = max(quick, key=lambda one: len(one.units))
            if len(most.units) - least.n_units < 2:
                return
            # the last one: what is left stays together
            unit = max(most.units)
            if unit in least.unable:
                return
            most.units.remove(unit)
            most.tell({"kind": "drop", "blocks": [self.units[unit].blocks]})
            self.order(least, unit)
