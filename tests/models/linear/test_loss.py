"""Losses against their definitions in 360-digit decimal arithmetic, and their derivatives by differences."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.errors import UsageError
from mr_ml.models.linear.losses import LOSSES, loss_named

# up to where exp overflows, and past it
MARGINS = [0.0, 1e-12, 1e-3, 0.5, 1.0, 5.0, 17.0, 36.0, 37.0, 40.0, 300.0, 700.0, 709.0, 745.0, 746.0, 1000.0]
BOTH_SIDES = sorted({sign * m for m in MARGINS for sign in (-1, 1)})
# below this a double has lost digits
TINY = 1e-300


@cache
def power(margin: float) -> Decimal:
    return Decimal(margin).exp()


def exactly(margins: list[float], label: int) -> tuple[float, list[float], list[float], list[float]]:
    """Softmax loss, slopes, curvatures and probabilities with more digits than doubles span."""
    with localcontext() as context:
        context.prec = 360
        powers = [power(m) for m in margins]
        total = sum(powers)
        p = [part / total for part in powers]
        rest = [sum(powers[:k] + powers[k + 1 :]) / total for k in range(len(p))]
        value = -(p[label].ln())
        slopes = [-rest[k] if k == label else p[k] for k in range(len(p))]
        bends = [p[k] * rest[k] for k in range(len(p))]
        return float(value), *([float(x) for x in xs] for xs in (slopes, bends, p))


def assert_exact(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=2e-14, atol=TINY)


@pytest.mark.parametrize("label", [0, 1])
def test_logistic_is_exact_at_every_margin(label: int) -> None:
    loss = LOSSES["logistic"]
    z = np.array(BOTH_SIDES)[:, None]
    y = np.full(len(z), float(label))
    slope, bend = loss.derivatives(z, y)
    expected = [exactly([0.0, m], label) for m in BOTH_SIDES]
    assert_exact(loss.value(z, y), [e[0] for e in expected])
    assert_exact(slope[:, 0], [e[1][1] for e in expected])
    assert_exact(bend[:, 0], [e[2][1] for e in expected])
    assert_exact(loss.predict(z), [e[3] for e in expected])
    assert_exact(loss.bends(z, np.full(len(z), 3.0))[0, 0], [3 * e[2][1] for e in expected])


@pytest.mark.parametrize("label", [0, 1, 2])
def test_softmax_is_exact_at_every_margin(label: int) -> None:
    loss = LOSSES["softmax"]
    rows = [[a, b, 0.25] for a in BOTH_SIDES[::3] for b in BOTH_SIDES[::3]]
    z, y = np.array(rows), np.full(len(rows), float(label))
    slope, bend = loss.derivatives(z, y)
    expected = [exactly(row, label) for row in rows]
    # a value near 0 is known to the rounding of 1
    np.testing.assert_allclose(loss.value(z, y), [e[0] for e in expected], rtol=2e-14, atol=3e-16)
    assert_exact(slope, [e[1] for e in expected])
    assert_exact(bend, [e[2] for e in expected])
    assert_exact(loss.predict(z), [e[3] for e in expected])
    bends = loss.bends(z, np.full(len(z), 2.0))
    assert set(bends) == {(k, m) for k in range(3) for m in range(k, 3)}
    for k in range(3):
        assert_exact(bends[k, k], [2 * e[2][k] for e in expected])
        for m in range(k + 1, 3):
            assert_exact(bends[k, m], [-2 * e[3][k] * e[3][m] for e in expected])


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_margins_give_finite_numbers(name: str) -> None:
    loss = LOSSES[name]
    width = 3 if name == "softmax" else 1
    z = np.array([[s * 10.0**k] * (width - 1) + [-s * 10.0**k] for k in range(3, 16) for s in (-1, 1)])
    y = np.zeros(len(z))
    for array in (loss.value(z, y), *loss.derivatives(z, y), *loss.bends(z, np.ones(len(z))).values(), loss.predict(z)):
        assert np.isfinite(array).all()


def test_squared_is_half_the_square_of_the_residual() -> None:
    loss = LOSSES["squared"]
    z, y = np.array([[3.0], [-1e3], [0.5]]), np.array([1.0, 1e3, 0.5])
    assert loss.value(z, y).tolist() == [2.0, 2e6, 0.0]
    slope, bend = loss.derivatives(z, y)
    assert slope.tolist() == [[2.0], [-2000.0], [0.0]]
    assert bend.tolist() == [[1.0]] * 3
    assert loss.predict(z).tolist() == z.tolist()


margins = st.floats(-8, 8)


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_derivatives_are_those_of_the_value(name: str, data: st.DataObject) -> None:
    loss = LOSSES[name]
    width = data.draw(st.integers(2, 4)) if name == "softmax" else 1
    z = data.draw(hnp.arrays(np.float64, (5, width), elements=margins))
    top = max(width, 2) - 1
    y = data.draw(hnp.arrays(np.float64, 5, elements=st.integers(0, top).map(float) if name != "squared" else margins))
    u = data.draw(hnp.arrays(np.float64, 5, elements=st.floats(0, 3)))
    slope, bend = loss.derivatives(z, y)
    mixed = loss.bends(z, u)
    h = 1e-3

    def difference(f: Any, k: int) -> Any:
        """Central, of sixth order."""
        e = np.eye(width)[k]
        return sum(w * (f(z + j * h * e) - f(z - j * h * e)) for j, w in ((1, 45 / 60), (2, -9 / 60), (3, 1 / 60))) / h

    for k in range(width):
        np.testing.assert_allclose(slope[:, k], difference(lambda at: loss.value(at, y), k), atol=1e-9)
        np.testing.assert_allclose(
            bend[:, k], difference(lambda at, k=k: loss.derivatives(at, y)[0][:, k], k), atol=1e-9
        )
        for m in range(k, width):
            expected = difference(lambda at, k=k: loss.derivatives(at, y)[0][:, k], m)
            np.testing.assert_allclose(mixed[k, m], u * expected, atol=1e-8)


@given(z=hnp.arrays(np.float64, (6, 1), elements=st.floats(-1e3, 1e3)), shift=st.floats(-100, 100))
def test_softmax_of_two_classes_is_logistic(z: Any, shift: float) -> None:
    y = np.array([0.0, 1.0] * 3)
    both = np.concatenate([np.zeros_like(z), z], axis=1)
    logistic, softmax = LOSSES["logistic"], LOSSES["softmax"]
    np.testing.assert_allclose(softmax.value(both, y), logistic.value(z, y), rtol=1e-13, atol=1e-15)
    slope, bend = softmax.derivatives(both, y)
    expected, expected_bend = logistic.derivatives(z, y)
    np.testing.assert_allclose(slope, np.concatenate([-expected, expected], axis=1), rtol=1e-12, atol=TINY)
    np.testing.assert_allclose(bend, np.repeat(expected_bend, 2, axis=1), rtol=1e-12, atol=TINY)
    np.testing.assert_allclose(softmax.predict(both), logistic.predict(z), rtol=1e-12, atol=TINY)
    # a common shift of all margins changes nothing but rounding
    np.testing.assert_allclose(softmax.value(both + shift, y), softmax.value(both, y), rtol=1e-12, atol=1e-12)


@given(z=hnp.arrays(np.float64, (4, 5), elements=st.floats(-50, 50)), data=st.data())
def test_softmax_slopes_sum_to_zero_and_probabilities_to_one(z: Any, data: st.DataObject) -> None:
    y = data.draw(hnp.arrays(np.float64, 4, elements=st.integers(0, 4).map(float)))
    loss = LOSSES["softmax"]
    np.testing.assert_allclose(loss.derivatives(z, y)[0].sum(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(loss.predict(z).sum(axis=1), 1, rtol=1e-15)


def test_no_rows_give_no_numbers() -> None:
    for name, loss in LOSSES.items():
        width = 3 if name == "softmax" else 1
        z, y = np.zeros((0, width)), np.zeros(0)
        assert loss.value(z, y).shape == (0,)
        assert [a.shape for a in loss.derivatives(z, y)] == [(0, width)] * 2


@pytest.mark.parametrize(
    ("name", "n_classes", "expected"), [("squared", 0, 1), ("logistic", 2, 1), ("softmax", 2, 2), ("softmax", 10, 10)]
)
def test_losses_know_how_many_outputs_they_need(name: str, n_classes: int, expected: int) -> None:
    assert loss_named(name).n_outputs(n_classes) == expected


@pytest.mark.parametrize(("name", "n_classes"), [("logistic", 1), ("logistic", 3), ("softmax", 0), ("softmax", 1)])
def test_labels_that_do_not_fit_are_the_users_mistake(name: str, n_classes: int) -> None:
    with pytest.raises(UsageError, match=rf"needs .* the dataset has {n_classes}"):
        loss_named(name).n_outputs(n_classes)


def test_an_unknown_loss_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match=r"'hinge' is not known; choose one of logistic, softmax, squared"):
        loss_named("hinge")
