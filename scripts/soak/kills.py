"""kill -9 at any instant of a retraining, and the same retraining again.

python kills.py [N] [FOLDER]
"""

from __future__ import annotations

import collections
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forked
from daily import day
from figures import Figures, parsed
from forked import Fault
from reader import Reader
from table import Table, after_two_nights, warm_up

from hdfs_layout import NotFoundError, open_root, read_events
from mr_ml.retraining.journal import read_journal
from mr_ml.retraining.work import POINTS

NIGHT = 6
LOCAL = "local, workers: 1"
MARK = "MR_ML_SOAK_MARK"


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What comes of the night if nothing happens."""

    digest: str
    changes: int
    seconds: float
    train_passes: int
    gate_passes: int
    names: list[str]


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: at a change, at a point between two steps, or after some milliseconds; of the driver or of a worker."""

    fault: Fault = forked.NO_FAULT
    after: float | None = None
    runner: str = "inline"
    worker: bool = False
    at_stake: float = 0.0

    def __str__(self) -> str:
        where = f"change {self.fault.at}" if self.fault.at else self.fault.point or f"{1000 * (self.after or 0):.0f} ms"
        return f"{'worker' if self.worker else 'driver'}, {self.runner.split(',')[0]}, {where}"


@dataclass
class Outcome:
    """What came of a kill and the run after it."""

    kill: Kill
    hit: bool = False
    code: int = 0
    phase: str = ""
    redone_train: int = 0
    redone_gate: int = 0
    redone_seconds: float = 0.0
    polls: int = 0
    looks: int = 0
    gone: int = 0
    faults: list[str] = field(default_factory=list)


def undisturbed(base: Table, folder: Path, runner: str) -> Undisturbed:
    """Run the night without any kill."""
    table = base.copy(folder)
    table.configure(runner=runner)
    done = table.run(NIGHT, passes=table.folder / "passes")
    assert done.code == 0, done.text
    assert table.clean().code == 0
    passes = forked.passes_of(table.folder / "passes")
    return Undisturbed(
        digest=table.coefficients("ctr"), changes=done.changes, seconds=done.seconds,
        train_passes=passes.train, gate_passes=passes.gate, names=table.names(),
    )  # fmt: skip


def killed(base: Table, folder: Path, kill: Kill, expected: Undisturbed, before: str) -> Outcome:
    """Kill the night, run it again, and look at everything."""
    outcome, table = Outcome(kill), base.copy(folder)
    table.configure(runner=kill.runner)
    temporary = folder / "tmp"
    temporary.mkdir()
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    passes = folder / "passes"

    def prepare() -> None:
        import tempfile

        os.environ.update({MARK: mark, "TMPDIR": str(temporary)})
        tempfile.tempdir = None

    more: dict[str, Any] = {"passes": passes, "at_stake": kill.at_stake, "prepare": prepare}
    reader = Reader(folder, table.root, {2: before, 3: expected.digest})
    try:
        first = table.start(NIGHT, fault=kill.fault, **more)
        if kill.worker:
            outcome.hit = _kill_a_worker(first, mark, kill.after or 0.0)
        elif kill.after is not None and first.wait_seconds(kill.after) is None:
            first.kill()
        ended = first.wait()
        if not kill.worker:
            outcome.hit = ended.code == -signal.SIGKILL
        outcome.phase = _phase(table)
        at_kill = forked.passes_of(passes)
        outcome.code = ended.code
        if kill.worker and ended.code not in (0, 69, 70, 74):
            outcome.faults.append(f"exit {ended.code} after a worker was killed: {ended.text[-300:]}")
        again = table.run(NIGHT, name="again", **more)
        if again.code:
            outcome.faults.append(f"exit {again.code} of the run after it: {again.text[-300:]}")
            return outcome
    finally:
        seen = reader.stop()
        outcome.polls, outcome.looks, outcome.gone = seen.polls, seen.looks, seen.gone
        outcome.faults += [f"torn: {one}" for one in seen.torn[:3]]
    _check(table, expected, outcome, prepare)
    total = forked.passes_of(passes)
    outcome.redone_train = total.train - expected.train_passes
    outcome.redone_gate = total.gate - expected.gate_passes
    outcome.redone_seconds = _redone_seconds(passes, at_kill, outcome)
    if outcome.redone_train > 1 and outcome.redone_seconds > 1:
        outcome.faults.append(f"{outcome.redone_train} passes and {outcome.redone_seconds:.2f} s of training redone")
    # what training has come to is written at its end, so a kill costs a pass of it or of the gate
    if outcome.redone_gate > 1 or (outcome.redone_gate and outcome.redone_train > 0):
        outcome.faults.append(f"{outcome.redone_train} passes of training and {outcome.redone_gate} of the gate redone")
    if (left := _alive(mark)) and not _ends(mark):
        outcome.faults.append(f"processes go on: {left}")
    # Python's tempfile tries a folder by a file of such a name, which a kill can leave
    if names := [name for name in os.listdir(temporary) if not re.fullmatch(r"[a-z0-9_]{8}", name)]:
        outcome.faults.append(f"left in TMPDIR: {names}")
    return outcome


def _check(table: Table, expected: Undisturbed, outcome: Outcome, prepare: Callable[[], None]) -> None:
    """See that the night has ended as if nothing had happened."""
    faults = outcome.faults
    if table.coefficients("ctr") != expected.digest:
        faults.append("other bits")
    if table.actions() != [("adopt", None), ("promote", 1), ("promote", 2), ("promote", 3)]:
        faults.append(f"promotions: {table.actions()}")
    cleaned = table.clean(prepare)
    if cleaned.code:
        faults.append(f"exit {cleaned.code} of clean: {cleaned.text[-300:]}")
    found, wanted = collections.Counter(table.names()), collections.Counter(expected.names)
    if found != wanted:
        faults.append(f"left over {dict(found - wanted)}, lacking {dict(wanted - found)}")


def _redone_seconds(file: Path, at_kill: forked.Passes, outcome: Outcome) -> float:
    """Return how long the passes of the killed process took that were run again: its last ones."""
    lines = [line.split() for line in (file.read_text().splitlines() if file.exists() else [])]
    took: list[float] = []
    began: float | None = None
    for what, kind, at in lines:
        if kind != "train" or (what == "start" and len(took) >= at_kill.train):
            continue
        if what == "start":
            if began is not None:
                took.append(0.0)
            began = float(at)
        elif began is not None:
            took.append(float(at) - began)
            began = None
    last = took[: at_kill.train][-outcome.redone_train :] if outcome.redone_train > 0 else []
    return sum(last)


def _phase(table: Table) -> str:
    """Return the last step that the log of the night's run has."""
    root = open_root(table.root)
    journal = read_journal(root, "ctr", str(day(NIGHT)))
    if journal is None:
        return "start"
    try:
        events = read_events(root.store, root.layout.run_log(journal.attempt.run))
    except NotFoundError:
        return "begun"
    steps = [str(event["step"]) for event in events if event.get("event") == "retrain"]
    return next((step for step in reversed(steps) if step != "resumed"), "begun")


def _kill_a_worker(first: forked.Running, mark: str, after: float) -> bool:
    """Kill a process that the driver has started, if there is one by then."""
    first.wait_seconds(after)
    until = time.monotonic() + 20
    while first.wait_seconds(0.002) is None and time.monotonic() < until:
        pids = _alive(mark)
        if len(pids) >= 2:
            os.kill(max(pids), signal.SIGKILL)
            return True
    return False


def _alive(mark: str) -> list[int]:
    """Return the ids of the processes that have the mark in their environment."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in place.read_bytes().split(b"\0"):
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def _ends(mark: str) -> bool:
    until = time.monotonic() + 20
    while _alive(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def kills(n: int, rng: random.Random, inline: Undisturbed, local: Undisturbed) -> list[Kill]:
    """Choose kills: a third by changes, a third by the clock, a tenth at points, the rest with worker processes."""
    chosen = []
    for k in range(n):
        at_stake = rng.choice([0.0, 1.0])
        share = k / n
        if share < 0.35:
            fault = Fault(at=rng.randint(1, inline.changes), signal=signal.SIGKILL)
            chosen.append(Kill(fault=fault, at_stake=at_stake))
        elif share < 0.45:
            fault = Fault(point=POINTS[k % len(POINTS)], signal=signal.SIGKILL)
            chosen.append(Kill(fault=fault, at_stake=at_stake))
        elif share < 0.75:
            chosen.append(Kill(after=rng.random() * inline.seconds, at_stake=at_stake))
        elif share < 0.85:
            fault = Fault(at=rng.randint(1, local.changes), signal=signal.SIGKILL)
            chosen.append(Kill(fault=fault, runner=LOCAL, at_stake=at_stake))
        elif share < 0.92:
            chosen.append(Kill(after=rng.random() * local.seconds, runner=LOCAL, at_stake=at_stake))
        else:
            chosen.append(Kill(after=rng.random() * local.seconds, runner=LOCAL, worker=True, at_stake=at_stake))
    return chosen


def run(n: int, folder: Path, *, seed: int = 1, with_workers: bool = True) -> Figures:
    """Make kills; return what came of them."""
    rng = random.Random(seed)
    base = after_two_nights(folder / "base")
    before = base.coefficients("ctr")
    expected = {"inline": undisturbed(base, folder / "undisturbed", "inline")}
    expected[LOCAL] = undisturbed(base, folder / "undisturbed", LOCAL) if with_workers else expected["inline"]
    chosen = kills(n, rng, expected["inline"], expected[LOCAL])
    if not with_workers:
        chosen = [kill for kill in chosen if kill.runner == "inline"]
    outcomes: list[Outcome] = []
    for k, kill in enumerate(chosen):
        outcomes.append(killed(base, folder / "trial", kill, expected[kill.runner], before))
        if outcomes[-1].faults:
            print(f"kill {k} ({kill}, phase {outcomes[-1].phase}): {outcomes[-1].faults}", flush=True)
            if len(list(folder.glob("kept-*"))) < 5:
                shutil.copytree(folder / "trial", folder / f"kept-{k}", symlinks=True)
    hit = [outcome for outcome in outcomes if outcome.hit]
    checkpointed = [outcome for outcome in outcomes if outcome.kill.at_stake == 0]
    return {
        "runs that were to be killed": len(outcomes),
        "killed before their end": len(hit),
        "by what": dict(collections.Counter(str(o.kill).rpartition(", ")[0] for o in hit)),
        "last step in the log when killed": dict(collections.Counter(o.phase for o in hit)),
        "exit codes after a worker was killed": dict(collections.Counter(str(o.code) for o in hit if o.kill.worker)),
        "faults": [f"{o.kill}: {fault}" for o in outcomes for fault in o.faults],
        "most passes of training redone": max((o.redone_train for o in outcomes), default=0),
        "the same with a checkpoint after each pass": max((o.redone_train for o in checkpointed), default=0),
        "most seconds of training redone": round(max((o.redone_seconds for o in outcomes), default=0.0), 3),
        "most passes of the gate redone": max((o.redone_gate for o in outcomes), default=0),
        "most passes redone in all, with a checkpoint after each": max(
            (o.redone_train + o.redone_gate for o in checkpointed), default=0
        ),
        "polls of the reader": sum(o.polls for o in outcomes),
        "documents and models that it read": sum(o.looks for o in outcomes),
        "torn": sum(fault.startswith("torn") for o in outcomes for fault in o.faults),
        "removed by retention before it read them": sum(o.gone for o in outcomes),
    }


if __name__ == "__main__":
    parsed(__doc__, run, warm_up, default=200)
