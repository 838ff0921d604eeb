"""Owners of a lease that are stopped, taken for dead, and go on when another has finished their work.

    python owners.py [N] [FOLDER]

The lock is a lease, as on HDFS.
"""

from __future__ import annotations

import collections
import random
import signal
import statistics
import time
from pathlib import Path

from daily import day
from figures import Figures, parsed
from forked import Fault
from lease_store import SCHEME, lease_stores
from table import Table, after_two_nights, warm_up

from hdfs_layout import open_root
from mr_ml.retraining.journal import Journal, read_journal
from mr_ml.retraining.work import POINTS

NIGHT = 6
LEASE_SECONDS = 1


def run(n: int, folder: Path, *, seed: int = 1) -> Figures:
    """Stop so many owners; return what came of them."""
    rng = random.Random(seed)
    with lease_stores():
        base = after_two_nights(folder / "base")
        base.configure(more=f"lock: {{lease_seconds: {LEASE_SECONDS}}}\n")
        # settings with such a root are refused for a runner of this machine; one beside them is not
        base.settings.write_text(base.settings.read_text().replace("root: root\n", ""))
        alone = base.copy(folder / "alone")
        done = alone.run(NIGHT, "--root", _root(alone))
        assert done.code == 0, done.text
        digest, changes = alone.coefficients("ctr"), done.changes
        gone = {name for name, _ in _kept(base) - _kept(alone)}
        found = _Found(digest=digest, gone=gone)
        for k in range(n):
            fault = Fault(point=POINTS[k], signal=signal.SIGSTOP) if k < len(POINTS) else None
            fault = fault or Fault(at=rng.randint(1, changes), signal=signal.SIGSTOP)
            found.trial(base.copy(folder / "trial"), fault)
    return found.figures(n)


class _Found:
    """What is found, trial by trial."""

    def __init__(self, *, digest: str, gone: set[str]) -> None:
        self.digest, self.gone = digest, gone
        self.faults: list[str] = []
        self.codes: collections.Counter[str] = collections.Counter()
        self.waits: list[float] = []
        self.refused = 0
        self.overtaken = 0

    def trial(self, table: Table, fault: Fault) -> None:
        where = fault.point or f"change {fault.at}"
        first = table.start(NIGHT, "--root", _root(table), name="first", fault=fault)
        if not first.wait_until_stopped():
            self.codes["ended before it could be stopped"] += 1
            return
        began = time.monotonic()
        while (
            second := table.run(NIGHT, "--root", _root(table), name="second")
        ).code == 75 and time.monotonic() < began + 60:
            self.refused += 1
        if second.code:
            self.faults.append(f"{where}: exit {second.code} of who took over: {second.text[-300:]}")
        if not second.result.get("repeated"):
            self.waits.append(time.monotonic() - began)
        before, journal = _kept(table), _journal(table)
        first.kill(signal.SIGCONT)
        ended = first.wait()
        self.codes[f"exit {ended.code}{' with nothing to do' if ended.result.get('repeated') else ''}"] += 1
        if ended.code == 75 and "traceback" in ended.text.lower():
            self.faults.append(f"{where}: {ended.text[-500:]}")
        if ended.code != 75 and not ended.result.get("repeated") and not second.result.get("repeated"):
            self.faults.append(f"{where}: exit {ended.code} of a stale owner: {ended.text[-300:]}")
        if _journal(table) != journal:
            self.faults.append(f"{where}: another journal counts after a stale owner went on")
        self.overtaken += len(_journals(table)) > 1
        # what it removes as it still holds the lock of whoever cleans, which is another one, would have gone anyway
        after = _kept(table)
        if changed := (after - before) | {found for found in before - after if found[0] not in self.gone}:
            self.faults.append(f"{where}: changed by a stale owner: {sorted(name for name, _ in changed)}")
        cleaned = table.clean(lambda: None, "--root", _root(table))
        if cleaned.code or len(_journals(table)) != 1:
            self.faults.append(f"{where}: exit {cleaned.code} of clean, journals {_journals(table)}")
        # on a machine that is so busy that a lease of a second is not renewed
        while (third := table.run(NIGHT, "--root", _root(table), name="third")).code == 75:
            self.refused += 1
        if third.code or table.coefficients("ctr") != self.digest:
            self.faults.append(f"{where}: exit {third.code} of a third run, or other bits: {third.text[-300:]}")
        if table.actions() != [("adopt", None), ("promote", 1), ("promote", 2), ("promote", 3)]:
            self.faults.append(f"{where}: promotions {table.actions()}")

    def figures(self, n: int) -> Figures:
        return {
            "owners stopped": n,
            "what became of them when they went on": dict(self.codes),
            "refused while the lease lasted": self.refused,
            "lease in seconds": LEASE_SECONDS,
            "median seconds until another had taken over and finished": round(statistics.median(self.waits), 2),
            "journals that a stale owner wrote, and nobody reads": self.overtaken,
            "faults": self.faults,
        }


def _root(table: Table) -> str:
    return f"{SCHEME}://{table.root}"


def _kept(table: Table) -> set[tuple[str, bytes]]:
    """Return the log of promotions and the versions of the model, with their bytes."""
    folder = table.root / "models" / "ctr"
    return {(str(path.relative_to(folder)), path.read_bytes()) for path in folder.rglob("v*.json")}


def _journal(table: Table) -> Journal | None:
    return read_journal(open_root(table.root), "ctr", str(day(NIGHT)))


def _journals(table: Table) -> list[Path]:
    return sorted((table.root / "retrains" / "ctr" / str(day(NIGHT))).glob("v*.json"))


if __name__ == "__main__":
    parsed(__doc__, run, warm_up, default=60)
