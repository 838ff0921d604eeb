"""Retrainings that race, die and come back on a root on HDFS, where the lock of a model is a lease.

    eval "$(scripts/dev_hadoop.sh up)"
    scripts/soak.sh on_hdfs [RACES] [OWNERS]

Each begins with a night whose candidate is published and waits to be promoted, so none takes a job. Prints its figures
as JSON; exit code 1 if there are faults.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daily import day
from far_nights import NIGHT, FarNights, brought, unfinished_night

from hdfs_layout import owners
from mr_ml.cli import main
from mr_ml.retraining import work

_LEASE_SECONDS = 5
PROMOTED_ONCE = [("adopt", None), ("promote", 1), ("promote", 2)]


@dataclass
class Process:
    """A retraining in a forked process, which has everything imported."""

    pid: int
    output: Path
    code: int | None = None

    def has_ended(self, options: int = os.WNOHANG) -> bool:
        """Look whether it has ended."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, options)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    @property
    def text(self) -> str:
        """What it wrote."""
        return self.output.read_text(errors="replace")

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return float(self.text.rpartition("seconds: ")[2])

    @property
    def cpu_seconds(self) -> float:
        """Of the processor."""
        return float(self.text.rpartition("cpu: ")[2].split()[0])


def fork(nights: FarNights, name: str, prepare: Callable[[], None]) -> Process:
    """Start the unfinished night in a child process."""
    output = nights.daily.folder / f"{name}.txt"
    pid = os.fork()
    if pid:
        return Process(pid, output)
    with output.open("wb", buffering=0) as target:
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    prepare()
    began, cpu, code = time.monotonic(), time.process_time(), 70
    try:
        arguments = ["retrain", str(nights.settings), "--for", str(day(NIGHT)), "--json"]
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        print(f"\ncpu: {time.process_time() - cpu}\nseconds: {time.monotonic() - began}", flush=True)
        os._exit(code)


def at(point: str, action: Callable[[], object]) -> None:
    """Let this process do something at a point of a retraining."""
    work.reached = lambda found: action() if found == point else None  # type: ignore[assignment]


def elsewhere() -> None:
    """Let this process be one of another machine, as far as others can tell."""
    owners.place = lambda: "another machine"  # type: ignore[assignment]
    owners._hash.cache_clear()


def race(nights: FarNights, size: int, faults: list[str]) -> list[tuple[float, float]]:
    """Start several at once; who has the lock waits until the others have ended.

    Returns the seconds that each of these took, and those of the processor.
    """
    starts, gun = os.pipe()
    goes_on, last = os.pipe()

    def prepare() -> None:
        os.close(gun)
        os.close(last)
        at("begun noted", lambda: os.read(goes_on, 1))
        os.read(starts, 1)

    racers = [fork(nights, f"racer-{k}", prepare) for k in range(size)]
    os.close(gun)
    until = time.monotonic() + 60
    while sum(not racer.has_ended() for racer in racers) > 1 and time.monotonic() < until:
        time.sleep(0.01)
    os.close(last)
    for racer in racers:
        racer.has_ended(0)
    os.close(starts)
    os.close(goes_on)
    losers = [racer for racer in racers if racer.code == 75]
    if sorted(racer.code or 0 for racer in racers) != [0] + [75] * (size - 1) or nights.actions() != PROMOTED_ONCE:
        faults.append(f"exit codes {[racer.code for racer in racers]}, promotions {nights.actions()}")
    for loser in losers:
        if "retrain ctr by user" not in loser.text and "at this moment" not in loser.text:
            faults.append(f"does not say who holds the lock: {loser.text[-300:]}")
    return [(loser.seconds, loser.cpu_seconds) for loser in losers]


def owner(nights: FarNights, comes_back: bool, faults: list[str]) -> tuple[float, int, int] | None:
    """Stop or kill one on another machine that is about to promote; let another come until it has the lock."""

    def prepare() -> None:
        elsewhere()
        promote = vars(work)["promote"]

        def stopped(*args: Any, **more: Any) -> Any:
            os.kill(os.getpid(), signal.SIGSTOP)
            return promote(*args, **more)

        vars(work)["promote"] = stopped

    first = fork(nights, "first", prepare)
    _, status = os.waitpid(first.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        # on a machine that is so busy that it could not renew its lease
        print(f"ended before it could be stopped: {first.text[-300:]}", file=sys.stderr)
        return None
    began, refused = time.monotonic(), 0
    if not comes_back:
        os.kill(first.pid, signal.SIGKILL)
    while True:
        second = fork(nights, "second", lambda: None)
        second.has_ended(0)
        if second.code != 75 or time.monotonic() > began + 120:
            break
        refused += 1
    seconds = time.monotonic() - began
    before = nights.files("models") | nights.files("retrains")
    if comes_back:
        os.kill(first.pid, signal.SIGCONT)
    first.has_ended(0)
    expected = [*PROMOTED_ONCE[:2], ("fence", 1), PROMOTED_ONCE[2]]
    if second.code or nights.actions() != expected:
        faults.append(f"exit {second.code}, promotions {nights.actions()}: {second.text[-300:]}")
    if first.code != (75 if comes_back else -signal.SIGKILL):
        faults.append(f"exit {first.code} of a stale owner: {first.text[-300:]}")
    if nights.files("models") | nights.files("retrains") != before:
        faults.append("a stale owner changed something")
    return seconds, refused, first.code or 0


def run(races: int, stopped: int) -> dict[str, Any]:
    """Return what came of so many races and owners."""
    rng, faults = random.Random(1), list[str]()
    place = f"{os.environ['MR_ML_TEST_HDFS']}/user/soak/{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        daily = unfinished_night(Path(folder) / "daily")
        sizes, losers = [rng.randint(2, 8) for _ in range(races)], list[tuple[float, float]]()
        for k, size in enumerate(sizes):
            losers += race(brought(daily, f"{place}/race-{k}", lease_seconds=60), size, faults)
        figures = _races(sizes, losers)
        print(json.dumps(figures, indent=1), file=sys.stderr, flush=True)
        found_of = (
            owner(brought(daily, f"{place}/owner-{k}", lease_seconds=_LEASE_SECONDS), k % 2 == 0, faults)
            for k in range(stopped)
        )
        waits = [found for found in found_of if found is not None]
    return {
        **figures,
        "owners stopped or killed": len(waits),
        "their exit codes": {str(code): n for code, n in Counter(code for _, _, code in waits).items()},
        "lease in seconds": _LEASE_SECONDS,
        "refused while the lease lasted": sum(refused for _, refused, _ in waits),
        "median seconds until another had taken over and finished": round(statistics.median(w for w, _, _ in waits), 2),
        "faults": faults,
    }


def _races(sizes: list[int], losers: list[tuple[float, float]]) -> dict[str, Any]:
    seconds, cpu = zip(*losers, strict=True)
    return {
        "races": len(sizes),
        "processes": sum(sizes),
        "exit 75": len(losers),
        "median seconds until exit 75": round(statistics.median(seconds), 3),
        "most seconds until exit 75": round(max(seconds), 3),
        "exit 75 within a second": sum(one <= 1 for one in seconds),
        "median seconds of the processor until exit 75": round(statistics.median(cpu), 3),
    }


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    figures = run(*(numbers + [20, 20][len(numbers) :]))
    print(json.dumps(figures, indent=1))
    sys.exit(1 if figures["faults"] else 0)
