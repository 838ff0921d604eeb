"""Tasks that fetch from each other: parts of a query, and pieces of sums."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from mr_ml.passes.resident.invitation import MOST_BYTES
from mr_ml.passes.resident.listening import Listener
from mr_ml.passes.resident.wire import CALLER, LISTENER, Message, Payload, RefusedError, Wire

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0

# The header and the payloads that answer a request.
Found = tuple[dict[str, Any], Sequence[bytes | Payload]]


class Peer(NamedTuple):
    """Another task: the number that the driver knows it by, and where it listens."""

    number: int
    host: str
    port: int


class UnreachedError(Exception):
    """A peer could not be reached, or did not give what was asked for."""

    def __init__(self, peer: Peer, why: object) -> None:
        super().__init__(f"task {peer.number} at {peer.host} port {peer.port}: {why}")


class Calls:
    """Connections to peers, opened when they are first needed and closed together.

    Parameters
    ----------
    secret
        Of this job.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._wires: dict[Peer, Wire] = {}

    def fetch(self, peer: Peer, header: dict[str, Any]) -> tuple[memoryview, ...]:
        """Return what a peer gives for a request.

        Raises
        ------
        UnreachedError
            If it gives nothing.
        """
        try:
            if peer not in self._wires:
                self._wires[peer] = self._connected(peer)
            wire = self._wires[peer]
            # nobody can have led us to another task, or back to this one
            wire.send({**header, "to": peer.number})
            message = wire.receive()
        except (OSError, EOFError, RefusedError) as error:
            raise UnreachedError(peer, error or type(error).__name__) from error
        if message.kind != header["kind"]:
            raise UnreachedError(peer, message.header.get("why", "it has none"))
        return message.payloads

    def _connected(self, peer: Peer) -> Wire:
        connection = socket.create_connection((peer.host, peer.port), timeout=CONNECT_SECONDS)
        wire = Wire(connection, secret=self._secret, role=CALLER, most_bytes=MOST_BYTES)
        wire.limit(ANSWER_SECONDS)
        return wire

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        for wire in self._wires.values():
            wire.close()


class Counter:
    """Where a task gives peers what they ask for.

    Parameters
    ----------
    host
        Its address, at which it listens on a port that is free.
    number
        By which the driver knows it.
    find
        Returns what a request asks for, or raises LookupError.
    """

    def __init__(self, *, host: str, number: int, secret: bytes, find: Callable[[Message], Found]) -> None:
        self._number, self._find = number, find
        self._listener = Listener(host=host, ports=(0,), secret=secret, role=LISTENER, attend=self._attend)

    @property
    def peer(self) -> Peer:
        """What others must know of it."""
        return Peer(self._number, *self._listener.address)

    def close(self) -> None:
        """Listen no longer, and hang up."""
        self._listener.close()

    def _attend(self, wire: Wire) -> None:
        wire.limit(ANSWER_SECONDS)
        while True:
            message = wire.receive()
            if message.header.get("to") != self._number:
                raise RefusedError("a request for another task")
            try:
                header, payloads = self._find(message)
            except LookupError as error:
                header, payloads = {"kind": "none", "why": str(error)}, ()
            wire.send(header, *payloads)
