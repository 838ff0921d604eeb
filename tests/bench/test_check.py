"""The benchmark suite's counts, and that the things which count and generate do so: oracles of their own."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import environment
from sklearn.datasets import load_svmlight_file

SUITE = Path(__file__).resolve().parents[2] / "scripts" / "bench"
sys.path.insert(0, str(SUITE))

import counts  # noqa: E402
import environments  # noqa: E402
import gaps  # noqa: E402
import generate  # noqa: E402
import measure  # noqa: E402
import parts  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
from optimum import Logistic  # noqa: E402
from ours import Ours  # noqa: E402

TINY = 0.0003


def program(code: str, *, folder: Path, counting: bool = False) -> measure.Cost:
    """Measured in a process of its own: it reaps orphans, and pytest's process has other children."""
    script = (
        "import sys, json; from pathlib import Path; import measure\n"
        f"found = measure.run([sys.executable, '-c', {code!r}], folder=Path({str(folder)!r}), counting={counting})\n"
        "print(json.dumps(vars(found)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=SUITE, timeout=300
    )
    return measure.Cost(**json.loads(done.stdout.splitlines()[-1]))


def test_counts_stay_within_their_budgets() -> None:
    done = subprocess.run(
        [sys.executable, str(SUITE / "run.py"), "--check"], capture_output=True, text=True, env=environment(),
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == set(counts.BUDGET)


def test_a_count_over_its_budget_or_missing_is_told() -> None:
    assert counts.exceeded({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0}) == []
    assert counts.exceeded({"a": 1.1}, {"a": 1.0}) == ["a: expected at most 1, found 1.1"]
    assert counts.exceeded({}, {"a": 1.0}) == ["a: not counted"]


def test_bytes_of_the_whole_tree_are_counted(tmp_path: Path) -> None:
    """A child of a child writes 3 MB and outlives its parent; the command itself writes 1 MB."""
    code = (
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'open(\"b\", \"wb\").write(bytes(3_000_000))'])\n"
        "open('a', 'wb').write(bytes(1_000_000))\n"
    )
    found = program(code, folder=tmp_path)
    assert (tmp_path / "b").stat().st_size == 3_000_000
    assert 4_000_000 <= found.written_bytes < 4_100_000


def test_processes_are_counted(tmp_path: Path) -> None:
    """One that is executed, one that is forked, and the command's own."""
    code = (
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', ''], check=True)\n"
        "pid = os.fork()\n"
        "os._exit(0) if pid == 0 else os.waitpid(pid, 0)\n"
    )
    assert program(code, folder=tmp_path, counting=True).processes in (3, 4)  # subprocess may fork to execute


def test_peak_memory_is_that_of_the_tree(tmp_path: Path) -> None:
    child = "b = bytearray(60_000_000); import time; time.sleep(0.5)"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
    assert 60e6 < program(code, folder=tmp_path).peak_bytes < 120e6


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        program("raise SystemExit('no more disk')", folder=tmp_path)
    assert "exit code 1" in caught.value.stderr
    assert "no more disk" in caught.value.stderr


@pytest.mark.parametrize("kind", list(generate.SHAPES))
def test_the_arrays_say_what_the_text_says(kind: str, tmp_path: Path) -> None:
    problem = generate.generate(kind, TINY, tmp_path)
    x, y = problem.load()
    read, labels = load_svmlight_file(str(problem.text), n_features=problem.n_features, zero_based=False)
    assert (read != x).nnz == 0
    assert np.array_equal(labels > 0, y == 1)
    assert x.nnz == problem.nnz
    assert x.has_canonical_format
    assert problem.text.stat().st_size == problem.text_bytes
    assert hashlib.sha256(problem.text.read_bytes()).hexdigest() == problem.sha256
    assert problem.vw_text.read_text().replace(" | ", " ") == problem.text.read_text()
    if kind == "sparse":
        assert np.allclose(x.power(2).sum(axis=1), 1, atol=1e-5)
    else:
        table = np.loadtxt(generate.write_csv(problem), delimiter=",", skiprows=1)
        assert np.array_equal(table, np.column_stack([labels, read.toarray()]))
    assert 0.3 < y.mean() < 0.7


def test_a_smaller_set_is_a_prefix_of_a_larger_one(tmp_path: Path) -> None:
    small, large = (generate.generate("dense", factor, tmp_path) for factor in (TINY, 3 * TINY))
    assert large.text.read_bytes().startswith(small.text.read_bytes())


def test_the_same_bytes_everywhere(tmp_path: Path) -> None:
    expected = {"sparse": SPARSE_SHA256, "dense": DENSE_SHA256, "narrow": NARROW_SHA256}
    assert {kind: generate.generate(kind, TINY, tmp_path).sha256 for kind in expected} == expected


SPARSE_SHA256 = "518bbcc18341802dc5d6b59d7d62317f156df70c2dbfe6ff35196d39be6e723f"
DENSE_SHA256 = "6147e7fcc5702eed14f6ac1b5be97b6cc0b0bbf95160218986911e3c38a739f3"
NARROW_SHA256 = "de369838122d3891202c9022da4f4696ec26d4544bdfb10e60820c90d7197cf0"


def test_the_function_that_judges(tmp_path: Path) -> None:
    """Mean log-likelihood by probabilities, gradient by central differences."""
    x, y = generate.generate("dense", TINY, tmp_path).load()
    function = Logistic(x, y, 0.01)
    theta = np.linspace(-0.1, 0.1, x.shape[1] + 1)
    p = 1 / (1 + np.exp(-(x.toarray() @ theta[:-1] + theta[-1])))
    expected = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) + 0.005 * (theta[:-1] ** 2).sum()
    value, gradient, bend = function.gradient(theta)
    assert value == pytest.approx(expected, rel=1e-12)
    assert function.value(theta[:-1], theta[-1]) == pytest.approx(expected, rel=1e-12)
    step = 1e-5 * np.eye(len(theta))
    for j in (0, 57, 100):
        up, down = function.gradient(theta + step[j]), function.gradient(theta - step[j])
        assert gradient[j] == pytest.approx((up[0] - down[0]) / 2e-5, rel=1e-6, abs=1e-9)
        assert function.diagonal(bend)[j] == pytest.approx((up[1][j] - down[1][j]) / 2e-5, rel=1e-6)
        assert function.hessian(bend)[j] == pytest.approx((up[1] - down[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_a_peer_that_is_absent_is_left_out_visibly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for peer in (peer for peer in peers.PEERS if not peer.environment):
        with pytest.raises(environments.LeftOutError, match=r"mr_ml\[bench\]"):
            peer.prepared(tmp_path)


def test_a_peer_whose_packages_cannot_be_had_is_left_out_visibly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environments, "PINS", {"snapml": (str(tmp_path / "nowhere"),)})
    (peer,) = (peer for peer in peers.PEERS if peer.name == "svmloader+snapml")
    with pytest.raises(environments.LeftOutError, match=r"pip install .*nowhere"):
        peer.prepared(tmp_path)


def test_a_peer_with_an_environment_runs_by_its_python_with_all_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (peer,) = (peer for peer in peers.PEERS if peer.name == "polars+intelex-lbfgs")
    monkeypatch.setattr(environments, "python_of", lambda name, folder: f"{folder}/{name}/python")
    problem = generate.generate("narrow", TINY, tmp_path)
    ready = peer.prepared(tmp_path)
    for stop, more in ((None, []), (0.001, ["--stop", "0.001"])):
        command = ready.command(problem, tmp_path / "model.npz", stop)
        assert command[0] == f"{tmp_path}/intelex/python"
        assert command[3] == str(problem.csv)
        assert command[9:] == more
    assert set(ready.variables.values()) == {str(len(os.sched_getaffinity(0)))}


def climbing(outcomes: dict[float, tuple[float, float]]) -> tuple[gaps.Program, list[float]]:
    """A program with a gap and seconds for each of its stops, and the stops that were tried."""
    tried: list[float] = []

    def train(stop: float | None) -> measure.Cost:
        assert stop is not None
        tried.append(stop)
        return measure.Cost(outcomes[stop][1], 0, 0, 0, 0, 0, "")

    def gap() -> float:
        return outcomes[tried[-1]][0]

    return gaps.Program("climber", "climber 1", tuple(outcomes), str, train, gap), tried


@pytest.mark.parametrize(
    ("outcomes", "stops", "n_tried", "least"),
    [
        ({1: (0.5, 1), 2: (5e-4, 1), 3: (4e-4, 1), 4: (5e-7, 1), 5: (1e-9, 1)}, [2, 4, 4], 4, 5e-7),
        ({1: (0.08, 1), 2: (0.2, 1)}, [None] * 3, 2, 0.08),
        ({1: (5e-4, 90), 2: (2e-4, 130), 3: (1e-9, 200)}, [1, None, None], 2, 2e-4),
    ],
    ids=["reaches all", "reaches none", "takes too long"],
)
def test_the_ladder_of_a_program(
    tmp_path: Path, outcomes: dict[float, tuple[float, float]], stops: list[float | None], n_tried: int, least: float
) -> None:
    problem = generate.generate("dense", TINY, tmp_path)
    climber, tried = climbing(outcomes)
    found = gaps.tune(climber, problem, print)
    assert [found.stops.get(gap) for gap in ("0.001", "0.0001", "1e-06")] == stops
    assert (len(tried), found.least_gap, found.last_seconds) == (n_tried, least, outcomes[tried[-1]][1])
    assert gaps.tune(climber, problem, print) == found
    assert len(tried) == n_tried
    rows = [gaps._row(climber, "1e-06", found, {}, {})] if stops[-1] is None else []
    assert all((row["wall"], row["reached"]) == (found.last_seconds, least) for row in rows)


def test_arithmetic_of_fewer_blocks_than_processes(tmp_path: Path) -> None:
    problem, ours = generate.generate("dense", TINY, tmp_path), Ours(tmp_path / "root")
    for command in (ours.pack(problem.text, "d"), ours.train("d", "d", 1e-3, "--max-passes", 2)):
        subprocess.run(command, check=True, capture_output=True, env=environment(), timeout=300)
    command = [sys.executable, str(SUITE / "ours.py"), "d", "d", "--root", str(ours.root), "--workers", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(), timeout=60)
    assert json.loads(done.stdout)["seconds"] > 0


def test_time_per_row_is_compared_within_a_round(tmp_path: Path) -> None:
    sizes = {1.0: generate.generate("dense", TINY, tmp_path), 3.0: generate.generate("dense", 3 * TINY, tmp_path)}
    # the second round is slower by half, the third by ten times: for both sizes
    seconds = [[2.0, 3.0, 20.0], [9.0, 13.5, 90.0]]
    assert parts._per_row(seconds, sizes, 0) == pytest.approx(1)
    assert parts._per_row(seconds, sizes, 1) == pytest.approx(4.5 / 3, rel=1e-2)


def test_ratios_are_to_the_fastest_peer_that_reaches_the_gap() -> None:
    def cost(wall: float) -> measure.Cost:
        return measure.Cost(wall, wall, 0, 0, 0, 0, "")

    costs = {"mr-ml, cold 1": [cost(2), cost(6)], "slow 1": [cost(8), cost(8)], "wrong 1": [cost(1), cost(1)]}
    rows = [
        {"program": key[:-2], "gap": "0.001", "stop": 1.0, "key": key, "reached": reached, "wall": wall, "cpu": wall}
        for key, reached, wall in (("mr-ml, cold 1", 1e-3, 4), ("slow 1", 1e-3, 8), ("wrong 1", 0.5, 1))
    ]
    (found,) = gaps._ratios(rows, costs)
    assert found["peer"] == "slow"
    assert found["ratio"] == pytest.approx((2 / 8 + 6 / 8) / 2)
    assert "0.50 times" in next(report._verdicts([found]))


def test_by_defaults_ours_are_compared_with_every_peer() -> None:
    costs = {
        f"{name} defaults": [measure.Cost(wall, wall, 0, 0, 0, 0, "")]
        for name, wall in (("mr-ml, cold", 1), ("a", 2), ("b", 4))
    }
    rows = [
        {
            "program": key.removesuffix(" defaults"),
            "gap": "defaults",
            "stop": None,
            "key": key,
            "reached": 1e-5,
            "cpu": 1.0,
        }
        for key in costs
    ]
    found = list(gaps._ratios_by_defaults(rows, costs))
    assert [(r["program"], r["peer"], r["ratio"]) for r in found] == [
        ("mr-ml, cold", "a", 0.5),
        ("mr-ml, cold", "b", 0.25),
    ]


def test_where_a_peer_wins_the_page_says_so() -> None:
    ratio = {"program": "mr-ml, cold", "gap": "0.01", "peer": "liblinear", "ratio": 1.5}
    assert "liblinear wins" in next(report._verdicts([ratio]))


def test_the_suite_names_its_peers_in_the_extra() -> None:
    text = (SUITE.parents[1] / "setup.cfg").read_text()
    extra = text.partition("\nbench =\n")[2].partition("\ntest =\n")[0]
    assert {peer.package for peer in peers.PEERS if not peer.environment} <= set(extra.replace("=", " ").split())


def test_numerics_are_single_threaded() -> None:
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
