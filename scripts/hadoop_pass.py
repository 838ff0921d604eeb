"""What one pass costs on Hadoop, and where the time goes: a plain development cluster beside a tuned one.

    python scripts/hadoop_pass.py                                        # some minutes; prints a table in Markdown
    python scripts/hadoop_pass.py --passes 3 --try uber:mapreduce.job.ubertask.enable=true

A pass over two small partitions, so that all of it is fixed cost. Passes on the clusters take turns, and the table has
the median of each column, in seconds:

    total     what the training waits for
    client    start of `hadoop jar` until the job is handed in: Java starts, uploads, splits
    master    until the application master has started and taken up the job
    maps      until the last map task has ended
    reduce    until the job is done
    end       until `hadoop jar` has ended
    driver    all of the total that is not `hadoop jar`: requests to HDFS, the sums

--try adds a row for the tuned cluster with further properties; LABEL@plain:... one for the plain one. The first pass
on each cluster, which uploads the code, is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdfs_layout import LocalStore, Store, open_root, open_store
from mr_ml.catalog.dataset import load_dataset
from mr_ml.cli import main as mr_ml
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.runners.hadoop.client import HadoopClient
from mr_ml.runners.hadoop.runner import HadoopJobRunner
from mr_ml.runners.hadoop.settings import HadoopSettings

SCRIPT = Path(__file__).resolve().parent / "dev_hadoop.sh"
HISTORY = "tmp/hadoop-yarn/staging/history/done_intermediate"
PARTS = ("client", "master", "maps", "reduce", "end", "driver")
N_FEATURES = 6
READABLE = {"mapreduce.jobhistory.jhist.format": "json"}


@dataclass(frozen=True)
class Row:
    """A line of the table: a cluster, `plain` or `tuned`, and further properties of the jobs."""

    label: str
    cluster: str
    jobconf: Mapping[str, str]


@dataclass(frozen=True)
class Cluster:
    """A development cluster with the dataset `rows` on it."""

    environment: Mapping[str, str]

    @property
    def uri(self) -> str:
        return self.environment["MR_ML_TEST_HDFS"]

    @property
    def root(self) -> str:
        return f"{self.uri}/user/pass/root"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=5, help="measured for each row (default 5)")
    parser.add_argument("--workers", type=int, default=1, help="of each cluster (default 1)")
    parser.add_argument("--try", action="append", default=[], type=_tried, dest="tried", metavar="LABEL:KEY=VALUE,...")
    parser.add_argument("--only", choices=("plain", "tuned"), help="one cluster instead of both")
    parser.add_argument("--set", action="append", default=[], metavar="FILE:KEY=VALUE", help="as of dev_hadoop.sh up")
    options = parser.parse_args()
    kinds = [options.only] if options.only else ["plain", "tuned"]
    rows = [Row(kind, kind, {}) for kind in kinds] + [row for row in options.tried if row.cluster in kinds]
    with tempfile.TemporaryDirectory(prefix="hadoop-pass-") as name, contextlib.ExitStack() as stack:
        local = _packed(Path(name))
        clusters = {kind: stack.enter_context(_cluster(Path(name) / kind, kind, options)) for kind in kinds}
        for cluster in clusters.values():
            _use(cluster)
            store = open_store(cluster.root)
            for path in local.walk(""):
                store.write(path, local.read(path))
        measured: dict[str, list[dict[str, float]]] = {row.label: [] for row in rows}
        for turn in range(options.passes + 1):
            for row in rows:
                times = _measure(clusters[row.cluster], row.jobconf)
                if turn:
                    measured[row.label].append(times)
                print(f"{row.label} {turn}: {json.dumps(times)}", file=sys.stderr, flush=True)
    print(f"| pass on | total | {' | '.join(PARTS)} |")
    print(f"|---|{'--:|' * (len(PARTS) + 1)}")
    for row in rows:
        medians = [statistics.median(times[part] for times in measured[row.label]) for part in ("total", *PARTS)]
        print(f"| {row.label} | {' | '.join(f'{seconds:.2f}' for seconds in medians)} |")
    return 0


def _tried(text: str) -> Row:
    label, _, assignments = text.partition(":")
    name, _, cluster = label.partition("@")
    pairs = [assignment.partition("=") for assignment in assignments.split(",") if assignment]
    if not name or cluster not in ("", "plain", "tuned") or not all(key and equals for key, equals, _ in pairs):
        raise argparse.ArgumentTypeError(f"expected LABEL:KEY=VALUE,... or LABEL@plain:KEY=VALUE,..., found {text!r}")
    return Row(name, cluster or "tuned", {key: value for key, _, value in pairs})


def _packed(folder: Path) -> LocalStore:
    rng = np.random.default_rng(5)
    with (folder / "rows.libsvm").open("w", encoding="utf-8") as out:
        for label, row in zip(rng.integers(0, 2, 500), rng.normal(size=(500, N_FEATURES)), strict=True):
            out.write(f"{label} {' '.join(f'{j}:{value:.6f}' for j, value in enumerate(row, 1))}\n")
    root = str(folder / "root")
    arguments = ["pack", str(folder / "rows.libsvm"), "--to", "rows", "--partitions", "2", "--root", root]
    with contextlib.redirect_stdout(sys.stderr):
        if mr_ml([*arguments, "-r", "inline"]):
            raise SystemExit("the rows could not be packed")
    return LocalStore(root)


@contextlib.contextmanager
def _cluster(folder: Path, kind: str, options: argparse.Namespace) -> Iterator[Cluster]:
    place = ["--dir", str(folder)]
    settings = [word for given in options.set for word in ("--set", given)]
    command = ["up", f"--{kind}", "--json", "--workers", str(options.workers), "--stop-with", str(os.getpid())]
    try:
        done = subprocess.run([SCRIPT, *command, *place, *settings], stdout=subprocess.PIPE, text=True, check=True)
        yield Cluster({name: value for name, value in json.loads(done.stdout).items() if name != "PATH"})
    finally:
        subprocess.run([SCRIPT, "down", *place], check=False)


def _use(cluster: Cluster) -> None:
    os.environ.update(cluster.environment)


def _measure(cluster: Cluster, jobconf: Mapping[str, str]) -> dict[str, float]:
    """Seconds of one pass, in parts."""
    _use(cluster)
    root = open_root(cluster.root)
    runner = HadoopJobRunner(root, HadoopSettings(python=sys.executable, jobconf={**READABLE, **jobconf}))
    engine = MapReduceEngine(load_dataset(root, "rows"), "train", root.store, runner, 0)
    query = MetricsQuery(RowSpec(loss_from_json("logistic"), N_FEATURES, (0.0, 1.0)), np.zeros((1, N_FEATURES + 1)))
    before = set(_histories(cluster))
    jar: list[float] = []
    run = HadoopClient.run

    def timed(self: HadoopClient, *args: Any, **more: Any) -> None:
        jar.append(time.time())
        run(self, *args, **more)
        jar.append(time.time())

    HadoopClient.run = timed  # type: ignore[method-assign]
    try:
        began = time.time()
        engine.run(query)
        total = time.time() - began
    finally:
        HadoopClient.run = run  # type: ignore[method-assign]
    events = _events(cluster, before)
    moments = [jar[0], events["submitted"], events["taken up"], events["mapped"], events["done"], jar[1]]
    spans = [after - before for before, after in itertools.pairwise(moments)]
    times = dict(zip(PARTS, [*spans, total - (jar[1] - jar[0])], strict=True))
    return {name: round(seconds, 3) for name, seconds in {"total": total, **times}.items()}


def _histories(cluster: Cluster) -> list[str]:
    store = _history(cluster)
    return [path for path in store.walk("") if path.endswith(".jhist")] if store.exists("") else []


def _history(cluster: Cluster) -> Store:
    return open_store(f"{cluster.uri}/{HISTORY}")


def _events(cluster: Cluster, before: set[str]) -> dict[str, float]:
    """Unix times out of the one new file of Hadoop's job history, which the application master writes at its end."""
    deadline = time.monotonic() + 60
    while not (new := set(_histories(cluster)) - before):
        if time.monotonic() > deadline:
            raise SystemExit("the job left no history")
        time.sleep(0.1)
    found: dict[str, float] = {}
    for line in _history(cluster).read(new.pop()).splitlines():
        item = json.loads(line) if line.startswith(b"{") else {}
        if not isinstance(item.get("event"), dict):
            # the line that describes the others
            continue
        (event,), kind = item["event"].values(), item["type"]
        if kind == "JOB_SUBMITTED":
            found["submitted"] = event["submitTime"] / 1000
        elif kind == "JOB_INITED":
            found["taken up"] = event["launchTime"] / 1000
        elif kind == "MAP_ATTEMPT_FINISHED":
            found["mapped"] = max(found.get("mapped", 0.0), event["finishTime"] / 1000)
        elif kind == "JOB_FINISHED":
            found["done"] = event["finishTime"] / 1000
    return found


if __name__ == "__main__":
    sys.exit(main())
