"""Searches whose objective has absolute values and bounds, by every optimizer of the registry that takes them."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizer_problems import Problem, logistic, of_many_sizes, quadratic, rotated

from mr_ml.data import frame
from mr_ml.errors import UsageError
from mr_ml.optimize.base import Ask, Evaluation, Kinks, Optimizer, Stop, stacked
from mr_ml.optimize.choose import OPTIMIZERS, choose

Floats = np.ndarray[Any, np.dtype[np.float64]]
Search = Optimizer[Any, Ask, Evaluation]
SOLVERS = [
    name for name in OPTIMIZERS if name != "auto" and choose(name, size=3, tolerance=1, max_passes=1).takes_kinks
]


def with_kinks(problem: Problem, kinks: Kinks) -> Any:
    """The answers of a problem with kinks, which no ask may leave the bounds of."""

    def answer(ask: Ask) -> Evaluation:
        found = problem(ask)
        direction = np.zeros(len(ask.point)) if ask.direction is None else ask.direction
        points = [ask.point + step * direction for step in ask.steps]
        for point in points:
            assert (point >= kinks.lower - 1e-12 * np.abs(point)).all()
            assert (point <= kinks.upper + 1e-12 * np.abs(point)).all()
        values = found.values + [float(kinks.l1 @ np.abs(point)) for point in points]
        return replace(found, values=values, kinks=kinks)

    return answer


def kinks_of(n: int, *, l1: Any = 0.0, lower: Any = -np.inf, upper: Any = np.inf) -> Kinks:
    return Kinks(*(np.broadcast_to(np.asarray(part, float), n).copy() for part in (l1, lower, upper)))


def ten() -> Problem:
    return quadratic(rotated(np.logspace(-2, 2, 10), seed=3), np.linspace(-2, 3, 10), np.zeros(10))


# as an objective says it whose penalty gives it an optimum
SEPARATED = replace(logistic(separated=True), separation=None)
CASES: dict[str, tuple[Problem, Kinks]] = {
    "l1": (ten(), kinks_of(10, l1=0.7)),
    "some l1": (ten(), kinks_of(10, l1=[0, 3] * 5)),
    "more than all": (ten(), kinks_of(10, l1=1e6)),
    "not negative": (ten(), kinks_of(10, lower=0)),
    "a box, and l1": (ten(), kinks_of(10, l1=0.1, lower=-0.3, upper=0.5)),
    "one point": (ten(), kinks_of(10, lower=0, upper=0)),
    "coordinates of many sizes": (of_many_sizes(), kinks_of(8, l1=1 / np.logspace(-6, 6, 8))),
    "classes": (logistic(separated=False), kinks_of(3, l1=0.05)),
    "separated classes": (SEPARATED, kinks_of(3, l1=1e-3)),
    "a box around separated classes": (SEPARATED, kinks_of(3, lower=-9, upper=9)),
    "more coefficients than rows": (quadratic(np.ones((4, 4)), np.ones(4), np.zeros(4)), kinks_of(4, l1=0.1)),
}  # fmt: skip


@pytest.fixture(params=SOLVERS)
def optimizer(request: pytest.FixtureRequest) -> Any:
    return lambda size, passes=300: choose(request.param, size=size, tolerance=1e-9, max_passes=passes, smooth=False)


def search(optimizer: Search, case: tuple[Problem, Kinks]) -> list[Any]:
    problem, kinks = case
    answer = with_kinks(problem, kinks)
    states = [optimizer.init(problem.start)]
    while (ask := optimizer.ask(states[-1])) is not None:
        states.append(optimizer.tell(states[-1], answer(ask)))
    return states


@pytest.mark.parametrize("name", CASES)
def test_what_is_found_meets_the_conditions_of_an_optimum(optimizer: Any, name: str) -> None:
    problem, kinks = CASES[name]
    search_of = optimizer(len(problem.start))
    states = search(search_of, CASES[name])
    result = search_of.result(states[-1])
    assert result.stop.converged
    x, g = result.point, problem.gradient(result.point)
    assert ((x >= kinks.lower) & (x <= kinks.upper)).all()
    unit = 1e-7 * np.asarray(problem.unit)
    moves = x != kinks.upper, x != kinks.lower
    assert (g + np.where(x >= 0, kinks.l1, -kinks.l1) >= -unit)[moves[0]].all()
    assert (g + np.where(x > 0, kinks.l1, -kinks.l1) <= unit)[moves[1]].all()
    reports = [search_of.progress(state) for state in states[1:]]
    for earlier, later in pairwise(reports):
        assert later.value <= earlier.value + 1e-12 * max(abs(earlier.value), 1.0)
    assert result.progress.gradient_norm <= 1e-9 or result.stop is Stop.ROUNDING


@pytest.mark.parametrize("name", CASES)
def test_a_search_goes_on_from_every_stored_state_to_the_same_bits(optimizer: Any, name: str) -> None:
    problem, kinks = CASES[name]
    size, answer = len(problem.start), with_kinks(problem, kinks)
    search_of = optimizer(size)

    def stored(state: Any) -> bytes:
        meta, arrays = search_of.encode(state)
        return frame.encode("state", meta, stacked(arrays, size))

    states = search(search_of, CASES[name])
    for state, following in zip(states, [*states[1:], None], strict=True):
        opened = frame.decode(stored(state), kind="state", where="here")
        again = search_of.decode(opened.meta, opened.arrays, size=size)
        assert search_of.progress(again) == search_of.progress(state)
        ask = search_of.ask(again)
        assert (ask is None) == (following is None)
        if ask is not None:
            assert stored(search_of.tell(again, answer(ask))) == stored(following)


def test_separated_classes_within_one_sided_bounds_have_no_optimum(optimizer: Any) -> None:
    """The bounds leave room in the direction in which they are separated, and nothing else holds coefficients."""
    problem = logistic(separated=True)
    case = problem, kinks_of(3, lower=[0, -np.inf, 0], upper=[np.inf, 0, np.inf])
    assert optimizer(3).result(search(optimizer(3), case)[-1]).stop is Stop.SEPARABLE


def test_a_search_takes_no_more_than_it_says(optimizer: Any) -> None:
    size = 300
    search_of = optimizer(size, 25)
    problem = quadratic(rotated(np.logspace(-2, 2, size)), np.linspace(-2, 3, size), np.zeros(size))
    answer, cost = with_kinks(problem, kinks_of(size, l1=0.1, lower=-1)), search_of.cost(size)
    state = search_of.init(problem.start)
    while (ask := search_of.ask(state)) is not None:
        found = answer(ask)
        tracemalloc.start()
        state = search_of.tell(state, found)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        sums = 4 * cost.pass_bytes if found.hessian is not None else 0
        assert peak <= cost.state_bytes + cost.history_bytes + sums + (1 << 14)


def test_quadratics_take_one_pass_where_the_hessian_is_known() -> None:
    newton = choose("auto", size=10, tolerance=1e-6, max_passes=9, smooth=False)
    case = replace(ten(), hessian=lambda x: np.asarray(rotated(np.linspace(1, 3, 10), seed=3))), kinks_of(10, l1=0.7)
    problem = quadratic(rotated(np.linspace(1, 3, 10), seed=3), np.linspace(-2, 3, 10), np.zeros(10))
    answer = with_kinks(problem, case[1])
    state = newton.init(problem.start)
    state = newton.tell(state, replace(answer(newton.ask(state)), quadratic=True))
    assert newton.ask(state) is None
    exact = problem.gradient(newton.result(state).point)
    left = case[1].steepest(newton.result(state).point, exact)
    assert np.abs(left).max() < 1e-12


def test_methods_for_smooth_objectives_are_refused() -> None:
    with pytest.raises(
        UsageError, match="`solver`: expected one of auto, proximal-lbfgs, proximal-lbfgs-sampled, proximal-newton"
    ):
        choose("lbfgs", size=3, tolerance=1e-6, max_passes=9, smooth=False)


@pytest.mark.parametrize(("size", "name"), [(700, "proximal-newton"), (701, "proximal-lbfgs")])
def test_without_a_name_the_fewest_passes_are_chosen(size: int, name: str) -> None:
    assert choose("auto", size=size, tolerance=1e-6, max_passes=9, smooth=False).name == name


numbers = st.floats(-4, 4).map(lambda v: round(v, 1))


@given(x=numbers, p=numbers, g=numbers, l1=st.floats(0, 2), width=st.tuples(st.floats(0, 3), st.floats(0, 3)))
def test_one_coefficient_against_its_function(
    x: float, p: float, g: float, l1: float, width: tuple[float, float]
) -> None:
    """Against values on a grid, x lying within its bounds."""
    lower, upper = x - width[0], x + width[1]
    kinks = kinks_of(1, l1=l1, lower=lower, upper=upper)
    at, gradient = np.array([x]), np.array([g])
    assert kinks.change(at, np.array([p]), gradient) == pytest.approx(g * p + l1 * (abs(x + p) - abs(x)), abs=1e-12)
    (slope,) = kinks.steepest(at, gradient)
    for step in (1e-6, -1e-6):
        if lower <= x + step <= upper:
            change = (g * step + l1 * (abs(x + step) - abs(x))) / abs(step)
            assert change >= -abs(slope) - 1e-6
    (nearest,) = kinks.nearest(at + p, np.array([1.5]))
    grid = np.append(np.linspace(lower, upper, 2001), np.clip(0.0, lower, upper))
    values = 0.75 * (grid - x - p) ** 2 + l1 * np.abs(grid)
    assert lower <= nearest <= upper
    assert 0.75 * (nearest - x - p) ** 2 + l1 * abs(nearest) <= values.min() + 1e-12
