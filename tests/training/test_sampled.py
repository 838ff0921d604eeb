"""L-BFGS that goes by a sample of the rows: fewer passes, and the same optimum whatever the sample says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective
from commands import Commands, write_libsvm

from mr_ml.data.block import Block
from mr_ml.data.features import DenseFeatures
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.base import Ask, Evaluation, Kinks
from mr_ml.optimize.choose import OPTIMIZERS
from mr_ml.optimize.line_state import LineState

LOSSES: dict[str, Any] = {
    "logistic": "binary", "softmax": "classes", "squared": "numbers", "poisson": "counts", "gamma": "positive",
    "inverse_gaussian": "positive", "tweedie:power=1.5": "counts", "negative_binomial:theta=2": "counts",
    "huber:delta=1": "numbers", "quantile:width=0.5,level=0.5": "numbers", "probit": "binary", "cloglog": "binary",
    "squared_hinge": "binary",
}  # fmt: skip


def rows(n: int = 300, d: int = 12) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, 1)) + 0.4 * rng.normal(size=(n, d))
    z = x @ rng.normal(size=d) * 0.3 + rng.normal(size=n)
    counts = rng.poisson(np.exp(np.clip(z, -3, 2))).astype(float)
    labels = {
        "binary": (z > 0).astype(float), "classes": np.digitize(z, [-0.5, 0.5]).astype(float), "numbers": z,
        "counts": counts, "positive": counts + 0.5,
    }  # fmt: skip
    return x, labels


def objective_of(loss: str, x: Any, y: Any) -> tuple[Any, Any]:
    kind = loss_from_text(loss)
    classes = tuple(np.unique(y).tolist()) if LOSSES[loss] in ("binary", "classes") else ()
    engine = make_engine(x, y, form="stored")
    return engine, make_objective(engine, RowSpec(kind, x.shape[1], classes=classes), l2=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_all_rows_is_that_of_the_objective(loss: str) -> None:
    """Gradient and diagonal against a pass; products and gains against differences."""
    x, labels = rows()
    y = labels[LOSSES[loss]]
    engine, objective = objective_of(loss, x, y)
    rng = np.random.default_rng(1)
    theta, step = 0.02 * rng.normal(size=objective.size), 1e-6 * rng.normal(size=objective.size)
    # where margins are in the domain of every loss
    theta.reshape(objective.rows.n_outputs, -1)[:, -1] = 1.0
    method = OPTIMIZERS.get("lbfgs-sampled")(size=objective.size, tolerance=1e-6, max_passes=9)
    ask = method.ask(method.init(theta))
    assert ask is not None
    found = objective.finish(ask, engine.run(objective.query(ask)))
    sample = objective.sample([Block(DenseFeatures(x), y)], n_rows=len(y)).at(theta)
    assert (sample.share, sample.noise, sample.rows.tolist()) == (1.0, 0.0, [float(len(y))] * objective.size)
    penalty = sample.penalty
    np.testing.assert_allclose(sample.gradient + penalty * theta, found.gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sample.diagonal + penalty, found.curvature, rtol=1e-9)
    change = sample.moved(step).gradient - sample.moved(-step).gradient
    np.testing.assert_allclose(2 * sample.times(step), change, rtol=2e-2, atol=1e-9 * np.abs(change).max() + 1e-13)
    long = 0.03 * rng.normal(size=objective.size)
    ask = replace(ask, direction=long, steps=(0.0, 1.0, 0.5))
    values = objective.finish(ask, engine.run(objective.query(ask))).values
    of_penalty = np.array([0.5 * penalty @ (theta + t * long) ** 2 for t in ask.steps])
    gains = sample.gains(long, (1.0, 0.5)) + np.array([1.0, 0.5]) * (sample.gradient @ long)
    np.testing.assert_allclose(gains, np.diff(values - of_penalty, prepend=0)[1:].cumsum(), rtol=1e-7)


def test_a_sample_of_many_rows_is_less_noise_than_one_of_few() -> None:
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 60))
    noise = {}
    for name, x in (("together", common + own), ("apart", own)):
        y = (x[:, 0] + rng.normal(size=4000) > 0).astype(float)
        _, objective = objective_of("logistic", x, y)
        for n in (100, 2000):
            block = Block(DenseFeatures(x[:n]), y[:n])
            noise[name, n] = objective.sample([block], n_rows=10**6).at(np.zeros(objective.size)).noise
    assert noise["together", 2000] < 0.1
    assert noise["together", 2000] < noise["together", 100]
    assert min(noise["apart", 100], noise["apart", 2000]) > 0.7


@pytest.mark.parametrize("bad", ["one label", "no weight", "lacks features", "nothing"])
def test_a_bad_sample_changes_nothing_of_what_is_found(bad: str) -> None:
    x, labels = rows()
    y = labels["binary"]
    engine, objective = objective_of("logistic", x, y)
    chosen = y == 1 if bad == "one label" else np.arange(len(y)) < 100
    some, weights = x[chosen].copy(), None
    if bad == "lacks features":
        some[:, ::2] = 0
    if bad == "no weight":
        weights = np.zeros(chosen.sum())
    block = Block(DenseFeatures(some), y[chosen], weights)
    sample = objective.sample([] if bad == "nothing" else [block], n_rows=10**6)
    assert (sample is None) == (bad in ("no weight", "nothing"))
    points: dict[bool, LineState] = {}
    for used in (True, False):
        method = OPTIMIZERS.get("lbfgs-sampled")(size=objective.size, tolerance=1e-10, max_passes=500)
        state: LineState = method.init(objective.start())
        while (ask := method.ask(state)) is not None:
            state = method.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
            point = method.ask_sampled(state)
            if point is not None and used and sample is not None:
                state = method.tell_sampled(state, sample.at(point))
        assert state.stop is not None
        assert state.stop.converged
        points[used] = state
    np.testing.assert_allclose(points[False].point, points[True].point, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("n_sample", "n_rows"), [(200, 300), (8, 10**6)])
def test_a_search_goes_on_from_every_stored_state_with_the_same_bits(n_sample: int, n_rows: int) -> None:
    """By a sample that is believed to the end, and by one that is given up."""
    x, labels = rows()
    engine, objective = objective_of("softmax", x, labels["classes"])
    block = Block(DenseFeatures(x[:n_sample]), labels["classes"][:n_sample])
    found = []
    for stored in (False, True):
        method = OPTIMIZERS.get("lbfgs-sampled")(size=objective.size, tolerance=1e-9, max_passes=500)
        state: LineState = method.init(objective.start())
        sample = objective.sample([block], n_rows=n_rows)
        while (ask := method.ask(state)) is not None:
            state = method.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
            point = method.ask_sampled(state)
            if point is not None:
                state = method.tell_sampled(state, sample.at(point))
            if stored:
                state = method.decode(*method.encode(state), size=objective.size)
                # read again by who goes on
                sample = objective.sample([block], n_rows=n_rows)
        found.append((state.point.tolist(), state.n_passes, state.missed, state.unsampled))
    assert found[0] == found[1]
    assert (found[0][-1] > 0) == (n_sample == 8)


def test_a_sample_of_noise_is_looked_at_once_and_nothing_is_as_if_it_had_not_been() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 30)) + rng.normal(size=(400, 1))
    y = (x[:, 0] + rng.normal(size=400) > 0).astype(float)
    engine, objective = objective_of("logistic", x, y)
    sample = objective.sample([Block(DenseFeatures(x[:20]), y[:20])], n_rows=10**6)
    found, asked = {}, []
    for name in ("lbfgs", "lbfgs-sampled"):
        method = OPTIMIZERS.get(name)(size=objective.size, tolerance=1e-9, max_passes=500)
        state: LineState = method.init(objective.start())
        curved, notes = [], []
        while (ask := method.ask(state)) is not None:
            curved.append(ask.curvature)
            state = method.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
            point = method.ask_sampled(state)
            if point is not None:
                asked.append(state.n_passes)
                state = method.tell_sampled(state, sample.at(point))
            notes.append(method.progress(state).note)
        found[name] = state.point.tolist(), state.n_passes, curved
    assert found["lbfgs"] == found["lbfgs-sampled"]
    assert asked == [1]
    assert [note for note in notes if note] == [notes[0]]
    assert "says too little" in str(notes[0])


@pytest.mark.parametrize("rare", [True, False])
def test_a_few_rows_tell_whether_the_others_are_worth_reading(rare: bool) -> None:
    """Of features of which each row has its own few nothing can be known, and of those that go together all is."""
    rng = np.random.default_rng(1)
    n, d = 12_000, 3_000 if rare else 60
    rows = np.repeat(np.arange(n), 6)
    if rare:
        at = rng.integers(0, d, (n, 6))
    else:
        at = (rng.integers(0, 10, (n, 1)) + 10 * np.arange(6)[None, :] + rng.integers(0, 2, (n, 6))) % d
    x = np.zeros((n, d))
    x[rows, at.ravel()] = 1
    y = (rng.random(n) < 0.5).astype(float)
    _, objective = objective_of("logistic", x[:500], y[:500])
    read: list[int] = []

    def blocks() -> Iterator[Block]:
        for k in range(0, n, 1500):
            read.append(k)
            yield Block(DenseFeatures(x[k : k + 1500]).as_sparse(), y[k : k + 1500])

    sample = objective.sample(blocks(), n_rows=10**6)
    assert len(read) == 2
    for _ in range(2):
        loss = sample.at(np.zeros(objective.size))
        assert (loss.noise > 0.5) == rare
        assert len(read) == (2 if rare else 8)
    whole = objective.sample([Block(DenseFeatures(x).as_sparse(), y)], n_rows=10**6).at(np.zeros(objective.size))
    # whoever asks for more than noise has it of all rows
    assert loss.rows.tolist() == whole.rows.tolist()
    assert loss.share == n / 10**6
    step = rng.normal(size=objective.size)
    assert loss.times(step).tobytes() == whole.times(step).tobytes()
    assert loss.moved(step).gradient.tobytes() == whole.moved(step).gradient.tobytes()
    assert loss.gains(step, (1.0,)).tobytes() == whole.gains(step, (1.0,)).tobytes()
    assert len(read) == 8


class Wrong:
    """Nonsense about a loss, of which no number is finite, or which leads up."""

    share, noise = 0.1, 0.0

    def __init__(self, size: int, factor: float) -> None:
        self.rows, self.penalty = np.full(size, 50.0), np.zeros(size)
        self.diagonal, self.gradient, self._factor = np.ones(size), np.zeros(size), factor

    def times(self, vector: Any) -> Any:
        return self._factor * vector

    def gains(self, direction: Any, steps: Any) -> Any:
        return np.full(len(steps), self._factor)

    def moved(self, direction: Any) -> Wrong:
        return self


@np.errstate(all="ignore")
@pytest.mark.parametrize("factor", [np.nan, np.inf, -1e9, 1e300, 0.0])
def test_nonsense_changes_nothing_of_what_is_found(factor: float) -> None:
    x, labels = rows()
    engine, objective = objective_of("logistic", x, labels["binary"])
    found = []
    for nonsense in (True, False):
        method = OPTIMIZERS.get("lbfgs-sampled")(size=objective.size, tolerance=1e-9, max_passes=500)
        state = method.init(objective.start())
        while (ask := method.ask(state)) is not None:
            state = method.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
            if nonsense and method.ask_sampled(state) is not None:
                state = method.tell_sampled(state, Wrong(objective.size, factor))
        result = method.result(state)
        assert result.stop.converged
        found.append(result.point)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


@np.errstate(all="ignore")
@pytest.mark.parametrize("factor", [np.nan, np.inf, -1e9, 1e300, 0.0])
def test_nonsense_changes_nothing_of_what_is_found_with_absolute_values_and_bounds(factor: float) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(30, 8))
    matrix, target = a.T @ a / 30, rng.normal(size=8)
    kinks = Kinks(np.full(8, 0.3), np.where(np.arange(8) < 4, -0.1, -np.inf), np.full(8, np.inf))

    def evaluation(ask: Ask) -> Evaluation:
        points = [ask.point if ask.direction is None else ask.point + t * ask.direction for t in ask.steps]
        values = [0.5 * (p - target) @ matrix @ (p - target) + 0.3 * np.abs(p).sum() for p in points]
        at = points[ask.chosen]
        return Evaluation(np.array(values), matrix @ (at - target), np.diag(matrix).copy(), kinks=kinks)

    found = []
    for nonsense in (True, False):
        method = OPTIMIZERS.get("proximal-lbfgs-sampled")(size=800, tolerance=1e-9, max_passes=500)
        state = method.init(np.zeros(8))
        while (ask := method.ask(state)) is not None:
            state = method.tell(state, evaluation(ask))
            if nonsense and method.ask_sampled(state) is not None:
                state = method.tell_sampled(state, Wrong(8, factor))
        result = method.result(state)
        assert result.stop.converged
        found.append(result.point)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_a_sample_whose_steps_are_too_long_is_given_up_soon() -> None:
    x, labels = rows()
    engine, objective = objective_of("logistic", x, labels["binary"])
    method = OPTIMIZERS.get("lbfgs-sampled")(size=objective.size, tolerance=1e-9, max_passes=500)
    state: LineState = method.init(objective.start())
    notes, seen = [], []
    while (ask := method.ask(state)) is not None:
        state = method.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
        notes.append(method.progress(state).note)
        if method.ask_sampled(state) is not None:
            seen.append(state.n_passes)
            # it knows nothing of the curvature
            state = replace(state, direction=1e3 * state.direction)
    assert method.result(state).stop.converged
    assert len(seen) <= 5
    assert state.unsampled <= 9
    assert [k + 1 for k, note in enumerate(notes) if note] == [state.unsampled]
    assert "too long" in str(notes[state.unsampled - 1])


# --- by the command line ----------------------------------------------------------------------------------------------


def together(path: Path) -> Path:
    """Sparse counts of rows of very different length, by few topics."""
    rng = np.random.default_rng(2)
    topics = rng.gamma(0.3, size=(8, 900)) / np.arange(1, 901) ** 0.9
    topics /= topics.sum(axis=1, keepdims=True)
    mixed = rng.dirichlet(np.full(8, 0.3), size=1500)
    lengths = 10 * rng.integers(1, 12, 1500)
    x = np.array([rng.multinomial(n, p / p.sum()) for n, p in zip(lengths, mixed @ topics, strict=True)])
    y = (mixed @ rng.normal(size=8) + 0.2 * rng.normal(size=1500) > 0).astype(int)
    return write_libsvm(path, x, y)


def test_within_the_budget_of_passes_and_the_same_bits_by_two_workers(tmp_path: Path) -> None:
    mr_ml = Commands(tmp_path / "root")
    mr_ml("pack", together(tmp_path / "rows"), "--to", "rows", "--partitions", "3")
    train = ("train", "rows", "--l2", "1e-4")
    diagonal = mr_ml(*train, "--model", "d", "--solver", "lbfgs")
    sampled = (*train, "--solver", "auto")
    here = mr_ml(*sampled, "--model", "a", "-r", "inline")
    there = mr_ml(*sampled, "--model", "b", "-r", "local", "--workers", "2")
    assert all(one["converged"] for one in (diagonal, here, there))
    assert (here["solver"], diagonal["solver"]) == ("lbfgs-sampled", "lbfgs")
    assert here["objective"] == pytest.approx(diagonal["objective"], rel=1e-6)
    assert (here["passes"], here["objective"]) == (there["passes"], there["objective"])
    assert here["passes"] <= 14
    assert here["passes"] <= 0.4 * diagonal["passes"]


@pytest.mark.parametrize("n_rows", [20_000, 500])
def test_absolute_values_within_the_budget_of_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_rows: int
) -> None:
    """Of all rows, or of a third of them: the same zeros, by fewer passes, and the same bits by two workers."""
    monkeypatch.setattr("mr_ml.models.linear.sampled.MOST_ROWS", n_rows)
    mr_ml = Commands(tmp_path / "root")
    mr_ml("pack", together(tmp_path / "rows"), "--to", "rows", "--partitions", "3")
    train = ("train", "rows", "--l1", "2e-3", "--solver")
    plain = mr_ml(*train, "proximal-lbfgs", "--model", "p")
    here = mr_ml(*train, "proximal-lbfgs-sampled", "--model", "a", "-r", "inline")
    there = mr_ml(*train, "proximal-lbfgs-sampled", "--model", "b", "-r", "local", "--workers", "2")
    assert plain["converged"]
    assert here["converged"]
    assert here["objective"] == pytest.approx(plain["objective"], rel=1e-6)
    assert ((mr_ml.coef("a").coef == 0) == (mr_ml.coef("p").coef == 0)).all()
    assert (here["passes"], here["objective"]) == (there["passes"], there["objective"])
    assert mr_ml.coef("a").coef.tobytes() == mr_ml.coef("b").coef.tobytes()
    assert here["passes"] <= (10 if n_rows > 1500 else plain["passes"] + 2)
    assert n_rows < 1500 or here["passes"] <= 0.5 * plain["passes"]


def test_many_classes_within_the_budget_of_passes(tmp_path: Path) -> None:
    """Of words in texts of very different lengths, where a direction of L-BFGS is far too long."""
    rng = np.random.default_rng(4)
    topics = rng.gamma(0.2, size=(20, 2000)) / np.arange(1, 2001) ** 0.9
    common = topics.mean(axis=0) / topics.mean(axis=0).sum()
    y = rng.integers(0, 20, 500)
    lengths = np.round(np.exp(rng.normal(4.5, 1.5, 500))).astype(int) + 1
    shares = (0.3 * p / p.sum() + 0.7 * common for p in topics[y])
    x = np.array([rng.multinomial(n, share / share.sum()) for n, share in zip(lengths, shares, strict=True)])
    mr_ml = Commands(tmp_path / "root")
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows")
    train = ("train", "rows", "--loss", "softmax", "--l2", "1e-5", "-r", "inline", "--solver")
    sampled = mr_ml(*train, "auto", "--model", "a")
    plain = mr_ml(*train, "lbfgs", "--model", "b", "--max-passes", "100")
    assert sampled["converged"]
    assert sampled["passes"] <= 50
    assert plain["objective"] > 1.01 * sampled["objective"]


@pytest.mark.parametrize(("solver", "penalty"), [("lbfgs", "--l2"), ("proximal-lbfgs", "--l1")])
def test_a_sample_of_noise_costs_no_pass_and_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, solver: str, penalty: str
) -> None:
    """Nor how long the first steps are, which another sample says."""
    monkeypatch.setattr("mr_ml.models.linear.sampled.MOST_ROWS", 40)
    rng = np.random.default_rng(6)
    x = (rng.random((600, 90)) < 0.1) * rng.integers(1, 4, (600, 90))
    y = (x @ rng.normal(size=90) > 0).astype(int)
    mr_ml = Commands(tmp_path / "root")
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows")
    train = ("train", "rows", penalty, "1e-3", "-r", "inline", "--solver")
    plain = mr_ml(*train, solver, "--model", "a")
    said = mr_ml.run(*train, f"{solver}-sampled", "--model", "b", "--json")
    assert said.code == 0
    assert (said.result["passes"], said.result["objective"]) == (plain["passes"], plain["objective"])
    assert said.err.count("a sample of the rows says too little of how features go together") == 1
    assert mr_ml.coef("a").coef.tolist() == mr_ml.coef("b").coef.tolist()
