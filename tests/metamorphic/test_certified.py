"""The linear regressions of NIST's Statistical Reference Datasets, against values that were computed in 80 digits.

Digits are log relative errors: -log10(|found - certified| / |certified|), without the division where 0 is certified.
Coefficients of powers up to the fifth are uncertain far beyond their last digits (their standard errors in Wampler3 are
2,000 times the values), so that what must agree by default is the fit. Wampler4 and 5 have 100 and 10,000 times the
residuals of Wampler3, as NIST made them.
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


@pytest.mark.parametrize(("name", "least"), [("norris", 11), ("noint1", 13), ("longley", 9)])
def test_real_tables(solver: Solver, data_dir: Path, name: str, least: float) -> None:
    table = read(data_dir, name)
    problem = Problem("squared", table[:, 1:], table[:, 0], intercept=name != "noint1")
    fit = solver.solve(problem)
    assert fit.converged, fit.stop
    assert min(agreeing(problem, fit, *certified(data_dir, name))) >= least


@pytest.mark.parametrize(("number", "least"), [(1, 8), (2, 10), (3, 5), (4, 5), (5, 5)])
def test_wampler(solver: Solver, data_dir: Path, number: int, least: float) -> None:
    problem, coef, deviation = wampler(data_dir, number)
    fit = solver.solve(problem)
    assert fit.converged, fit.stop
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
    assert min(agreeing(problem, fit, *certified(data_dir, "longley"))) >= 11


@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_filip_is_right_or_said_not_to_be(solver: Solver, data_dir: Path, method: str) -> None:
    """Powers up to the tenth repeat each other to ten digits: sums of their products would need more than sixteen."""
    table = read(data_dir, "filip")
    problem = Problem("squared", powers(table[:, 1], 10), table[:, 0])
    fit = solver.solve(problem, method=method)
    _, deviation = certified(data_dir, "filip")
    _, fitted = answer(problem)
    right = bool((np.abs(fit.margins[:, 0] - fitted) <= 1e-2 * deviation).all())
    assert right or not fit.converged, fit.stop
