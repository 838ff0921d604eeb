"""Who listens: the driver for its tasks, and a task for others; whoever connects proves to know the secret first."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from mr_ml.passes.resident.invitation import MOST_BYTES
from mr_ml.passes.resident.wire import RefusedError, Wire

# Connections that have not yet proved anything; who comes later drives out the one that has waited longest.
_MOST_STRANGERS = 64
_BACKLOG = 1024
_PAUSE_SECONDS = 0.1


class Listener:
    """Listens at an address, and attends each who connects in a thread of its own.

    Parameters
    ----------
    host
        Address of this machine; nothing else listens.
    ports
        The first one that is free is taken; 0 is any.
    secret
        Of this job.
    role
        Of this side; see `Wire`.
    attend
        Given the connection of one who knows the secret. It may raise what `Wire.receive` raises, and the connection is
        closed when it ends.

    Raises
    ------
    OSError
        If none of the ports can be had.
    """

    def __init__(
        self, *, host: str, ports: Iterable[int], secret: bytes, role: str, attend: Callable[[Wire], None]
    ) -> None:  # fmt: skip
        self._secret, self._role, self._attend = secret, role, attend
        self._listener = _listener(host, ports)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._strangers: deque[socket.socket] = deque()
        self._lock, self._closed = threading.Lock(), False
        self._known: list[Wire] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no longer, and hang up."""
        with self._lock:
            self._closed = True
            strangers, known = list(self._strangers), list(self._known)
        with suppress(OSError):
            # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for stranger in strangers:
            _wake(stranger)
        for wire in known:
            wire.close()

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
            threading.Thread(target=self._welcome, args=(connection,), daemon=True).start()

    def _welcome(self, connection: socket.socket) -> None:
        """Have one prove to be of ours, and attend it to its end."""
        try:
            wire = Wire(connection, secret=self._secret, role=self._role, most_bytes=MOST_BYTES)
        except (OSError, EOFError, RefusedError):
            return
        finally:
            with self._lock, suppress(ValueError):
                self._strangers.remove(connection)
        with self._lock:
            self._known.append(wire)
            if self._closed:
                wire.close()
        try:
            self._attend(wire)
        except (OSError, EOFError, RefusedError):
            pass
        finally:
            wire.close()
            with self._lock:
                self._known.remove(wire)


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
    raise said or OSError("no port is named")
