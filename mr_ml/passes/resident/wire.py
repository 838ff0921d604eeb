"""Messages between the driver and a task that stays, or between two such tasks, over one TCP connection.

First both sides prove that they know the secret of this job, by HMAC-SHA256 of both sides' random numbers and of the
role in which each speaks. From then on every message carries an HMAC under a key of this connection and direction,
over its number, its header and the SHA-256 of what follows: nobody on the way can change, repeat, leave out or add one.
They are not encrypted; neither is what HDFS sends by default.

    header length u32 | number of payloads u32 | length of each u64 | header (JSON) | payloads | HMAC, 32 bytes

Nothing is unpickled, and lengths are looked at before memory is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import socket
import struct
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from hdfs_layout.dataclass import dataclass

DRIVER, TASK = "driver", "task"
# two tasks: who has connected, and who listens
CALLER, LISTENER = "caller", "listener"
HANDSHAKE_SECONDS = 10.0
SECRET_BYTES = 32
# Changes whenever one side could misunderstand the other; a task's code is the driver's own, so they agree.
_VERSION = b"mr_ml resident 1"
_OTHERS = {DRIVER: TASK, TASK: DRIVER, LISTENER: CALLER, CALLER: LISTENER}
_NONCE_BYTES = 32
_MAC_BYTES = 32
_SIZES = struct.Struct("<II")
# Beats of other threads wait while a step is taken.
_STEP_BYTES, _MOST_STEP_BYTES = 1 << 20, 16 << 20
_MOST_HEADER_BYTES, _MOST_PAYLOADS = 16 << 20, 1 << 20


class RefusedError(Exception):
    """The other side does not know the secret, or what it sends is no message of ours."""


@dataclass(frozen=True, eq=False)
class Payload:
    """Bytes that go to many tasks, of which the digest is made once."""

    data: bytes | memoryview

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the data."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True, eq=False)
class Message:
    """What came: its header, and what follows it, which cannot be changed."""

    header: dict[str, Any]
    payloads: tuple[memoryview, ...]

    @property
    def kind(self) -> str:
        """Of the message."""
        return str(self.header.get("kind", ""))


class Wire:
    """One end of a connection; `send` may be called by several threads, `receive` by one.

    Parameters
    ----------
    connection
        Connected; the wire closes it.
    secret
        Of `SECRET_BYTES`; both sides have it from elsewhere.
    role
        `DRIVER` or `TASK`, or of two tasks `CALLER` or `LISTENER`.
    most_bytes
        Of a message that is received.

    Attributes
    ----------
    bytes_sent, bytes_received
        Of whole messages so far.

    Raises
    ------
    RefusedError
        If the other side does not prove that it knows the secret.
    OSError
        If it does not answer in `HANDSHAKE_SECONDS`.
    EOFError
        If it hangs up.
    """

    def __init__(self, connection: socket.socket, *, secret: bytes, role: str, most_bytes: int) -> None:
        self._socket, self._most = connection, most_bytes
        self._sending, self._sent, self._received = threading.Lock(), 0, 0
        self.bytes_sent = self.bytes_received = 0
        try:
            connection.settimeout(HANDSHAKE_SECONDS)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._send_key, self._receive_key = self._shake_hands(secret, role)
            connection.settimeout(None)
        except BaseException:
            connection.close()
            raise

    def _shake_hands(self, secret: bytes, role: str) -> tuple[bytes, bytes]:
        """Prove to know the secret, and have it proved; the keys of both directions."""
        other, listens = _OTHERS[role], role in (DRIVER, LISTENER)
        mine = os.urandom(_NONCE_BYTES)
        self._socket.sendall(mine)
        theirs = bytes(self._read(_NONCE_BYTES))
        both = mine + theirs if listens else theirs + mine

        def derived(what: str) -> bytes:
            return hmac.digest(secret, b"%s %s\n" % (_VERSION, what.encode()) + both, "sha256")

        if not listens:
            # who listens is easier to find, and answers nobody who has not proved to know the secret
            self._socket.sendall(derived(f"proof of the {role}"))
        if not hmac.compare_digest(bytes(self._read(_MAC_BYTES)), derived(f"proof of the {other}")):
            raise RefusedError("the other side does not know the secret of this job")
        if listens:
            self._socket.sendall(derived(f"proof of the {role}"))
        return derived(f"from the {role}"), derived(f"from the {other}")

    def send(self, header: dict[str, Any], *payloads: bytes | memoryview | Payload) -> int:
        """Send a message; the bytes that it took. OSError if the other side is gone, or takes nothing for long."""
        bodies = [one if isinstance(one, Payload) else Payload(one) for one in payloads]
        text = json.dumps(header, separators=(",", ":")).encode()
        start = _SIZES.pack(len(text), len(bodies)) + _lengths([len(body.data) for body in bodies]) + text
        digests = b"".join(body.digest for body in bodies)
        with self._sending:
            mac = _mac(self._send_key, self._sent, start, digests)
            self._sent += 1
            for part in (start, *(body.data for body in bodies), mac):
                self._write(part)
            n_bytes = len(start) + sum(len(body.data) for body in bodies) + len(mac)
            self.bytes_sent += n_bytes
        return n_bytes

    def receive(self) -> Message:
        """Return the next message.

        Raises
        ------
        EOFError
            If the other side has hung up.
        RefusedError
            If this is none of its messages, or not the next one.
        OSError
            If the connection is broken, or nothing came for the time that `limit` set.
        """
        sizes = bytes(self._read(_SIZES.size))
        n_header, n = _SIZES.unpack(sizes)
        if n_header > _MOST_HEADER_BYTES or n > _MOST_PAYLOADS:
            raise RefusedError(f"a message with {n_header} bytes of header and {n} payloads")
        lengths = bytes(self._read(8 * n))
        each = struct.unpack(f"<{n}Q", lengths)
        if sum(each) > self._most:
            raise RefusedError(f"a message of {sum(each)} bytes, expected at most {self._most}")
        text = bytes(self._read(n_header))
        payloads = tuple(memoryview(self._read(length)).toreadonly() for length in each)
        digests = b"".join(hashlib.sha256(payload).digest() for payload in payloads)
        expected = _mac(self._receive_key, self._received, sizes + lengths + text, digests)
        if not hmac.compare_digest(bytes(self._read(_MAC_BYTES)), expected):
            raise RefusedError("a message that the other side did not send, or not now")
        self._received += 1
        self.bytes_received += len(sizes) + len(lengths) + n_header + sum(each) + _MAC_BYTES
        try:
            header = json.loads(text)
        except ValueError as error:
            raise RefusedError(f"a header that is not JSON: {error}") from error
        if not isinstance(header, dict):
            raise RefusedError("a header that is not an object")
        return Message(header, payloads)

    @property
    def host(self) -> str:
        """Address of this side."""
        return str(self._socket.getsockname()[0])

    def limit(self, seconds: float) -> None:
        """Wait so long for the next bytes, or until bytes that are sent are taken; TimeoutError after that."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Hang up; a `receive` that waits in another thread ends."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _write(self, data: bytes | memoryview) -> None:
        """Send all of it; the limit of time is for each part that is taken, not for the whole."""
        view = memoryview(data)
        while view:
            view = view[self._socket.send(view[:_STEP_BYTES]) :]

    def _read(self, size: int) -> bytearray:
        """Read so many bytes; memory is taken as they come."""
        data = bytearray(min(size, _STEP_BYTES))
        at = 0
        while at < size:
            if at == len(data):
                data += bytes(min(size - at, len(data), _MOST_STEP_BYTES))
            n = self._socket.recv_into(memoryview(data)[at:])
            if not n:
                raise EOFError("the other side has hung up")
            at += n
        return data


def _lengths(each: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(each)}Q", *each)


def _mac(key: bytes, number: int, start: bytes, digests: bytes) -> bytes:
    """HMAC of a message by its number, all that stands before its payloads, and their digests."""
    return hmac.digest(key, struct.pack("<Q", number) + start + digests, "sha256")
