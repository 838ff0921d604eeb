"""A hundred nightly retrainings in a row of a table that grows, with faults in one of ten nights of each kind.

    python nights.py [N] [FOLDER]

Faults: a kill, an error of the disk, a day that arrives a night late, a day with wrong labels. After a kill or an error
half of the nights are run again, the others are left to the next night.
"""

from __future__ import annotations

import collections
import errno
import json
import os
import random
import signal
import statistics
import threading
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import forked
import numpy as np
from daily import day
from figures import Figures, parsed
from forked import Fault
from table import SETTINGS, Table, warm_up

import mr_ml
from hdfs_layout import open_root
from hdfs_layout.lock import holder
from mr_ml.retraining.journal import read_journal, windows_of

FIRST = 4
P = 0.1
COLD_EVERY = 5
# Of the objective, relative to it: what the tolerance of the search leaves open.
SAME = 1e-9
# So many times the usual state is the largest at most.
MOST = 4


def run(n: int, folder: Path, *, seed: int = 1) -> Figures:
    """Run so many nights; return what came of them."""
    folder.mkdir(parents=True)
    found = _Nights(Table(folder / "table"), random.Random(seed))
    for k in range(FIRST, FIRST + n):
        found.night(k)
    found.end(FIRST + n)
    return {**found.figures(n), **in_one_process(folder / "one", max(n // 5, 6), found.faults), "faults": found.faults}


class _Nights:
    """What is found, night by night."""

    def __init__(self, table: Table, rng: random.Random) -> None:
        self.table, self.rng = table, rng
        table.folder.mkdir()
        table.configure()
        settings = SETTINGS.format(root="cold", runner="inline", days=table.folder / "days", late=1)
        self.cold_settings = table.folder / "cold.yaml"
        self.cold_settings.write_text(settings + "warm_start: false\n")
        table.daily.add(0, FIRST - 1)
        self.faults: list[str] = []
        self.events: collections.Counter[str] = collections.Counter()
        self.codes: collections.Counter[str] = collections.Counter()
        self.late: set[int] = set()
        self.bad: set[int] = set()
        self.sizes: list[tuple[int, int]] = []
        self.windows: dict[str, str] = {}
        self.runs: set[str] = set()
        self.passes: list[tuple[int, int]] = []
        self.gaps: list[float] = []
        self.objectives: list[float] = []
        self.refused_for_few_rows = 0
        self.disturbed = False

    def night(self, k: int) -> None:
        """One night: what arrives, the retraining, a fault or none."""
        table, rng = self.table, self.rng
        for number in self.late | self.bad:
            table.daily.add(number, number)
        self.late, self.bad = set(), set()
        kind = self._kind(k)
        if kind == "late day":
            self.late.add(k)
        elif kind == "wrong labels":
            table.daily.add(k, k, flipped=True)
            self.bad.add(k)
        else:
            table.daily.add(k, k)
        self.events[kind] += 1
        self.table.grow_older(1)
        fault = forked.NO_FAULT
        if kind == "kill":
            fault = Fault(at=rng.randint(1, 220), signal=signal.SIGKILL)
        elif kind == "EIO":
            fault = Fault(at=rng.randint(1, 300), error=errno.EIO, lasts=rng.random() < 0.5)
        ended = self._run(k, fault)
        self.codes[f"{kind}: exit {ended.code}"] += 1
        allowed = {"kill": (-9, 0), "EIO": (74, 0), "wrong labels": (3,), "late day": (0,)}.get(kind, (0,))
        # what was left over of a disturbed night may be refused tonight; and there are few rows to judge by
        is_doubtful = ended.code == 3 and (self.disturbed or "too few test rows to show" in ended.text)
        self.refused_for_few_rows += ended.code == 3 and kind != "wrong labels"
        if ended.code not in allowed and not is_doubtful:
            self.faults.append(f"night {k}, {kind}: exit {ended.code}: {ended.text[-400:]}")
        if ended.code not in (0, 3) and rng.random() < 0.5:
            self.events["run again"] += 1
            ended = self._run(k, forked.NO_FAULT)
            if ended.code != 0:
                self.faults.append(f"night {k}, again after {kind}: exit {ended.code}: {ended.text[-400:]}")
        self.disturbed = ended.code not in (0, 3) or kind in ("wrong labels", "late day")
        if ended.code in (0, 3):
            self._look(k, ended)
        if k % COLD_EVERY == 0 and ended.code == 0 and kind != "late day":
            self._cold(k, ended)

    def _kind(self, k: int) -> str:
        if k == FIRST:
            return "quiet"
        at = self.rng.random() / P
        return ("kill", "EIO", "late day", "wrong labels")[int(at)] if at < 4 else "quiet"

    def _run(self, k: int, fault: Fault) -> forked.Ended:
        now = datetime.combine(day(k + 1), time(2, 15), UTC)
        return self.table.run(None, today=now, fault=fault)

    def _look(self, k: int, ended: forked.Ended) -> None:
        """Count what there is after a night that has ended by itself."""
        table, result = self.table, ended.result
        if ended.code == 0 and result["window"] != str(day(k)):
            self.faults.append(f"night {k}: the window is {result['window']}")
        root = open_root(table.root)
        for window in windows_of(root, "ctr"):
            journal = read_journal(root, "ctr", window)
            assert journal is not None
            self.windows[window] = journal.attempt.outcome
            self.runs.add(journal.attempt.run)
        # the log of promotions is kept for ever: who used what when
        names = [name for name in forked.files_below(table.root) if "/promotions/" not in name]
        hidden = [n for n in names if n.rpartition("/")[2].startswith(".") and not n.endswith("/.lock")]
        notes = [name for name in names if name.startswith("uses/")]
        if hidden or notes:
            self.faults.append(f"night {k}: left {hidden + notes}")
        if (owner := holder(root.store, root.layout.lock("ctr"))) is not None:
            self.faults.append(f"night {k}: the lock is held by {owner}")
        self.sizes.append((len(names), sum((table.root / name).stat().st_size for name in names)))

    def _cold(self, k: int, warm: forked.Ended) -> None:
        """Fit the same night from nothing, and compare."""
        arguments: list[object] = ["retrain", self.cold_settings, "--for", day(k), "--json", "--force", "a comparison"]
        ended = forked.command(arguments, folder=self.table.folder, output=self.table.folder / "cold.txt").wait()
        if ended.code:
            self.faults.append(f"night {k}, cold: exit {ended.code}: {ended.text[-400:]}")
            return
        training, other = warm.result["training"], ended.result["training"]
        self.passes.append((training["passes"], other["passes"]))
        found: Any = mr_ml.load_model(self.table.root, warm.result["candidate"])
        cold: Any = mr_ml.load_model(self.table.folder / "cold", ended.result["candidate"])
        self.objectives.append(abs(training["objective"] / other["objective"] - 1))
        gap = float(np.abs(found.coef - cold.coef).max())
        self.gaps.append(gap)
        if self.objectives[-1] > SAME:
            self.faults.append(f"night {k}: the objective is another one than a cold start's: {training} {other}")

    def end(self, k: int) -> None:
        """A last quiet night, and what must be so after it."""
        self.disturbed = True
        self.table.daily.add(k - 1, k)
        ended = self._run(k, forked.NO_FAULT)
        if ended.code not in (0, 3):
            self.faults.append(f"the last night: exit {ended.code}: {ended.text[-400:]}")
        running = {window for window, outcome in self.windows.items() if outcome == "running"}
        if left := running - {max(self.windows)}:
            open_windows = [w for w in left if _outcome(self.table, w) == "running"]
            self.faults += [f"windows that nobody finished or gave up: {open_windows}"] if open_windows else []

    def figures(self, n: int) -> Figures:
        # what a failed night needs is kept for 30 days: a state may be some nights larger than a usual one
        counts, sizes = ([size[i] for size in self.sizes] for i in (0, 1))
        last = sizes[-max(len(sizes) // 3, 1) :]
        if statistics.median(last) > 2 * statistics.median(sizes) or max(sizes) > MOST * statistics.median(sizes):
            self.faults.append(f"state grows: {sizes}")
        return {
            "nights": n,
            "events": dict(self.events),
            "exit codes": dict(sorted(self.codes.items())),
            "sound candidates refused, as there were few rows to judge by": self.refused_for_few_rows,
            "runs": len(self.runs),
            "files below the root, without the log of promotions, median and most": _usual(counts),
            "their bytes, median and most": _usual(sizes),
            "median of the bytes in the last third of nights": statistics.median(last),
            "nights compared with a cold start": len(self.passes),
            "mean passes, warm": _mean(warm for warm, _ in self.passes),
            "mean passes, cold": _mean(cold for _, cold in self.passes),
            "largest relative difference of the objective from the cold start's": max(self.objectives, default=None),
            "largest difference of a coefficient from the cold start's": max(self.gaps, default=None),
        }


def _usual(numbers: list[int]) -> str:
    return f"{statistics.median(numbers):.0f} and {max(numbers)}"


def _outcome(table: Table, window: str) -> str | None:
    journal = read_journal(open_root(table.root), "ctr", window)
    return None if journal is None else journal.attempt.outcome


def _mean(numbers: Any) -> float | None:
    found = list(numbers)
    return round(statistics.mean(found), 2) if found else None


def in_one_process(folder: Path, n: int, faults: list[str]) -> Figures:
    """Retrain so many nights in one process; return how many descriptors, threads and children it had."""
    folder.mkdir(parents=True)
    table = Table(folder)
    table.daily.add(0, FIRST + n)
    table.configure(runner="local, workers: 1")

    def action() -> int:
        counts = []
        for k in range(FIRST, FIRST + n):
            mr_ml.retrain(table.settings, last=day(k))
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            counts.append([len(os.listdir("/proc/self/fd")), threading.active_count(), len(children)])
        print(json.dumps({"counts": counts}))
        import atexit

        atexit._run_exitfuncs()
        return 0

    ended = forked.fork(action, folder / "out.txt").wait()
    if ended.code:
        faults.append(f"{n} nights in one process: exit {ended.code}: {ended.text[-400:]}")
        return {}
    counts = ended.result["counts"]
    if counts[1] != counts[-1]:
        faults.append(f"descriptors, threads and children of one process: {counts}")
    return {
        "nights in one process": n,
        "its descriptors, threads and children after the second": counts[1],
        "and after the last": counts[-1],
    }


if __name__ == "__main__":
    parsed(__doc__, run, warm_up, default=100)
