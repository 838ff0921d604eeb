"""What is computed a piece at a time of very many coefficients is what would be computed of all at once."""

from __future__ import annotations

import numpy as np
import pytest

from mr_ml.models.linear.penalty import PenaltyOfTheta, Quadratic
from mr_ml.optimize.base import Kinks
from mr_ml.optimize.lbfgs import add, dot

STEPS = (1.0, 0.5, 0.0, 2.0**-7)


# none, one, exactly one piece, and several, of which the last one is short
@pytest.mark.parametrize("size", [0, 5, 1 << 16, 200_003])
@pytest.mark.parametrize("l1", [None, 0.3])
def test_the_penalty_along_a_line(size: int, l1: float | None) -> None:
    rng = np.random.default_rng(size)
    theta, direction, centre = rng.normal(size=(3, size))
    first, second = rng.random((2, size))
    edge = np.full(size, np.inf)
    kinks = None if l1 is None else Kinks(np.full(size, l1), -edge, edge)
    penalty = PenaltyOfTheta([Quadratic(first), Quadratic(second, centre)], kinks)
    expected = []
    for step in STEPS:
        there = theta + step * direction
        squares = 0.5 * (first @ there**2 + second @ (there - centre) ** 2)
        expected.append(squares + (l1 or 0.0) * np.abs(there).sum())
    found = penalty.values(theta, direction, STEPS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert penalty.values(theta, None, (0.0,)).tolist() == [penalty.value(theta)]
    assert found[STEPS.index(0.0)] == penalty.value(theta)


@pytest.mark.parametrize("size", [0, 7, 1 << 16, 150_001])
def test_products_of_narrow_vectors(size: int) -> None:
    rng = np.random.default_rng(size)
    wide, other = rng.normal(size=(2, size))
    narrow = other.astype(np.float32)
    assert dot(wide, narrow) == pytest.approx(wide @ narrow.astype(np.float64), rel=1e-9, abs=1e-9)
    assert dot(wide, other) == wide @ other
    total = wide.copy()
    add(total, narrow, -0.7)
    assert total.tobytes() == (wide - 0.7 * narrow.astype(np.float64)).tobytes()
