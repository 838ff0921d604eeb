"""What starting and a pass cost with each runner, beside each other: medians of one run, on one dataset.

    python scripts/spark_pass.py                              # -r local and -r spark --master local[2]
    python scripts/spark_pass.py --hdfs hdfs://HOST/user/me   # and -r hadoop, -r spark --master yarn on that cluster

Prints a table in Markdown, in seconds:

    start     from the command until the first pass has ended, less a later pass: processes, SparkContext, reading
    pass      median of the later ones
    to local  how many times the pass of -r local that is

The set: 60,000 rows of 30 values out of 20,000 features, in 8 partitions.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hdfs_layout import LocalStore, Store, open_store
from mr_ml.cli import main as mr_ml
from mr_ml.session import Session
from mr_ml.training.loop import Progress

N_ROWS, N_VALUES, N_FEATURES = 60_000, 30, 20_000
PASSES = 12


def write_rows(path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = (N_FEATURES * rng.random((N_ROWS, N_VALUES)) ** 3).astype(int)
    labels = (np.sin(ids).sum(axis=1) > 0).astype(int).tolist()
    with open(path, "w", encoding="ascii") as out:
        for label, row in zip(labels, ids.tolist(), strict=True):
            out.write(f"{label} " + " ".join(f"{i + 1}:{1 + i % 7}" for i in sorted(set(row))) + "\n")


def copy(source: Store, target: Store) -> None:
    for path in source.walk("datasets"):
        target.write(path, source.read(path))


def measure(root: str, runner: str, passes: int, **where: Any) -> tuple[float, float]:
    """Train with one runner; seconds of the start and of a pass."""
    ends: list[float] = []

    def note(progress: Progress) -> None:
        ends.append(time.perf_counter())

    begin = time.perf_counter()
    with Session.open(root, runner=runner, watch=note, **where) as session:
        options = {"loss": "logistic", "l2": 1e-6, "solver": "lbfgs", "max_passes": passes, "tolerance": 1e-12}
        session.train(session.spec("linear", "rows", "m", "train", options))
    later = statistics.median(np.diff(ends).tolist())
    return ends[0] - begin - later, later


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hdfs", help="a folder on a cluster that HADOOP_HOME and HADOOP_CONF_DIR name")
    parser.add_argument("--config", help="settings of -r spark on YARN")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_rows(folder / "rows")
        root = str(folder / "root")
        packed = ["pack", str(folder / "rows"), "--to", "rows", "--root", root, "--partitions", "8", "-r", "inline"]
        assert mr_ml(packed) == 0
        found = {"`-r local`": measure(root, "local", PASSES, workers=2)}
        found["`-r spark --master local[2]`"] = measure(root, "spark", PASSES, master="local[2]")
        if options.hdfs:
            name = f"spark-pass-{os.getpid()}"
            there = f"{options.hdfs}/{name}"
            copy(LocalStore(root), open_store(there))
            config = folder / "hadoop.yaml"
            config.write_text(f"python: {sys.executable}\n")
            found["`-r hadoop`"] = measure(there, "hadoop", 4, config=str(config))
            found["`-r spark --master yarn`"] = measure(there, "spark", PASSES, master="yarn", config=options.config)
            open_store(options.hdfs).remove_tree(name)
    local = found["`-r local`"][1]
    print("| | start | pass | to local |\n|---|--:|--:|--:|")
    for label, (start, later) in found.items():
        print(f"| {label} | {start:.1f} | {later:.2f} | {later / local:.0f} |")


if __name__ == "__main__":
    main()
