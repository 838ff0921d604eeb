"""Count and time the passes of a tuning, beside the same models one by one.

    python scripts/bench/tuning.py                            # 8 penalties x 5 folds on 100,000 sparse rows
    python scripts/bench/tuning.py --rows 20000 --runner inline

One by one means: for each fold the rows without it and the rows of it are packed as two splits of a dataset, and each
penalty is a `train` and an `evaluate` on them, by the same session: the workers stay, and hold the blocks. Packing
these five datasets is not counted. With `--commands` each of them is a command of its own, as one would type it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mr_ml.catalog.dataset import load_dataset
from mr_ml.data.partition_file import packed_block
from mr_ml.errors import UsageError
from mr_ml.packing.choices import PackChoices
from mr_ml.session import Session
from mr_ml.tuning.ask import Asked, tune
from mr_ml.tuning.candidates import Span
from mr_ml.tuning.driver import TuneResult, folds_of


@dataclass(frozen=True)
class Cost:
    """Passes over the data, those of evaluations included, seconds, and those of all processors together."""

    passes: int
    seconds: float
    processor: float

    def __str__(self) -> str:
        return f"{self.passes:6d} passes  {self.seconds:8.1f} s  {self.processor:8.1f} s of processors"


class Meter:
    """Measures from when it is made; of processors what this process and all below it have used."""

    def __init__(self) -> None:
        self._seconds, self._processor = time.monotonic(), _used()

    def cost(self, passes: int) -> Cost:
        return Cost(passes, time.monotonic() - self._seconds, _used() - self._processor)


def _used() -> float:
    """Seconds of processors that this process and those below it have used, those included that have ended."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
            used[int(path.parent.name)] = sum(map(int, fields[11:15]))
    ours, new = {os.getpid()}, {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in new} - ours:
        ours |= new
    return sum(used.get(pid, 0) for pid in ours) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=47_000)
    parser.add_argument("--nonzeros", type=int, default=70, help="of a row (default 70)")
    parser.add_argument("--l2", default="1e-6:1e-2:8")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--runner", default="local")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--tolerance", type=float, default=1e-6)
    parser.add_argument("--commands", action="store_true", help="each training and evaluation a command of its own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mr_ml-tuning-") as folder:
        return compared(Path(folder), options)


def compared(folder: Path, options: argparse.Namespace) -> int:
    root = str(folder / "root")
    text = folder / "rows.libsvm"
    with text.open("wb") as out:
        out.writelines(lines(options.rows, options.features, options.nonzeros))
    common = {"solver": options.solver, "tolerance": options.tolerance}
    judged: list[Cost] = []

    def say(text: str) -> None:
        # what is compared is finding out which is best: one by one too, that is trained once more afterwards
        if text.startswith("chosen of"):
            judged.append(meter.cost(0))

    with Session.open(root, runner=options.runner, say=say) as session:
        session.pack([str(text)], "rows", PackChoices())
        meter = Meter()
        result = tune(session, "linear", "rows", "tuned", "train", Asked(l2=options.l2, folds=options.folds), common)
        together = replace(judged[0], passes=result.tuned.passes)
        pack_folds(session, folder, options.folds)
    if options.commands:
        alone, losses = by_commands(root, options, common)
    else:
        with Session.open(root, runner=options.runner) as session:
            alone, losses = one_by_one(session, options, common)
    worst = furthest(result, losses)
    print(
        f"{options.rows} rows, {options.features} features, {options.nonzeros} entries a row, l2 {options.l2}, "
        f"{options.folds} folds, solver {options.solver}, -r {options.runner}\n"
        f"together    {together}\none by one  {alone}\n"
        f"together costs 1/{alone.passes / together.passes:.1f} of the passes, "
        f"1/{alone.seconds / together.seconds:.1f} of the time, 1/{alone.processor / together.processor:.1f} of the "
        f"processors' time; losses by folds differ by {worst:.1e} at most"
    )
    return 0


def lines(n_rows: int, n_features: int, n_nonzeros: int) -> Iterator[bytes]:
    """Yield rows like those of weighted words: few features are frequent, and the label follows from all of them."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, n_features + 1)
    frequency /= frequency.sum()
    weights = rng.normal(size=n_features)
    for _ in range(n_rows):
        ids = np.unique(np.searchsorted(np.cumsum(frequency), rng.random(n_nonzeros)).clip(max=n_features - 1))
        values = rng.exponential(size=len(ids)) + 0.01
        values /= np.sqrt(values @ values)
        label = 1 if rng.random() < 1 / (1 + np.exp(-4 * values @ weights[ids])) else -1
        row = " ".join(f"{k + 1}:{value:.4f}" for k, value in zip(ids.tolist(), values.tolist(), strict=True))
        yield f"{label} {row}\n".encode()


def pack_folds(session: Session, folder: Path, n_folds: int) -> None:
    """Pack datasets `fold-0`, `fold-1`..., whose split `test` is one fold, and `train` all others."""
    dataset, store = load_dataset(session.root, "rows"), session.root.store
    folds = folds_of(dataset, "train", n_folds)
    names = [[folder / f"{split}-{k}.libsvm" for split in ("train", "test")] for k in range(n_folds)]
    files = [[name.open("w", encoding="ascii") for name in pair] for pair in names]
    for partition in dataset.of_split("train"):
        for line in store.read(partition.path).splitlines(keepends=True):
            block = packed_block(line, where=partition.path).block
            x = block.features.as_sparse().wide
            for i, fold in enumerate(folds.of(block).tolist()):
                of = slice(int(x.indptr[i]), int(x.indptr[i + 1]))
                entries = zip(x.indices[of].tolist(), x.values[of].tolist(), strict=True)
                row = f"{block.labels[i]:g} " + " ".join(f"{j + 1}:{value!r}" for j, value in entries) + "\n"
                for k in range(n_folds):
                    files[k][fold == k].write(row)
    for pair, opened in zip(names, files, strict=True):
        for out in opened:
            out.close()
        number = names.index(pair)
        inputs = {"train": (str(pair[0]),), "test": (str(pair[1]),)}
        session.pack([], f"fold-{number}", PackChoices(split_inputs=inputs))


def candidates(l2: str) -> Sequence[float]:
    low, high, count = l2.split(":")
    return Span(float(low), float(high), int(count)).grid("l2")


def one_by_one(session: Session, options: argparse.Namespace, common: dict[str, Any]) -> tuple[Cost, Any]:
    meter, passes, losses = Meter(), 0, []
    for l2 in candidates(options.l2):
        for k in range(options.folds):
            spec = session.spec("linear", f"fold-{k}", "alone", "train", {"l2": l2, **common})
            trained = session.train(spec)
            found = session.evaluate(f"alone@{trained.version}", f"fold-{k}", unseen_features="ignore")
            losses.append(found["log_loss"])
            passes += trained.passes + 1
    return meter.cost(passes), losses


def by_commands(root: str, options: argparse.Namespace, common: dict[str, Any]) -> tuple[Cost, Any]:
    meter, passes, losses = Meter(), 0, []
    for l2 in candidates(options.l2):
        for k in range(options.folds):
            chosen = [f"--{name}={value}" for name, value in {"l2": l2, **common}.items()]
            trained = command("train", f"fold-{k}", "--model", "alone", *chosen, options=options, root=root)
            found = command("evaluate", "alone", f"fold-{k}", "--unseen-features=ignore", options=options, root=root)
            losses.append(found["log_loss"])
            passes += trained["passes"] + 1
    return meter.cost(passes), losses


def command(*arguments: str, options: argparse.Namespace, root: str) -> Any:
    whole = [sys.executable, "-m", "mr_ml", *arguments, "--root", root, "-r", options.runner, "--json", "--quiet"]
    done = subprocess.run(whole, check=False, capture_output=True)
    if done.returncode:
        raise UsageError(done.stderr.decode())
    return json.loads(done.stdout.splitlines()[-1])


def furthest(result: TuneResult, losses: Sequence[float]) -> float:
    found = [loss for one in result.tuned.tried for loss in one.by_fold]
    return float(np.abs(np.array(found, float) / np.array(losses) - 1).max())


if __name__ == "__main__":
    raise SystemExit(main())
