"""Messages between the driver and resident tasks: what is sent, what is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import queue
import socket
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest

from mr_ml.errors import BadDataError
from mr_ml.passes.resident import listening, members, wire
from mr_ml.passes.resident.invitation import MOST_BYTES, Invitation
from mr_ml.passes.resident.members import Event, Reception
from mr_ml.passes.resident.wire import DRIVER, TASK, Message, Payload, RefusedError, Wire

SECRET = bytes(range(32))
MOST = MOST_BYTES
LONG_SECONDS = 60.0
VERSION = b"mr_ml resident 1"


class Peer:
    """A task as the protocol's description has it, by hand."""

    def __init__(self, connection: socket.socket, secret: bytes = SECRET) -> None:
        self.connection, self.secret, self.sent = connection, secret, 0
        connection.settimeout(LONG_SECONDS)

    def read(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            some = self.connection.recv(n - len(data))
            if not some:
                raise EOFError
            data += some
        return data

    def shake_hands(self, mine: bytes = b"n" * 32) -> None:
        self.connection.sendall(mine)
        self.nonces = self.read(32) + mine
        self.connection.sendall(self.derived(b"proof of the task"))
        assert self.read(32) == self.derived(b"proof of the driver")

    def derived(self, what: bytes) -> bytes:
        return hmac.new(self.secret, VERSION + b" " + what + b"\n" + self.nonces, hashlib.sha256).digest()

    def message(
        self, header: Any, *payloads: bytes, number: int | None = None, key: bytes | None = None
    ) -> bytes:  # fmt: skip
        """The bytes of a message, by default of the next one."""
        text = json.dumps(header).encode()
        start = struct.pack("<II", len(text), len(payloads))
        start += b"".join(struct.pack("<Q", len(payload)) for payload in payloads) + text
        digests = b"".join(hashlib.sha256(payload).digest() for payload in payloads)
        said = struct.pack("<Q", self.sent if number is None else number) + start + digests
        proof = hmac.new(self.derived(b"from the task") if key is None else key, said, hashlib.sha256).digest()
        self.sent += 1
        return start + b"".join(payloads) + proof


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def both(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """Do both at once; what they return or raise."""
    found: list[Any] = [None, None]

    def do(at: int, what: Callable[[], Any]) -> None:
        try:
            found[at] = what()
        except Exception as error:
            found[at] = error

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_SECONDS)
        assert not thread.is_alive()
    return found


def make(connection: socket.socket, role: str, secret: bytes = SECRET) -> Wire:
    return Wire(connection, secret=secret, role=role, most_bytes=MOST)


@pytest.fixture
def by_hand(ends: tuple[socket.socket, socket.socket]) -> Iterator[tuple[Wire, Peer]]:
    peer = Peer(ends[1])
    driver, _ = both(lambda: make(ends[0], DRIVER), peer.shake_hands)
    with closing(driver):
        driver.limit(LONG_SECONDS)
        yield driver, peer


def test_messages_arrive_as_they_were_sent_both_ways(ends: tuple[socket.socket, socket.socket]) -> None:
    driver, task = both(lambda: make(ends[0], DRIVER), lambda: make(ends[1], TASK))
    with closing(driver), closing(task):
        large = Payload(os.urandom(3 << 20))
        sent: list[tuple[dict[str, Any], tuple[bytes | memoryview, ...]]]
        sent = [({"kind": "a", "é": [1]}, ()), ({"kind": "b"}, (b"", b"x", large.data)), ({}, (b"",))]
        for one, other in ((driver, task), (task, driver)):

            def send(one: Wire = one) -> None:
                for header, payloads in sent:
                    one.send(header, *(large if payload is large.data else payload for payload in payloads))

            def receive(other: Wire = other) -> list[Message]:
                return [other.receive() for _ in sent]

            _, got = both(send, receive)
            assert [(message.header, message.payloads) for message in got] == sent
        # both ends count the same, headers and MACs too
        payloads = sum(len(payload) for _, bodies in sent for payload in bodies)
        for one, other in ((driver, task), (task, driver)):
            assert one.bytes_sent == other.bytes_received > payloads + len(sent) * 32


def test_the_bytes_on_the_way_are_those_of_the_description(by_hand: tuple[Wire, Peer]) -> None:
    driver, peer = by_hand
    peer.connection.sendall(peer.message({"kind": "hello"}, b"some", b""))
    message = driver.receive()
    assert (message.kind, [bytes(payload) for payload in message.payloads]) == ("hello", [b"some", b""])
    n = driver.send({"kind": "end"}, b"xyz")
    text = b'{"kind":"end"}'
    start = struct.pack("<IIQ", len(text), 1, 3) + text
    said = struct.pack("<Q", 0) + start + hashlib.sha256(b"xyz").digest()
    proof = hmac.new(peer.derived(b"from the driver"), said, hashlib.sha256).digest()
    assert peer.read(n) == start + b"xyz" + proof


@pytest.mark.parametrize("role", [DRIVER, TASK])
def test_who_does_not_know_the_secret_is_refused(ends: tuple[socket.socket, socket.socket], role: str) -> None:
    other = TASK if role == DRIVER else DRIVER
    found = both(lambda: make(ends[0], role), lambda: make(ends[1], other, b"x" * 32))
    assert any(isinstance(error, RefusedError) for error in found)
    assert all(isinstance(error, RefusedError | EOFError | OSError) for error in found)
    assert ends[0].fileno() == ends[1].fileno() == -1


@pytest.mark.parametrize("role", [DRIVER, TASK])
def test_a_side_is_not_taken_in_by_its_own_words(ends: tuple[socket.socket, socket.socket], role: str) -> None:
    """Who sends back all that it gets knows no secret."""

    def echo() -> None:
        with suppress(OSError):
            for _ in range(1 if role == DRIVER else 2):
                ends[1].sendall(ends[1].recv(1 << 16))
        ends[1].close()

    found, _ = both(lambda: make(ends[0], role), echo)
    assert isinstance(found, RefusedError | EOFError)


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


HOSTILE: dict[str, Callable[[Peer], bytes]] = {
    "doubled": lambda peer: (one := peer.message({"kind": "a"})) + one,
    "left out": lambda peer: peer.message({"kind": "a"}) + peer.message({"kind": "b"}, number=2),
    "reordered": lambda peer: (one := peer.message({"kind": "a"}), peer.message({"kind": "b"}))[1] + one,
    "changed header": lambda peer: peer.message({"n": 1}).replace(b"1", b"2"),
    "changed payload": lambda peer: changed(peer.message({"kind": "a"}, b"payload"), -40),
    "changed proof": lambda peer: changed(peer.message({"kind": "a"}), -1),
    "lengths moved": lambda peer: peer.message({}, b"a", b"bc").replace(
        struct.pack("<QQ", 1, 2), struct.pack("<QQ", 2, 1)
    ),
    "key of the other direction": lambda peer: peer.message({"kind": "a"}, key=peer.derived(b"from the driver")),
    "the secret as key": lambda peer: peer.message({"kind": "a"}, key=SECRET),
    "not an object": lambda peer: peer.message(["kind"]),
    "garbage": lambda peer: b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 100,
    "header too long": lambda peer: struct.pack("<II", (16 << 20) + 1, 0),
    "too many payloads": lambda peer: struct.pack("<II", 2, (1 << 20) + 1),
    "payload too long": lambda peer: struct.pack("<IIQ", 2, 1, MOST + 1) + b"{}",
    "payloads too long together": lambda peer: struct.pack("<IIQQ", 2, 2, MOST, 1) + b"{}",
    "length that wraps around": lambda peer: struct.pack("<IIQQ", 2, 2, 2**64 - 1, 2) + b"{}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_message_or_not_the_next_is_refused(by_hand: tuple[Wire, Peer], name: str) -> None:
    driver, peer = by_hand
    peer.connection.sendall(HOSTILE[name](peer))
    found: list[str] = []
    with pytest.raises(RefusedError):
        found.extend(driver.receive().kind for _ in range(2))


def test_a_message_of_another_connection_is_refused(by_hand: tuple[Wire, Peer]) -> None:
    _, before = by_hand
    one, other = socket.socketpair()
    with one, other:
        # the same task's number, so that nothing but the driver's tells the connections apart
        peer = Peer(other)
        driver, _ = both(lambda: make(one, DRIVER), peer.shake_hands)
        with closing(driver):
            other.sendall(before.message({"kind": "a"}))
            with pytest.raises(RefusedError):
                driver.receive()


@pytest.mark.parametrize("kept", [0, 3, 11, 20, -1])
def test_half_a_message_is_none(by_hand: tuple[Wire, Peer], kept: int) -> None:
    driver, peer = by_hand
    peer.connection.sendall(peer.message({"kind": "a"}, b"payload")[:kept])
    peer.connection.shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        driver.receive()


def test_memory_is_taken_as_bytes_come(by_hand: tuple[Wire, Peer]) -> None:
    driver, peer = by_hand
    peer.connection.sendall(struct.pack("<IIQ", 2, 1, MOST) + b"{}" + b"x" * 1000)
    peer.connection.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    try:
        with pytest.raises(EOFError):
            driver.receive()
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


# --- the driver's side ------------------------------------------------------------------------------------------------


@pytest.fixture
def reception() -> Iterator[tuple[Reception, queue.SimpleQueue[Event]]]:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    before = set(threading.enumerate())
    made = Reception(host="127.0.0.1", ports=(0,), secret=SECRET, events=events)
    with closing(made):
        yield made, events
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG_SECONDS)
        assert not thread.is_alive()


def connected(reception: Reception) -> socket.socket:
    return socket.create_connection(reception.address, timeout=LONG_SECONDS)


def test_strangers_keep_no_task_out(reception: tuple[Reception, queue.SimpleQueue[Event]]) -> None:
    made, events = reception
    with ExitStack() as strangers:
        for number in range(3 * listening._MOST_STRANGERS):
            stranger = strangers.enter_context(connected(made))
            if number % 3:
                stranger.sendall(b"GET / HTTP/1.1\r\n"[: 16 * (number % 3 - 1)] or b"x" * 100)
        with closing(make(connected(made), TASK)) as task:
            task.send({"kind": "hello", "name": "the one"})
            event = events.get(timeout=LONG_SECONDS)
            assert (event.kind, event.member and event.member.name) == ("hello", "the one")
        assert events.get(timeout=LONG_SECONDS).kind == "lost"
    assert events.empty()


@pytest.mark.parametrize("name", [*HOSTILE, "wrong secret", "half a handshake"])
def test_a_hostile_peer_is_lost_or_never_known(
    reception: tuple[Reception, queue.SimpleQueue[Event]], name: str
) -> None:
    made, events = reception
    with connected(made) as connection:
        if name == "wrong secret":
            peer = Peer(connection, b"x" * 32)
            with pytest.raises((EOFError, OSError)):
                peer.shake_hands()
        elif name == "half a handshake":
            connection.sendall(b"n" * 32)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
        else:
            peer = Peer(connection)
            peer.shake_hands()
            connection.sendall(HOSTILE[name](peer))
            kinds: list[str] = []
            while not kinds or kinds[-1] != "lost":
                kinds.append(events.get(timeout=LONG_SECONDS).kind)
            assert kinds in (["lost"], ["a", "lost"])
    assert events.empty()


def test_accepting_goes_on_after_it_failed(
    reception: tuple[Reception, queue.SimpleQueue[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, events = reception
    accept, failures = socket.socket.accept, [OSError(24, "Too many open files")]

    def failing(self: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", failing)
    for _ in range(2):
        with closing(make(connected(made), TASK)) as task:
            task.send({"kind": "hello"})
            assert events.get(timeout=LONG_SECONDS).kind == "hello"
        assert events.get(timeout=LONG_SECONDS).kind == "lost"
    assert not failures


def test_a_task_that_is_silent_is_lost(
    reception: tuple[Reception, queue.SimpleQueue[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, events = reception
    monkeypatch.setattr(members, "SILENCE_SECONDS", 0.05)
    with closing(make(connected(made), TASK)):
        event = events.get(timeout=LONG_SECONDS)
        assert (event.kind, str(event.error)) == ("lost", "it said nothing for 0 s")


def test_half_a_handshake_ends(
    reception: tuple[Reception, queue.SimpleQueue[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = reception
    monkeypatch.setattr(wire, "HANDSHAKE_SECONDS", 0.05)
    with connected(made) as connection:
        # the driver's number, and then the end
        while connection.recv(1 << 10):
            pass


# --- the invitation ---------------------------------------------------------------------------------------------------


def test_an_invitation_is_read_as_it_was_written() -> None:
    made = Invitation(addresses=(("127.0.0.1", 80), ("::1", 81)), secret=SECRET.hex(), memory_bytes=5)
    assert Invitation.decode(made.encode()) == made
    assert Invitation.decode(made.encode()).key == SECRET


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[:-1], lambda text: text.replace('"secret": "', '"secret": "zz'), lambda text: text + "x",
     lambda text: text.replace("80", '"80"'), lambda text: text.replace("01", "")],
)  # fmt: skip
def test_nothing_says_the_secret(damage: Callable[[str], str]) -> None:
    made = Invitation(addresses=(("127.0.0.1", 80),), secret=SECRET.hex())
    assert SECRET.hex()[2:20] not in f"{made!r} {made}"
    with pytest.raises(BadDataError) as found:
        Invitation.decode(damage(made.encode().decode()).encode())
    assert SECRET.hex()[2:20] not in repr(found.getrepr(showlocals=False)) + str(found.value)
    assert found.value.__cause__ is None
