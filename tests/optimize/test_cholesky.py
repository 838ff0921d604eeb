"""Substitution after numpy's Cholesky factor, held against scipy's solver and against the equations themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from mr_ml.optimize import cholesky

EPS = float(np.finfo(float).eps)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 60, 301])
def test_solutions_are_those_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(2 * n, n))
    matrix, b = x.T @ x, rng.normal(size=n)
    found = cholesky.solved(np.linalg.cholesky(matrix), b)
    expected = linalg.cho_solve(linalg.cho_factor(matrix, lower=True), b)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e12])
def test_what_is_left_of_ill_conditioned_equations_is_rounding(condition: float) -> None:
    rng = np.random.default_rng(3)
    n = 40
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    matrix = (q * np.geomspace(1, 1 / condition, n)) @ q.T
    matrix = (matrix + matrix.T) / 2
    b = rng.normal(size=n)
    x = cholesky.solved(np.linalg.cholesky(matrix), b)
    assert np.abs(matrix @ x - b).max() <= 20 * n * EPS * np.linalg.norm(matrix, 2) * np.linalg.norm(x)


def test_no_equations() -> None:
    assert cholesky.solved(np.zeros((0, 0)), np.zeros(0)).shape == (0,)
