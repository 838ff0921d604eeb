"""Checkpoints of large states: every pair written once, and a resumed run as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hdfs_layout import Layout, LocalStore
from mr_ml import checkpoints
from mr_ml.checkpoints import Checkpoints
from mr_ml.optimize import lbfgs
from mr_ml.optimize.base import Ask, Evaluation
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line import LineState

METHOD = Lbfgs(tolerance=1e-12, memory=3, max_passes=20)
SIZE = 12


def evaluate(ask: Ask) -> Evaluation:
    """Rosenbrock's function in pairs of neighbours; the curvature is a rough one."""

    def value(x: Any) -> float:
        return float((100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2).sum())

    points = [ask.point if ask.direction is None else ask.point + t * ask.direction for t in ask.steps]
    x = points[ask.chosen]
    gradient, curvature = np.empty(len(x)), np.full(len(x), 200.0)
    gradient[1::2] = 200 * (x[1::2] - x[::2] ** 2)
    gradient[::2] = -2 * x[::2] * gradient[1::2] - 2 * (1 - x[::2])
    return Evaluation(np.array([value(p) for p in points]), gradient, curvature)


def start() -> LineState:
    return METHOD.init(np.linspace(-1.5, 1.5, SIZE))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path))


def of_run(store: LocalStore) -> Checkpoints:
    return Checkpoints(store, Layout("root"), "run", METHOD)


def encoded(state: LineState) -> dict[str, bytes]:
    meta, arrays = METHOD.encode(state)
    return {"meta": repr(meta).encode(), **{name: array.tobytes() for name, array in arrays.items()}}


@pytest.fixture(params=["small", "large"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "large":
        monkeypatch.setattr(checkpoints, "PAIRS_APART_FROM", 0)
        monkeypatch.setattr(lbfgs, "NARROW_FROM", SIZE)
    return str(request.param)


@pytest.mark.usefixtures("form")
def test_a_run_that_is_resumed_after_every_pass(store: LocalStore) -> None:
    undisturbed = start()
    while (ask := METHOD.ask(undisturbed)) is not None:
        undisturbed = METHOD.tell(undisturbed, evaluate(ask))
    assert undisturbed.n_passes == 20
    assert len(undisturbed.pairs_s) == 3
    while True:
        kept = of_run(store)
        state = kept.load() or start()
        ask = METHOD.ask(state)
        if ask is None:
            break
        state = METHOD.tell(state, evaluate(ask))
        kept.save(state)
        assert encoded(state) == encoded(of_run(store).load() or start())
    assert encoded(state) == encoded(undisturbed)


def test_what_lies_in_the_store(store: LocalStore, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two states, and of large ones the pairs that these need; each pair is written once."""
    written: list[str] = []
    write = LocalStore.write

    def noted(store: LocalStore, path: str, data: Any) -> None:
        written.append(path)
        write(store, path, data)

    monkeypatch.setattr(LocalStore, "write", noted)
    kept, state = of_run(store), start()
    while (ask := METHOD.ask(state)) is not None:
        state = METHOD.tell(state, evaluate(ask))
        kept.save(state)
    files = store.walk("runs")
    states = [path for path in files if path.endswith("state")]
    pairs = [path for path in files if path.endswith("pair")]
    assert states == [f"runs/run/passes/{number:06d}/state" for number in (19, 20)]
    assert len(pairs) in ((3, 4) if form == "large" else (0,))
    assert len(written) == len(set(written))


def test_pairs_of_many_coefficients_take_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lbfgs, "NARROW_FROM", SIZE)
    state = start()
    for _ in range(6):
        ask = METHOD.ask(state)
        assert ask is not None
        state = METHOD.tell(state, evaluate(ask))
    assert {vector.dtype for vector in (*state.pairs_s, *state.pairs_y)} == {np.dtype(np.float32)}
    assert state.direction.dtype == state.point.dtype == np.float64
    assert state.gradient @ state.direction < 0
