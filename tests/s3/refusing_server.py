"""A server that answers each request as it is told to: what AWS says, and the servers on this machine do not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Said:
    """What a server answers, and what it was asked.

    Attributes
    ----------
    status, code, message, headers
        Of each answer; no body where HTTP has none.
    answers
        Bodies of what is answered otherwise, with 200, by what the first line of the request holds.
    seen
        First line and headers of each request.
    """

    status: int = 200
    code: str = ""
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextlib.contextmanager
def refusing_server() -> Iterator[tuple[str, Said]]:
    """Its address, and what it says."""
    say = Said()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            say.seen.append((self.requestline, dict(self.headers)))
            other = next((body for words, body in say.answers.items() if words in self.requestline), None)
            text = f"<Error><Code>{say.code}</Code><Message>{say.message}</Message></Error>" if other is None else other
            body = b"" if self.command == "HEAD" else text.encode()
            self.send_response(say.status if other is None else 200)
            for name, value in {**say.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", say
        server.shutdown()
        thread.join()
