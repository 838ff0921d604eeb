"""Train on a dataset larger than --memory, and hold the memory of all processes against it.

    python scripts/memory.py                   # 4 GB of decoded blocks, --memory 400M, two workers
    python scripts/memory.py --small           # one worker and twice --memory of data
    python scripts/memory.py --text --memory 1G     # every command on text that is hard on memory

Prints two measures of the processes' memory together, both of resident pages:

    sampled     the largest sum seen at one moment; pages that processes share count for each of them
    bound       the sum of each process's own peak (as in ru_maxrss), which no moment can have exceeded

Exit code 0 if the bound is within --memory, 1 if not. The constants of mr_ml/memory.py come from
here: --verbose shows what each process took.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hdfs_layout import Root, open_root, publish_version
from mr_ml.catalog.dataset import Dataset, Partition
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.data.block import Block
from mr_ml.data.features import DenseFeatures
from mr_ml.data.partition_file import PartitionFacts, PartitionShelf
from mr_ml.ids import unique_id
from mr_ml.packing.plan import Segment, make_plan
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions
from mr_ml.sizes import parse_size

SAMPLE_SECONDS = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", default="400M", help="what commands are given (default 400M)")
    parser.add_argument(
        "--text", action="store_true", help="pack, train, evaluate and predict large ids and long lines instead"
    )
    parser.add_argument(
        "--times", type=float, default=10, help="decoded size of the dataset in multiples of it (default 10)"
    )
    parser.add_argument("--workers", type=int, default=2, help="(default 2)")
    parser.add_argument("--passes", type=int, default=4, help="(default 4)")
    parser.add_argument("--features", type=int, default=64, help="(default 64)")
    parser.add_argument("--solver", default="lbfgs", help="(default lbfgs)")
    parser.add_argument("--evaluate", action="store_true", help="evaluate too, which needs room for tables of scores")
    parser.add_argument("--small", action="store_true", help="one worker, and twice --memory of data")
    parser.add_argument("--verbose", action="store_true", help="the peak of every process")
    options = parser.parse_args()
    if options.small:
        options.workers, options.times = 1, 2
    if options.text:
        return hard_text(options)
    limit = parse_size(options.memory)
    with tempfile.TemporaryDirectory(prefix="mr_ml-memory-") as folder:
        decoded = int(limit * options.times)
        needs = decoded * 3 // 2
        if shutil.disk_usage(folder).free < needs:
            print(f"expected {needs >> 20} MB of free space in {folder}; set TMPDIR to a folder that has it")
            return 2
        print(f"writing {decoded >> 20} MB of decoded blocks ...", flush=True)
        write_dataset(open_root(folder), decoded, options.features)
        common = [
            "--root",
            folder,
            "--memory",
            options.memory,
            "-r",
            "local",
            "--workers",
            str(options.workers),
            "--json",
        ]
        train = [
            "train", "rows", "--model", "m", "--l2", "1e-3", "--solver", options.solver, "--tolerance", "0",
            "--max-passes", str(options.passes), *common,
        ]  # fmt: skip
        evaluate = ["evaluate", "m", "rows", "--split", "train", *common]
        kept = watch(train, limit, options)
        if options.evaluate:
            kept = watch(evaluate, limit, options) and kept
        return int(not kept)


def hard_text(options: argparse.Namespace) -> int:
    """Every command on ids up to 2^31 - 1 and 2^24 of which few occur, and on long rows; each within --memory."""
    limit, kept = parse_size(options.memory), True
    with tempfile.TemporaryDirectory(prefix="mr_ml-memory-") as folder:
        for name, bits, n_rows, n_ids in (("largest", 31, 4, 3), ("hashed", 24, 5000, 40), ("long", 19, 4, 1 << 19)):
            text = Path(folder) / name
            rng = np.random.default_rng(bits)
            with text.open("w") as out:
                for label in rng.integers(0, 2, n_rows).tolist():
                    drawn = rng.integers(1, 1 << bits, n_ids) if n_ids < 1 << bits else np.arange(1, 1 << bits)
                    ids = np.unique([*drawn, (1 << bits) - 1]).tolist()
                    out.write(f"{label} " + " ".join([f"{i}:0.5" for i in ids]) + "\n")
            where = ["--root", folder, "-r", "local", "--workers", str(options.workers), "--memory", options.memory]
            for command in (
                ["pack", str(text), "--to", name],
                ["train", name, "--model", name, "--l2", "0.1", "--max-passes", str(options.passes)],
                ["evaluate", name, name, "--split", "train"],
                ["predict", name, str(text), "--to", f"{text}.out"],
            ):
                print(f"{name} ids: ", end="")
                kept = watch([*command, *where, "--json"], limit, options) and kept
    return int(not kept)


def watch(command: list[str], limit: int, options: argparse.Namespace) -> bool:
    """Run a command and say whether it kept within the limit."""
    peaks, result = run(command)
    if result is None:
        return False
    print(f"{command[0]}: {result}")
    for name, value in (("sampled", peaks.sampled), ("bound", peaks.bound)):
        print(
            f"  {name:<8} {value >> 20:6d} MB, {'within' if value <= limit else 'OVER'} the limit of {limit >> 20} MB"
        )
    if options.verbose:
        for pid, peak in sorted(peaks.by_process.items()):
            print(f"  process {pid}: {peak >> 20} MB  {peaks.commands[pid][:80]}")
    sys.stdout.flush()
    return peaks.bound <= limit


def write_dataset(root: Root, decoded: int, n_features: int) -> None:
    """Publish the dataset `rows`: dense numbers that no fewer than eight bytes hold."""
    n_rows = decoded // (8 * n_features + 8)
    plan = make_plan(n_rows=n_rows, nnz=n_rows * n_features, n_features=n_features, shares={"train": 1.0})
    (segment,) = plan.segments
    data_id = unique_id()
    root.store.make_folder(root.layout.dataset_data("rows", data_id))
    partitions, stored = [], 0
    for number, rows in enumerate(shares(segment, n_rows)):
        path = root.layout.partition("rows", data_id, number)
        facts = PartitionFacts.of_nothing(number)
        target = root.store.local_path(path)
        assert target is not None
        with PartitionShelf() as shelf:
            for _, writer in shelf.write(target, blocks(number, rows, plan.block_rows, n_features), partition=number):
                facts = writer.facts()
        partitions.append(Partition(path, "train", None, facts))
        stored += facts.n_bytes
    deviation = np.full(n_features, np.sqrt((21**2 - 1) / 12))
    moments = FeatureMoments(
        count=n_rows, mean=np.zeros(n_features), variance=deviation**2, minimum=np.full(n_features, -10.0),
        maximum=np.full(n_features, 10.0), nonzero=np.full(n_features, n_rows),
    )  # fmt: skip
    dataset = Dataset(
        name="rows",
        version=0,
        data_id=data_id,
        schema=Schema(
            format="libsvm", part=LibsvmPart(TextOptions()), index_base=1, n_features=n_features, labels=(0.0, 1.0)
        ),
        partitions=tuple(partitions),
        moments={"train": moments.save(root.store, root.layout.moments("rows", data_id, "train"))},
        label_counts={"train": {"0": n_rows // 2, "1": n_rows - n_rows // 2}},
        nnz=sum(p.facts.nnz for p in partitions),
        packing={"bad_rows": {}, "seed": 0},
    )
    publish_version(root.store, root.layout.dataset("rows"), dataset.to_json())
    print(f"  {stored >> 20} MB in {len(partitions)} partitions of blocks of {plan.block_rows} rows", flush=True)


def shares(segment: Segment, n_rows: int) -> list[int]:
    """Rows of each partition."""
    return [len(part) for part in np.array_split(np.arange(n_rows), segment.n_partitions)]


def blocks(partition: int, n_rows: int, block_rows: int, n_features: int) -> Iterator[Block]:
    rng = np.random.default_rng(partition)
    direction = np.linspace(-1, 1, n_features)
    for start in range(0, n_rows, block_rows):
        # of numbers that no fewer bytes hold
        x = rng.normal(scale=6, size=(min(block_rows, n_rows - start), n_features))
        y = (x @ direction + rng.normal(size=len(x), scale=20) > 0).astype(np.float64)
        yield Block(DenseFeatures(x), y)


class Peaks:
    """Peaks of a process and all that descend from it, in bytes."""

    def __init__(self) -> None:
        self.sampled = 0
        self.by_process: dict[int, int] = {}
        self.commands: dict[int, str] = {}

    @property
    def bound(self) -> int:
        return sum(self.by_process.values())

    def sample(self, pids: list[int]) -> None:
        total = 0
        for pid in pids:
            try:
                status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except OSError:  # it has just ended
                continue
            if "VmRSS" in status:
                total += _kilobytes(status["VmRSS"])
                self.by_process[pid] = max(self.by_process.get(pid, 0), _kilobytes(status["VmHWM"]))
                self.commands[pid] = command
        self.sampled = max(self.sampled, total)


def _kilobytes(field: str) -> int:
    return int(field.split()[0]) << 10


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found, known = [pid], {pid}
    while found:
        children = []
        for parent in found:
            for task in Path(f"/proc/{parent}/task").glob("*/children"):
                try:
                    children += [int(child) for child in task.read_text().split()]
                except OSError:
                    continue
        found = [child for child in children if child not in known]
        known.update(found)
    return sorted(known)


def run(command: list[str]) -> tuple[Peaks, dict[str, Any] | None]:
    """Run a command in a process of its own and watch it; None instead of its result if it failed."""
    peaks = Peaks()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([sys.executable, "-m", "mr_ml", *command], stdout=out)
        while process.poll() is None:
            peaks.sample(family(process.pid))
            time.sleep(SAMPLE_SECONDS)
        out.seek(0)
        lines = out.read().splitlines()
    if process.returncode:
        print(f"{command[0]} ended with exit code {process.returncode}")
        return peaks, None
    result = json.loads(lines[-1])
    return peaks, {key: result[key] for key in ("passes", "seconds", "objective", "auc", "auc_error") if key in result}


if __name__ == "__main__":
    sys.exit(main())
