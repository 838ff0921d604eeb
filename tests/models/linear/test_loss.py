"""Losses against their definitions in 360-digit decimal arithmetic, and all losses against the laws of any loss."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal, localcontext
from functools import cache
from typing import Any, ClassVar

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_cases import BY_NAME, CASES, LossCase

from mr_ml.data import stored
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.linear.losses import LOSSES, PARAMETERS, loss_from_json, loss_from_text
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.losses.logistic import LogisticLoss
from mr_ml.models.linear.losses.softmax import SoftmaxLoss
from mr_ml.models.linear.losses.squared import SquaredLoss

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
        rest = [sum(powers[:k] + powers[k + 1 :], Decimal()) / total for k in range(len(p))]
        value = -(p[label].ln())
        slopes = [-rest[k] if k == label else p[k] for k in range(len(p))]
        second = [p[k] * rest[k] for k in range(len(p))]
        return float(value), [*map(float, slopes)], [*map(float, second)], [*map(float, p)]


def assert_exact(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=2e-14, atol=TINY)


@pytest.mark.parametrize("label", [0, 1])
def test_logistic_is_exact_at_every_margin(label: int) -> None:
    loss = LogisticLoss()
    z = np.array(BOTH_SIDES)[:, None]
    y = np.full(len(z), float(label))
    slope, second = loss.derivatives(z, y)
    expected = [exactly([0.0, m], label) for m in BOTH_SIDES]
    assert_exact(loss.value(z, y), [e[0] for e in expected])
    assert_exact(slope[:, 0], [e[1][1] for e in expected])
    assert_exact(second[:, 0], [e[2][1] for e in expected])
    assert_exact(loss.inverse_link(z), [e[3] for e in expected])
    assert_exact(loss.second_derivatives(z, y, np.full(len(z), 3.0))[0, 0], [3 * e[2][1] for e in expected])


@pytest.mark.parametrize("label", [0, 1, 2])
def test_softmax_is_exact_at_every_margin(label: int) -> None:
    loss = SoftmaxLoss()
    rows = [[a, b, 0.25] for a in BOTH_SIDES[::3] for b in BOTH_SIDES[::3]]
    z, y = np.array(rows), np.full(len(rows), float(label))
    slope, second = loss.derivatives(z, y)
    expected = [exactly(row, label) for row in rows]
    # a value near 0 is known to the rounding of 1
    np.testing.assert_allclose(loss.value(z, y), [e[0] for e in expected], rtol=2e-14, atol=3e-16)
    assert_exact(slope, [e[1] for e in expected])
    assert_exact(second, [e[2] for e in expected])
    assert_exact(loss.inverse_link(z), [e[3] for e in expected])
    mixed = loss.second_derivatives(z, y, np.full(len(z), 2.0))
    assert set(mixed) == {(k, m) for k in range(3) for m in range(k, 3)}
    for k in range(3):
        assert_exact(mixed[k, k], [2 * e[2][k] for e in expected])
        for m in range(k + 1, 3):
            assert_exact(mixed[k, m], [-2 * e[3][k] * e[3][m] for e in expected])


def drawn(case: LossCase, *, n: int = 40, size: float = 4.0, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return case.margins(rng.normal(size=(n, case.n_outputs)) * size), case.labels(rng, n)


def test_every_built_in_loss_has_a_case() -> None:
    assert set(LOSSES.built_in) <= set(BY_NAME)


@pytest.mark.parametrize("case", [case for case in CASES if case.exact], ids=str)
def test_losses_are_exact_at_every_margin(case: LossCase) -> None:
    """To the last bits, but for what rounding of the margin itself does; infinite only where it must be."""
    assert case.exact is not None
    loss, eps = case.loss, np.finfo(float).eps
    labels = np.unique(case.labels(np.random.default_rng(3), 6))
    z, y = (a.ravel() for a in np.meshgrid([*BOTH_SIDES, 1e-9, 38.5, -38.5, -8.0, 8.0], labels))
    value, (slope, second) = loss.value(z[:, None], y), loss.derivatives(z[:, None], y)
    largest = np.finfo(float).max
    with mp.workdps(340):
        for k in range(len(z)):
            expected = [None if e is None else mp.mpf(e) for e in case.exact(mp.mpf(z[k]), mp.mpf(y[k]))]
            for found, one in zip((value[k], slope[k, 0], second[k, 0]), expected, strict=True):
                if one is None or abs(one) > mp.mpf(10) ** 307:
                    # an infinite loss, and slopes that are numbers all the same
                    assert found == np.inf or (one is None and np.isfinite(found)) or abs(found) > 1e307, (z[k], y[k])
                    continue
                # where sums of large terms are small, or the margin is far out, their rounding is what is left
                slack = eps * (40 + abs(z[k])) * abs(one) + 8 * eps * y[k]
                assert abs(mp.mpf(float(found)) - one) <= slack + TINY, (z[k], y[k], found, mp.nstr(one, 20))
    assert np.isfinite(slope).all()
    assert np.isfinite(second).all()
    assert (second <= largest).all()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_predictions_are_those_of_the_textbook(case: LossCase) -> None:
    z, y = drawn(case)
    np.testing.assert_allclose(case.loss.value(z, y), case.textbook(z, y), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(case.loss.inverse_link(z), case.predicted(z), rtol=1e-12)
    assert case.loss.inverse_link(z).shape == (len(z), max(case.n_classes, 1))


@pytest.mark.parametrize("case", CASES, ids=str)
@given(seed=st.integers(0, 2**32 - 1))
def test_derivatives_are_those_of_the_value(case: LossCase, seed: int) -> None:
    """First ones by complex steps (Squire & Trapp 1998), exact to rounding; second ones by differences of the first."""
    z, y = drawn(case, n=5, size=3.0, seed=seed)
    u = np.random.default_rng(seed).random(5) * 3
    slope, second = case.loss.derivatives(z, y)
    mixed = case.loss.second_derivatives(z, y, u)
    assert set(mixed) == {(k, m) for k in range(case.n_outputs) for m in range(k, case.n_outputs)}
    for k, e in enumerate(np.eye(case.n_outputs)):
        steps = case.textbook(z + 1e-30j * e, y).imag / 1e-30
        np.testing.assert_allclose(slope[:, k], steps, rtol=1e-9, atol=1e-12 * np.abs(steps).max())

        def difference(m: int, e: Any = e) -> Any:
            """Of the first derivative in margin m along e: central, of sixth order."""

            def first(at: float) -> Any:
                return case.loss.derivatives(z + at * e, y)[0][:, m]

            h, factors = 1e-3, {1: 45 / 60, 2: -9 / 60, 3: 1 / 60}
            return sum(w * (first(j * h) - first(-j * h)) for j, w in factors.items()) / h

        away, found = case.smooth(z, y), difference(k)
        if not case.loss.exact_curvature:
            # more than nothing where the loss is linear
            assert (second[away, k] > found[away] - 1e-9).all()
            assert (second[:, k] > 0).all()
            away &= np.abs(found) > 1e-9
        size = 1 + np.abs(found).max()
        np.testing.assert_allclose(second[away, k], found[away], rtol=1e-7, atol=1e-9 * size)
        for m in range(k, case.n_outputs):
            np.testing.assert_allclose(mixed[k, m][away], (u * difference(m))[away], rtol=1e-7, atol=1e-8 * size)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_losses_are_convex_and_not_negative(case: LossCase) -> None:
    z, y = drawn(case, size=8.0)
    u = np.ones(len(z))
    assert (case.loss.value(z, y) >= 0).all()
    hessian = np.zeros((len(z), case.n_outputs, case.n_outputs))
    for (j, k), found in case.loss.second_derivatives(z, y, u).items():
        hessian[:, j, k] = hessian[:, k, j] = found
    assert (np.linalg.eigvalsh(hessian) >= -1e-14).all()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_extreme_margins_give_finite_numbers(case: LossCase) -> None:
    loss, first = case.loss, np.arange(case.n_outputs) < max(case.n_outputs - 1, 1)
    z = np.array([np.where(first, s, -s) * 10.0**k for k in range(3, 16) for s in (-1, 1)])
    y, u = np.resize(np.unique(case.labels(np.random.default_rng(0), 9))[:1], len(z)), np.ones(len(z))
    arrays = [*loss.derivatives(z, y), *loss.second_derivatives(z, y, u).values()]
    assert all(np.isfinite(array).all() for array in arrays)
    # of means and losses that are larger than any number, `test_losses_are_exact_at_every_margin` knows
    taken = np.ones(len(z), bool) if case.exact is None else np.isfinite(loss.value(z, y))
    assert np.isfinite(loss.value(z, y)[taken]).all()
    assert not np.isnan(loss.value(z, y)).any()
    assert not np.isnan(loss.inverse_link(z)).any()
    assert np.isfinite(loss.inverse_link(z)).all() or not case.n_classes


@pytest.mark.parametrize("case", CASES, ids=str)
def test_leads_tell_who_is_on_the_right_side(case: LossCase) -> None:
    """Where the own class is ahead of all others its probability is the largest; they are linear in the margins."""
    z, y = drawn(case)
    least, most = case.loss.lead(z, y)
    if not case.loss.may_separate:
        assert (least == np.inf).all()
        assert (most == -np.inf).all()
        return
    if case.n_classes:
        right = case.predicted(z + case.middle).argmax(axis=1) == y
    else:
        # a row of label 0 below a mean of 1; others are nowhere right, since they must not move
        right = (y == 0) & (z[:, 0] < 0)
        np.testing.assert_array_equal(least[y > 0], -np.abs(z[y > 0, 0]))
    np.testing.assert_array_equal(least > 0, right)
    assert (least <= most).all()
    np.testing.assert_allclose(case.loss.lead(4 * z, y), [4 * least, 4 * most], rtol=1e-15)
    # further along the margins of rows on their right side the loss falls for ever
    assert (case.loss.value(1e3 * z, y)[right & (least > 1)] < 1e-300).all()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_a_loss_says_of_its_symmetries_holds(case: LossCase) -> None:
    z, y = drawn(case)
    value = case.loss.value(z, y)
    if case.n_classes == 0:
        moved = case.loss.value(z + 2.5, y + 2.5)
        assert np.allclose(moved, value, rtol=1e-12) == case.loss.follows_labels
    assert np.allclose(case.loss.value(z + 2.5, y), value, rtol=1e-12) == (not case.loss.identifiable)
    coef = np.random.default_rng(1).normal(size=(case.n_outputs, 4))
    for penalised in (False, True):
        published = case.loss.canonical(coef, penalised=penalised)
        if case.loss.identifiable:
            np.testing.assert_array_equal(published, coef)
            continue
        kept = slice(3, 4) if penalised else slice(4)
        np.testing.assert_allclose(published[:, kept].sum(axis=0), 0, atol=1e-14)
        moved = published - coef
        np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-14)
        assert not (penalised and moved[:, :3].any())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_rows_give_no_numbers(case: LossCase) -> None:
    z, y = np.zeros((0, case.n_outputs)), np.zeros(0)
    assert case.loss.value(z, y).shape == (0,)
    assert [a.shape for a in case.loss.derivatives(z, y)] == [(0, case.n_outputs)] * 2


@pytest.mark.parametrize("case", CASES, ids=str)
def test_losses_know_which_classes_they_take(case: LossCase) -> None:
    assert case.loss.n_outputs(case.n_classes) == case.n_outputs
    for n_classes in case.refused_classes:
        with pytest.raises(UsageError, match=rf"the {case.loss.name} loss .*{n_classes}"):
            case.loss.n_outputs(n_classes)


@pytest.mark.parametrize("name", LOSSES.built_in)
def test_losses_without_parameters_are_stored_by_name(name: str) -> None:
    loss = BY_NAME[name].loss
    parameters = [field.name for field in fields(loss)]
    assert (loss.to_json() == name) == (not parameters)
    assert loss_from_json(loss.to_json()) == loss
    # what the command line says without loading the loss
    assert sorted(re.findall(r"(\w+)=", PARAMETERS.get(name, ""))) == sorted(parameters)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_losses_are_written_with_their_parameters(case: LossCase) -> None:
    given = ",".join(f"{field.name}={getattr(case.loss, field.name)}" for field in fields(case.loss))
    text = f"{case.loss.name}:{given}" if given else case.loss.name
    if case.loss.name in LOSSES:
        assert loss_from_text(text) == case.loss


def test_squared_is_half_the_square_of_the_residual() -> None:
    loss = loss_from_json("squared")
    z, y = np.array([[3.0], [-1e3], [0.5]]), np.array([1.0, 1e3, 0.5])
    assert loss.value(z, y).tolist() == [2.0, 2e6, 0.0]


@given(z=hnp.arrays(np.float64, (6, 1), elements=st.floats(-1e3, 1e3)), shift=st.floats(-100, 100))
def test_softmax_of_two_classes_is_logistic(z: Any, shift: float) -> None:
    y = np.array([0.0, 1.0] * 3)
    both = np.concatenate([np.zeros_like(z), z], axis=1)
    logistic, softmax = LogisticLoss(), SoftmaxLoss()
    np.testing.assert_allclose(softmax.value(both, y), logistic.value(z, y), rtol=1e-13, atol=1e-15)
    slope, second = softmax.derivatives(both, y)
    expected, expected_second = logistic.derivatives(z, y)
    np.testing.assert_allclose(slope, np.concatenate([-expected, expected], axis=1), rtol=1e-12, atol=TINY)
    np.testing.assert_allclose(second, np.repeat(expected_second, 2, axis=1), rtol=1e-12, atol=TINY)
    np.testing.assert_allclose(softmax.inverse_link(both), logistic.inverse_link(z), rtol=1e-12, atol=TINY)
    # a common shift of all margins changes nothing but rounding
    np.testing.assert_allclose(softmax.value(both + shift, y), softmax.value(both, y), rtol=1e-12, atol=1e-12)


@given(z=hnp.arrays(np.float64, (4, 5), elements=st.floats(-50, 50)), data=st.data())
def test_softmax_slopes_sum_to_zero_and_probabilities_to_one(z: Any, data: st.DataObject) -> None:
    y = data.draw(hnp.arrays(np.float64, 4, elements=st.integers(0, 4).map(float)))
    loss = SoftmaxLoss()
    np.testing.assert_allclose(loss.derivatives(z, y)[0].sum(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(loss.inverse_link(z).sum(axis=1), 1, rtol=1e-15)


@dataclass(frozen=True)
class Clipped(SquaredLoss):
    """A loss with a parameter, as an installed package may bring one."""

    name: ClassVar[str] = "clipped"
    threshold: stored.NotNegative = 1.0


@pytest.fixture
def clipped() -> Iterator[None]:
    LOSSES.register("clipped", Clipped)
    yield
    LOSSES.unregister("clipped")


@pytest.mark.usefixtures("clipped")
def test_parameters_of_a_loss_are_stored_with_it() -> None:
    loss: Loss = Clipped(0.5)
    assert loss.to_json() == {"name": "clipped", "threshold": 0.5}
    assert loss_from_json(loss.to_json()) == loss
    with pytest.raises(BadDataError, match=r"the clipped loss: expected a number of at least 0 as threshold, found -1"):
        loss_from_json({"name": "clipped", "threshold": -1})


@pytest.mark.parametrize("wrong", [None, 3, ["logistic"], {"loss": "logistic"}, {"name": "logistic", "threshold": 1}])
def test_what_is_not_a_loss_is_bad_data(wrong: Any) -> None:
    with pytest.raises(BadDataError, match="expected"):
        loss_from_json(wrong)


def test_an_unknown_loss_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match=r"'hinge' is not known; choose one of logistic, softmax, squared"):
        loss_from_json("hinge")
