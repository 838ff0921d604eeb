"""Two to eight retrainings of one window at once: one works, the others are told so at once.

    python races.py [N] [FOLDER]

The races are for one night after the other, on one root. Those on HDFS are in on_hdfs.py.
"""

from __future__ import annotations

import os
import random
import re
import statistics
from pathlib import Path

from figures import Figures, parsed
from forked import Ended
from table import Table, warm_up

from hdfs_layout import list_versions, open_root
from mr_ml.catalog.promotions import read_promotions

FIRST_NIGHT = 4


def run(n: int, folder: Path, *, seed: int = 1) -> Figures:
    """Hold races; return what came of them."""
    rng, table = random.Random(seed), Table(folder)
    folder.mkdir(parents=True)
    table.daily.add(0, FIRST_NIGHT + n)
    table.configure()
    faults: list[str] = []
    losers: list[float] = []
    cpu: list[float] = []
    winners: list[float] = []
    sizes: list[int] = []
    accepted: list[int] = []
    late = refused = 0
    for k in range(n):
        night, size = FIRST_NIGHT + k, rng.randint(2, 8)
        sizes.append(size)
        codes, found = _race(table, night, size)
        # the gate may refuse one of a hundred sound candidates, as there are few rows to judge by
        worked = [one for code, repeated, one in found if code in (0, 3) and not repeated]
        repeated = [one for code, repeated, one in found if code in (0, 3) and repeated]
        locked = [one for code, _, one in found if code == 75]
        late += len(repeated)
        winners += [one.own_seconds for one in worked]
        losers += [one.own_seconds for one in locked]
        cpu += [one.cpu_seconds for one in locked]
        if len(worked) != 1 or len(worked) + len(repeated) + len(locked) != size:
            faults.append(f"race {k}: exit codes {codes}")
        unnamed = [
            one.text for one in locked
            if not re.search(r"retrain ctr by user \S+ on host \S+, process [0-9]+, since |at this moment", one.text)
        ]  # fmt: skip
        faults += [f"race {k}: does not say who holds the lock: {text[-200:]}" for text in unnamed]
        opened = open_root(table.root)
        versions = list_versions(opened.store, opened.layout.model("ctr"))
        if not versions or versions[-1] != k + 1:
            faults.append(f"race {k}: versions {versions}")
        accepted += [k + 1 for one in worked if one.code == 0]
        refused += sum(one.code == 3 for one in worked)
    entries, damaged = read_promotions(open_root(table.root), "ctr")
    if [entry.version for entry in entries if entry.action == "promote"] != accepted or damaged:
        faults.append(f"promotions: {[entry.version for entry in entries]}, damaged {damaged}")
    return {
        "races": n,
        "processes": sum(sizes),
        "worked": len(winners),
        "of these refused by the gate": refused,
        "exit 75": len(losers),
        "came after the end and had nothing to do": late,
        "median seconds until exit 75": round(statistics.median(losers), 3) if losers else None,
        "most seconds until exit 75": round(max(losers), 3) if losers else None,
        "exit 75 within a second": f"{sum(seconds <= 1 for seconds in losers)} of {len(losers)}",
        "median seconds of the processor until exit 75": round(statistics.median(cpu), 3) if cpu else None,
        "median seconds of who worked": round(statistics.median(winners), 3),
        "faults": faults,
    }


def _race(table: Table, night: int, size: int) -> tuple[list[int], list[tuple[int, bool, Ended]]]:
    """Start so many at once; return the exit codes, and of each: code, whether it had nothing to do, and all."""
    start, gun = os.pipe()

    def wait() -> None:
        os.close(gun)
        os.read(start, 1)

    running = [table.start(night, name=f"racer-{i}", prepare=wait) for i in range(size)]
    os.close(start)
    os.close(gun)
    ended = [one.wait() for one in running]
    found = [(one.code, bool(one.result.get("repeated")), one) for one in ended]
    return [one.code for one in ended], found


if __name__ == "__main__":
    parsed(__doc__, run, warm_up, default=100)
