"""Trainings by tasks that stay, as processes that wait at points on their way, so that something breaks just there.

A task that is stopped before a pass answers nothing: what happens to it while the driver waits at ``asked N`` happens
in the midst of pass N, whatever the machine's speed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from commands import environment

from hdfs_layout import Store

T = TypeVar("T")
LIMIT_SECONDS = 180.0
MASTER = "org.apache.hadoop.mapreduce.v2.app.MRAppMaster"
_TASK = b"MRResident"

# `mr-ml`, its own arguments behind the points at which it says so and waits for a line: before the client is started,
# before pass N, when its tasks have been asked, and when they have been told to end.
_PROGRAM = """
import sys
from mr_ml.cli import run
from mr_ml.passes.resident.application import Application
from mr_ml.passes.resident.engine import ResidentEngine
from mr_ml.passes.resident.members import Reception
from mr_ml.runners.hadoop.client import HadoopClient

points = set(sys.argv.pop(1).split(","))
number = 0

def reached(point):
    if point in points:
        points.discard(point)
        print("at", point, flush=True)
        sys.stdin.readline()

def run_pass(*args, run=ResidentEngine.run, **more):
    global number
    number += 1
    reached(f"before {number}")
    return run(*args, **more)

def ask(engine, now, ask=ResidentEngine._ask):
    ask(engine, now)
    if now.asks:
        reached(f"asked {number}")

def wait_for_byes(*args, wait=Application._wait_for_byes):
    reached("close")
    wait(*args)

def submit(client, arguments, submission, run=HadoopClient.run):
    reached("submit")
    run(client, arguments, submission)

def attend(reception, connection, attend=Reception._attend):
    if "deaf" in points:
        connection.close()
    else:
        attend(reception, connection)

ResidentEngine.run, ResidentEngine._ask, Application._wait_for_byes = run_pass, ask, wait_for_byes
HadoopClient.run, Reception._attend = submit, attend
run()
"""


@dataclass(frozen=True)
class Staying:
    """A running `mr-ml`; what it says is in files."""

    process: subprocess.Popen[str]
    said: Path

    @classmethod
    def start(
        cls, folder: Path, *args: object, points: tuple[str, ...] = (), prefix: tuple[str, ...] = (), **variables: str
    ) -> Staying:  # fmt: skip
        """Start it; with the point "deaf" it hangs up on every task. Words in front become it by exec."""
        said = folder / f"said-{time.monotonic_ns()}"
        command = [*prefix, sys.executable, "-c", _PROGRAM, ",".join(points), *map(str, args)]
        with said.open("w") as target:
            process = subprocess.Popen(
                command, env={**environment(), **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=target, text=True,
            )  # fmt: skip
        return cls(process, said)

    @property
    def err(self) -> str:
        """What it has said on stderr so far."""
        return self.said.read_text(encoding="utf-8")

    def at(self, point: str) -> None:
        """Wait until it waits at a point."""
        assert self.process.stdout is not None
        watchdog = threading.Timer(LIMIT_SECONDS, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line == f"at {point}\n", f"expected to be at {point}, found {line!r}:\n{self.err}"

    def go_on(self) -> None:
        """Let it go on from the point at which it waits."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def past(self, point: str) -> None:
        """Wait for a point, and let it go on."""
        self.at(point)
        self.go_on()

    def ends(self, *, code: int, seconds: float = LIMIT_SECONDS) -> str:
        """What it has said when it ends with this code, soon enough."""
        try:
            self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"no end within {seconds:.0f} s:\n{self.err}") from None
        assert self.process.returncode == code, f"expected {code}, found {self.process.returncode}:\n{self.err}"
        return self.err

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.process.kill()
        self.process.communicate()


@dataclass(frozen=True)
class Yarn:
    """What a development cluster holds of trainings; by its folder, so that daemons need not answer."""

    directory: Path

    def tasks(self) -> list[int]:
        """The Python processes of tasks that stay, oldest first."""
        return [pid for pid in self._processes() if _TASK in _words(pid) and b"-c" not in _words(pid)]

    def masters(self) -> list[int]:
        """The application masters, oldest first."""
        return [pid for pid in self._processes() if MASTER.encode() in _words(pid) and b"-c" not in _words(pid)]

    def node_of(self, pid: int) -> str:
        """The NodeManager in one of whose containers a process works."""
        return _folder(pid).removeprefix(f"{self.directory}/data/").partition("/")[0]

    def containers(self) -> list[int]:
        """All processes in containers."""
        return self._processes()

    def _processes(self) -> list[int]:
        found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        return sorted(pid for pid in found if _folder(pid).startswith(f"{self.directory}/data/nodemanager-"))

    def ask(self, path: str) -> dict[str, Any]:
        """A page of the ResourceManager's REST interface."""
        ports = json.loads((self.directory / "cluster.json").read_text(encoding="utf-8"))["ports"]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{ports['rm_http']}{path}", timeout=30) as answer:
            return dict(json.load(answer))

    def applications(self, *states: str) -> list[str]:
        """The ids of applications in these states."""
        found = self.ask(f"/ws/v1/cluster/apps?states={','.join(states)}")["apps"] or {"app": []}
        return [app["id"] for app in found["app"]]

    def left(self, store: Store) -> list[str]:
        """What is there of jobs: applications, processes, files below tmp/ and in the staging folder."""
        found = self.applications("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
        found += [f"process {pid}: {b' '.join(_words(pid))[:100]!r}" for pid in self.containers()]
        found += [f"tmp/{name}" for name in (store.list("tmp") if store.exists("tmp") else ())]
        folders = self.directory.glob("data/nodemanager-*/usercache/*/appcache/application_*")
        return found + [str(folder) for folder in folders]

    def nothing_left(self, store: Store) -> None:
        """Assert that, as soon as YARN has cleaned up what ended."""
        wait_until(lambda: not self.left(store), what=lambda: f"an end of {self.left(store)}")


def wait_until(look: Callable[[], T], *, what: Callable[[], str] | str, seconds: float = LIMIT_SECONDS) -> T:
    """What `look` finds, once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what if isinstance(what, str) else what()}"
        time.sleep(0.05)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _folder(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""
