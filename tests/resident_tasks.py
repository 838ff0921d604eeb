"""Resident tasks without a cluster: as threads of this process, which read from an HTTP server of the tests' own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from hdfs_layout import Address, LocalStore
from mr_ml.errors import MrMlError
from mr_ml.passes.resident import task as task_module
from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.wire import TASK, Payload, Wire
from mr_ml.runners.base import Runner, Tasks
from mr_ml.runners.staying import StayingTasks

# Far above what anything here takes.
LONG_SECONDS = 60.0


class Web(ThreadingHTTPServer):
    """Gives out ranges of files, as WebHDFS does; what is in `answers` comes first, one for each request.

    Attributes
    ----------
    answers
        Each writes to the request's handler what that request gets, instead of the range.
    seen
        Paths and queries of all requests.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Range)
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.seen: list[str] = []
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def url(self, file: Path | str, *, offset: int, length: int) -> str:
        return f"{self.address}{quote(str(file))}?offset={offset}&length={length}"


class _Range(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        web = self.server
        assert isinstance(web, Web)
        with web.lock:
            web.seen.append(self.path)
            answer = web.answers.pop(0) if web.answers else None
        if answer is not None:
            answer(self)
            return
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        try:
            with open(unquote(parts.path), "rb") as file:
                file.seek(int(asked["offset"][0]))
                give(self, 200, file.read(int(asked["length"][0])))
        except FileNotFoundError:
            give(self, 404, b"{}")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def give(handler: BaseHTTPRequestHandler, status: int, data: bytes = b"", **headers: str) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def web() -> Iterator[Web]:
    """A server that serves, for a while."""
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class WebStore(LocalStore):
    """A local folder whose files are given out by a server."""

    server: Web | None = None

    def addresses(self, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
        if self.server is None or length is None:
            return ()
        return (Address(url=self.server.url(self._place(path), offset=offset, length=length)),)


@dataclass(frozen=True)
class Fault:
    """When a task's connection breaks: at its n-th message but beats, of which so much is sent before (0 to 1).

    Its messages are, as a rule, one when it comes, one for each unit that it has read, and one for each query.
    """

    message: int
    part: float = 0.0


class BreakingWire(Wire):
    """The task's end of a connection that breaks."""

    fault: Fault | None = None
    _told = 0

    def send(self, header: dict[str, Any], *payloads: bytes | memoryview | Payload) -> int:
        if self.fault is not None and header["kind"] != "beat":
            self._told += 1
            if self._told > self.fault.message:
                self._break(header, payloads)
        return super().send(header, *payloads)

    def _break(self, header: dict[str, Any], payloads: Sequence[bytes | memoryview | Payload]) -> None:
        assert self.fault is not None
        sent = bytearray()
        with self._sending:
            self._write = sent.extend  # type: ignore[assignment, method-assign]
        super().send(header, *payloads)
        with suppress(OSError):
            self._socket.sendall(bytes(sent[: int(self.fault.part * len(sent))]))
        self.close()
        raise EOFError("a fault of the test")


def serve_with(fault: Fault, invitation: Invitation, *, folder: Path) -> None:
    """Do what a task does until its connection breaks."""
    try:
        connection = socket.create_connection(invitation.addresses[0], timeout=LONG_SECONDS)
    except OSError:
        return
    with suppress(EOFError, OSError), closing(_breaking(connection, invitation, fault)) as wire:
        wire.limit(LONG_SECONDS)
        task = task_module.Task(
            wire, secret=invitation.key, budget=lambda sums_bytes: invitation.memory_bytes or 0, name="a faulty task",
            folder=folder,
        )  # fmt: skip
        with closing(task):
            task.serve()


def _breaking(connection: socket.socket, invitation: Invitation, fault: Fault) -> BreakingWire:
    wire = BreakingWire(connection, secret=invitation.key, role=TASK, most_bytes=1 << 30)
    wire.fault = fault
    return wire


@dataclass
class ThreadSeats:
    """Seats whose tasks are threads; see `mr_ml.runners.staying.Seats`.

    Attributes
    ----------
    folder
        Each task has one of its own below it.
    faults
        Of the first tasks, each of which is followed by a good one in its seat if `again`, as a cluster does it.
    serves
        By which job each turn was served.
    late
        So many good tasks wait for `come`.
    error
        With which the job ends.
    serve
        What a good task does.
    """

    folder: Path
    n_tasks: int | None = 2
    host: str | None = None
    ports: Sequence[int] = (0,)
    memory_bytes: int | None = 1 << 30
    patience_seconds: float = LONG_SECONDS
    idle_seconds: float = 60.0
    faults: Sequence[Fault] = ()
    again: bool = False
    late: int = 0
    error: MrMlError | None = None
    come: threading.Event = field(default_factory=threading.Event)
    serve: Callable[..., None] = field(default_factory=lambda: partial(task_module.run, environment={}))
    said: list[BaseException] = field(default_factory=list)
    n_started: int = 0
    serves: list[str] = field(default_factory=list)

    def start(
        self, job: Any, *, request: bytes, n_tasks: int, ended: Callable[[MrMlError | None], None]
    ) -> ThreadTasks:
        self.n_started += 1
        # the driver listens already, or no more
        invitation = replace(Invitation.decode(request), connect_seconds=0.0)
        left, lock = [n_tasks], threading.Lock()

        def seat(number: int) -> None:
            folder = self.folder / f"task-{self.n_started}-{number}"
            folder.mkdir(parents=True)
            try:
                if number >= n_tasks - self.late:
                    assert self.come.wait(LONG_SECONDS)
                if number < len(self.faults):
                    serve_with(self.faults[number], invitation, folder=folder)
                    if not self.again:
                        return
                self.serve(invitation, folder=folder)
            except Exception as error:
                self.said.append(error)
            finally:
                with lock:
                    left[0] -= 1
                if not left[0]:
                    ended(self.error)

        threads = [threading.Thread(target=seat, args=(number,)) for number in range(n_tasks)]
        for thread in threads:
            thread.start()
        return ThreadTasks(threads, self, f"job {self.n_started}")

    @contextmanager
    def serving(self, staying: StayingTasks) -> Iterator[None]:
        self.serves.append(staying.name)
        yield


@dataclass(frozen=True)
class ThreadTasks:
    """See `mr_ml.runners.staying.StayingTasks`."""

    threads: Sequence[threading.Thread]
    seats: ThreadSeats
    name: str

    def stop(self, patience: float) -> None:
        self.seats.come.set()
        for thread in self.threads:
            thread.join(LONG_SECONDS)
            assert not thread.is_alive()


@dataclass(frozen=True)
class Staying:
    """A runner of another kind, with seats."""

    runner: Runner
    seats: ThreadSeats | None

    @property
    def tasks(self) -> Tasks:
        return replace(self.runner.tasks, seats=self.seats)

    def of_work(self, work: str) -> Staying:
        return Staying(self.runner.of_work(work), self.seats)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runner, name)
