"""Commands in forked processes that have everything imported, and what can be done to one at a chosen instant.

A command begins within milliseconds, so hundreds can be killed. An instant is the n-th *change*: what the process asks
of the file system below a folder, counted from one, such as making, syncing, renaming, linking or removing a file.
"""

from __future__ import annotations

import atexit
import builtins
import errno
import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from mr_ml import interrupts
from mr_ml.catalog import checkpoints
from mr_ml.cli import main
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.retraining import work
from mr_ml.runners.local import scratch

CHANGES = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir")
# A full disk refuses nothing that frees space.
_FREES = frozenset({"unlink", "rmdir"})
_READS = frozenset({"open to read"})


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens at the n-th change.

    Attributes
    ----------
    at
        Which change; 0 for none.
    point
        A point of `mr_ml.retraining.work.POINTS` instead.
    signal
        Sent to the process itself: SIGKILL or SIGSTOP.
    error
        The call fails with this number of an error instead.
    lasts
        Whether all later calls fail too.
    """

    at: int = 0
    point: str | None = None
    signal: int = 0
    error: int = 0
    lasts: bool = False


NO_FAULT = Fault()


@dataclass
class Instants:
    """Counts the changes of this process below a folder, and lets the fault happen."""

    folder: str
    fault: Fault
    count: int = 0
    seen: list[str] = field(default_factory=list)
    _undo: list[tuple[Any, str, Any]] = field(default_factory=list)

    def __enter__(self) -> Instants:
        for name in CHANGES:
            self._replace(os, name, self._watched(name, getattr(os, name)))
        self._replace(builtins, "open", self._opening(builtins.open))
        if self.fault.point is not None:
            self._replace(work, "reached", self._reached)
        return self

    def __exit__(self, *found: object) -> None:
        for module, name, original in reversed(self._undo):
            setattr(module, name, original)

    def _replace(self, module: Any, name: str, function: Any) -> None:
        self._undo.append((module, name, getattr(module, name)))
        setattr(module, name, function)

    def _reached(self, point: str) -> None:
        if point == self.fault.point:
            os.kill(os.getpid(), self.fault.signal)

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            places = [os.readlink(f"/proc/self/fd/{args[0]}")] if name == "fsync" else args
            if kwargs.get("dir_fd") is not None:
                places = [os.readlink(f"/proc/self/fd/{kwargs['dir_fd']}")]
            self._note(name, places)
            return function(*args, **kwargs)

        return watched

    def _opening(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            writes = bool(set(mode) & set("wxa+"))
            if writes or self.fault.error == errno.EIO:
                self._note("open" if writes else "open to read", [file])
            return function(file, mode, *args, **kwargs)

        return opened

    def _note(self, name: str, places: Any) -> None:
        if not any(isinstance(p, str | os.PathLike) and os.fspath(p).startswith(self.folder) for p in places):
            return
        self.count += 1
        fault = self.fault
        if not fault.at or self.count < fault.at or (self.count > fault.at and not fault.lasts):
            return
        if fault.signal:
            os.kill(os.getpid(), fault.signal)
        if fault.error == errno.EROFS and name in _READS:
            return
        if fault.error and not (fault.error == errno.ENOSPC and name in _FREES | _READS):
            raise OSError(fault.error, os.strerror(fault.error), str(next(iter(places))))


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A process that has ended.

    Attributes
    ----------
    code
        Exit code; minus the signal that ended it.
    text
        What it wrote.
    seconds
        How long it took.
    """

    code: int
    text: str
    seconds: float

    @property
    def changes(self) -> int:
        """How many changes a command made that ended by itself."""
        return int(self._last("changes"))

    @property
    def own_seconds(self) -> float:
        """How long a command took that ended by itself, without what came before it in its process."""
        return float(self._last("seconds"))

    @property
    def cpu_seconds(self) -> float:
        """As `own_seconds`, of the processor."""
        return float(self._last("cpu"))

    def _last(self, name: str) -> str:
        return self.text.rpartition(f"\n{name}: ")[2].split()[0]

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object among what it wrote; empty if there is none."""
        for line in reversed(self.text.splitlines()):
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        return {}


@dataclass(kw_only=True)
class Running:
    """A forked process."""

    pid: int
    output: Path
    began: float
    ended: Ended | None = None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, if it has not ended."""
        if self.ended is None:
            os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait for its end."""
        if self.ended is None:
            _, status = os.waitpid(self.pid, 0)
            self._has_ended(status)
        assert self.ended is not None
        return self.ended

    def wait_seconds(self, seconds: float) -> Ended | None:
        """Wait for its end, but not for longer; None if it goes on."""
        if self.ended is None:
            end = os.pidfd_open(self.pid)
            try:
                if not select.select([end], [], [], seconds)[0]:
                    return None
            finally:
                os.close(end)
        return self.wait()

    def wait_until_stopped(self) -> bool:
        """Wait until a SIGSTOP has reached it; False if it ended before."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self._has_ended(status)
        return False

    def _has_ended(self, status: int) -> None:
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        seconds = time.monotonic() - self.began
        self.ended = Ended(code=code, text=self.output.read_text(errors="replace"), seconds=seconds)


def fork(action: Callable[[], int], output: Path) -> Running:
    """Run a function in a child process; what it writes goes to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    began = time.monotonic()
    pid = os.fork()
    if pid:
        return Running(pid=pid, output=output, began=began)
    code = 70
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = action()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        # the parent's buffers, exit functions and temporary files are none of the child's
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def command(
    arguments: list[object], *, folder: Path, output: Path, fault: Fault = NO_FAULT, passes: Path | None = None,
    at_stake: float = 0.0, today: datetime | None = None, prepare: Callable[[], None] = lambda: None,
) -> Running:  # fmt: skip
    """Run `mr-ml` in a child process.

    Parameters
    ----------
    folder
        Changes below it count.
    passes
        File to which a line is added at the start and at the end of each pass.
    at_stake
        Seconds of passes that may go without a checkpoint.
    today
        An instant that is now when the command begins; None for that of the machine.
    prepare
        Called in the child before the command.
    """

    def action() -> int:
        interrupts.install()
        scratch._current.clear()
        checkpoints.AT_STAKE_SECONDS = at_stake
        if passes is not None:
            _count_passes(passes)
        if today is not None:
            set_clock(today)
        prepare()
        began, cpu = time.monotonic(), time.process_time()
        with Instants(str(folder), fault) as instants:
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 0
        print(f"\nchanges: {instants.count}\nseconds: {time.monotonic() - began}\ncpu: {time.process_time() - cpu}")
        # stops workers, and removes temporary files
        atexit._run_exitfuncs()
        return code

    return fork(action, output)


def set_clock(now: datetime) -> None:
    """Let an instant be now for all that asks `datetime`, in this process; the clock goes on from there."""
    began = time.monotonic()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return (now + timedelta(seconds=time.monotonic() - began)).astimezone(tz)

    for name, module in list(sys.modules.items()):
        if name.startswith(("mr_ml", "hdfs_layout")) and vars(module).get("datetime") is datetime:
            vars(module)["datetime"] = Clock


def _count_passes(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    original = MapReduceEngine.run

    def run(self: MapReduceEngine, query: Any, **more: Any) -> Any:
        kind = "train" if work_of() == "fit" else "gate"
        os.write(descriptor, f"start {kind} {time.monotonic()}\n".encode())
        try:
            return original(self, query, **more)
        finally:
            os.write(descriptor, f"end {kind} {time.monotonic()}\n".encode())

    MapReduceEngine.run = run  # type: ignore[method-assign]


def work_of() -> str:
    """Return whether the pass that begins is of training or of the gate."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "mr_ml.training.loop":
            return "fit"
        frame = frame.f_back
    return "gate"


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Passes of training and of the gate that were begun, and the seconds that they took."""

    train: int
    gate: int
    seconds: float


def passes_of(file: Path) -> Passes:
    """Count the passes of all processes that wrote to a file."""
    lines = [line.split() for line in (file.read_text().splitlines() if file.exists() else [])]
    starts = [line for line in lines if line[0] == "start"]
    times = {word: sum(float(at) for what, _, at in lines if what == word) for word in ("start", "end")}
    seconds = times["end"] - times["start"] if len(starts) * 2 == len(lines) else float("nan")
    of = {kind: sum(line[1] == kind for line in starts) for kind in ("train", "gate")}
    return Passes(train=of["train"], gate=of["gate"], seconds=seconds)


def settle() -> None:
    """Make ready to fork often: what is there is not looked at again by the collector of garbage."""
    gc.collect()
    gc.freeze()


def files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of everything below a folder, hidden files and empty folders too."""
    for place, folders, names in os.walk(folder):
        for name in names + [one for one in folders if not os.listdir(os.path.join(place, one))]:
            yield os.path.relpath(os.path.join(place, name), folder)
