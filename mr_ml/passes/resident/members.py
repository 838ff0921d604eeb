"""The driver's side of its tasks: it listens, has each prove itself, and hears and tells each in threads of its own."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mr_ml.errors import UnavailableError
from mr_ml.passes.resident.invitation import MOST_BYTES
from mr_ml.passes.resident.wire import DRIVER, Message, Payload, RefusedError, Wire

# A task says a word each second.
SILENCE_SECONDS = 10.0
_BEAT_SECONDS = 5.0
# Connections that have not yet proved anything; who comes later drives out the one that has waited longest.
_MOST_STRANGERS = 64
_BACKLOG = 1024
_PAUSE_SECONDS = 0.1
HELLO, LOST, ANSWER = "hello", "lost", "answer"


class Event(NamedTuple):
    """What happened: the kind of a message, or of what became of a member."""

    kind: str
    member: Member | None
    message: Message | None = None
    error: BaseException | None = None


@dataclass(eq=False)
class Member:
    """A task that is connected.

    Attributes
    ----------
    name
        Of the attempt, as the cluster knows it.
    units
        That it holds of the split of this turn, by number.
    ordered
        That it was told to read and has not said to hold.
    unable
        That it could not read.
    alive
        Whether the driver counts on it.
    is_slow
        Whether others do what it owes.
    """

    wire: Wire
    name: str = "a task"
    units: set[int] = field(default_factory=set)
    ordered: set[int] = field(default_factory=set)
    unable: set[int] = field(default_factory=set)
    alive: bool = True
    is_slow: bool = False
    # what it holds of other splits, by the number of the first unit of each
    _others: dict[int, set[int]] = field(default_factory=dict)
    _first: int = 0
    # None at the end
    _waiting: queue.SimpleQueue[tuple[dict[str, Any], tuple[bytes | Payload, ...]] | None] = field(
        default_factory=queue.SimpleQueue
    )

    @property
    def n_units(self) -> int:
        """How many it holds, or will."""
        return len(self.units) + len(self.ordered)

    def turn_to(self, first: int) -> None:
        """Begin a turn on the split whose units have numbers from this one."""
        self._others[self._first] = self.units
        self._first, self.units = first, self._others.pop(first, set())
        # what is on the way is for nobody
        self.ordered, self.unable = set(), set()

    def clear(self, *, sums_bytes: int) -> None:
        """Have it let go of all that it holds, and leave room for queries and sums of so many bytes."""
        self._others, self.units, self.ordered = {}, set(), set()
        self.tell({"kind": "clear", "sums_bytes": sums_bytes})

    def tell(self, header: dict[str, Any], *payloads: bytes | Payload) -> None:
        """Send a message, soon; whether it arrives shows by what the member answers."""
        self._waiting.put((header, payloads))

    def hang_up(self) -> None:
        """Close the connection; the threads that send and receive end."""
        self.wire.close()
        self._waiting.put(None)

    def send_waiting(self, is_needed: Callable[[], bool]) -> None:
        """Send what is to be told, and while it is needed a beat now and then; until the connection breaks."""
        while True:
            try:
                told = self._waiting.get(timeout=_BEAT_SECONDS)
            except queue.Empty:
                if not is_needed():
                    continue
                told = {"kind": "beat"}, ()
            if told is None:
                return
            header, payloads = told
            try:
                self.wire.send(header, *payloads)
            except OSError:
                # the thread that receives says so
                self.wire.close()
                return


class Reception:
    """Listens for tasks, and puts what they say into a queue.

    Attributes
    ----------
    needs_members
        Whether they are told so: those that hear nothing for long end.

    Parameters
    ----------
    host
        Address of this machine; nothing else listens.
    ports
        The first one that is free is taken; 0 is any.
    secret
        Of this job.
    events
        Gets an `Event` for each message of a member, the first of which is its `HELLO`; the last is `LOST`.

    Raises
    ------
    UnavailableError
        If none of the ports can be had.
    """

    def __init__(
        self, *, host: str, ports: Iterable[int], secret: bytes, events: queue.SimpleQueue[Event]
    ) -> None:  # fmt: skip
        self._secret, self._events = secret, events
        self.needs_members = True
        self._listener = _listener(host, ports)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._strangers: deque[socket.socket] = deque()
        self._lock, self._closed = threading.Lock(), False
        self._members: list[Member] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no longer, and hang up."""
        with self._lock:
            self._closed = True
            strangers, members = list(self._strangers), list(self._members)
        with suppress(OSError):
            # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for stranger in strangers:
            _wake(stranger)
        for member in members:
            member.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                # such as too many open files: it passes
                time.sleep(_PAUSE_SECONDS)
                continue
            with self._lock:
                self._strangers.append(connection)
                oldest = self._strangers.popleft() if len(self._strangers) > _MOST_STRANGERS else None
                if self._closed:
                    _wake(connection)
            if oldest is not None:
                _wake(oldest)
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        """Take in who proves to be a task of ours, and hear it to its end."""
        try:
            wire = Wire(connection, secret=self._secret, role=DRIVER, most_bytes=MOST_BYTES)
        except (OSError, EOFError, RefusedError):
            return
        finally:
            with self._lock, suppress(ValueError):
                self._strangers.remove(connection)
        member = Member(wire)
        with self._lock:
            self._members.append(member)
            if self._closed:
                member.hang_up()
        said: BaseException
        try:
            wire.limit(SILENCE_SECONDS)
            sending = threading.Thread(target=member.send_waiting, args=(lambda: self.needs_members,), daemon=True)
            sending.start()
            while True:
                message = wire.receive()
                if message.kind == HELLO:
                    member.name = str(message.header.get("name"))
                if message.kind != "beat":
                    self._events.put(Event(message.kind, member, message))
        except TimeoutError:
            said = TimeoutError(f"it said nothing for {SILENCE_SECONDS:.0f} s")
        except (OSError, EOFError, RefusedError) as error:
            said = error
        member.hang_up()
        with self._lock:
            self._members.remove(member)
        self._events.put(Event(LOST, member, error=said))


def _wake(connection: socket.socket) -> None:
    """Have the thread that reads from a connection see its end; that thread closes it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _listener(host: str, ports: Iterable[int]) -> socket.socket:
    said: OSError | None = None
    for port in ports:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            said = error
    raise UnavailableError(
        f"expected a free port at {host} at which tasks reach this process, found none: {said}; choose others as "
        "`driver_port` in the settings of `config`"
    )
