"""Disks that are full, read-only or broken, at any call of a retraining.

    python full.py [N] [FOLDER]

Half of the faults are errors that calls of the file system return, one call or all from one on. If this user may mount
file systems in memory, the others are disks that are full at some size.
"""

from __future__ import annotations

import collections
import errno
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import forked
from figures import Figures, parsed
from forked import Fault
from table import Table, after_two_nights, warm_up

NIGHT = 6
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EIO)
_DISK_BYTES = 64 << 20
# So many pages a retraining of this table takes, and some more.
_MOST_ROOM = 50


def run(n: int, folder: Path, *, seed: int = 1, mounts: bool = True) -> Figures:
    """Let so many retrainings fail; return what came of them."""
    rng = random.Random(seed)
    base = after_two_nights(folder / "base")
    alone = base.copy(folder / "alone")
    done = alone.run(NIGHT)
    assert done.code == 0, done.text
    alone.grow_older(2)
    assert alone.clean().code == 0
    found = _Found(digest=alone.coefficients("ctr"), before=base.coefficients("ctr"), names=alone.names())
    n_mounted = n // 2 if mounts and _may_mount(folder) else 0
    for k in range(n - n_mounted):
        number, lasts = ERRORS[k % len(ERRORS)], bool(k // len(ERRORS) % 2)
        fault = Fault(at=rng.randint(1, done.changes), error=number, lasts=lasts)
        found.trial(base.copy(folder / "trial"), fault)
    for k in range(n_mounted):
        with _disk(folder / "disk") as place:
            # from a disk that has no room for one page more to one that has nearly enough
            found.full(base.copy(place / "trial"), place, free=_MOST_ROOM * k // n_mounted)
    return {
        "faults injected": n - n_mounted,
        "disks that were full": n_mounted,
        "exit codes": {name: dict(codes) for name, codes in sorted(found.codes.items())},
        "faults": found.faults,
    }


class _Found:
    """What is found, trial by trial."""

    def __init__(self, *, digest: str, before: str, names: list[str]) -> None:
        self.digest, self.before, self.names = digest, before, names
        self.faults: list[str] = []
        self.codes: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)

    def trial(self, table: Table, fault: Fault) -> None:
        name = f"{errno.errorcode[fault.error]}, {'all calls from one on' if fault.lasts else 'one call'}"
        ended = table.run(NIGHT, name="failed", fault=fault)
        self._look(table, ended, name, f"{name}, change {fault.at}")

    def full(self, table: Table, place: Path, *, free: int) -> None:
        # what commands write, and what is outside of the disk
        outputs = place.parent / "outputs"
        outputs.mkdir(exist_ok=True)
        name = "a full disk"
        stat = os.statvfs(place)
        _resize(place, (stat.f_blocks - stat.f_bfree + free) * stat.f_frsize)
        ended = table.run(NIGHT, name=os.path.relpath(outputs / "failed", table.folder))
        # as somebody who makes room
        _resize(place, _DISK_BYTES)
        self._look(table, ended, name, f"{name} with {free} pages free")

    def _look(self, table: Table, ended: forked.Ended, name: str, where: str) -> None:
        self.codes[name][ended.code] += 1
        if ended.code not in (0, 74):
            self.faults.append(f"{where}: exit {ended.code}: {ended.text[-400:]}")
        if "Traceback" in ended.text:
            self.faults.append(f"{where}: a traceback: {ended.text[-400:]}")
        if ended.code and "mr-ml: " not in ended.text:
            self.faults.append(f"{where}: no message: {ended.text[-400:]}")
        digest = table.coefficients("ctr")
        if digest not in ([self.before, self.digest] if table.actions()[-1] == ("promote", 3) else [self.before]):
            self.faults.append(f"{where}: the model in use has other bits")
        again = table.run(NIGHT, name="again")
        if again.code or table.coefficients("ctr") != self.digest:
            self.faults.append(f"{where}: exit {again.code} of the next run, or other bits: {again.text[-400:]}")
            return
        if table.actions() != [("adopt", None), ("promote", 1), ("promote", 2), ("promote", 3)]:
            self.faults.append(f"{where}: promotions {table.actions()}")
        # what nobody's name is on goes after a day
        table.grow_older(2)
        cleaned = table.clean()
        names = collections.Counter(table.names())
        if cleaned.code or names != (wanted := collections.Counter(self.names)):
            self.faults.append(
                f"{where}: exit {cleaned.code} of clean; left {dict(names - wanted)}, lacking {dict(wanted - names)}"
            )


def _resize(place: Path, n_bytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={n_bytes}", str(place)], check=True)


def _may_mount(folder: Path) -> bool:
    try:
        with _disk(folder / "disk"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def _disk(place: Path) -> Iterator[Path]:
    """Mount a file system in memory."""
    place.mkdir(exist_ok=True)
    size = f"size={_DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "mr_ml-soak", str(place)], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


if __name__ == "__main__":
    parsed(__doc__, run, warm_up, default=100)
