"""What a command costs with all the processes that it starts: seconds, processor time, memory, bytes, process starts.

Linux only. The measuring process makes itself the reaper of orphans (prctl), so that every descendant is waited for by
somebody who is measured: their processor time and their bytes read and written (`/proc/self/io`) add up in this
process. Memory is sampled: proportional set sizes, so that pages which processes share count once.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_SAMPLE_SECONDS = 0.1

# Read by every Python as it starts: one line for each process, whether it was executed or forked.
_COUNTER = """\
import os
def _note(kind):
    out = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, (kind + "\\n").encode())
    os.close(out)
_note("start")
os.register_at_fork(after_in_child=lambda: _note("fork"))
"""


@dataclass(frozen=True)
class Cost:
    """Of one command and its descendants.

    Attributes
    ----------
    wall, cpu
        Seconds.
    peak_bytes
        Largest sum of proportional set sizes seen; 0 if it was not sampled.
    read_bytes, written_bytes
        Through system calls, pipes included; what is mapped into memory is not counted.
    processes
        Python processes, the command's own included; 0 if they were not counted.
    """

    wall: float
    cpu: float
    peak_bytes: int
    read_bytes: int
    written_bytes: int
    processes: int
    output: str


class CommandError(Exception):
    """A command failed; says which, and the end of what it said."""


def run(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None, counting: bool = False,
    sampling: bool = True,
) -> Cost:  # fmt: skip
    """Run one command to its end. Not for use beside other child processes: it reaps them.

    Whatever commands before it wrote is on the disk when it starts, so that it need not share processors with that.

    Parameters
    ----------
    counting
        Count processes, instead of sampling memory.
    sampling
        Sample memory, which takes some per cent of a processor.

    Raises
    ------
    CommandError
        If its exit code is not 0.
    """
    with tempfile.TemporaryDirectory() as scratch:
        given = {**os.environ, **(environment or {})}
        # Python compiles what is installed once, not at every start
        given.pop("PYTHONDONTWRITEBYTECODE", None)
        log = Path(scratch) / "processes"
        if counting:
            (Path(scratch) / "sitecustomize.py").write_text(_COUNTER.format(log=str(log)))
            given["PYTHONPATH"] = os.pathsep.join(filter(None, [scratch, given.get("PYTHONPATH", "")]))
        _adopt_orphans()
        os.sync()
        before, cpu_before = _io(), _cpu()
        with open(Path(scratch) / "output", "w+b") as output:
            began = time.monotonic()
            process = subprocess.Popen(
                list(command), cwd=folder, env=given, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
            peak = _Peak(process.pid) if sampling and not counting else None
            try:
                code = process.wait()
            except BaseException:
                process.kill()
                raise
            wall = time.monotonic() - began
            peak_bytes = peak.stop() if peak else 0
            _reap()
            output.seek(0)
            said = output.read().decode(errors="replace")
        after = _io()
        if code:
            raise CommandError(f"{shlex.join(command)}: exit code {code}\n{said[-2000:]}")
        processes = len(log.read_text().splitlines()) if counting else 0
    cpu = _cpu() - cpu_before
    return Cost(wall, cpu, peak_bytes, after[0] - before[0], after[1] - before[1], processes, said)


def warm(*paths: Path) -> None:
    """Read files, or those below folders, so that whoever is timed next finds them in memory."""
    buffer = bytearray(1 << 20)
    for path in paths:
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            with open(file, "rb", buffering=0) as source:
                while source.readinto(buffer):
                    pass


def interleaved(actions: Mapping[str, Callable[[], Cost]], *, rounds: int) -> dict[str, list[Cost]]:
    """Run all of them `rounds` times, one after the other, so that each round sees the same machine."""
    found: dict[str, list[Cost]] = {name: [] for name in actions}
    for number in range(rounds):
        # there and back: nobody is always first
        for name in list(actions)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(actions[name]())
    return found


def median(costs: Sequence[Cost]) -> Cost:
    """Field by field."""
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        int(statistics.median(c.peak_bytes for c in costs)),
        int(statistics.median(c.read_bytes for c in costs)),
        int(statistics.median(c.written_bytes for c in costs)),
        int(statistics.median(c.processes for c in costs)),
        costs[-1].output,
    )


def ratio(costs: Sequence[Cost], others: Sequence[Cost]) -> float:
    """Median over the rounds of wall time against wall time."""
    return statistics.median(a.wall / b.wall for a, b in zip(costs, others, strict=True))


def _adopt_orphans() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl: cannot adopt orphans; this needs Linux")


def _reap() -> None:
    """Wait for descendants that outlived the command; they end with it."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _io() -> tuple[int, int]:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"]), int(fields["wchar"])


class _Peak:
    """Samples the memory of a process and its descendants until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._done = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, sum(_resident(pid) for pid in _tree(self._pid)))


def _tree(pid: int) -> list[int]:
    found = [pid]
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [p for child in (thread / "children").read_text().split() for p in _tree(int(child))]
    return found


def _resident(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def machine() -> dict[str, str]:
    """What the numbers were taken on, load included."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    total = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    return {
        "processor": f"{model}, {len(os.sched_getaffinity(0))} processors to use",
        "memory": f"{int(total) / 2**20:.0f} GiB",
        "system": f"Linux {os.uname().release}, Python {sys.version.split()[0]}",
        "load": " ".join(f"{x:.1f}" for x in os.getloadavg()),
    }
