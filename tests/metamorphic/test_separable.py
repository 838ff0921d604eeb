"""Classes that a plane divides, wholly or but for rows that lie on it: there is no finite optimum, and that is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from exact import answer
from fits import Solver
from problems import Floats, Problem
from scipy import special

METHODS = ("newton", "lbfgs")


def a_gap() -> Problem:
    x = np.array([-3.0, -2.0, -1.5, 1.0, 2.0, 4.0])[:, None]
    return Problem("logistic", x, (x[:, 0] > 0).astype(float))


def a_common_point() -> Problem:
    """Both classes at 5, the one below it, the other above."""
    x = np.array([1.0, 2.0, 3.0, 5.0, 5.0, 6.0, 8.0, 9.0])[:, None]
    return Problem("logistic", x, np.array([0.0, 0, 0, 0, 1, 1, 1, 1]))


def a_level_of_one_class() -> Problem:
    """An indicator whose rows are all of one class, beside a feature that tells little."""
    random = np.random.default_rng(5)
    x = np.stack([random.normal(size=40), np.arange(40) < 6], axis=1)
    y = (random.random(40) < 0.5).astype(float)
    y[:6] = 1
    return Problem("logistic", x, y)


def more_features_than_rows() -> Problem:
    random = np.random.default_rng(6)
    return Problem("logistic", random.normal(size=(10, 16)), np.resize([0.0, 1.0, 1.0], 10))


def one_class_of_three() -> Problem:
    random = np.random.default_rng(7)
    y = np.repeat([0.0, 1.0, 2.0], 15)
    x = np.stack([random.normal(size=45), random.normal(size=45) + 40 * (y == 2)], axis=1)
    return Problem("softmax", x, y)


def more_features_than_rows_of_three() -> Problem:
    return replace(more_features_than_rows(), loss="softmax", y=np.resize([0.0, 1.0, 2.0], 10))


def far_from_zero() -> Problem:
    return replace(a_gap(), x=a_gap().x + 2.0**32)


def with_weights() -> Problem:
    return replace(a_common_point(), weights=np.array([1e-6, 1, 1, 2, 2, 1, 1, 1e6]))


def offsets_that_know_the_classes() -> Problem:
    """Rows are on their right side by these alone, and steps go on for ever to move all of them further."""
    x = np.round(np.random.default_rng(1).normal(size=(40, 2)), 3)
    y = (x[:, 0] > 0).astype(float)
    return Problem("cloglog", x, y, offsets=np.where(y == 1, 8.0, -8.0))


SEPARABLE: list[Callable[[], Problem]] = [
    a_gap,
    a_common_point,
    a_level_of_one_class,
    more_features_than_rows,
    one_class_of_three,
    more_features_than_rows_of_three,
    far_from_zero,
    with_weights,
    offsets_that_know_the_classes,
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", SEPARABLE, ids=lambda make: make.__name__)
def test_no_optimum_is_said(solver: Solver, make: Callable[[], Problem], method: str) -> None:
    fit = solver.solve(make(), method=method)
    assert not fit.converged
    assert "separate" in fit.stop
    assert "--l2" in fit.stop


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", SEPARABLE, ids=lambda make: make.__name__)
def test_a_penalty_gives_one(solver: Solver, make: Callable[[], Problem], method: str) -> None:
    problem = replace(make(), l2=0.01)
    fit = solver.solve(problem, method=method, tolerance=1e-9)
    assert fit.converged, fit.stop
    if problem.loss == "logistic":
        _, margins = answer(problem)
        np.testing.assert_allclose(fit.margins[:, 0], margins, atol=1e-6 + 8 * fit.rounding.max())


def test_it_stays_with_the_model(solver: Solver) -> None:
    """Said when the model is trained, and to whoever looks at it later; the features are named."""
    name = solver.packed(a_level_of_one_class())
    done = solver.mr_ml.run("train", name, "--model", "parted")
    assert done.code == 0
    assert "separate" in done.err
    assert "x1" in done.err
    shown = solver.mr_ml.run("models", "show", "parted")
    assert "separate" in shown.out
    assert "x1" in shown.out
    assert solver.mr_ml("models", "show", "parted")["training"]["converged"] is False


@pytest.mark.parametrize("method", METHODS)
def test_all_lists_count_the_same_passes(solver: Solver, method: str) -> None:
    """Also of a run that has ended and is resumed, which looks for the features again."""
    done = solver.mr_ml("train", solver.packed(a_level_of_one_class()), "--model", f"by-{method}", "--solver", method)
    assert "separate" in done["stop"]
    assert solver.mr_ml("train", "--resume", done["run"])["passes"] == done["passes"]
    shown = solver.mr_ml("runs", "show", done["run"])
    assert [event["number"] for event in shown["log"]] == list(range(1, done["passes"] + 1))
    (listed,) = [r for r in solver.mr_ml("runs", "list")["runs"] if r["run"] == done["run"]]
    (model,) = [m for m in solver.mr_ml("models", "list")["models"] if m["model"] == f"by-{method}"]
    assert shown["passes"] == listed["passes"] == model["passes"] == done["passes"]


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_fewer_rows_than_features_is_said(solver: Solver, loss: str) -> None:
    """Of a regression too, whose values are fitted but whose coefficients are anyone's guess."""
    problem = replace(more_features_than_rows(), loss=loss)
    if loss == "squared":
        problem = replace(problem, y=np.random.default_rng(8).normal(size=10))
    done = solver.mr_ml.run("train", solver.packed(problem), "--model", f"wide-{loss}", "--loss", loss)
    assert done.code == 0
    assert "10 rows" in done.err
    assert ("one optimum of many" in done.err) is (loss == "squared")
    assert "--l2" in done.err


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [2.0, 8.0, 20.0])
@pytest.mark.parametrize("loss", ["logistic", "probit", "cloglog"])
def test_offsets_alone_separate_nothing(solver: Solver, loss: str, size: float, method: str) -> None:
    """They put every row on its right side, and coefficients would not keep it there: there is an optimum."""
    random = np.random.default_rng(0)
    x = np.round(random.normal(size=(60, 2)), 3)
    y = (random.random(60) < 0.5).astype(float)
    offsets = size * (2 * y - 1)
    fit = solver.solve(Problem(loss, x, y, offsets=offsets), method=method)
    assert fit.converged, fit.stop
    # the gradient at the optimum, by definition
    z = fit.margins[:, 0]
    slopes: dict[str, Callable[[], Floats]] = {
        "logistic": lambda: special.expit(z) - y,
        "probit": lambda: (1 - 2 * y) * np.exp(-(z**2) / 2 - special.log_ndtr((2 * y - 1) * z)),
        "cloglog": lambda: np.where(y == 0, np.exp(z), -np.exp(z) / np.expm1(np.exp(z))),
    }
    slope = slopes[loss]()
    a = np.column_stack([x, np.ones(60)])
    assert (np.abs(slope @ a) <= 1e-4 * np.abs(slope).sum()).all()
    if loss == "cloglog":
        # next to no slope far on the right side of one class: Newton's steps are short there, and passes run out
        return
    # with separable classes the same offsets hide nothing
    parted = replace(a_gap(), loss=loss, offsets=size * (2 * a_gap().y - 1))
    assert "separate" in solver.solve(parted, method=method).stop


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("loss", "size"), [("probit", 40.0), ("logistic", 1000.0), ("cloglog", 1000.0)])
def test_slopes_that_are_no_numbers_any_more_are_no_optimum(
    solver: Solver, loss: str, size: float, method: str
) -> None:
    """Where all rows are so far on their right side that every slope underflows to 0."""
    random = np.random.default_rng(0)
    x, y = np.round(random.normal(size=(60, 2)), 3), (random.random(60) < 0.5).astype(float)
    fit = solver.solve(Problem(loss, x, y, offsets=size * (2 * y - 1)), method=method)
    assert not fit.converged
    assert "does not determine" in fit.stop
    assert "--l2" in fit.stop


def test_a_curvature_that_has_no_inverse_ends_no_search_with_a_defect(solver: Solver) -> None:
    random = np.random.default_rng(0)
    x, y = np.round(random.normal(size=(60, 2)), 3), (random.random(60) < 0.5).astype(float)
    fit = solver.solve(Problem("cloglog", x, y, offsets=400 * (2 * y - 1)), method="newton")
    assert not fit.converged
