"""The linear regressions of NIST's Statistical Reference Datasets, against values that were computed in 80 digits.

Digits are log relative errors: -log10(|found - certified| / |certified|), without the division where 0 is certified.
Coefficients of powers up to the fifth are uncertain far beyond their last digits (their standard errors in Wampler3 are
2,000 times the values). Wampler4 and 5 have 100 and 10,000 times the residuals of Wampler3, as NIST made them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import read_csv
from exact import answer
from fits import Fit, Solver
from problems import Floats, Problem


def read(data_dir: Path, name: str) -> Floats:
    return read_csv(data_dir / "nist_strd" / f"{name}.csv")


def powers(x: Floats, degree: int) -> Floats:
    return np.stack([x**k for k in range(1, degree + 1)], axis=1)


def wampler(data_dir: Path, number: int) -> tuple[Problem, list[float], float]:
    """Problem, certified coefficients with the intercept first, and the residuals' standard deviation."""
    if number < 3:
        table, (coef, _) = read(data_dir, f"wampler{number}"), certified(data_dir, f"wampler{number}")
        return Problem("squared", powers(table[:, 1], 5), table[:, 0]), coef, 0.0
    plain, rough = read(data_dir, "wampler1"), read(data_dir, "wampler3")
    coef, deviation = certified(data_dir, "wampler3")
    factor = {3: 1, 4: 100, 5: 10_000}[number]
    y = plain[:, 0] + factor * (rough[:, 0] - plain[:, 0])
    return Problem("squared", powers(plain[:, 1], 5), y), coef, factor * deviation


def certified(data_dir: Path, name: str) -> tuple[list[float], float]:
    found: Any = json.loads((data_dir / "_oracles" / f"nist_{name}.json").read_text())["recomputed_80_digits"]
    return [float(value) for value in found["coef"]], float(found["residual_sd"])


def digits(found: float, right: float) -> float:
    off = abs(found - right) / (abs(right) or 1.0)
    return 15.0 if off == 0 else -float(np.log10(off))


def agreeing(problem: Problem, fit: Fit, coef: list[float], deviation: float) -> tuple[float, float]:
    """Digits of the worst coefficient and of the residuals' standard deviation."""
    found = [*fit.coef[0, -1:], *fit.coef[0, :-1]] if problem.intercept else fit.coef[0, :-1].tolist()
    residuals = fit.margins[:, 0] - problem.y
    sd = float(np.sqrt(residuals @ residuals / (len(problem.y) - len(coef))))
    return min(map(digits, found, coef)), digits(sd, deviation)


@pytest.mark.parametrize(("name", "least"), [("norris", 12), ("noint1", 14), ("longley", 12)])
def test_real_tables(solver: Solver, data_dir: Path, name: str, least: float) -> None:
    table = read(data_dir, name)
    problem = Problem("squared", table[:, 1:], table[:, 0], intercept=name != "noint1")
    fit = solver.solve(problem)
    assert fit.converged, fit.stop
    assert fit.passes <= 2
    assert min(agreeing(problem, fit, *certified(data_dir, name))) >= least


@pytest.mark.parametrize(("number", "least"), [(1, 9), (2, 11), (3, 9), (4, 7), (5, 5.5)])
def test_wampler(solver: Solver, data_dir: Path, number: int, least: float) -> None:
    problem, coef, deviation = wampler(data_dir, number)
    fit = solver.solve(problem)
    assert fit.converged, fit.stop
    assert fit.passes <= 3
    of_coef, of_deviation = agreeing(problem, fit, coef, deviation)
    assert of_coef >= least
    assert of_deviation >= 8


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_wampler_without_a_hessian(solver: Solver, data_dir: Path, number: int) -> None:
    problem, coef, deviation = wampler(data_dir, number)
    fit = solver.solve(problem, method="lbfgs")
    assert fit.converged, fit.stop
    assert agreeing(problem, fit, coef, deviation)[1] >= 8


def test_longley_as_far_as_double_precision_goes(solver: Solver, data_dir: Path) -> None:
    table = read(data_dir, "longley")
    problem = Problem("squared", table[:, 1:], table[:, 0])
    fit = solver.solve(problem, tolerance=1e-12)
    assert min(agreeing(problem, fit, *certified(data_dir, "longley"))) >= 12


def test_filip(solver: Solver, data_dir: Path) -> None:
    """Powers up to the tenth repeat each other to ten digits: sums of their products would need more than sixteen."""
    table = read(data_dir, "filip")
    problem = Problem("squared", powers(table[:, 1], 10), table[:, 0])
    fit = solver.solve(problem)
    assert fit.converged, fit.stop
    assert min(agreeing(problem, fit, *certified(data_dir, "filip"))) >= 7.5


@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_filip_is_right_or_said_not_to_be(solver: Solver, data_dir: Path, method: str) -> None:
    table = read(data_dir, "filip")
    problem = Problem("squared", powers(table[:, 1], 10), table[:, 0])
    fit = solver.solve(problem, method=method)
    _, deviation = certified(data_dir, "filip")
    _, fitted = answer(problem)
    right = bool((np.abs(fit.margins[:, 0] - fitted) <= 1e-2 * deviation).all())
    assert right or not fit.converged, fit.stop


@pytest.mark.parametrize("degree", [11, 14, 17, 19])
def test_powers_are_fitted_or_said_to_be_too_many(solver: Solver, degree: int) -> None:
    """From some degree on no double tells what the last ones add, and a fit without them is wrong."""
    t = np.linspace(-9, -3, 80)
    problem = Problem("squared", powers(t, degree), np.sin(3 * t) + 0.001 * (np.arange(80) % 3))
    fit = solver.solve(problem)
    _, fitted = answer(problem)
    deviation = float(np.sqrt(np.mean((problem.y - fitted) ** 2)))
    right = bool((np.abs(fit.margins[:, 0] - fitted) <= 2e-2 * deviation).all())
    assert fit.converged == right, fit.stop
    assert right == (degree < 17)


def test_categories_that_sum_to_the_intercept_are_no_such_powers(solver: Solver) -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 4, 200)
    x = np.column_stack([np.eye(4)[group], rng.normal(size=200), np.eye(4)[group, :2]])
    problem = Problem("squared", x, rng.normal(size=200) + group)
    fit = solver.solve(problem)
    assert fit.converged, fit.stop
    a = np.column_stack([x[:, :5], np.ones(200)])
    fitted = a @ np.linalg.lstsq(a, problem.y, rcond=1e-10)[0]
    np.testing.assert_allclose(fit.margins[:, 0], fitted, rtol=1e-10, atol=1e-11)
