"""Train a model of millions of features, and hold the memory of the driver and of every task against limits.

    python scripts/wide.py                                  # 20 million features, 200,000 rows of 100, on this machine
    python scripts/wide.py -r hadoop --root hdfs:///user/me/wide --config cluster.yaml --containers CLUSTER_FOLDER

Writes libsvm text (seeded; ids by Zipf's law, hashed), packs it, trains a logistic regression and evaluates it. Prints
the peak of each kind of process in resident pages. On a cluster, --containers names the folder below which its
containers run on this machine (the --dir of dev_hadoop.sh); without it tasks are not watched.

Exit code 0 if all kept within the limits, 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from memory import Peaks, family

from hdfs_layout import open_store
from mr_ml.sizes import parse_size

SAMPLE_SECONDS = 0.05
CHUNK_ROWS = 2000
TASK_WORDS = ("mr_ml.zip", "forkserver")
DATASET, MODEL = "wide", "wide"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=20_000_000)
    parser.add_argument("--nonzeros", type=int, default=100, help="of a row (default 100)")
    parser.add_argument("--passes", type=int, default=5, help="(default 5)")
    parser.add_argument("--task-limit", default="2G", help="of each task (default 2G)")
    parser.add_argument("--driver-limit", default="4G", help="(default 4G)")
    parser.add_argument("-r", "--runner", choices=("local", "hadoop"), default="local")
    parser.add_argument("--engine", default="auto", help="of passes on a cluster (default auto)")
    parser.add_argument("--workers", type=int, default=2, help="on this machine (default 2)")
    parser.add_argument("--root", help="by default a temporary folder")
    parser.add_argument("--config", help="settings of the cluster")
    parser.add_argument("--containers", help="folder of a cluster on this machine")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mr_ml-wide-") as folder:
        text = Path(folder) / "wide.libsvm"
        began = time.monotonic()
        with text.open("wb") as out:
            for chunk in lines(options.rows, options.features, options.nonzeros, options.seed):
                out.write(chunk)
        print(f"{text.stat().st_size >> 20} MB of text in {time.monotonic() - began:.0f} s", flush=True)
        given = str(text)
        if options.runner == "local":
            where = ["--root", options.root or folder, "-r", "local", "--workers", str(options.workers), "--json"]
            engine = []
        else:
            where = ["--root", options.root, "-r", "hadoop", "--config", options.config, "--json"]
            engine = ["--engine", options.engine]
            given = f"{options.root}/raw/wide.libsvm"
            with text.open("rb") as source:
                open_store(options.root).write("raw/wide.libsvm", iter(lambda: source.read(1 << 20), b""))
        train = ["train", DATASET, "--model", MODEL, "--l2", "1e-6", "--tolerance", "0"]
        kept = [
            watched(["pack", given, "--to", DATASET, "--split", "train=0.9,test=0.1", *where], options),
            watched([*train, "--max-passes", str(options.passes), *engine, *where], options),
            watched(["evaluate", MODEL, DATASET, "--split", "test", *engine, *where], options),
        ]
    return int(not all(kept))


def lines(n_rows: int, n_features: int, nonzeros: int, seed: int) -> Iterator[bytes]:
    """Text of the rows; the first one has the last feature."""
    for start in range(0, n_rows, CHUNK_ROWS):
        rng = np.random.default_rng([seed, start])
        n = min(CHUNK_ROWS, n_rows - start)
        # log-uniform ranks are Zipf's law; an odd factor hashes them
        ranks = np.exp2(28 * rng.random((n, nonzeros))).astype(np.uint64)
        ids = (ranks * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) % np.uint64(n_features)
        weights = np.sin(ids.astype(np.float64))
        labels = (weights.sum(axis=1) + rng.normal(size=n) * nonzeros**0.5 / 2 > 0).astype(int)
        if not start:
            ids[0, 0] = n_features - 1
        ids.sort(axis=1)
        text = []
        for label, row in zip(labels.tolist(), ids.tolist(), strict=True):
            text.append(f"{label} " + " ".join([f"{i + 1}:1" for i in dict.fromkeys(row)]))
        yield ("\n".join(text) + "\n").encode()


def watched(command: list[str], options: argparse.Namespace) -> bool:
    """Run a command, and say whether it and its tasks kept within the limits."""
    peaks, began = Peaks(), time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([sys.executable, "-m", "mr_ml", *command], stdout=out)
        while process.poll() is None:
            peaks.sample([*family(process.pid), *containers(options.containers)])
            time.sleep(SAMPLE_SECONDS)
        out.seek(0)
        said = out.read().splitlines()
    if process.returncode:
        print(f"{command[0]} ended with exit code {process.returncode}")
        return False
    result: dict[str, Any] = json.loads(said[-1])
    told = ("n_rows", "partitions", "blocks", "passes", "objective", "gradient_norm", "auc")
    shown = {key: result[key] for key in told if key in result}
    print(f"{command[0]}: {time.monotonic() - began:.0f} s {shown}")
    here = options.runner == "local"
    tasks = [
        peak
        for pid, peak in peaks.by_process.items()
        # on this machine workers are forked, and have the command's own line
        if pid != process.pid and (here or is_task(peaks.commands[pid]))
    ]
    kept = True
    for name, found, limit in (
        ("driver", peaks.by_process[process.pid], parse_size(options.driver_limit)),
        ("largest task", max(tasks, default=0), parse_size(options.task_limit)),
    ):
        kept = kept and found <= limit
        print(f"  {name:<13}{found >> 20:6d} MB, {'within' if found <= limit else 'OVER'} {limit >> 20} MB", flush=True)
    return kept


def is_task(command: str) -> bool:
    # not the client of Hadoop, which is given the same files, and for a moment has the driver's memory
    program = Path(command.split(maxsplit=1)[0]).name if command.strip() else ""
    return program.startswith("python") and any(word in command for word in TASK_WORDS)


def containers(folder: str | None) -> list[int]:
    """Processes that work below a folder."""
    if folder is None:
        return []
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(place).startswith(os.path.realpath(folder) + os.sep):
                found.append(int(place.parts[2]))
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
