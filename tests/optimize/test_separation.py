"""No solver calls converged what has no finite optimum, all do where there is one; linear programming decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import count

import numpy as np
import pytest
from separable_cases import LOSSES, TWO_CLASSES, Case, ended, has_no_optimum, random_case, searched

from mr_ml.models.linear.kind.endless import endless
from mr_ml.models.linear.sides import SidesQuery
from mr_ml.optimize.base import Stop
from mr_ml.optimize.choose import OPTIMIZERS, choose

SOLVERS = [name for name in OPTIMIZERS.built_in if name != "auto"]
PROXIMAL = [name for name in SOLVERS if choose(name, size=3, tolerance=1, max_passes=1).takes_kinks]
# of each kind so many
N = 2
# where steps of L-BFGS leap to probabilities of 1
LEAP = ("softmax", 3)
# where L-BFGS ends in rounding, on most processors
LOST = ("softmax", 29)


@cache
def some(loss: str, *, bounded: bool = False) -> tuple[tuple[int, Case, bool], ...]:
    """The first cases that have an optimum, and the first ones that have none; to know that takes most of the time."""
    return tuple(_some(loss, bounded=bounded))


def _some(loss: str, *, bounded: bool) -> Iterator[tuple[int, Case, bool]]:
    left = {True: N, False: N}
    for seed in count():
        case = random_case(loss, seed, bounded=bounded)
        none = has_no_optimum(case)
        left[none] -= 1
        if left[none] >= 0:
            yield seed, case, none
        if max(left.values()) <= 0:
            return


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_converged_means_that_there_is_an_optimum(loss: str, solver: str) -> None:
    # of three classes steps of L-BFGS may go so far that rounding ends the search, which differs between processors
    apart = {Stop.SEPARABLE, Stop.FLAT} if loss == "softmax" and "lbfgs" in solver else {Stop.SEPARABLE}
    for seed, case, none in some(loss):
        stop = searched(case, solver).stop
        assert stop in apart if none else stop.converged, (seed, stop)


def test_a_leap_is_seen() -> None:
    assert searched(random_case(*LEAP), "lbfgs").stop is Stop.SEPARABLE


def test_where_rounding_ends_the_search_the_rows_prove_why() -> None:
    """One class is so far from two others that nothing of it is left in slopes."""
    result, objective, engine = ended(random_case(*LOST), "lbfgs")
    directions = endless(objective, result)
    query = SidesQuery(objective.rows, tuple(map(objective.coef, directions)))
    assert query.read(engine.run(query)).endless() is not None


@pytest.mark.parametrize("solver", ["newton", "proximal-newton"])
def test_newton_does_not_settle_where_it_moves_rows_back_too(solver: str) -> None:
    """Of `cloglog` too few rows are still when its steps are short, and some go back by a sixth of them."""
    x = np.array(
        [[-1.12, 0, 1, 1.7, 0.3], [-1.68, 0, 0, -0.4, -0.3], [-1.99, 0, 1, 0, 1.8], [0.73, 0, 1, 0, -1.4],
         [0.16, 0, 0, 0, -1.1], [-0.1, 0, 1, 0, -0.8], [-0.03, 0, 1, 0, -0.2], [0.61, 1, 1, 0, -1.2],
         [0.03, 0, 0, 0, 0.8], [-0.42, 0, 0, 0, -0.9], [-0.45, 0, 0, 0, 0], [0.46, 0, 0, 0, 0.2],
         [-1.74, 0, 1, 0, -0.9], [-0.56, 0, 1, 0, 0.4], [0.25, 0, 0, 0, -1.1]]
    )  # fmt: skip
    case = Case("cloglog", x, np.array([1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1.0]))
    assert has_no_optimum(case)
    assert searched(case, solver).stop is Stop.SEPARABLE


@pytest.mark.parametrize("solver", ["newton", "proximal-newton"])
@pytest.mark.parametrize("seed", [10, 63, 211])
def test_newton_has_leapt_too_where_rows_are_fewer_than_coefficients(seed: int, solver: str) -> None:
    """Rows of huge counts let steps be so long that those of label 0 have no curvature left, and nothing moves."""
    random = np.random.default_rng(seed)
    x, y = random.integers(-4, 5, (8, 9)).astype(np.float64), np.zeros(8)
    y[[2, 5]] = 1256, 162383
    case = Case("negative_binomial:theta=2", x, y, np.float64(10) ** random.integers(-5, 4, 8).astype(np.float64))
    assert has_no_optimum(case)
    assert searched(case, solver).stop is Stop.SEPARABLE


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("n_rows", "n_apart"), [(40, 6), (4000, 3)])
@pytest.mark.parametrize("loss", TWO_CLASSES)
def test_short_steps_go_on_for_ever_too(loss: str, n_rows: int, n_apart: int, solver: str) -> None:
    """Of the second class `cloglog` has slopes of exp(-exp(z)) alone, for which Newton's steps become short."""
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(size=n_rows).round(2), np.arange(n_rows) < n_apart])
    y = (random.random(n_rows) < 0.5).astype(np.float64)
    y[:n_apart] = 1
    assert searched(Case(loss, x, y), solver).stop is Stop.SEPARABLE
    y[0] = 0
    assert searched(Case(loss, x, y), solver).stop.converged


@pytest.mark.parametrize("solver", PROXIMAL)
@pytest.mark.parametrize("loss", LOSSES)
def test_bounds_are_known_to_hold_coefficients(loss: str, solver: str) -> None:
    """Coefficients that must not fall below 0: planes that need such ones separate nothing."""
    for seed, case, none in some(loss, bounded=True):
        stop = searched(case, solver).stop
        assert stop.converged is not none, (seed, stop)


def test_the_oracle_knows_cases_that_are_plain() -> None:
    """Rows on both sides of each other, a gap, and a plane with both classes on it."""
    case = random_case("logistic", 0)
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    for y, none in (([0, 1, 0, 1], False), ([0, 0, 1, 1], True), ([0, 1, 1, 1], True)):
        assert has_no_optimum(replace(case, x=x, y=np.array(y, float), offsets=None)) is none
    both = replace(case, x=np.array([[1.0], [1.0], [2.0]]), y=np.array([0.0, 1.0, 1.0]), offsets=None)
    assert has_no_optimum(both)
    assert not has_no_optimum(replace(both, x=-both.x, bounded=True))
