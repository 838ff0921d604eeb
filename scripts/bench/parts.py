"""What else is measured: packing, passes, predicting, starting up, scaling, and data larger than memory."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import measure
from generate import SHAPES, Problem, generate, write_csv
from measure import Cost
from ours import Ours, answer

from mr_ml.runners.local.fork_server import HEAP

HERE = Path(__file__).resolve().parent
PARTITIONS = (1, 8, 64, 256)
# What any program could gain: a loop that uses no memory, shared by processes.
LOOP, TURNS = "import sys\nfor _ in range(int(sys.argv[1])): pass", 100_000_000
PROCESS_BYTES = 100 << 20
# of sums as large as the model, in all processes together, for each feature
MODEL_BYTES = 1700
TIMES_MEMORY = 5
# So many that the pass in the middle is one of those without the curvature, as most are.
FIXED_PASSES = 16
PARTS_OF_ROWS = (0.1, 1.0, 3.0)
Result = dict[str, Any]


def _fresh(work: Path, name: str, *, workers: int = 2) -> Ours:
    root = work / name
    shutil.rmtree(root, ignore_errors=True)
    return Ours(root, workers=workers)


def _packer(ours: Ours, text: Path, name: str, *more: object) -> Callable[[], Cost]:
    def action() -> Cost:
        shutil.rmtree(ours.root, ignore_errors=True)
        measure.warm(text)
        return measure.run(ours.pack(text, name, *more), folder=ours.root.parent)

    return action


def pack(problems: dict[str, Problem], work: Path, rounds: int) -> Result:
    """MB of text a second, whole commands."""
    ours, found = _fresh(work, "pack"), {}
    texts = {name: problem.text for name, problem in problems.items()}
    texts |= {f"{name} as CSV": write_csv(problem) for name, problem in problems.items() if problem.dense}
    costs = measure.interleaved({name: _packer(ours, text, "p") for name, text in texts.items()}, rounds=rounds)
    for name, text in texts.items():
        middle, size = measure.median(costs[name]), text.stat().st_size
        packed = answer(middle)
        found[name] = {
            "text_bytes": size, "wall": middle.wall, "cpu": middle.cpu, "peak_bytes": middle.peak_bytes,
            "mb_per_second": size / middle.wall / 1e6, "mb_per_cpu_second": size / middle.cpu / 1e6,
            "written_per_text_byte": middle.written_bytes / size, "read_per_text_byte": middle.read_bytes / size,
            "packed_bytes_per_nonzero": packed["bytes"] / packed["nnz"],
        }  # fmt: skip
    return found


def passes(problems: dict[str, Problem], work: Path, rounds: int) -> Result:
    """A pass by the run's own log, against the arithmetic of that pass alone, in as many processes at once.

    And the phases of a cold run of `FIXED_PASSES` passes.
    """
    found = {}
    for name, problem in problems.items():
        ours = _fresh(work, "passes")
        packing = measure.interleaved({"pack": _packer(ours, problem.text, name)}, rounds=rounds)["pack"]
        seconds, arithmetic = [], []
        for _ in range(rounds):
            seconds.append(_pass_seconds(ours, name, problem.l2))
            arithmetic.append(_arithmetic_seconds(ours, name))
        found[name] = {
            "pass": statistics.median(seconds),
            "arithmetic": statistics.median(arithmetic),
            "overhead": statistics.median(a - b for a, b in zip(seconds, arithmetic, strict=True)),
            "phases": {"pack": measure.median(packing).wall, **_phases(ours, name, problem.l2, rounds)},
        }
    return found


def _phases(ours: Ours, dataset: str, l2: float, rounds: int) -> dict[str, float]:
    """Seconds of a training: starting up, the pass that reads the blocks, the other passes, publishing and ending."""
    found: dict[str, list[float]] = {}
    words = ("--max-passes", FIXED_PASSES, "--tolerance", 0)
    for _ in range(rounds):
        measure.warm(ours.root)
        cost = measure.run(ours.train(dataset, dataset, l2, *words), folder=ours.root.parent, sampling=False)
        trained = answer(cost)
        first, *others = ours.seconds_of_passes(trained["run"])
        rest = trained["seconds"] - first - sum(others)
        phases = {
            "start-up": cost.wall - trained["seconds"],
            "first pass": first,
            "other passes": sum(others),
            "publishing": rest,
        }
        for name, value in phases.items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def _pass_seconds(ours: Ours, dataset: str, l2: float, *more: object) -> float:
    words = ("--max-passes", FIXED_PASSES, "--tolerance", 0, *more)
    trained = answer(measure.run(ours.train(dataset, dataset, l2, *words), folder=ours.root.parent, sampling=False))
    return statistics.median(ours.seconds_of_passes(trained["run"])[1:])


def _arithmetic_seconds(ours: Ours, name: str) -> float:
    """Of a pass for the model that has the dataset's name."""
    command = [sys.executable, str(HERE / "ours.py"), name, name, "--root", str(ours.root)]
    command += ["--workers", str(ours.workers)]
    seconds: float = answer(measure.run(command, folder=ours.root.parent, environment=HEAP, sampling=False))["seconds"]
    return seconds


def predict(problems: dict[str, Problem], work: Path, rounds: int) -> Result:
    """MB of text a second, text in, text out."""
    found = {}
    for name, problem in problems.items():
        ours = _fresh(work, "predict")
        measure.run(ours.pack(problem.text, name), folder=work)
        measure.run(ours.train(name, name, problem.l2, "--max-passes", 4), folder=work)
        costs = []
        for _ in range(rounds):
            (work / "predictions").unlink(missing_ok=True)
            measure.warm(problem.text)
            costs.append(measure.run(ours.predict(name, problem.text, work / "predictions"), folder=work))
        middle = measure.median(costs)
        found[name] = {
            "wall": middle.wall, "cpu": middle.cpu, "peak_bytes": middle.peak_bytes,
            "mb_per_second": problem.text_bytes / middle.wall / 1e6,
            "mb_per_cpu_second": problem.text_bytes / middle.cpu / 1e6,
        }  # fmt: skip
    return found


def startup(work: Path, rounds: int) -> Result:
    """Help, and the Iris model from the packed dataset, each a cold process."""
    subprocess.run([sys.executable, str(HERE.parent / "sample_data.py"), str(work / "samples")], check=True)
    ours = _fresh(work, "startup")
    measure.run(ours.pack(work / "samples" / "iris.libsvm", "iris"), folder=work)
    train = ours.train("iris", "iris", 1e-4, "--loss", "softmax")
    actions = {
        "python -c pass": lambda: measure.run([sys.executable, "-c", "pass"], folder=work),
        "mr-ml --help": lambda: measure.run([sys.executable, "-m", "mr_ml", "--help"], folder=work),
        "Iris pack": _packer(_fresh(work, "startup-pack"), work / "samples" / "iris.libsvm", "iris"),
        "Iris train": lambda: measure.run(train, folder=work),
    }
    costs = measure.interleaved(actions, rounds=max(rounds, 3))
    return {name: {"wall": (m := measure.median(c)).wall, "cpu": m.cpu} for name, c in costs.items()}


def scaling(factor: float, data: Path, work: Path, rounds: int) -> Result:
    """Against rows, workers and partitions, on the sparse set."""
    sizes = {part: generate("sparse", factor * part, data) for part in PARTS_OF_ROWS}
    roots = {part: _fresh(work, f"scaling-{part}") for part in sizes}
    packers = {str(part): _packer(roots[part], problem.text, "s") for part, problem in sizes.items()}
    packs = [[cost.wall for cost in costs] for costs in measure.interleaved(packers, rounds=rounds).values()]
    # in turns, like the packs: a slow minute of the machine must not fall on one size only
    turns = [[_pass_seconds(roots[part], "s", sizes[part].l2) for part in sizes] for _ in range(rounds)]
    passes = list(map(list, zip(*turns, strict=True)))
    rows = [
        {
            "rows": problem.n_rows,
            "pack_wall": statistics.median(packs[k]),
            "pass": statistics.median(passes[k]),
            "pack_per_row": _per_row(packs, sizes, k),
            "pass_per_row": _per_row(passes, sizes, k),
        }
        for k, problem in enumerate(sizes.values())
    ]
    problem, ours = sizes[1.0], roots[1.0]
    one, two = Ours(ours.root, workers=1), ours
    pairs = [(_pass_seconds(one, "s", problem.l2), _pass_seconds(two, "s", problem.l2)) for _ in range(rounds)]
    alone = [(_arithmetic_seconds(one, "s"), _arithmetic_seconds(two, "s")) for _ in range(rounds)]
    loops = [(_loop_seconds(1), _loop_seconds(2)) for _ in range(max(rounds, 3))]
    workers = {
        "1": statistics.median(a for a, _ in pairs),
        "2": statistics.median(b for _, b in pairs),
        "speed-up": statistics.median(a / b for a, b in pairs),
        "of the arithmetic": statistics.median(a / b for a, b in alone),
        "of a loop": statistics.median(a / b for a, b in loops),
    }
    partitions = []
    for number in PARTITIONS:
        measure.run(ours.pack(problem.text, f"p{number}", "--partitions", number), folder=work)
        command = ours.train(f"p{number}", "m", problem.l2, "--tolerance", 1e-4)
        trained = answer(measure.run(command, folder=work, sampling=False))
        seconds = statistics.median(ours.seconds_of_passes(trained["run"])[1:])
        partitions.append({"partitions": number, "passes": trained["passes"], "pass": seconds})
    return {"rows": rows, "workers": workers, "partitions": partitions}


def _per_row(seconds: Sequence[Sequence[float]], sizes: Mapping[float, Problem], k: int) -> float:
    """Time per row of the k-th size against that of the full one, median over the rounds."""
    n_rows, whole = [problem.n_rows for problem in sizes.values()], list(sizes).index(1.0)
    ratios = [a / b for a, b in zip(seconds[k], seconds[whole], strict=True)]
    return statistics.median(ratios) * n_rows[whole] / n_rows[k]


def memory(problem: Problem, work: Path, rounds: int) -> Result:
    """Train with a --memory of which the decoded blocks take at least five times what it leaves for them."""
    ours = _fresh(work, "memory")
    packing = measure.run(ours.pack(problem.text, "m"), folder=work)
    # values of five or six places in four bytes, ids in two
    decoded = problem.nnz * (4 if problem.dense else 6)
    limit = PROCESS_BYTES * (1 + ours.workers) + MODEL_BYTES * problem.n_features + decoded // TIMES_MEMORY
    words = ("--max-passes", FIXED_PASSES, "--tolerance", 0, "--memory", f"{limit >> 20}M")
    costs, seconds = [], []
    for _ in range(rounds):
        measure.warm(ours.root)
        cost = measure.run(ours.train("m", "m", problem.l2, *words), folder=work)
        costs.append(cost)
        seconds.append(statistics.median(ours.seconds_of_passes(answer(cost)["run"])[1:]))
    return {
        "decoded_bytes": decoded,
        "limit_bytes": limit,
        "peak_bytes": measure.median(costs).peak_bytes,
        "pack_peak_bytes": packing.peak_bytes,
        "pass": statistics.median(seconds),
        "nonzeros_per_second_and_core": problem.nnz / statistics.median(seconds) / ours.workers,
    }


def _loop_seconds(processes: int) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-c", LOOP, str(TURNS // processes)]
    started = [subprocess.Popen(command) for _ in range(processes)]
    for process in started:
        process.wait()
    return time.perf_counter() - began


def problems_of(factor: float, data: Path, kinds: tuple[str, ...]) -> dict[str, Problem]:
    return {kind: generate(kind, factor, data) for kind in kinds if kind in SHAPES}


def save(results: Result, path: Path) -> None:
    path.write_text(json.dumps(results, indent=1))
