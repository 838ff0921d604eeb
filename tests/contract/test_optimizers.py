"""What every optimizer of the registry promises, whatever its method.

A new one joins by its name in `OPTIMIZERS`: the suite runs over the registry, installed packages included, and over one
that a test adds from outside. Nothing here may look behind the protocol.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_libsvm
from optimizer_problems import PROBLEMS, Problem, logistic, quadratic, rosenbrock, rotated
from scipy.optimize import minimize
from toy_optimizer import toy

from hdfs_layout import Layout, LocalStore, Root
from mr_ml.catalog import checkpoints
from mr_ml.catalog.checkpoints import Checkpoints
from mr_ml.catalog.states import Owner
from mr_ml.data import frame
from mr_ml.optimize.base import Ask, Evaluation, Optimizer, Stop, stacked
from mr_ml.optimize.choose import OPTIMIZERS, Choice, choices

Floats = np.ndarray[Any, np.dtype[np.float64]]
Search = Optimizer[Any, Ask, Evaluation]

SOLVERS = [*OPTIMIZERS, "toy"]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """One more, as a caller of the library would add it."""
    OPTIMIZERS.register("toy", toy)
    yield
    OPTIMIZERS.unregister("toy")


@pytest.fixture(params=SOLVERS)
def solver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(solver: str, size: int, *, tolerance: float = 1e-9, max_passes: int = 500) -> Search:
    return OPTIMIZERS.get(solver)(size=size, tolerance=tolerance, max_passes=max_passes)


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest) -> Problem:
    return PROBLEMS[request.param]()


@np.errstate(all="ignore")
def search(optimizer: Search, problem: Problem, *, length: float | None = None) -> list[Any]:
    """The states, from the first to the last; a sample, if one is asked, says `length`."""
    states = [optimizer.init(problem.start)]
    while (ask := optimizer.ask(states[-1])) is not None:
        state = optimizer.tell(states[-1], problem(ask))
        if length is not None and optimizer.ask_sample(state) is not None:
            state = optimizer.tell_sample(state, length)
        states.append(state)
    return states


# --- what is found ----------------------------------------------------------------------------------------------------


def test_the_optimum_is_reached(solver: str, problem: Problem) -> None:
    optimizer = make(solver, len(problem.start))
    result = optimizer.result(search(optimizer, problem)[-1])
    assert result.stop.converged
    assert problem.value(result.point) == pytest.approx(problem.least, abs=problem.slack)
    small = np.abs(problem.gradient(result.point)) <= 1e-9 * problem.unit
    assert small.all() or result.stop is Stop.ROUNDING


def test_progress_is_true_and_values_never_rise(solver: str, problem: Problem) -> None:
    optimizer = make(solver, len(problem.start))
    states = search(optimizer, problem)
    reports = [optimizer.progress(state) for state in states]
    assert [report.passes for report in reports] == list(range(len(states)))
    for earlier, later in pairwise(reports[1:]):
        # where rounding hides the value, the gradient decides
        assert later.value <= earlier.value + 1e-12 * max(abs(earlier.value), 1.0)
    result = optimizer.result(states[-1])
    assert result.progress == reports[-1]
    assert reports[-1].value == problem.value(result.point)
    assert reports[-1].gradient_norm == np.abs(problem.gradient(result.point) / problem.unit).max(initial=0)


@pytest.mark.parametrize("length", [2.0**-12, 8.0])
def test_a_sample_that_is_wrong_changes_nothing_of_what_is_found(solver: str, length: float) -> None:
    problem = logistic(separated=False)
    optimizer = make(solver, 3)
    result = optimizer.result(search(optimizer, problem, length=length)[-1])
    assert result.stop.converged
    assert problem.value(result.point) == pytest.approx(problem.least, abs=1e-12)


def test_what_a_sample_is_asked_is_the_open_ask(solver: str) -> None:
    problem = logistic(separated=False)
    optimizer = make(solver, 3)
    for state in search(optimizer, problem):
        sampled, ask = optimizer.ask_sample(state), optimizer.ask(state)
        if sampled is not None:
            assert ask is not None
            assert vars(sampled) == vars(ask)
            after = optimizer.ask(optimizer.tell_sample(state, 0.5))
            assert after is not None
            assert np.array_equal(np.asarray(after.direction), 0.5 * np.asarray(ask.direction))


@pytest.mark.parametrize(("values", "points"), [(-200, 0), (200, 0), (0, -60), (0, 60), (-100, 40)])
def test_units_change_no_bit(solver: str, values: int, points: int) -> None:
    """The objective and its argument in other units, powers of two, up to the ends of what a float can hold."""
    plain = replace(logistic(separated=False), separation=None)
    f, x = 2.0**values, 2.0**points
    other = replace(
        plain,
        value=lambda p: f * plain.value(p / x), gradient=lambda p: f / x * plain.gradient(p / x),
        hessian=lambda p: f / x / x * plain.hessian(p / x), unit=f / x, fit_unit=f**0.5 * plain.fit_unit,
    )  # fmt: skip
    optimizer = make(solver, 3)
    ours, theirs = (optimizer.result(search(optimizer, one)[-1]) for one in (plain, other))
    assert (ours.stop, ours.progress.passes) == (theirs.stop, theirs.progress.passes)
    assert (theirs.point / x).tolist() == ours.point.tolist()


@np.errstate(all="ignore")
@pytest.mark.parametrize("guess", ["near", "far", "not finite"])
def test_a_guess_changes_nothing_of_what_is_found(solver: str, guess: str) -> None:
    """And a search goes on from every state that was stored."""
    problem = quadratic(rotated(np.array([1.0, 3.0, 10.0])), np.array([1.0, 2.0, 3.0]), np.zeros(3))
    guesses = {"near": np.array([1.1, 2.1, 2.9]), "far": np.full(3, -1e6), "not finite": np.full(3, 1e300)}
    optimizer = make(solver, 3)
    state = optimizer.init_warm(problem.start, guesses[guess])
    while (ask := optimizer.ask(state)) is not None:
        state = optimizer.tell(state, problem(ask))
        opened = frame.decode(encoded(optimizer, state, 3), kind="state", where="here")
        state = optimizer.decode(opened.meta, opened.arrays, size=3)
    result = optimizer.result(state)
    if guess == "not finite" and result.stop is Stop.DIVERGED:
        # an optimizer may begin at every guess
        return
    assert result.stop.converged
    np.testing.assert_allclose(result.point, [1.0, 2.0, 3.0], atol=1e-6)
    assert result.progress.value == problem.value(result.point)


# --- why it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [1, 2, 3, 7])
def test_the_budget_of_passes_is_kept(solver: str, budget: int) -> None:
    optimizer = make(solver, 2, max_passes=budget)
    states = search(optimizer, rosenbrock(2))
    assert len(states) == 1 + budget
    assert optimizer.result(states[-1]).stop is Stop.PASSES


def test_the_last_pass_of_the_budget_may_converge(solver: str) -> None:
    passes = len(search(make(solver, 2), rosenbrock(2))) - 1
    optimizer = make(solver, 2, max_passes=passes)
    assert optimizer.result(search(optimizer, rosenbrock(2))[-1]).stop.converged


def test_separated_classes_have_no_optimum(solver: str) -> None:
    optimizer = make(solver, 3)
    result = optimizer.result(search(optimizer, logistic(separated=True))[-1])
    assert result.stop is Stop.SEPARABLE
    assert result.separation is not None
    assert result.separation.min_gap > 0


def test_only_what_converged_rules_anything_out(solver: str) -> None:
    """And never a reason to have converged."""
    for budget in (3, 500):
        optimizer = make(solver, 2, max_passes=budget)
        result = optimizer.result(search(optimizer, rosenbrock(2))[-1])
        assert not any(stop.converged for stop in result.rules_out)
        assert result.stop.converged or not result.rules_out


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["value", "gradient"])
def test_a_start_that_is_not_finite_is_refused(solver: str, part: str, bad: float) -> None:
    broken = quadratic(np.eye(2), np.ones(2), np.zeros(2))
    if part == "value":
        broken = replace(broken, value=lambda x: bad)
    else:
        broken = replace(broken, gradient=lambda x: np.array([bad, 0.0]))
    optimizer = make(solver, 2)
    states = search(optimizer, broken)
    assert len(states) == 2
    assert optimizer.result(states[-1]).stop is Stop.DIVERGED


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_stops_being_finite_ends_the_search_soon(solver: str, bad: float) -> None:
    """Near the optimum, so that the search has to go there; values stay finite."""
    broken = quadratic(2 * np.eye(2), np.zeros(2), np.array([4.0, 5.0]))
    broken = replace(broken, gradient=lambda x: 2 * x if np.abs(x).max() > 2 else np.full(2, bad))
    optimizer = make(solver, 2, max_passes=100)
    states = search(optimizer, broken)
    result = optimizer.result(states[-1])
    assert not result.stop.converged
    assert len(states) <= 40
    assert np.isfinite(result.point).all()


# --- states -----------------------------------------------------------------------------------------------------------


def encoded(optimizer: Search, state: Any, size: int) -> bytes:
    meta, arrays = optimizer.encode(state)
    assert optimizer.histories.keys() <= arrays.keys()
    return frame.encode("state", meta, stacked(arrays, size))


@np.errstate(all="ignore")
def test_a_search_goes_on_from_every_stored_state_to_the_same_bits(solver: str, problem: Problem) -> None:
    """By one pass from each, which is all of them by induction. And nothing changes a state that is there."""
    size = len(problem.start)
    optimizer = make(solver, size)
    states = search(optimizer, problem)
    files = [encoded(optimizer, state, size) for state in states]
    for number, data in enumerate(files):
        opened = frame.decode(data, kind="state", where="here")
        state = optimizer.decode(opened.meta, opened.arrays, size=size)
        assert encoded(optimizer, state, size) == data
        ask = optimizer.ask(state)
        assert (ask is None) == (number == len(states) - 1)
        if ask is not None:
            assert encoded(optimizer, optimizer.tell(state, problem(ask)), size) == files[number + 1]
            assert encoded(optimizer, state, size) == data


def test_rows_of_histories_stay_what_they_are(solver: str) -> None:
    """The same objects from state to state, as many in each history, and unchanged."""
    optimizer = make(solver, 5)
    before: dict[int, tuple[Any, bytes]] = {}
    for state in search(optimizer, rosenbrock(5)):
        _, arrays = optimizer.encode(state)
        histories = [list(arrays[name]) for name in optimizer.histories]
        assert len({len(rows) for rows in histories}) <= 1
        rows = [row for history in histories for row in history]
        assert all(row.shape == (5,) for row in rows)
        for row in rows:
            kept, content = before.setdefault(id(row), (row, row.tobytes()))
            assert kept is row
            assert row.tobytes() == content
        # of a search that goes on, one row a pass is new at most
        known = len(before)
        assert known <= len(optimizer.histories) * optimizer.progress(state).passes


def damaged(meta: dict[str, Any], arrays: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Without each of the vectors, with others in their place, and with nonsense in the JSON."""
    for name, array in arrays.items():
        if array.shape == (5,):
            yield meta, {k: v for k, v in arrays.items() if k != name}
            yield meta, {**arrays, name: array[:-1]}
            yield meta, {**arrays, name: array.astype(np.int8)}
            yield meta, {**arrays, name: np.stack([array, array])}
    for name in meta:
        yield {**meta, name: []}, arrays
        yield {**meta, name: -1}, arrays


def test_what_is_no_state_is_refused(solver: str) -> None:
    optimizer = make(solver, 5)
    state = search(optimizer, rosenbrock(5))[2]
    meta, given = optimizer.encode(state)
    arrays = stacked(given, 5)
    optimizer.decode(meta, arrays, size=5)
    for wrong_meta, wrong_arrays in damaged(meta, arrays):
        with pytest.raises((KeyError, TypeError, ValueError)):
            optimizer.decode(wrong_meta, wrong_arrays, size=5)
    with pytest.raises((KeyError, TypeError, ValueError)):
        optimizer.decode(meta, arrays, size=4)


# --- what it costs ----------------------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def test_a_search_takes_no_more_than_it_says(solver: str) -> None:
    """Sums of a pass, arrays of a state, and the memory of a pass; what numpy and Python need besides is small."""
    size = 150
    problem = replace(rosenbrock(size), start=np.tile([-1.2, 1.0], size // 2))
    optimizer = make(solver, size, max_passes=40)
    cost, histories = optimizer.cost(size), set(optimizer.histories)
    # the first time modules are loaded
    search(optimizer, replace(problem, start=problem.start[:2]))
    state = optimizer.init(problem.start)
    while (ask := optimizer.ask(state)) is not None:
        found = problem(ask)
        sums = [part for part in (found.gradient, found.curvature, found.hessian) if part is not None]
        assert sum(part.nbytes for part in sums) <= cost.pass_bytes
        del sums
        tracemalloc.start()
        state = optimizer.tell(state, found)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        with_hessian = 4 * cost.pass_bytes if found.hessian is not None else 0
        assert peak <= cost.state_bytes + cost.history_bytes + with_hessian + (1 << 14)
        _, arrays = optimizer.encode(state)
        taken = {name: sum(np.asarray(row).nbytes for row in rows) for name, rows in arrays.items()}
        assert sum(taken[name] for name in histories) <= cost.history_bytes
        assert sum(taken[name] for name in taken.keys() - histories) <= cost.state_bytes
    assert cost.history_bytes == optimizer.cost(2 * size).history_bytes / 2


@pytest.mark.parametrize("size", [1, 700, 701, 300_000, 30_000_000])
def test_a_state_is_stored_under_a_name_that_makes_the_same_optimizer(solver: str, size: int) -> None:
    optimizer = make(solver, size)
    assert make(optimizer.name, size) == optimizer
    cost = optimizer.cost(size)
    assert all(isinstance(n, int) and n >= 0 for n in vars(cost).values())
    assert cost.pass_bytes >= 8 * size


@pytest.mark.parametrize("size", [3, 10_000])
def test_what_a_search_takes_does_not_depend_on_how_many_passes_it_is_given(solver: str, size: int) -> None:
    """By it a run is given a solver, by which it has to go on with more passes."""
    few, many = (make(solver, size, max_passes=max_passes).cost(size) for max_passes in (1, 500))
    assert few == many


# --- in the product ---------------------------------------------------------------------------------------------------


@np.errstate(all="ignore")
@pytest.mark.parametrize("form", ["small", "large"])
def test_checkpoints_store_and_restore_it(
    solver: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every pass by a process of its own; small states as one file, large ones with histories apart."""
    monkeypatch.setattr(checkpoints, "HISTORIES_APART_FROM", 1 << 60 if form == "small" else 0)
    problem, optimizer = rosenbrock(5), make(solver, 5)
    root, owner = Root(LocalStore(str(tmp_path)), Layout("root")), Owner("run", "0" * 64, "rows@1", "data")
    complaints: list[str] = []
    for expected in search(optimizer, problem)[1:]:
        kept = Checkpoints(root, owner, optimizer, size=5, say=complaints.append)
        state = kept.load()
        state = optimizer.init(problem.start) if state is None else state
        ask = optimizer.ask(state)
        assert ask is not None
        state = optimizer.tell(state, problem(ask))
        assert encoded(optimizer, state, 5) == encoded(optimizer, expected, 5)
        kept.save(state)
    assert not complaints
    files = root.store.walk("runs")
    assert sum(path.endswith("state") for path in files) == 2
    assert any(path.endswith("pairs") for path in files) == (form == "large" and bool(optimizer.histories))


def test_the_command_line_trains_by_it(solver: str, tmp_path: Path) -> None:
    """To the coefficients that scipy finds."""
    rng = np.random.default_rng(1)
    x = np.round(rng.normal(size=(200, 3)), 3)
    y = (x @ [1.0, -2.0, 0.5] + rng.logistic(size=200) > 0).astype(int)
    mr_ml = Commands(tmp_path / "root", runner=("-r", "inline"))
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows")
    done = mr_ml("train", "rows", "--model", "m", "--solver", solver, "--l2", "0.01", "--tolerance", "1e-9")
    assert done["converged"]
    assert done["solver"] == make(solver, 4).name

    def objective(w: Floats) -> float:
        z = x @ w[:3] + w[3]
        return float(np.mean(np.logaddexp(0, z) - y * z) + 0.005 * w[:3] @ w[:3])

    found = minimize(objective, np.zeros(4), tol=1e-12)
    np.testing.assert_allclose(mr_ml.coef("m").coef[0], found.x[:3], atol=1e-5)
    assert done["objective"] == pytest.approx(found.fun, rel=1e-9)


@pytest.mark.parametrize(
    ("size", "name", "why"),
    [
        (1, "newton", "is small"),
        (700, "newton", "Hessian of 700 coefficients is small"),
        (701, "lbfgs-sampled", "the Hessian of 701 coefficients is too large for newton (700)"),
        (2_000_000, "lbfgs-sampled", "2,000,000 coefficients"),
        (2_000_001, "lbfgs", "too large for newton (700) and a sample of the rows is for up to 2,000,000 coefficients"),
        (30_000_000, "lbfgs", "30,000,000 coefficients"),
    ],
)
def test_without_a_name_the_fewest_passes_are_chosen_while_these_return_little(size: int, name: str, why: str) -> None:
    """Whatever else there is: the run is the same where another package is installed."""
    assert make("auto", size).name == name
    found = choices("auto", size=size)
    assert found[0].solver == name
    assert why in found[0].why


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("size", [1, 700, 701, 2_000_001])
def test_each_choice_takes_less_memory_than_the_one_before(size: int, smooth: bool) -> None:
    found = choices("auto", size=size, smooth=smooth)
    costs = [make(choice.solver, size).cost(size) for choice in found]
    assert all((cost.sampled, cost.state_bytes) > (less.sampled, less.state_bytes) for cost, less in pairwise(costs))
    # what `auto` meant before runs wrote down what they chose
    before = ("newton", "lbfgs") if smooth else ("proximal-newton", "proximal-lbfgs")
    assert found[-1].solver == before[size > 700]


def test_a_name_is_its_only_choice(solver: str) -> None:
    if solver != "auto":
        assert choices(solver, size=10**6) == (Choice(solver, ""),)
