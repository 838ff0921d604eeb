"""Warm starts as users have them: fewer passes on data that has moved a little, the same bits wherever a run is made
and however often it is killed, and what is said and written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_libsvm

import mr_ml
from hdfs_layout import read_events
from mr_ml.catalog.run import find_run
from mr_ml.catalog.run_log import read_log
from mr_ml.session import Session
from mr_ml.training.loop import Progress

N_ROWS = 600
NIGHTS = 2


def nights(folder: Path, loss: str, n_features: int) -> Path:
    """Datasets night0, night1, ...: windows of rows that overlap by three quarters, of a truth that drifts."""
    rng = np.random.default_rng(7)
    n = N_ROWS + NIGHTS * N_ROWS // 4
    x = np.where(rng.random((n, n_features)) < 8 / n_features, rng.normal(size=(n, n_features)), 0.0)
    x[:, :3] = rng.normal(size=(n, 3)) * [1, 10, 0.1]
    n_outputs = 3 if loss == "softmax" else 1
    truth = rng.normal(size=(n_features, n_outputs)) / np.maximum(x.std(axis=0), 0.1)[:, None]
    drift = 1 + 0.2 * np.linspace(0, 1, n)[:, None] * rng.normal(size=n_outputs)
    z = x @ truth * drift
    if loss == "squared":
        y: Any = (z[:, 0] + rng.normal(size=n)).round(4)
    elif loss == "logistic":
        y = (z[:, 0] + rng.logistic(size=n) > 0).astype(int)
    else:
        y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    for night in range(NIGHTS + 1):
        rows = slice(night * N_ROWS // 4, night * N_ROWS // 4 + N_ROWS)
        mr_ml.pack(folder / "root", write_libsvm(folder / f"rows{night}", x[rows].round(6), y[rows]), f"night{night}")
    return folder / "root"


@pytest.mark.parametrize(
    ("loss", "solver", "n_features"),
    [("logistic", "newton", 20), ("logistic", "lbfgs", 350), ("softmax", "lbfgs", 30), ("squared", "lbfgs", 200)],
)
def test_nightly_trainings_take_fewer_passes(tmp_path: Path, loss: str, solver: str, n_features: int) -> None:
    root = nights(tmp_path, loss, n_features)
    options: dict[str, Any] = {"loss": loss, "solver": solver, "l2": 1e-2 if loss == "softmax" else 1e-3}
    mr_ml.train(root, "night0", "nightly", **options)
    passes = []
    for night in range(1, NIGHTS + 1):
        cold = mr_ml.train(root, f"night{night}", "cold", **options)
        warm = mr_ml.train(root, f"night{night}", "nightly", warm_start="nightly", **options)
        assert warm.converged
        assert cold.converged
        assert warm.objective == pytest.approx(cold.objective, rel=1e-9)
        passes.append((cold.passes, warm.passes))
    assert sum(warm for _, warm in passes) < sum(cold for cold, _ in passes), passes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = nights(tmp_path_factory.mktemp("warm"), "logistic", 40)
    mr_ml.train(root, "night0", "first", l2=1e-3)
    return root


def bits(root: Path, model: str) -> str:
    coef = Path(Commands(root)("models", "show", model)["coef_uri"])
    return hashlib.sha256(coef.read_bytes()).hexdigest()


class Killed(BaseException):
    """What a driver that dies leaves."""


def dies_after(n: int) -> Callable[[Progress], None]:
    def watch(progress: Progress) -> None:
        if progress.number == n:
            raise Killed

    return watch


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_the_bits_are_the_same_wherever_and_after_every_kill(root: Path, solver: str) -> None:
    options: dict[str, Any] = {"l2": 1e-3, "solver": solver, "warm_start": "first"}
    name = f"of-{solver}"
    whole = mr_ml.train(root, "night1", name, **options)
    expected = bits(root, f"{name}@{whole.version}")
    done = mr_ml.train(root, "night1", name, runner="local", workers=2, **options)
    assert bits(root, f"{name}@{done.version}") == expected
    session = Session.open(root, runner="inline")
    spec = session.spec("linear", "night1", name, "train", options)
    for n in sorted({1, 2, whole.passes}):
        run = f"killed-{solver}-{n}"
        dying = Session(root=session.root, runner=session.runner, watch=dies_after(n))
        with pytest.raises(Killed):
            dying.fit(spec, run=run)
        passes: list[int] = []
        again = Session(root=session.root, runner=session.runner, watch=lambda progress: passes.append(progress.number))  # noqa: B023
        result = again.publish(again.fit(spec, run=run))
        assert passes == list(range(n + 1, whole.passes + 1))
        assert bits(root, f"{name}@{result.version}") == expected


def test_it_is_said_and_written_down(root: Path) -> None:
    done = Commands(root).run(
        "train", "night2", "--model", "told", "--l2", "0.001", "--warm-start", "first", "-r", "inline"
    )
    assert done.code == 0
    assert "begins where first@1 ended" in done.err
    session = Session.open(root, runner="inline")
    run = Commands(root)("models", "show", "told")["run"]
    begun = find_run(session.root, run)
    assert begun is not None
    assert begun.spec.warm_start == "first@1"
    (event,) = [
        e for e in read_events(session.root.store, session.root.layout.run_log(run)) if e["event"] == "warm_start"
    ]
    assert event["model"] == "first@1"
    assert event["appeared"] == {"count": 0, "names": []}
    assert Commands(root)("models", "show", "told")["spec"]["warm_start"] == "first@1"


def test_a_start_that_is_of_no_use_is_said_and_the_cold_one_taken(root: Path, tmp_path: Path) -> None:
    """A model of the opposite: from where it ended the objective is larger than from 0."""
    said: list[str] = []
    opposite = tmp_path / "opposite"
    lines = (root.parent / "rows1").read_text().splitlines()
    opposite.write_text("".join(f"{1 - int(line[0])}{line[1:]}\n" for line in lines))
    mr_ml.pack(root, opposite, "opposite")
    mr_ml.train(root, "opposite", "opposite", l2=1e-3)
    cold = mr_ml.train(root, "night1", "cold-after-all", l2=1e-3)
    warm = mr_ml.train(root, "night1", "cold-after-all", l2=1e-3, warm_start="opposite", say=said.append)
    assert any("starts from zero after all" in text for text in said)
    assert warm.passes == cold.passes + 1
    assert bits(root, "cold-after-all@1") == bits(root, "cold-after-all@2")
    log = read_log(Session.open(root).root, warm.run)
    assert log.passes[0]["objective"] == pytest.approx(np.log(2))


def test_a_run_without_one_is_stored_as_ever(root: Path) -> None:
    """Earlier releases read it."""
    done = mr_ml.train(root, "night0", "plain", max_passes=2)
    document = json.loads((root / "runs" / done.run / "spec.json").read_text())
    assert "warm_start" not in json.dumps(document)
    assert "warm_start" not in (root / "models" / "plain" / "v000001.json").read_text()
