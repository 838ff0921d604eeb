"""A web server of tests, on a port of this machine: it answers as it is told to, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Answer:
    """Answer with a status."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def reset(request: BaseHTTPRequestHandler) -> None:
    """Break the connection."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def odd(request: BaseHTTPRequestHandler) -> None:
    """Answer what urllib3 warns of: a line between the headers that is none."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nno header\r\nX: 1\r\nContent-Length: 0\r\n\r\n")


@dataclass
class Hook:
    """Where it is, what it answers next (the last answer for ever), and what it got."""

    url: str
    answers: list[Answer]
    got: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def hang(self, request: BaseHTTPRequestHandler) -> None:
        """Answer nothing until the test ends."""
        self.released.wait()

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a byte at a time, for ever."""
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        try:
            while not self.released.wait(0.01):
                request.wfile.write(b"x")
        except OSError:
            pass


@contextmanager
def hook(*answers: Answer, context: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """Serve; by default, what is posted is taken."""
    made = Hook("", list(answers) or [status(200)])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.paths.append(self.path)
            made.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            answer(self)

        def handle(self) -> None:
            # of a client that hangs up in the middle of a handshake
            with suppress(ConnectionError, ssl.SSLError):
                super().handle()

        def log_message(self, *given: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        made.url = f"http{'' if context is None else 's'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.released.set()
            server.shutdown()
            thread.join()
