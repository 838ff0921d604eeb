"""A relay between a client and a real HTTP server that loses requests, answers, or the rest of either."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

_BUFFER = 1 << 16


@dataclass(kw_only=True)
class Fault:
    """What happens to the next requests that hold `request` in their first line.

    Attributes
    ----------
    kind : str
        ``lose request``: the server never sees it. ``lose answer``: it is carried out. ``late``: the client sees its
        connection break, and the request is carried out when `go` is set; then `done` is. ``cut request`` and ``cut
        answer``: the connection ends after `after` bytes of content. ``refuse``: the server never sees it, and the
        client reads `answer`.
    times : int
        How often.
    skip : int
        So many of them pass before.
    """

    request: str
    kind: str
    times: int = 1
    skip: int = 0
    after: int = 0
    answer: bytes = b""
    go: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


def refusal(status: str, code: str) -> bytes:
    """What S3 answers when it refuses."""
    body = f"<Error><Code>{code}</Code><Message>words</Message></Error>".encode()
    return f"HTTP/1.1 {status} words\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


class Relay(socketserver.ThreadingTCPServer):
    """Relays to `target`; `faults` and `seen` (first lines of requests) may be used at any time."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = target
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def fault_of(self, line: str) -> Fault | None:
        with self.lock:
            self.seen.append(line)
            for fault in self.faults:
                if fault.request in line and fault.times > 0:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections break here on purpose."""


class _Connection(socketserver.BaseRequestHandler):
    """One request, then the connection ends."""

    server: Relay

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            received = self.request.recv(_BUFFER)
            if not received:
                return
            head += received
        fault = self.server.fault_of(head.partition(b"\r\n")[0].decode("ascii"))
        kind = fault.kind if fault else ""
        if kind == "lose request":
            return
        if fault is not None and kind == "refuse":
            self.request.sendall(fault.answer)
            return
        # the server's end of the connection is how the relay knows that the answer is whole
        head = head.replace(b"Connection: keep-alive\r\n", b"", 1).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        if kind == "late":
            assert fault is not None
            self.request.shutdown(socket.SHUT_RDWR)
            fault.go.wait(60)
        with socket.create_connection(self.server.target, 30) as upstream:
            upstream.sendall(head)
            begun = len(head.partition(b"\r\n\r\n")[2])
            limit = fault.after if fault and kind == "cut request" else None
            sender = threading.Thread(target=self._pass_on, args=(upstream, begun, limit), daemon=True)
            if kind != "late":
                sender.start()
            answer = b""
            limit = fault.after if fault and kind == "cut answer" else None
            while received := upstream.recv(_BUFFER):
                answer += received
                if kind in ("lose answer", "late"):
                    continue
                content = answer.partition(b"\r\n\r\n")[2]
                if limit is not None and len(content) > limit:
                    self.request.sendall(received[: len(received) - (len(content) - limit)])
                    break
                self.request.sendall(received)
        if fault is not None:
            fault.done.set()

    def _pass_on(self, upstream: socket.socket, begun: int, limit: int | None) -> None:
        with contextlib.suppress(OSError):
            while received := self.request.recv(_BUFFER):
                begun += len(received)
                if limit is not None and begun > limit:
                    upstream.shutdown(socket.SHUT_RDWR)
                    self.request.shutdown(socket.SHUT_RDWR)
                    return
                upstream.sendall(received)


@contextlib.contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A relay to ``host:port``."""
    host, _, port = target.rpartition(":")
    with Relay((host, int(port))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
