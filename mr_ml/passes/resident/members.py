"""The driver's side of its tasks: it listens, has each prove itself, and hears and tells each in threads of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any, NamedTuple

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UnavailableError
from mr_ml.passes.resident.listening import Listener
from mr_ml.passes.resident.peers import Peer
from mr_ml.passes.resident.wire import DRIVER, Message, Payload, RefusedError, Wire

# A task says a word each second.
SILENCE_SECONDS = 10.0
_BEAT_SECONDS = 5.0
HELLO, LOST, ANSWER, OPENED, SUMMED = "hello", "lost", "answer", "opened", "summed"


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
    number
        By which other tasks know it; 0 if it was not told to listen for them.
    peer
        Where it listens for them.
    """

    wire: Wire
    name: str = "a task"
    units: set[int] = field(default_factory=set)
    ordered: set[int] = field(default_factory=set)
    unable: set[int] = field(default_factory=set)
    alive: bool = True
    is_slow: bool = False
    number: int = 0
    peer: Peer | None = None
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
            # they may be large
            del told, payloads


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
    told
        Where tasks find it, if not there.
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
        self, *, host: str, ports: Iterable[int], secret: bytes, events: queue.SimpleQueue[Event],
        told: str | None = None,
    ) -> None:  # fmt: skip
        self._events, self.needs_members, self._told = events, True, told
        try:
            self._listener = Listener(host=host, ports=ports, secret=secret, role=DRIVER, attend=self._attend)
        except OSError as error:
            raise UnavailableError(
                f"expected a free port at {host} at which tasks reach this process, found none: {error}; choose others "
                "as `driver_port` in the settings of `config`"
            ) from error

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as tasks are told."""
        host, port = self._listener.address
        return self._told or host, port

    def __str__(self) -> str:
        """Return where it is, for messages."""
        (host, port), listens = self.address, self._listener.address[0]
        return f"{host} port {port}" + (f" (it listens at {listens})" if listens != host else "")

    def close(self) -> None:
        """Listen no longer, and hang up."""
        self._listener.close()

    def _attend(self, wire: Wire) -> None:
        """Hear a task of ours to its end."""
        member = Member(wire)
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
                # it may be large
                del message
        except TimeoutError:
            said = TimeoutError(f"it said nothing for {SILENCE_SECONDS:.0f} s")
        except (OSError, EOFError, RefusedError) as error:
            said = error
        member.hang_up()
        self._events.put(Event(LOST, member, error=said))
