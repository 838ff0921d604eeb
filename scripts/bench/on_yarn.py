#!/usr/bin/env python3
"""From rows on HDFS to a model, on the same YARN in turns: tasks that stay, a job for each pass, and Spark.

    eval "$(scripts/dev_hadoop.sh up --workers 2)"
    scripts/bench/on_yarn.py hdfs://HOST:PORT/user/me/bench
    scripts/bench/on_yarn.py hdfs://... --rounds 3 --without mapreduce

The sparse reference set at a factor of 0.3, to a relative gap of 1e-3 of the objective. Every program is a whole cold
process, from its start to coefficients on disk or a published model, and stops at the least number of passes or
iterations that reaches the gap; gaps are computed by `optimum.py` alone. Spark reads the text, with its executors
as many and as large as the containers of our tasks; ours is measured from packed data, and from the text with pack.
Prints tables in Markdown, medians and ratios of one run. Needs pyspark (pip install 'mr_ml[spark]').
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from generate import Problem, generate
from measure import machine
from optimum import Optimum, reference

from hdfs_layout import Store, open_store

GAP = 1e-3
TASKS, TASK_MB = 2, 1024
SPARK_STOPS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)


def mr_ml(*words: object) -> None:
    """Run a command of ours; say what it said if it fails."""
    command = [sys.executable, "-m", "mr_ml", *map(str, words), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def spark(text: str, model: Path, problem: Problem, iterations: int) -> None:
    """Train with Spark's LogisticRegression on YARN, in a process of its own."""
    command = [
        sys.executable, __file__, text, "--spark", str(model), "--features", str(problem.n_features),
        "--l2", repr(problem.l2), "--iterations", str(iterations),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def spark_process(options: argparse.Namespace) -> None:
    """Be that process."""
    import pyspark
    from pyspark.ml.classification import LogisticRegression
    from pyspark.sql import SparkSession, functions

    jars = Path(str(pyspark.__file__)).parent / "jars"
    settings = {
        "spark.yarn.jars": f"local:{jars}/*", "spark.executor.instances": TASKS, "spark.executor.cores": 1,
        "spark.executor.memory": f"{TASK_MB - 384}m", "spark.yarn.am.memory": "512m", "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
    }  # fmt: skip
    builder = SparkSession.builder.master("yarn")
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    rows = session.read.format("libsvm").option("numFeatures", str(options.features)).load(options.place)
    rows = rows.withColumn("label", functions.when(rows["label"] > 0, 1.0).otherwise(0.0)).cache()
    fitted = LogisticRegression(
        regParam=options.l2, elasticNetParam=0.0, standardization=False, maxIter=options.iterations, tol=0.0
    ).fit(rows)
    np.savez(options.spark, coef=fitted.coefficients.toArray(), intercept=np.array(fitted.intercept))
    session.stop()


def coef_here(root: Path, model: str) -> tuple[Any, float]:
    """Coefficients and intercept of the newest version below a local root."""
    newest = max((root / "models" / model / "data").glob("*/coef.npz"), key=lambda path: path.stat().st_mtime)
    with np.load(newest, allow_pickle=False) as found:
        return found["coef"][0], float(found["intercept"][0])


def least_passes(problem: Problem, optimum: Optimum, root: Path) -> int:
    """How many passes of ours reach the gap; by `-r local`, which takes the very same steps."""
    for passes in range(2, 60):
        mr_ml("train", "sparse", "--model", "m", "--root", root, "--l2", repr(problem.l2), "--max-passes", passes)
        if optimum.gap(*coef_here(root, "m")) <= GAP:
            return passes
    raise SystemExit("no number of passes up to 60 reaches the gap")


def copy(source: Path, target: Store, path: str) -> None:
    """Bring a file to the store."""
    with source.open("rb") as data:
        target.write(path, iter(lambda: data.read(1 << 20), b""))


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", help="an empty folder on the cluster that HADOOP_HOME and HADOOP_CONF_DIR name")
    parser.add_argument("--factor", type=float, default=0.3, help="of the rows of the reference set (default 0.3)")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    parser.add_argument("--without", default="", metavar="NAME,...", help="leave out mapreduce, text or spark")
    parser.add_argument("--folder", type=Path, default=Path("bench_data"), help="data (default ./bench_data)")
    parser.add_argument("--spark", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--features", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--l2", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--iterations", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.spark:
        spark_process(options)
        return
    problem = generate("sparse", options.factor, options.folder)
    optimum = reference(problem, lambda text: print(text, file=sys.stderr))
    store = open_store(options.place)
    with tempfile.TemporaryDirectory() as name:
        measure_in(Path(name), options, problem, optimum, store)


def measure_in(
    folder: Path, options: argparse.Namespace, problem: Problem, optimum: Optimum, store: Store
) -> None:  # fmt: skip
    """Prepare the data, run all programs in turns, print."""
    here = folder / "root"
    mr_ml("pack", problem.text, "--to", "sparse", "--root", here)
    passes = least_passes(problem, optimum, here)
    for path in sorted((here / "datasets").rglob("*")):
        if path.is_file():
            copy(path, store, f"root/{path.relative_to(here)}")
    copy(problem.text, store, "rows.libsvm")
    config = folder / "cluster.yaml"
    config.write_text(f"python: {sys.executable}\nmap_memory_mb: {TASK_MB}\nresident_tasks: {TASKS}\n")
    root, text = store.uri("root"), store.uri("rows.libsvm")
    where = ("--root", root, "-r", "hadoop", "--config", config)

    def train(dataset: str, engine: str) -> None:
        budget = ("--l2", repr(problem.l2), "--max-passes", passes)
        mr_ml("train", dataset, "--model", "m", *where, *budget, "--engine", engine)

    def from_text() -> None:
        mr_ml("pack", text, "--to", "again", *where)
        train("again", "resident")

    programs: dict[str, Callable[[], None]] = {"resident": lambda: train("sparse", "resident")}
    left_out = options.without.split(",")
    if "mapreduce" not in left_out:
        programs["mapreduce"] = lambda: train("sparse", "mapreduce")
    if "text" not in left_out:
        programs["pack and resident"] = from_text
    gaps = dict.fromkeys([*programs], optimum.gap(*coef_here(here, "m")))
    if "spark" not in left_out:
        for iterations in SPARK_STOPS:
            spark(text, folder / "spark.npz", problem, iterations)
            with np.load(folder / "spark.npz") as found:
                gaps["spark"] = optimum.gap(found["coef"], float(found["intercept"]))
            if gaps["spark"] <= GAP:
                break
        programs["spark"] = lambda: spark(text, folder / "spark.npz", problem, iterations)
    seconds: dict[str, list[float]] = {label: [] for label in programs}
    for number in range(options.rounds):
        for label, program in programs.items():
            began = time.perf_counter()
            program()
            seconds[label].append(time.perf_counter() - began)
            load = os.getloadavg()[0]
            print(f"round {number + 1}: {label}: {seconds[label][-1]:.1f} s, load {load:.1f}", file=sys.stderr)
    print(f"{problem.n_rows:,} x {problem.n_features:,}, {problem.nnz:,} non-zeros; {passes} passes; {machine()}\n")
    print("| | seconds, median | all | gap | to spark |\n|---|--:|--:|--:|--:|")
    for label, took in seconds.items():
        each = [one / other for one, other in zip(took, seconds.get("spark", took), strict=True)]
        ratio = f"{statistics.median(each):.2f}" if "spark" in seconds else ""
        shown = " ".join(f"{one:.1f}" for one in took)
        print(f"| {label} | {statistics.median(took):.1f} | {shown} | {gaps[label]:.1e} | {ratio} |")
    if "mapreduce" in seconds:
        each = [one / other for one, other in zip(seconds["resident"], seconds["mapreduce"], strict=True)]
        print(f"\nresident to mapreduce: {statistics.median(each):.2f}")


if __name__ == "__main__":
    main()
