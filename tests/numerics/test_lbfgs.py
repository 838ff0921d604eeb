"""The optimizers as machines: passes counted, every stop reached, every state a point to go on from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective, minimise, read_csv, read_libsvm, same_arrays
from golden_frames import STATE, golden
from scipy.optimize import rosen, rosen_der, rosen_hess

from mr_ml import frame
from mr_ml.optimize.base import Ask, Evaluation, Stop
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line import LineMethod, LineState
from mr_ml.optimize.newton import Newton
from mr_ml.rowspec import RowSpec

METHODS: list[type[LineMethod]] = [Lbfgs, Newton]


@dataclass(frozen=True)
class Function:
    """What an engine and an objective are to an optimizer."""

    value: Callable[[Any], float]
    gradient: Callable[[Any], Any]
    hessian: Callable[[Any], Any]

    def __call__(self, ask: Ask) -> Evaluation:
        points = [ask.point if ask.direction is None else ask.point + t * ask.direction for t in ask.steps]
        at = points[ask.chosen]
        values = np.array([self.value(p) for p in points])
        hessian = self.hessian(at)
        return Evaluation(values, self.gradient(at), np.diag(hessian).copy(), hessian if ask.hessian else None)


def run(function: Function, method: LineMethod, start: Any) -> list[LineState]:
    states = [method.init(np.asarray(start, float))]
    while (ask := method.ask(states[-1])) is not None:
        states.append(method.tell(states[-1], function(ask)))
    return states


ROSENBROCK = Function(rosen, rosen_der, rosen_hess)


def quadratic(scales: Any, *, centre: Any = 0.0) -> Function:
    a = np.asarray(scales, float)
    return Function(
        lambda x: float(0.5 * (a * (x - centre) ** 2).sum()), lambda x: a * (x - centre), lambda x: np.diag(a)
    )


def barrier() -> Function:
    """sum x - log x: infinite left of 0, and nothing at all that is known there."""

    def value(x: Any) -> float:
        return float((x - np.log(x)).sum()) if (x > 0).all() else np.inf

    return Function(value, lambda x: 1 - 1 / x, lambda x: np.diag(1 / x**2))


def logistic_rows(n: int = 150, d: int = 8, *, seed: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ (np.eye(d) + 0.4 * rng.normal(size=(d, d)))
    y = (x @ rng.normal(size=d) + rng.logistic(size=n) * 2 > 0).astype(float)
    return x, y


LOGISTIC = {"loss": "logistic", "classes": (0.0, 1.0)}


def fitted(x: Any, y: Any, method: LineMethod, *, l2: float = 0.01, **options: Any) -> LineState:
    spec = RowSpec(options.pop("loss", "logistic"), x.shape[1], classes=options.pop("classes", (0.0, 1.0)))
    engine = make_engine(x, y, form="stored", block_rows=options.pop("block_rows", 4096))
    state: LineState = minimise(engine, make_objective(engine, spec, l2=l2, **options), method)
    return state


# --- optima -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("start", [[-1.2, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0], [3.0, -2.0, 1.0]])
def test_the_banana_valley_is_walked_to_its_end(method: type[LineMethod], start: list[float]) -> None:
    states = run(ROSENBROCK, method(tolerance=1e-9), start)
    assert states[-1].stop is Stop.GRADIENT
    np.testing.assert_allclose(states[-1].point, 1, atol=1e-8)
    values = [s.value for s in states]
    assert all(later <= earlier for earlier, later in pairwise(values))


@pytest.mark.parametrize("method", METHODS)
def test_steps_into_the_infinite_are_not_taken(method: type[LineMethod]) -> None:
    with np.errstate(all="ignore"):
        states = run(barrier(), method(tolerance=1e-9), [40.0, 0.01, 3.0])
    assert states[-1].stop is Stop.GRADIENT
    np.testing.assert_allclose(states[-1].point, 1, atol=1e-8)
    assert all(np.isfinite(s.value) for s in states[1:])


@pytest.mark.parametrize("method", METHODS)
def test_what_a_state_says_of_its_point_is_true(method: type[LineMethod]) -> None:
    for state in run(ROSENBROCK, method(tolerance=1e-9), [-1.2, 1.0])[1:]:
        assert state.value == pytest.approx(rosen(state.point), rel=1e-15)
        assert state.gradient.tolist() == rosen_der(state.point).tolist()
        assert state.gradient_norm == np.abs(rosen_der(state.point)).max()


# --- passes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_start_that_is_the_optimum_takes_one_pass(method: type[LineMethod]) -> None:
    last = run(quadratic([1.0, 1e6], centre=7.0), method(), [7.0, 7.0])[-1]
    assert (last.n_passes, last.n_iterations, last.stop) == (1, 0, Stop.GRADIENT)
    assert last.point.tolist() == [7.0, 7.0]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_fit_takes_one_pass(method: type[LineMethod]) -> None:
    """The same number of rows of either label at every point: zero is the optimum."""
    x = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 2, axis=0)
    last = fitted(x, np.tile([0.0, 1.0], 20), method(tolerance=1e-12))
    assert (last.n_passes, last.stop) == (1, Stop.GRADIENT)


@pytest.mark.parametrize("method", METHODS)
def test_a_separable_parabola_takes_two_passes(method: type[LineMethod]) -> None:
    last = run(quadratic([1e-6, 1.0, 1e6], centre=2.0), method(tolerance=1e-6), np.zeros(3))[-1]
    assert (last.n_passes, last.stop) == (2, Stop.GRADIENT)


@pytest.mark.parametrize("method", METHODS)
def test_no_coefficients_take_one_pass(method: type[LineMethod]) -> None:
    empty = Function(lambda x: 3.0, lambda x: np.zeros(0), lambda x: np.zeros((0, 0)))
    last = run(empty, method(), np.zeros(0))[-1]
    assert (last.n_passes, last.stop, last.value) == (1, Stop.GRADIENT, 3.0)


@pytest.mark.parametrize("method", METHODS)
def test_a_pass_an_iteration_where_the_first_step_is_good(method: type[LineMethod]) -> None:
    """A pass more for the start, and one for every step that was not 1."""
    x, y = logistic_rows()
    engine = make_engine(x, y)
    objective = make_objective(engine, RowSpec("logistic", x.shape[1], classes=(0.0, 1.0)), l2=0.01)
    state = (optimizer := method(tolerance=1e-8)).init(np.zeros(objective.size))
    other_steps = 0
    while (ask := optimizer.ask(state)) is not None:
        before = state
        state = optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask))))
        if state.n_iterations > before.n_iterations:
            other_steps += state.step != 1
    assert state.stop is Stop.GRADIENT
    assert state.n_passes == 1 + state.n_iterations + other_steps
    assert other_steps <= 0.2 * state.n_iterations


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", ["logistic", "squared", "softmax"])
def test_units_of_features_cost_nothing(method: type[LineMethod], loss: str) -> None:
    """Standard deviations from 1e-3 to 1e3; powers of two change not one bit, others hardly the passes."""
    x, y = logistic_rows(d=9)
    classes: tuple[float, ...] = (0.0, 1.0)
    if loss == "squared":
        y, classes = x @ np.linspace(-1, 1, 9) + y, ()
    elif loss == "softmax":
        y, classes = y + (x[:, 0] > 1), (0.0, 1.0, 2.0)
    optimizer = method(tolerance=1e-7)
    options = {"loss": loss, "classes": classes, "penalty_space": "scaled", "l2": 1e-3}
    x = x / x.std(axis=0)
    standardised = fitted(x, y, optimizer, **options)
    exact = fitted(x * 2.0 ** np.array([-10, 10, 0, -5, 5, -8, 8, 3, -3]), y, optimizer, **options)
    assert (exact.n_passes, exact.value.hex()) == (standardised.n_passes, standardised.value.hex())
    other = fitted(x * np.logspace(-3, 3, 9), y, optimizer, **options)
    assert abs(other.n_passes - standardised.n_passes) <= 2
    assert other.value == pytest.approx(standardised.value, rel=1e-9)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_units_cost_nothing_to_models_without_penalty(loss: str) -> None:
    x, y = logistic_rows(d=9)
    y, classes = (y, (0.0, 1.0)) if loss == "logistic" else (x @ np.linspace(-1, 1, 9) + y, ())
    x = x / x.std(axis=0)
    passes = [
        fitted(x * factors, y, Lbfgs(tolerance=1e-7), l2=0.0, loss=loss, classes=classes).n_passes
        for factors in (np.ones(9), np.logspace(-3, 3, 9), np.logspace(3, -3, 9))
    ]
    assert max(passes) - min(passes) <= 2


def libsvm(name: str, n_features: int, classes: tuple[float, ...], loss: str = "logistic") -> Any:
    def load(data_dir: Path) -> Any:
        x, y = read_libsvm(data_dir / name, n_features=n_features)
        return x, y, {"loss": loss, "classes": classes}

    return load


def digits(data_dir: Path) -> Any:
    table = read_csv(data_dir / "sklearn" / "digits.csv.gz", skip=0)
    return table[:, :-1] / 16, table[:, -1], {"loss": "softmax", "classes": tuple(map(float, range(10)))}


BUDGETS = {
    "heart_scale": (libsvm("heart_scale/heart_scale", 13, (-1.0, 1.0)), 1e-7, 15, 6),
    "breast-cancer": (libsvm("libsvm_small/breast-cancer", 10, (2.0, 4.0)), 1e-7, 21, 9),
    "housing_scale": (libsvm("libsvm_small/housing_scale", 13, (), "squared"), 1e-7, 27, 2),
    "iris": (libsvm("spark_mllib/iris_libsvm.txt", 4, (0.0, 1.0, 2.0), "softmax"), 1e-7, 28, 8),
    "agaricus": (libsvm("agaricus/agaricus.txt.train", 126, (0.0, 1.0)), 1e-6, 81, 10),
    "dna": (libsvm("dna/dna.scale", 180, (1.0, 2.0, 3.0), "softmax"), 1e-5, 90, None),
    "digits": (digits, 1e-5, 40, None),
    "a9a": (libsvm("a9a/a9a", 123, (-1.0, 1.0)), 1e-4, 47, 7),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_real_data_within_the_budget_of_passes(data_dir: Path, name: str) -> None:
    """The counts measured when this was written, and a tenth: what makes a method slower must be known."""
    load, tolerance, lbfgs, newton = BUDGETS[name]
    x, y, options = load(data_dir)
    filled = x.nnz if hasattr(x, "nnz") else np.count_nonzero(x)
    options |= {"l2": 1 / len(y), "centre": filled >= x.shape[0] * x.shape[1] / 3}
    for method, budget in ((Lbfgs(tolerance=tolerance, memory=50), lbfgs), (Newton(tolerance=tolerance), newton)):
        if budget is not None:
            last = fitted(x, y, method, **dict(options))
            assert last.stop is Stop.GRADIENT
            assert last.n_passes <= int(1.1 * budget), f"{method.name} took {last.n_passes} passes"


# --- stop reasons -----------------------------------------------------------------------------------------------------

SENTENCES = {
    Stop.GRADIENT: r"^converged: the largest gradient component is below the tolerance",
    Stop.ROUNDING: r"^converged as far as floating point goes.*the tolerance asks for more than",
    Stop.LINE_SEARCH: r"^stopped: no step lowers the objective although.*mr-ml describe.*raise --l2",
    Stop.PASSES: r"^stopped: the budget of passes is used up; raise --max-passes, loosen --tolerance or raise --l2",
    Stop.DIVERGED: r"^stopped: the objective is not finite at the starting point; look for huge feature values",
}


def gradient_stop(method: type[LineMethod]) -> LineState:
    return run(ROSENBROCK, method(tolerance=1e-6), [0.0, 0.0])[-1]


def rounding_stop(method: type[LineMethod]) -> LineState:
    x, y = logistic_rows()
    return fitted(x, y, method(tolerance=0.0))


def line_search_stop(method: type[LineMethod]) -> LineState:
    """A gradient that is not that of the values: every step goes up."""
    wrong = Function(lambda x: float(np.abs(x).sum()), lambda x: -np.ones_like(x), lambda x: np.eye(len(x)))
    return run(wrong, method(), [1.0, 2.0])[-1]


def passes_stop(method: type[LineMethod]) -> LineState:
    return run(ROSENBROCK, method(max_passes=3), [-1.2, 1.0])[-1]


def diverged_stop(method: type[LineMethod]) -> LineState:
    return run(barrier(), method(), [-1.0])[-1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("reach", "stop"),
    [
        (gradient_stop, Stop.GRADIENT),
        (rounding_stop, Stop.ROUNDING),
        (line_search_stop, Stop.LINE_SEARCH),
        (passes_stop, Stop.PASSES),
        (diverged_stop, Stop.DIVERGED),
    ],
)
def test_every_stop_is_reached_and_says_what_to_do(
    method: type[LineMethod], reach: Callable[[type[LineMethod]], LineState], stop: Stop
) -> None:
    last = reach(method)
    assert last.stop is stop
    assert method().ask(last) is None
    assert stop.converged == (stop in (Stop.GRADIENT, Stop.ROUNDING))
    assert re.search(SENTENCES[stop], stop.value)


def test_there_is_no_other_stop() -> None:
    assert set(Stop) == set(SENTENCES)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(2))
def test_a_tolerance_beyond_rounding_does_not_use_up_the_passes(method: type[LineMethod], seed: int) -> None:
    x, y = logistic_rows(seed=seed)
    softmax = {"loss": "softmax", "classes": (0.0, 1.0, 2.0)}
    for labels, options in ((y, {}), (y + (x[:, 0] > 1), softmax)):
        soon = fitted(x, labels, method(tolerance=1e-9), **options)
        last = fitted(x, labels, method(tolerance=0.0), **options)
        assert last.stop is Stop.ROUNDING
        assert last.gradient_norm <= 1e-14
        assert last.n_passes <= 2 * soon.n_passes + 10


@pytest.mark.parametrize("method", METHODS)
def test_features_that_overflow_are_not_left_out_in_silence(method: type[LineMethod]) -> None:
    x, y = logistic_rows()
    x[:, 3] *= 1e200
    with np.errstate(all="ignore"):
        last = fitted(x, y, method())
    assert last.stop is Stop.DIVERGED


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("most", [1, 2, 3, 10])
def test_the_budget_of_passes_is_kept(method: type[LineMethod], most: int) -> None:
    last = run(ROSENBROCK, method(max_passes=most), [-1.2, 1.0])[-1]
    assert (last.n_passes, last.stop) == (most, Stop.PASSES)


@pytest.mark.parametrize("method", METHODS)
def test_the_last_pass_of_the_budget_may_converge(method: type[LineMethod]) -> None:
    last = run(quadratic([1.0, 3.0], centre=1.0), method(max_passes=2), [0.0, 0.0])[-1]
    assert (last.n_passes, last.stop) == (2, Stop.GRADIENT)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_without_a_gradient_is_refused(method: type[LineMethod], bad: float) -> None:
    broken = Function(lambda x: 1.0, lambda x: np.array([bad, 0.0]), lambda x: np.eye(2))
    last = run(broken, method(), [0.0, 0.0])[-1]
    assert (last.n_passes, last.stop) == (1, Stop.DIVERGED)


@pytest.mark.parametrize("method", METHODS)
def test_a_gradient_that_turns_into_nan_ends_soon(method: type[LineMethod]) -> None:
    broken = Function(
        lambda x: float((x**2).sum()), lambda x: 2 * x if abs(x).max() > 2 else np.full(2, np.nan), lambda x: np.eye(2)
    )
    states = run(broken, method(), [4.0, 5.0])
    assert states[-1].stop is not None
    assert not states[-1].stop.converged
    assert states[-1].n_passes <= 20


# --- states -----------------------------------------------------------------------------------------------------------


def stored(method: LineMethod, state: LineState) -> LineState:
    data = frame.encode("state", *method.encode(state))
    opened = frame.decode(data, kind="state", where="here")
    found = method.decode(dict(opened.meta), dict(opened.arrays))
    assert frame.encode("state", *method.encode(found)) == data
    return found


def same_state(one: LineState, other: LineState) -> bool:
    mine, theirs = vars(one), vars(other)
    arrays, others = ({k: v for k, v in s.items() if isinstance(v, np.ndarray)} for s in (mine, theirs))
    scalars, other_scalars = ({k: repr(v) for k, v in s.items() if k not in arrays} for s in (mine, theirs))
    return same_arrays(arrays, others) and scalars == other_scalars


@pytest.mark.parametrize(
    ("method", "function", "start"),
    [
        (Lbfgs(tolerance=1e-9), ROSENBROCK, [-1.2, 1.0]),
        (Lbfgs(tolerance=1e-9, memory=2), ROSENBROCK, [-1.2, 1.0, 0.5, 2.0]),
        (Newton(tolerance=1e-9), ROSENBROCK, [-1.2, 1.0]),
        (Lbfgs(tolerance=1e-9), barrier(), [40.0, 0.01, 3.0]),
        (Lbfgs(max_passes=7), ROSENBROCK, [-1.2, 1.0]),
        (Lbfgs(), barrier(), [-1.0]),
    ],
)
def test_a_run_goes_on_from_any_stored_state_to_the_same_bits(
    method: LineMethod, function: Function, start: list[float]
) -> None:
    with np.errstate(all="ignore"):
        states = run(function, method, start)
        for state in states:
            assert same_state(stored(method, state), state)
        for number, state in enumerate(states[:-1]):
            resumed = [stored(method, state)]
            while (ask := method.ask(resumed[-1])) is not None:
                resumed.append(method.tell(resumed[-1], function(ask)))
            assert len(resumed) == len(states) - number
            assert all(same_state(a, b) for a, b in zip(resumed, states[number:], strict=True))


def test_a_failed_line_search_resumes_too() -> None:
    method = Lbfgs()
    wrong = Function(lambda x: float(np.abs(x).sum()), lambda x: -np.ones_like(x), lambda x: np.eye(len(x)))
    states = run(wrong, method, [1.0, 2.0])
    assert {s.shrinks for s in states} == {0, 1, 2}
    for state in states:
        assert same_state(stored(method, state), state)


@pytest.mark.parametrize("method", METHODS)
def test_a_training_resumed_at_every_pass_ends_with_the_same_bits(method: type[LineMethod]) -> None:
    x, y = logistic_rows(n=120, d=4)
    engine = make_engine(x, y, block_rows=16, partitions=3)
    objective = make_objective(engine, RowSpec("logistic", 4, classes=(0.0, 1.0)), l2=0.01, centre=True)
    optimizer = method(tolerance=1e-9)
    undisturbed = minimise(engine, objective, optimizer)
    state = optimizer.init(np.zeros(objective.size))
    while (ask := optimizer.ask(state)) is not None:
        state = stored(optimizer, optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask)))))
    assert same_state(state, undisturbed)


def test_states_are_values() -> None:
    """Told twice from the same state, twice the same comes out, and the state is as it was."""
    method = Lbfgs()
    for state in run(ROSENBROCK, method, [-1.2, 1.0])[:-1]:
        before = stored(method, state)
        ask = method.ask(state)
        assert ask is not None
        one, other = method.tell(state, ROSENBROCK(ask)), method.tell(state, ROSENBROCK(ask))
        assert same_state(one, other)
        assert same_state(state, before)


def test_memory_bounds_the_pairs_and_the_oldest_go_first() -> None:
    states = run(ROSENBROCK, Lbfgs(memory=3, tolerance=1e-9), [-1.2, 1.0, 3.0, -1.0])
    sizes = [len(s.pairs_s) for s in states]
    assert max(sizes) == 3
    for earlier, later in pairwise(states):
        assert len(later.pairs_s) == len(later.pairs_y)
        if later.n_iterations > earlier.n_iterations and len(later.pairs_s) == 3 == len(earlier.pairs_s):
            assert later.pairs_s[:-1].tolist() in (earlier.pairs_s[1:].tolist(), earlier.pairs_s[:-1].tolist())
            np.testing.assert_allclose(later.pairs_s[-1], later.point - earlier.point, rtol=1e-15)


def test_format_1_is_read_as_ever() -> None:
    opened = frame.decode(golden("state-format-1.frame"), kind="state", where="golden")
    found = Lbfgs().decode(dict(opened.meta), dict(opened.arrays))
    assert same_state(found, STATE)
    assert not same_state(found, replace(STATE, n_passes=11))
