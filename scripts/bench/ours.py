#!/usr/bin/env python3
"""This project's own commands as the suite runs them, and the arithmetic of a pass by itself.

ours.py DATASET MODEL --root FOLDER --workers N     seconds that N processes at once take over the blocks of a pass
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import measure
import numpy as np


@dataclass(frozen=True)
class Ours:
    """`mr-ml` with a root of its own; every method is one command."""

    root: Path
    workers: int = 2

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "mr_ml", *map(str, words), "--root", str(self.root), "--json", "--quiet"]

    def pack(self, text: Path, name: str, *more: object) -> list[str]:
        return self.command("pack", text, "--to", name, "--workers", self.workers, *more)

    def train(self, dataset: str, model: str, l2: float, *more: object) -> list[str]:
        return self.command("train", dataset, "--model", model, "--l2", repr(l2), "--workers", self.workers, *more)

    def from_text(self, text: Path, name: str, l2: float, *more: object) -> list[str]:
        """Pack and train in one command; dataset and model have the same name."""
        return self.train(str(text), name, l2, *more)

    def predict(self, model: str, text: Path, to: Path) -> list[str]:
        return self.command("predict", model, text, "--to", to, "--workers", self.workers)

    def ask(self, *words: object) -> dict[str, Any]:
        """The JSON answer of a command that only looks."""
        return answer(measure.run(self.command(*words), folder=self.root.parent))

    def coef(self, model: str) -> tuple[Any, float]:
        """Coefficients (n_features,) and intercept as published."""
        with np.load(self.ask("models", "show", model)["coef_uri"], allow_pickle=False) as found:
            return found["coef"][0], float(found["intercept"][0])

    def seconds_of_passes(self, run: str) -> list[float]:
        """By the log of a run."""
        shown = self.ask("runs", "show", run)
        rows = self.ask("describe", shown["dataset"])["n_rows"]
        return [rows / entry["rows_per_second"] for entry in shown["log"] if entry["event"] == "pass"]


def answer(cost: measure.Cost) -> dict[str, Any]:
    """The JSON object on the last line that a command printed."""
    found: dict[str, Any] = json.loads(cost.output.splitlines()[-1])
    return found


def arithmetic(root: str, dataset_name: str, model: str, *, workers: int, repeats: int = 7) -> float:
    """Seconds of mapping every block at once in `workers` processes: no reading, decoding, sending or adding up."""
    context = multiprocessing.get_context("fork")
    barrier, seconds = context.Barrier(workers), context.SimpleQueue()
    target = partial(_map_share, root, dataset_name, model, workers, repeats, barrier, seconds)
    processes = [context.Process(target=target, args=(share,)) for share in range(workers)]
    for process in processes:
        process.start()
    found = [seconds.get() for _ in processes]
    for process in processes:
        process.join()
    if not all(found):
        raise RuntimeError(f"a process that maps blocks of {dataset_name} failed; its message is above")
    return float(statistics.median(map(max, zip(*found, strict=True))))


def _map_share(
    root: str, dataset_name: str, model: str, workers: int, repeats: int, barrier: Any, seconds: Any, share: int
) -> None:
    """Put into the queue how long each repeat of one process's share took; nothing if it fails."""
    try:
        taken = _time_share(root, dataset_name, model, workers, repeats, barrier, share)
    except BaseException:
        # the others wait there
        barrier.abort()
        seconds.put([])
        raise
    seconds.put(taken)


def _time_share(
    root: str, dataset_name: str, model: str, workers: int, repeats: int, barrier: Any, share: int
) -> list[float]:
    from hdfs_layout import open_root
    from mr_ml.catalog.dataset import load_dataset
    from mr_ml.catalog.feature_moments import FeatureMoments
    from mr_ml.memory import free_memory
    from mr_ml.models.linear.kind.problem import make_objective
    from mr_ml.models.linear.kind.spec import LinearSpec
    from mr_ml.optimize.base import Ask
    from mr_ml.optimize.choose import choose
    from mr_ml.optimize.line_search import STEPS
    from mr_ml.passes.cache import CACHE
    from mr_ml.passes.request import assign
    from mr_ml.sums.blas import one_thread

    opened = open_root(root)
    dataset = load_dataset(opened, dataset_name)
    moments = FeatureMoments.load(opened.store, dataset, "train")
    objective = make_objective(LinearSpec(dataset=dataset.reference, model=model, l2=1e-6), dataset, moments)
    point = np.full(objective.size, 1e-3)
    optimizer = choose("auto", size=objective.size, tolerance=0.0, max_passes=1)
    first = optimizer.ask(optimizer.init(point))
    assert first is not None
    query = objective.query(Ask(point, direction=point, steps=STEPS, curvature=False, hessian=first.hessian))
    files = [(opened.store.local_path(p.path) or "", p.facts) for p in dataset.of_split("train")]
    shares = assign(files, n_tasks=workers)
    blocks = [
        stored.block
        # of very few blocks there may be none for the last processes
        for found in (shares[share] if share < len(shares) else [])
        for stored in CACHE.blocks(found, dataset=dataset.data_id, budget=free_memory() // 2, prepare=query.prepare)
    ]
    taken = []
    for _ in range(repeats):
        barrier.wait()
        began = time.perf_counter()
        with one_thread(), np.errstate(all="ignore"):
            for block in blocks:
                query.map(block)
        taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("model")
    parser.add_argument("--root", required=True)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seconds = arithmetic(options.root, options.dataset, options.model, workers=options.workers)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(_name, "1")
    main()
