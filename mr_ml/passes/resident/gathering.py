"""The driver's side of a wide pass: query and sums go from task to task, and come here once.

Of the sums that tasks have found, each task joins some pieces, and sends each here when it is whole. Whoever is lost
until then leaves its units to others, and the pieces that have not come are joined anew.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError, MrMlError, UnavailableError
from mr_ml.passes.resident.application import Application
from mr_ml.passes.resident.asking import Ask, Pass
from mr_ml.passes.resident.members import Event, Member
from mr_ml.passes.resident.wire import Message, Payload
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums

# So often in a pass may tasks fail to reach each other of which none is lost, so long apart.
_ATTEMPTS, _PAUSE_SECONDS = 3, 1.0


@dataclass(eq=False, kw_only=True)
class WidePass(Pass):
    """A pass that is under way, whose members keep their sums until all are there.

    Attributes
    ----------
    cut_off
        Called when members do not reach each other, and what they find is to pass through this process from now on; it
        may raise.
    held
        By the number of their asks, what members have summed.
    joined
        The pieces of the sum of the dataset that are there, by number.
    """

    application: Application
    cut_off: Callable[[str], None]
    held: dict[int, Ask] = field(default_factory=dict)
    joined: dict[int, Statistic] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number = self.application.new_ask()
        self._n_pieces = 0
        # who has the query
        self._told: set[Member] = set()
        # attempts to join what is missing; the last one, when it began, who still works at it, how long others took
        self._rounds: set[int] = set()
        self._round, self._since, self._took = 0, 0.0, 0.0
        self._owing: set[Member] = set()
        self._given: PartialSums[Statistic] | None = None
        # whether somebody was lost since it began, why somebody left it, how often that was
        self._broken, self._why = False, ""
        self._failures, self._not_before = 0, 0.0

    # --- the query ----------------------------------------------------------------------------------------------------

    def ask(self, asks: Mapping[int, Ask]) -> None:
        """Ask members; those that do not have the query get it in parts, which they exchange, or whole."""
        self.asks.update(asks)
        new = {ask.member: None for ask in asks.values() if ask.member not in self._told}
        for member in new:
            if not member.number:
                member.number = self.application.new_ask()
                member.tell({"kind": "open", "number": member.number})
        sharing = [member for member in new if member.peer is not None and not member.is_slow]
        parts = self._parts(sharing) if len(sharing) > 1 and self.application.peers_reach else {}
        listed = [(offset, len(part.data), member.peer) for member, (offset, part) in parts.items()]
        for number, ask in asks.items():
            member = ask.member
            if member in self._told:
                self._send(number, ask)
            elif member in parts:
                self._send(number, ask, parts[member][1], parts=listed)
            else:
                self._send(number, ask, self.request)
            self._told.add(member)

    def _send(self, number: int, ask: Ask, *payloads: Payload, parts: Any = ()) -> None:
        query = {"pass": self._number, "size": len(self.request.data), "parts": parts}
        ask.member.tell({"kind": "ask", "ask": number, "blocks": ask.blocks, "query": query}, *payloads)

    def _parts(self, members: list[Member]) -> dict[Member, tuple[int, Payload]]:
        """Cut the query for some members; offset and part of each."""
        data, n = memoryview(self.request.data), len(members)
        ends = [k * len(data) // n for k in range(n + 1)]
        return {
            member: (start, Payload(data[start:end]))
            for member, start, end in zip(members, ends, ends[1:], strict=False)
        }

    # --- what members say ---------------------------------------------------------------------------------------------

    def take(self, message: Message, ask: Ask) -> None:
        """Count on the sums that a member holds."""
        n_pieces = message.header["pieces"]
        if not isinstance(n_pieces, int) or n_pieces < 1 or self._n_pieces not in (0, n_pieces):
            raise InternalError(f"{ask.member.name} found sums in {n_pieces!r} pieces, others in {self._n_pieces}")
        self._n_pieces = n_pieces
        self.missing -= ask.units
        self.held[message.header["ask"]] = ask

    def hear(self, event: Event, member: Member) -> None:
        """Hear what else a member says."""
        assert event.message is not None
        header = event.message.header
        if event.kind == "unreached":
            ask = self.asks.get(header["ask"])
            if ask is not None and ask.member is member:
                # it gets the query from here
                self._send(header["ask"], ask, self.request)
        elif header.get("round") not in self._rounds:
            # of an earlier pass
            return
        elif event.kind == "piece":
            self._join(header["piece"], event.message, member)
        elif header["round"] != self._round or member not in self._owing:
            # it was not waited for
            return
        elif event.kind == "given":
            self._add(header["piece"], event.message, member)
        elif event.kind == "joined":
            self._leave(member, header.get("why", ""))

    def fail(self, message: Message, member: Member, error: MrMlError) -> None:
        """Hear that a member could not join or give its sums."""
        if message.header["round"] not in self._rounds:
            return
        if not message.header.get("elsewhere"):
            raise error
        if member in self._owing:
            self._leave(member, str(error))

    def lose(self, member: Member) -> None:
        """Go on without a member: what it held is to be summed by others."""
        super().lose(member)
        for number in [number for number, ask in self.held.items() if ask.member is member]:
            self.missing |= self.held.pop(number).units
        self._owing.discard(member)
        # whoever did not reach it has told so, or will
        self._broken, self._failures = True, 0

    # --- the pieces ---------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Have what is missing joined, if all is summed and nobody works at it."""
        if self.missing or self._owing or self.is_over:
            return
        if self._why and not self._broken:
            self._failures, self._not_before = self._failures + 1, time.monotonic() + _PAUSE_SECONDS
            if self._failures > _ATTEMPTS:
                raise UnavailableError(f"what tasks that stay have summed could not be had: {self._why}")
            if self._failures == _ATTEMPTS and self.application.peers_reach:
                self._failures = 0
                self._cut_off(self._why)
        self._why = ""
        if time.monotonic() < self._not_before:
            # one that is lost is perhaps not yet known to be
            return
        holders: dict[Member, list[int]] = {}
        for number, ask in self.held.items():
            holders.setdefault(ask.member, []).append(number)
        pieces = [piece for piece in range(self._n_pieces) if piece not in self.joined]
        if self.application.peers_reach and not all(member.peer for member in holders):
            self._cut_off("one of them can listen nowhere")
        number = self.application.new_ask()
        self._round, self._since, self._took, self._broken = number, time.monotonic(), 0.0, False
        self._rounds.add(number)
        if self.application.peers_reach:
            self._have_joined(number, pieces, holders)
        else:
            self._have_given(number, pieces[0], holders)

    def _cut_off(self, why: str) -> None:
        self.application.peers_reach = False
        self.cut_off(why)

    def _have_joined(self, number: int, pieces: list[int], holders: Mapping[Member, list[int]]) -> None:
        """Let each join some of the pieces; each is of all members' sums."""
        of = [(member.peer, asks) for member, asks in holders.items()]
        for k, member in enumerate(holders):
            mine = [piece for at, piece in enumerate(pieces) if at * len(holders) // len(pieces) == k]
            if mine:
                self._owing.add(member)
                member.tell({"kind": "join", "round": number, "pass": self._number, "pieces": mine, "of": of})

    def _have_given(self, number: int, piece: int, holders: Mapping[Member, list[int]]) -> None:
        """Have all members send their sums of one piece, which is joined here."""
        self._given = PartialSums(self.tree, operator.add)
        for member, asks in holders.items():
            self._owing.add(member)
            member.tell({"kind": "give", "round": number, "pass": self._number, "piece": piece, "asks": asks})

    def _join(self, piece: int, message: Message, member: Member) -> None:
        if piece in self.joined or not 0 <= piece < self._n_pieces:
            return
        sums: PartialSums[Statistic] = PartialSums(self.tree, operator.add)
        for payload in message.payloads:
            sums.add(*Statistic.decode(payload, where=f"what {member.name} joined"))
        self.joined[piece] = sums.total()

    def _add(self, piece: int, message: Message, member: Member) -> None:
        assert self._given is not None
        with np.errstate(all="ignore"):
            for payload in message.payloads:
                self._given.add(*Statistic.decode(payload, where=f"what {member.name} gave"))
        self._left(member)
        if not self._owing and not self._broken:
            self.joined[piece] = self._given.total()

    def _leave(self, member: Member, why: str) -> None:
        """Hear that a member joins no more pieces in this round."""
        self._left(member)
        self._why = self._why or why
        if not self._owing and not self.is_over:
            self._why = self._why or f"{member.name} joined less than it was to"

    def _left(self, member: Member) -> None:
        self._owing.remove(member)
        self._took = time.monotonic() - self._since

    def straggler(self, *, slow_seconds: float, slow_times: float) -> Member | None:
        """Return the member that all others have been waiting for too long."""
        seconds = time.monotonic() - self._since
        if len(self._owing) != 1 or not self._took or seconds <= max(slow_seconds, slow_times * self._took):
            return None
        return next(iter(self._owing))

    # --- the end ------------------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether all pieces are there."""
        return 0 < self._n_pieces == len(self.joined)

    def totals(self) -> list[Statistic]:
        """Return the pieces of the sum of the dataset, each complete."""
        return list(self.joined.values())

    def end(self, members: Iterable[Member]) -> None:
        """Let members forget the pass, be it complete or not."""
        for member in members:
            if member in self._told:
                member.tell({"kind": "forget"})
