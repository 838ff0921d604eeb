"""Train a model of millions of features by tasks that stay, as processes of this machine, and see what a pass costs.

    python scripts/bench/wide_passes.py                      # 20 million features, 200,000 rows of 100, two tasks
    python scripts/bench/wide_passes.py --from-task-to-task no    # query and sums of every task through the driver
    python scripts/bench/wide_passes.py --root FOLDER        # keeps the packed data there, or finds it there

Writes libsvm text (`scripts/wide.py`), packs it, and trains in turns. Prints of each pass its seconds and the processor
time of driver and tasks, the bytes that passed through the driver, and the largest resident memory of each.
"""

from __future__ import annotations

import argparse
import http.server
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))
from memory import Peaks
from wide import lines

from hdfs_layout import LocalStore
from hdfs_layout.store import Address
from mr_ml.passes.resident import engine
from mr_ml.passes.resident.invitation import Invitation
from mr_ml.passes.resident.members import Member
from mr_ml.passes.resident.task import run
from mr_ml.session import Session

DATASET, MODEL = "wide", "wide"
SAMPLE_SECONDS = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=20_000_000)
    parser.add_argument("--nonzeros", type=int, default=100, help="of a row (default 100)")
    parser.add_argument("--tasks", type=int, default=2, help="(default 2)")
    parser.add_argument("--passes", type=int, default=5, help="(default 5)")
    parser.add_argument("--from-task-to-task", choices=("yes", "no"), default="yes")
    parser.add_argument("--memory", type=int, help="megabytes that each task may hold of blocks")
    parser.add_argument("--root", help="by default a temporary folder")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task is not None:
        run(Invitation.decode(Path(options.task).read_bytes()), environment={}, folder=Path(options.task).parent)
        return 0
    with tempfile.TemporaryDirectory(prefix="mr_ml-wide-") as folder:
        root = options.root or folder
        if not Path(root, "datasets", DATASET).exists():
            text = Path(folder) / "wide.libsvm"
            with text.open("wb") as out:
                out.writelines(lines(options.rows, options.features, options.nonzeros, 0))
            command = ["pack", str(text), "--to", DATASET, "--root", root, "-r", "local", "--workers", "2"]
            subprocess.run([sys.executable, "-m", "mr_ml", *command], check=True)
            text.unlink()
        if options.from_task_to_task == "no":
            engine.WIDE_BYTES = 1 << 62
        train(root, Path(folder), options)
    return 0


def train(root: str, folder: Path, options: argparse.Namespace) -> None:
    memory = None if options.memory is None else options.memory << 20
    seats = Processes(folder, options.tasks, 1 << 30 if memory is None else memory)
    with Session.open(root, runner="inline", engine="resident", say=print) as session, closing(Ranges()) as server:
        store = Served(session.root.store.root, server.address)
        watched = Watched(session.runner, seats)
        here = replace(session, runner=watched, root=replace(session.root, store=store))
        measure_passes(seats)
        given = {"loss": "logistic", "l2": 1e-6, "tolerance": 0.0, "max_passes": options.passes}
        try:
            with here:
                found = here.train(here.spec("linear", DATASET, MODEL, "train", given))
            print(f"objective {found.objective!r} after {found.passes} passes")
        finally:
            show_memory(seats)


def show_memory(seats: Processes) -> None:
    """Print the largest resident memory of driver and tasks."""
    seats.done.set()
    print(f"driver: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")
    for pid, peak in seats.peaks.by_process.items():
        print(f"task {pid}: {peak >> 20} MB")


def measure_passes(seats: Processes) -> None:
    """Print what each pass cost."""
    bytes_through, told, run_pass = [0], Member.tell, engine.ResidentEngine.run
    handle = engine.ResidentEngine._handle

    def tell(self: Member, header: dict[str, Any], *payloads: Any) -> None:
        bytes_through[0] += sum(len(getattr(one, "data", one)) for one in payloads)
        told(self, header, *payloads)

    def heard(self: engine.ResidentEngine, event: Any, now: Any) -> None:
        if event.message is not None:
            bytes_through[0] += sum(map(len, event.message.payloads))
        handle(self, event, now)

    def timed(self: engine.ResidentEngine, query: Any, **given: Any) -> Any:
        bytes_through[0], began, own, theirs = 0, time.monotonic(), time.process_time(), seats.cpu()
        found = run_pass(self, query, **given)
        wall, cpu, tasks = time.monotonic() - began, time.process_time() - own, seats.cpu() - theirs
        megabytes = bytes_through[0] / 1e6
        print(
            f"pass: {wall:6.2f} s, driver {cpu:5.2f} s of processor time, tasks {tasks:6.2f}; {megabytes:7.1f} MB "
            f"through the driver, {1000 * cpu / max(megabytes, 1e-9):.2f} ms a MB; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        return found

    Member.tell = tell  # type: ignore[method-assign]
    engine.ResidentEngine._handle = heard  # type: ignore[method-assign]
    engine.ResidentEngine.run = timed  # type: ignore[method-assign]


@dataclass(eq=False)
class Processes:
    """Seats whose tasks are processes of this machine; see `mr_ml.runners.staying.Seats`."""

    folder: Path
    n_tasks: int
    memory_bytes: int | None
    host: str = "127.0.0.1"
    ports: Sequence[int] = (0,)
    patience_seconds: float = 60.0
    idle_seconds: float = 60.0
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    peaks: Peaks = field(default_factory=Peaks)
    done: threading.Event = field(default_factory=threading.Event)

    def start(self, job: Any, *, request: bytes, n_tasks: int, ended: Callable[..., None]) -> Processes:
        for number in range(n_tasks):
            (self.folder / str(number)).mkdir()
            invitation = self.folder / str(number) / "invitation"
            invitation.write_bytes(request)
            variables = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            self.started.append(subprocess.Popen([sys.executable, __file__, "--task", str(invitation)], env=variables))
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def serving(self, staying: Processes) -> AbstractContextManager[None]:
        return nullcontext()

    def _watch(self) -> None:
        while not self.done.wait(SAMPLE_SECONDS):
            self.peaks.sample([task.pid for task in self.started])

    def cpu(self) -> float:
        """Seconds of processor time of all tasks."""
        total = 0
        for task in self.started:
            fields = Path(f"/proc/{task.pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def stop(self, patience: float) -> None:
        for task in self.started:
            task.wait()


@dataclass(frozen=True)
class Watched:
    """A runner of another kind, whose tasks are processes that stay."""

    runner: Any
    seats: Processes

    @property
    def tasks(self) -> Any:
        return replace(self.runner.tasks, seats=self.seats)

    def of_work(self, work: str) -> Watched:
        return Watched(self.runner.of_work(work), self.seats)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runner, name)


@dataclass(frozen=True)
class Served(LocalStore):
    """A folder whose files are given out by a server."""

    address: str = ""

    def addresses(self, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
        return (Address(url=f"{self.address}{quote(str(self._place(path)))}?offset={offset}&length={length}"),)


class Ranges(http.server.ThreadingHTTPServer):
    """Gives out ranges of files."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Range)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Range(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        with open(unquote(parts.path), "rb") as file:
            file.seek(int(asked["offset"][0]))
            data = file.read(int(asked["length"][0]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    sys.exit(main())
