"""Checkpoints: every pair of a large state written once, and a resumed run as if nothing had happened."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hdfs_layout import Layout, LocalStore, Root, read_events
from mr_ml.catalog import checkpoints
from mr_ml.catalog.checkpoints import Checkpoints, Journal
from mr_ml.catalog.states import Owner
from mr_ml.errors import StorageError
from mr_ml.optimize import lbfgs
from mr_ml.optimize.base import Ask, Evaluation, stacked
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line_state import LineState

METHOD = Lbfgs(tolerance=1e-12, memory=3, max_passes=20)
SIZE = 12
OWNER = Owner("run", "0" * 64, "rows@1", "data")
SAID: list[str] = []


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
    return Checkpoints(Root(store, Layout("root")), OWNER, METHOD, size=SIZE, say=SAID.append)


def encoded(state: LineState) -> dict[str, bytes]:
    meta, arrays = METHOD.encode(state)
    return {"meta": repr(meta).encode(), **{name: array.tobytes() for name, array in stacked(arrays, SIZE).items()}}


@pytest.fixture(params=["small", "large"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "large":
        monkeypatch.setattr(checkpoints, "HISTORIES_APART_FROM", 0)
        monkeypatch.setattr(lbfgs, "NARROW_FROM", SIZE)
    return str(request.param)


def states() -> Iterator[LineState]:
    """Of an undisturbed run, after each pass."""
    state = start()
    while (ask := METHOD.ask(state)) is not None:
        state = METHOD.tell(state, evaluate(ask))
        yield state


ALL, SOME, LAST = range(1, 21), (2, 3, 7, 8, 13, 20), (20,)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("saved", [ALL, SOME, LAST], ids=["all", "some", "last"])
def test_a_run_that_is_resumed_after_every_checkpoint(store: LocalStore, saved: Collection[int]) -> None:
    undisturbed = list(states())[-1]
    assert undisturbed.n_passes == 20
    assert len(undisturbed.pairs_s) == 3
    while True:
        kept = of_run(store)
        state = kept.load() or start()
        if METHOD.ask(state) is None:
            break
        while (ask := METHOD.ask(state)) is not None:
            state = METHOD.tell(state, evaluate(ask))
            if state.n_passes in saved:
                kept.save(state)
                break
        assert encoded(state) == encoded(of_run(store).load() or start())
    assert encoded(state) == encoded(undisturbed)


@pytest.mark.parametrize("saved", [ALL, SOME, LAST], ids=["all", "some", "last"])
def test_what_lies_in_the_store(
    store: LocalStore, form: str, saved: Collection[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two states, and of large ones the files of the pairs that these need; each pair is written once."""
    written: list[str] = []
    write = LocalStore.write

    def noted(store: LocalStore, path: str, data: Any) -> None:
        written.append(path)
        write(store, path, data)

    monkeypatch.setattr(LocalStore, "write", noted)
    kept = of_run(store)
    for state in states():
        if state.n_passes in saved:
            kept.save(state)
    files = store.walk("runs")
    assert [path for path in files if path.endswith("state")] == [
        f"runs/run/passes/{number:06d}/state" for number in sorted(saved)[-2:]
    ]
    assert [path for path in files if path.endswith("pairs")] == [path for path in files if not path.endswith("state")]
    # passes whose step was refused bring no pair
    assert sum(path.endswith("pairs") for path in files) in (range(1, 5) if form == "large" else (0,))
    assert len(written) == len(set(written))
    assert encoded(of_run(store).load() or start()) == encoded(state)


def test_what_a_kill_left_of_a_later_pass_goes(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of its pairs, but no state."""
    monkeypatch.setattr(checkpoints, "HISTORIES_APART_FROM", 0)
    of_run(store).save(next(states()))
    store.write("runs/run/passes/000003/pairs", b"half of a file")
    kept = of_run(store)
    assert kept.load() is not None
    for state in states():
        if state.n_passes in (5, 7):
            kept.save(state)
    assert "runs/run/passes/000003/pairs" not in store.walk("runs")
    assert encoded(of_run(store).load() or start()) == encoded([*states()][6])


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: self.seconds))


def saved_passes(store: LocalStore) -> list[int]:
    """The newest state, and the passes in the log."""
    state = of_run(store).load()
    return [0 if state is None else state.n_passes, *(e["pass"] for e in read_events(store, "runs/run/log.jsonl"))]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_short_passes_share_a_checkpoint(store: LocalStore, clock: Clock) -> None:
    run = states()
    with Journal(of_run(store)) as journal:

        def a_pass(seconds: float) -> list[int]:
            clock.seconds += seconds
            state = next(run)
            journal.add(state, {"pass": state.n_passes})
            return saved_passes(store)

        assert [a_pass(0.25) for _ in range(3)] == [[0]] * 3
        assert a_pass(0.25) == [4, 1, 2, 3, 4]
        assert a_pass(0.75) == [4, 1, 2, 3, 4]
        assert a_pass(0.75) == [6, 1, 2, 3, 4, 5, 6]
        assert a_pass(9.0) == [7, 1, 2, 3, 4, 5, 6, 7]
        assert a_pass(0.5)[0] == 7
    assert saved_passes(store) == [8, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_what_went_well_before_an_error_is_written(store: LocalStore, error: type[BaseException]) -> None:
    def fails() -> None:
        with Journal(of_run(store)) as journal:
            for state in states():
                if state.n_passes == 3:
                    raise error("the test's own")
                journal.add(state, {"pass": state.n_passes})

    with pytest.raises(error, match="the test's own"):
        fails()
    assert saved_passes(store) == [2, 1, 2]
    store.remove_tree("runs")
    store.write("runs", b"not a folder")
    with pytest.raises(error, match="the test's own"):
        fails()


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("fails_at", range(1, 20))
@pytest.mark.parametrize("name", ["state", "pairs"])
def test_a_save_that_failed_is_tried_once_more_at_the_end(
    store: LocalStore, name: str, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the first one's, and what is written then is right."""
    monkeypatch.setattr(checkpoints, "AT_STAKE_SECONDS", 0)
    write, failing = LocalStore.write, {f"runs/run/passes/{fails_at:06d}/{name}"}

    def fails_once(store: LocalStore, path: str, data: Any) -> None:
        if path in failing:
            failing.remove(path)
            raise StorageError("the test's own")
        write(store, path, data)

    monkeypatch.setattr(LocalStore, "write", fails_once)
    state = start()

    def runs() -> None:
        nonlocal state
        with Journal(of_run(store)) as journal:
            for state in states():
                journal.add(state, {"pass": state.n_passes})

    if name == "state":
        with pytest.raises(StorageError, match="the test's own"):
            runs()
    else:
        # not every pass brings pairs, nor do small states have files of them
        with suppress(StorageError):
            runs()
    assert encoded(of_run(store).load() or start()) == encoded(state)


@pytest.mark.usefixtures("clock")
def test_nothing_is_written_of_no_pass(store: LocalStore) -> None:
    with Journal(of_run(store)):
        pass
    assert not store.exists("runs")


@pytest.mark.usefixtures("clock")
def test_a_checkpoint_that_cannot_be_written_is_an_error(store: LocalStore) -> None:
    store.write("runs", b"not a folder")
    with pytest.raises(StorageError), Journal(of_run(store)) as journal:
        journal.add(next(states()), {"pass": 1})


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
