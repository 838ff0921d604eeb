"""Newton's method begins near the optimum of the first rows: fewer passes, the same optimum and the same knowledge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_libsvm
from scipy import optimize

import mr_ml
from mr_ml.catalog.dataset import load_dataset
from mr_ml.errors import UsageError
from mr_ml.memory import DRIVER_BYTES, WORKER_BYTES, block_budget
from mr_ml.models.linear import sampled
from mr_ml.models.linear.kind.problem import LinearProblem
from mr_ml.models.needs import Needs
from mr_ml.models.problem import FirstGuess
from mr_ml.session import Session
from mr_ml.training.loop import Progress
from mr_ml.training.train import make_problem

N = 12_000
SAID = "begins near the optimum of 1,500 rows"
OPTIONS: dict[str, dict[str, Any]] = {
    "logistic": {"loss": "logistic", "l2": 1e-3},
    "free": {"loss": "logistic"},
    "onehot": {"loss": "logistic", "l2": 1e-4},
    "softmax": {"loss": "softmax", "l2": 1e-3},
    "poisson": {"loss": "poisson", "l2": 1e-4},
    "lasso": {"loss": "logistic", "l1": 1e-2},
}


def rows(name: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(N, 6)) * [1, 3, 0.2, 1, 1, 1]
    if name == "onehot":
        x[:, :4] = np.eye(4)[rng.choice(4, N, p=[0.5, 0.3, 0.15, 0.05])]
    truth = np.array([1.5, -0.6, 4.0, 0.5, 0.0, -0.8])
    z = x @ truth
    if name == "softmax":
        z = np.column_stack([z, 0.5 * x[:, 0] - x[:, 5], np.zeros(N)])
        return x, (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    if name == "poisson":
        return x, rng.poisson(np.exp(0.4 * z - 1))
    return x, (z + rng.logistic(size=N) > 0.5).astype(int)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    for name in OPTIONS:
        data = "logistic" if name in ("free", "lasso") else name
        if name == data:
            x, y = rows(name)
            mr_ml.pack(folder / "root", write_libsvm(folder / name, x.round(6), y), name)
    return folder / "root"


def dataset(name: str) -> str:
    return "logistic" if name in ("free", "lasso") else name


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Train as where rows are few."""

    def train(*args: Any, **options: Any) -> Any:
        with monkeypatch.context() as context:
            context.setattr(sampled, "_LEAST_ROWS", 10 * N)
            return mr_ml.train(*args, **options)

    return train


def coef(root: Path, model: str) -> Any:
    return vars(mr_ml.load_model(root, model))["coef"]


def bits(root: Path, model: str) -> str:
    return hashlib.sha256(Path(Commands(root)("models", "show", model)["coef_uri"]).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", list(OPTIONS))
def test_fewer_passes_to_the_same_optimum(root: Path, cold: Callable[..., Any], name: str) -> None:
    said: list[str] = []
    before = cold(root, dataset(name), f"{name}-cold", **OPTIONS[name])
    after = mr_ml.train(root, dataset(name), f"{name}-warm", say=said.append, **OPTIONS[name])
    assert SAID in said
    assert after.converged
    assert before.converged
    assert after.passes < before.passes, (before.passes, after.passes)
    assert after.objective == pytest.approx(before.objective, rel=1e-9)
    np.testing.assert_allclose(coef(root, f"{name}-warm"), coef(root, f"{name}-cold"), rtol=1e-5, atol=1e-6)
    # what is known of how features go together too, and where coefficients are 0
    assert after.warnings == before.warnings
    assert ("collinear" in "".join(after.warnings)) == (name == "onehot")
    assert ((coef(root, f"{name}-warm") == 0) == (coef(root, f"{name}-cold") == 0)).all()


def test_the_optimum_is_that_of_scipy(root: Path) -> None:
    mr_ml.train(root, "logistic", "ours", tolerance=1e-9, l2=1e-3)
    x, y = rows("logistic")
    x = x.round(6)

    def value(w: Any) -> Any:
        z = x @ w[:-1] + w[-1]
        slope = 1 / (1 + np.exp(-z)) - y
        gradient = np.append(x.T @ slope, slope.sum()) / N
        gradient[:-1] += 1e-3 * w[:-1]
        return (np.logaddexp(0, z) - y * z).mean() + 5e-4 * w[:-1] @ w[:-1], gradient

    found = optimize.minimize(value, np.zeros(7), jac=True, options={"gtol": 1e-10})
    np.testing.assert_allclose(coef(root, "ours").ravel(), found.x, rtol=1e-5)


class Killed(BaseException):
    """What a driver that dies leaves."""


@pytest.mark.parametrize("name", ["logistic", "onehot"])
def test_the_bits_are_the_same_wherever_and_after_every_kill(root: Path, name: str) -> None:
    whole = mr_ml.train(root, dataset(name), "whole", **OPTIONS[name])
    expected = bits(root, f"whole@{whole.version}")
    for workers in (1, 3):
        done = mr_ml.train(root, dataset(name), "whole", runner="local", workers=workers, **OPTIONS[name])
        assert (bits(root, f"whole@{done.version}"), done.passes) == (expected, whole.passes)
    done = mr_ml.train(root, dataset(name), "whole", engine="mapreduce", **OPTIONS[name])
    assert (bits(root, f"whole@{done.version}"), done.passes) == (expected, whole.passes)
    session = Session.open(root, runner="inline")
    spec = session.spec("linear", dataset(name), "whole", "train", OPTIONS[name])
    for n, loses in ((1, True), (1, False), (2, False)):
        run = f"killed-{name}-{n}-{loses}"

        def dies(progress: Progress, n: int = n) -> None:
            if progress.number == n:
                raise Killed

        with pytest.raises(Killed):
            Session(root=session.root, runner=session.runner, watch=dies).fit(spec, run=run)
        if loses:
            # as if before the first pass
            for state in (root / "runs" / run / "passes").rglob("*"):
                if state.is_file():
                    state.unlink()
        seen: list[int] = []
        again = Session(root=session.root, runner=session.runner, watch=lambda p: seen.append(p.number))  # noqa: B023
        result = again.publish(again.fit(spec, run=run))
        assert seen == list(range(1 if loses else n + 1, whole.passes + 1))
        assert bits(root, f"whole@{result.version}") == expected


def test_a_run_that_goes_on_to_a_smaller_tolerance_has_the_bits_of_one_that_was_asked_at_once(root: Path) -> None:
    first = mr_ml.train(root, "logistic", "going", tolerance=1e-2, l2=1e-3)
    on = Commands(root)("train", "--resume", first.run, "--tolerance", "1e-9")
    once = mr_ml.train(root, "logistic", "going", tolerance=1e-9, l2=1e-3)
    assert bits(root, f"going@{on['version']}") == bits(root, f"going@{once.version}")


@pytest.mark.parametrize(("name", "more"), [("logistic", 1), ("onehot", 0)])
@pytest.mark.parametrize("far", [30.0, -0.5])
def test_a_bad_guess_costs_no_more_than_a_pass(
    root: Path, cold: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, more: int, far: float
) -> None:
    before = cold(root, name, "cold", **OPTIONS[name])

    def bad(problem: LinearProblem, blocks: Any) -> FirstGuess:
        point = np.full(problem.objective.size, far)
        return FirstGuess(point=point, n_rows=1, columns=None if name == "onehot" else problem.objective.size)

    monkeypatch.setattr(LinearProblem, "first_guess", bad)
    after = mr_ml.train(root, name, "bad", **OPTIONS[name])
    assert (after.converged, after.passes) == (True, before.passes + more)
    assert after.warnings == before.warnings
    np.testing.assert_allclose(coef(root, "bad"), coef(root, "cold"), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "lbfgs", "l2": 1e-3},
        {"loss": "squared"},
        {"loss": "squared_hinge", "l2": 1e-2},
        {"loss": "probit", "l2": 1e-3},
        {"warm_start": "earlier", "l2": 1e-3},
    ],
)
def test_others_begin_as_ever(root: Path, options: dict[str, Any]) -> None:
    if "warm_start" in options:
        mr_ml.train(root, "logistic", "earlier", l2=1e-2)
    said: list[str] = []
    mr_ml.train(root, "logistic", "other", say=said.append, **options)
    assert not any("near the optimum" in text for text in said)


def test_few_rows_for_a_coefficient_say_nothing(tmp_path: Path) -> None:
    assert sampled.first_rows(n_rows=10_000, nnz=10_000, n_columns=63, n_outputs=1) == (0, 0)
    assert sampled.first_rows(n_rows=10_000, nnz=10_000, n_columns=62, n_outputs=1)[0] == 1_250
    assert sampled.first_rows(n_rows=7_999, nnz=10_000, n_columns=2, n_outputs=1) == (0, 0)
    assert sampled.first_rows(n_rows=10**9, nnz=10**10, n_columns=11, n_outputs=1)[0] == 20_000
    n, n_bytes = sampled.first_rows(n_rows=10**9, nnz=4 * 10**11, n_columns=401, n_outputs=1)
    assert 8_020 <= n < 20_000
    assert n_bytes <= 3 * sampled.MOST_BYTES


def test_what_has_no_optimum_is_said_to_have_none(tmp_path: Path, cold: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 4))
    y = (x[:, 0] - x[:, 1] > 0).astype(int)
    quasi = x.copy()
    quasi[:, 3] = (rng.random(N) < 0.02) * 1.0
    noisy = (x[:, 0] + rng.logistic(size=N) > 0).astype(int)
    noisy[quasi[:, 3] > 0] = 1
    for name, a, b in (("whole", x, y), ("quasi", quasi, noisy)):
        mr_ml.pack(tmp_path / "root", write_libsvm(tmp_path / name, a.round(6), b), name)
        for l2 in (0.0, 1e-12, 1e-7):
            found = mr_ml.train(tmp_path / "root", name, name, l2=l2)
            before = cold(tmp_path / "root", name, "cold", l2=l2)
            assert (found.stop, bool(found.warnings)) == (before.stop, bool(before.warnings))
            assert l2 or "separated" in found.stop, (name, found)


def test_a_feature_that_few_rows_tell_apart_is_no_sum(tmp_path: Path) -> None:
    """But for outliers, which have no curvature near the optimum, a column is another one."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(N, 3))
    y = (2 * x[:, 0] + rng.logistic(size=N) > 0) * 1
    x[:3, 0], y[:3] = [20.0, 15.0, 8.0], 1
    x[:, 2] = np.minimum(x[:, 0], 7)
    mr_ml.pack(tmp_path / "root", write_libsvm(tmp_path / "rows", x.round(6), y), "rows")
    for l2 in (0.0, 1e-2):
        found = mr_ml.train(tmp_path / "root", "rows", "m", l2=l2)
        assert "collinear" not in "".join(found.warnings)
        # without a penalty the outliers are told apart without fail
        assert found.converged == (l2 > 0)


def test_rows_without_weight_are_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows("logistic")
    write = tmp_path / "rows.csv"
    table = np.column_stack([y, np.where(np.arange(N) % 100 == 0, 1.0, 0.0), x[:, :3].round(3)])
    write.write_text("y,w,a,b,c\n" + "\n".join(",".join(f"{v:g}" for v in row) for row in table) + "\n")
    mr_ml.pack(tmp_path / "root", write, "rows", label_column="y", weight_column="w")
    found = mr_ml.train(tmp_path / "root", "rows", "m", l2=1e-2)
    assert found.converged


def test_memory_for_the_rows_is_in_the_estimate_but_beside_others(root: Path) -> None:
    session = Session.open(root, runner="inline")
    spec = session.spec("linear", "logistic", "m", "train", {"l2": 1e-3})
    problem = make_problem(spec, load_dataset(session.root, "logistic"), session.root)
    alone, beside = problem.needs(), problem.needs(beside_others=True)
    assert (alone.begin_bytes, beside.begin_bytes) == (3 * 1_500 * (12 * 6 + 64), 0)
    assert alone.state_bytes == beside.state_bytes
    assert alone.sum_bytes == 2 * beside.sum_bytes


def test_memory_for_the_rows_is_free_again_once_tasks_begin(tmp_path: Path) -> None:
    runner = Session.open(tmp_path / "root", runner="local", workers=2).runner
    without = Needs(block_sum_bytes=100, sum_bytes=100, n_blocks=3)
    least = DRIVER_BYTES + 2 * WORKER_BYTES + (1 << 20)
    little, much = (replace(without, begin_bytes=n) for n in (WORKER_BYTES, 3 * WORKER_BYTES))
    assert block_budget(least, runner, little) == block_budget(least, runner, without) > 0
    with pytest.raises(UsageError, match="M are taken before there is any data"):
        block_budget(least, runner, much)
    assert block_budget(least + WORKER_BYTES, runner, much) == block_budget(least + WORKER_BYTES, runner, without)
