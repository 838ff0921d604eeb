"""docs/solvers.md has every solver, and what its script measures by is right."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

from mr_ml.optimize.choose import OPTIMIZERS

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts" / "bench"))

import solver_passes  # noqa: E402
from solver_passes import Counted, Data  # noqa: E402


def test_every_table_has_every_solver() -> None:
    """Made by the script as it is: run it again where a solver or a set has changed."""
    text = (CHECKOUT / "docs" / "solvers.md").read_text()
    assert text.startswith(solver_passes.HEAD)
    sections = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    tables = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert list(tables) == list(solver_passes.SETS)
    for name, table in tables.items():
        assert set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == set(OPTIMIZERS.built_in), name


def made(loss: str) -> Data:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = {"softmax": rng.integers(0, 3, 60), "logistic": rng.integers(0, 2, 60), "poisson": rng.poisson(2.0, 60)}
    return Data("some", "", x, y.get(loss, rng.normal(size=60)).astype(float), loss, 0.1)


@pytest.mark.parametrize("loss", ["logistic", "softmax", "poisson", "squared"])
def test_objectives_are_those_of_scikit_learn(loss: str) -> None:
    data = made(loss)
    theta = np.random.default_rng(1).normal(size=data.size)
    value, gradient = data.value_and_gradient(theta)
    np.testing.assert_allclose(
        gradient, approx_fprime(theta, lambda t: data.value_and_gradient(t)[0], 1e-7), rtol=1e-4, atol=1e-5
    )
    theirs = {
        "poisson": PoissonRegressor(alpha=0.1, tol=1e-10, solver="newton-cholesky"),
        "squared": Ridge(alpha=0.1 * 60, solver="cholesky"),
    }.get(loss, LogisticRegression(C=1 / (0.1 * 60), tol=1e-10, solver="newton-cholesky"))
    theirs.fit(data.x, data.y)
    best = data.value(np.atleast_2d(theirs.coef_), np.atleast_1d(theirs.intercept_))
    assert best < value
    there = np.column_stack([np.atleast_2d(theirs.coef_), np.atleast_1d(theirs.intercept_)]).ravel()
    assert np.abs(data.value_and_gradient(there)[1]).max() < 1e-7
    counted = {one.name: one for one in solver_passes.others(data)}
    for one in counted.values():
        # what was counted goes down to the optimum and no further
        assert one.sweeps_to(best * (1 + 1e-6)) != solver_passes.NOT_REACHED, one.name
        assert min(found for _, found in one.values) >= best * (1 - 1e-9), one.name
    assert {"textbook L-BFGS"} <= set(counted)


def test_the_first_sweep_that_is_near_enough_counts() -> None:
    counted = Counted("one", ((1.0, 8.0), (2.0, 3.0), (4.0, 2.0)))
    assert [counted.sweeps_to(value) for value in (9.0, 3.0, 2.5, 1.0)] == ["1", "2", "4", solver_passes.NOT_REACHED]
