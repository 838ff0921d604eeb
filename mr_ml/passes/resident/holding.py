"""What a task holds of a wide pass: the query, of which it fetches most from peers, and sums, which they fetch from it.

The driver sends each of some tasks one part of the query, and each fetches the others from its peers. When all blocks
are summed, each task joins some pieces of the sums: it fetches them from all peers, adds them along the tree, and sends
the driver the sum of the whole dataset. So query and sums pass through the driver once, whatever the number of tasks.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError
from mr_ml.passes.request import PassRequest
from mr_ml.passes.resident.peers import Calls, Counter, Found, Peer
from mr_ml.passes.resident.wire import Message, Payload
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node, PartialSums

# For which a part is waited for that the driver may still be sending.
PART_SECONDS = 10.0
# The sums of a node, cut into pieces.
_Cut = tuple[Node, list[Statistic]]


@dataclass(eq=False)
class _Held:
    """Of one pass.

    Attributes
    ----------
    part
        Of the query, as the driver sent it.
    sums
        By the number of the ask whose blocks they are of.
    """

    number: int
    request: PassRequest | None = None
    part: Payload | None = None
    sums: dict[int, list[_Cut]] = field(default_factory=dict)


class Holding:
    """What a task holds of the pass that is under way.

    Parameters
    ----------
    secret
        Of this job.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._counter: Counter | None = None
        self._changed = threading.Condition()
        self._held = _Held(0)

    def open(self, *, host: str, number: int) -> Peer:
        """Begin to serve peers; what they must know of this task.

        Raises
        ------
        OSError
            If it can listen nowhere.
        """
        if self._counter is None:
            self._counter = Counter(host=host, number=number, secret=self._secret, find=self._find)
        return self._counter.peer

    def close(self) -> None:
        """Serve no longer."""
        if self._counter is not None:
            self._counter.close()

    def forget(self) -> None:
        """Let go of the pass."""
        with self._changed:
            self._held = _Held(0)

    # --- the query ----------------------------------------------------------------------------------------------------

    def request(self, asked: dict[str, Any], payloads: Sequence[memoryview]) -> PassRequest:
        """Return the request of a pass, of which more blocks are to be summed.

        Parameters
        ----------
        asked
            What the driver says of it: `pass`, and where a part came the `size` of the whole and its `parts`, each as
            its offset, its length and the peer that has it.
        payloads
            The whole, a part, or nothing where this task has it.

        Raises
        ------
        UnreachedError
            If another part cannot be fetched.
        """
        held = self._of_pass(asked["pass"])
        if held.request is None:
            if not payloads:
                raise InternalError("a task was asked about a query that it was never sent")
            whole = self._assembled(held, asked, payloads[0]) if asked["parts"] else payloads[0]
            held.request = PassRequest.decode(whole, where="the query of a pass")
        return held.request

    def _of_pass(self, number: int) -> _Held:
        with self._changed:
            if self._held.number != number:
                self._held = _Held(number)
            return self._held

    def _assembled(self, held: _Held, asked: dict[str, Any], mine: memoryview) -> memoryview:
        assert self._counter is not None
        with self._changed:
            held.part = Payload(mine)
            self._changed.notify_all()
        parts = [(offset, length, Peer(*peer)) for offset, length, peer in asked["parts"]]
        at = next(k for k, (_, _, peer) in enumerate(parts) if peer == self._counter.peer)
        # pages of an array are taken when they are written, and others may say meanwhile that this task lives
        whole = np.empty(asked["size"], np.uint8)
        with Calls(self._secret) as calls:
            # each begins with another, so that all give at the same time
            for offset, length, peer in parts[at:] + parts[:at]:
                part = mine
                if peer != self._counter.peer:
                    (part,) = calls.fetch(peer, {"kind": "part", "pass": held.number})
                if len(part) != length:
                    raise InternalError(f"expected {length} bytes of a query, a task gave {len(part)}")
                whole[offset : offset + length] = np.frombuffer(part, np.uint8)
        return whole.data.toreadonly()

    # --- the sums -----------------------------------------------------------------------------------------------------

    def keep(self, number: int, ask: int, sums: PartialSums[Statistic]) -> int:
        """Keep what was found of the blocks of an ask; how many pieces each sum has."""
        cut = [(node, value.pieces()) for node, value in sums.items()]
        self._of_pass(number).sums[ask] = cut
        return len(cut[0][1]) if cut else 0

    def nodes(self, number: int, asks: Sequence[int], piece: int) -> Iterator[tuple[Node, Statistic]]:
        """Yield one piece of the sums of some asks.

        Raises
        ------
        LookupError
            If this task does not have them.
        """
        held = self._held
        if held.number != number:
            raise LookupError(f"it holds pass {held.number}, not {number}")
        for ask in asks:
            if ask not in held.sums:
                raise LookupError(f"it has no sums of ask {ask}")
            for node, pieces in held.sums[ask]:
                yield node, pieces[piece]

    def joined(self, header: dict[str, Any]) -> Iterator[tuple[int, list[tuple[Node, Statistic]]]]:
        """Join pieces of the sums of all tasks; yield the number of each, and the nodes that it came to.

        Parameters
        ----------
        header
            `pass`, `pieces`, and `of`: the peers with their asks.

        Raises
        ------
        UnreachedError
            If a peer does not give what it has.
        """
        assert self._counter is not None
        number, mine = header["pass"], self._counter.peer
        request = self._held.request
        if request is None or self._held.number != number:
            raise InternalError(f"a task was told to join sums of pass {number}, of which it has none")
        holders = [(Peer(*peer), asks) for peer, asks in header["of"]]
        at = next((k for k, (peer, _) in enumerate(holders) if peer == mine), 0)
        with Calls(self._secret) as calls, np.errstate(all="ignore"):
            for piece in header["pieces"]:
                # not in the memory of what is held: it may be asked for again
                sums: PartialSums[Statistic] = PartialSums(request.tree, operator.add)
                for peer, asks in holders[at:] + holders[:at]:
                    if peer == mine:
                        given = self.nodes(number, asks, piece)
                    else:
                        asked = {"kind": "piece", "pass": number, "piece": piece, "asks": asks}
                        where = f"what task {peer.number} gave"
                        given = (Statistic.decode(one, where=where) for one in calls.fetch(peer, asked))
                    for node, value in given:
                        sums.add(node, value)
                yield piece, sums.items()

    def _find(self, message: Message) -> Found:
        """Return what a peer asks for."""
        header = message.header
        if message.kind == "part":
            return {"kind": "part"}, [self._part(header["pass"])]
        if message.kind == "piece":
            nodes = self.nodes(header["pass"], header["asks"], header["piece"])
            return {"kind": "piece"}, [value.encode(node) for node, value in nodes]
        raise LookupError(f"there is no {message.kind!r}")

    def _part(self, number: int) -> Payload:
        with self._changed:
            self._changed.wait_for(
                lambda: self._held.number == number and self._held.part is not None, timeout=PART_SECONDS
            )  # fmt: skip
            if self._held.number != number or self._held.part is None:
                raise LookupError(f"it has no part of the query of pass {number}")
            return self._held.part
