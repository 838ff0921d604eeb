"""Standardisation folded into coefficients gives the margins of standardised features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mr_ml.models.linear.scaling import Scaling

numbers = st.floats(-100, 100)
scales = st.sampled_from([1e-3, 0.5, 1.0, 3.0, 1e3])


@st.composite
def scalings(draw: st.DrawFn) -> Scaling:
    d = draw(st.integers(0, 4))
    mean, scale = (draw(hnp.arrays(np.float64, d, elements=elements)) for elements in (numbers, scales))
    intercept, centre = draw(st.booleans()), draw(st.booleans())
    return Scaling.of(mean=mean, deviation=scale, intercept=intercept, centre=centre)


def theta_for(draw: Any, scaling: Scaling, n_outputs: int) -> Any:
    size = n_outputs * (len(scaling.scale) + scaling.intercept)
    return draw(hnp.arrays(np.float64, size, elements=numbers))


@given(scaling=scalings(), n_outputs=st.integers(1, 3), data=st.data())
def test_raw_coefficients_give_the_margins_of_scaled_features(
    scaling: Scaling, n_outputs: int, data: st.DataObject
) -> None:
    d = len(scaling.scale)
    x = data.draw(hnp.arrays(np.float64, (3, d), elements=numbers))
    theta = theta_for(data.draw, scaling, n_outputs)
    coef = scaling.to_raw(theta, n_outputs)
    assert coef.shape == (n_outputs, d + 1)
    by_output = theta.reshape(n_outputs, d + scaling.intercept)
    expected = ((x - scaling.mean) / scaling.scale) @ by_output[:, :d].T
    if scaling.intercept:
        expected += by_output[:, d]
    else:
        assert not coef[:, -1].any()
    reach = (np.abs(x) + np.abs(scaling.mean)) / scaling.scale
    slack = 1e-14 * (1 + reach @ np.abs(by_output[:, :d]).T + np.abs(by_output).max(initial=0))
    assert (np.abs(x @ coef[:, :d].T + coef[:, d] - expected) <= slack).all()


@given(scaling=scalings(), n_outputs=st.integers(1, 3), data=st.data())
def test_from_raw_undoes_to_raw(scaling: Scaling, n_outputs: int, data: st.DataObject) -> None:
    theta = theta_for(data.draw, scaling, n_outputs)
    found = scaling.from_raw(scaling.to_raw(theta, n_outputs))
    assert found.shape == theta.shape
    reach = 1 + (np.abs(scaling.mean) / scaling.scale).max(initial=0)
    np.testing.assert_allclose(found, theta, atol=1e-13 * reach * (1 + np.abs(theta).max(initial=0)))


@given(scaling=scalings(), n_outputs=st.integers(1, 3), data=st.data())
def test_gradients_and_hessians_follow_the_chain_rule(scaling: Scaling, n_outputs: int, data: st.DataObject) -> None:
    """J = d coef / d theta, column by column from `to_raw`, which is linear."""
    d = len(scaling.scale)
    size = n_outputs * (d + scaling.intercept)
    jacobian = (
        np.array([scaling.to_raw(e, n_outputs).ravel() for e in np.eye(size)]).reshape(size, n_outputs * (d + 1)).T
    )
    raw = data.draw(hnp.arrays(np.float64, (n_outputs, d + 1), elements=numbers))
    expected = jacobian.T @ raw.ravel()
    np.testing.assert_allclose(scaling.gradient(raw), expected, rtol=1e-10, atol=1e-9 * np.abs(expected).max(initial=0))
    root = data.draw(hnp.arrays(np.float64, (n_outputs * (d + 1), 3), elements=st.floats(-3, 3)))
    hessian = root @ root.T
    inner = jacobian.T @ hessian @ jacobian
    found = scaling.hessian(hessian, n_outputs)
    top = np.abs(jacobian).max(initial=0) ** 2 * np.abs(hessian).max(initial=0)
    np.testing.assert_allclose(found, inner, rtol=1e-10, atol=1e-12 * top)
    of_outputs = hessian.reshape(n_outputs, d + 1, n_outputs, d + 1)
    diagonal = np.array([np.diag(of_outputs[k, :, k, :]) for k in range(n_outputs)]).reshape(n_outputs, d + 1)
    cross = np.array([of_outputs[k, :, k, d] for k in range(n_outputs)]).reshape(n_outputs, d + 1)
    curvature = scaling.curvature(diagonal, cross if scaling.centred else None)
    np.testing.assert_allclose(curvature, np.diag(inner), rtol=1e-10, atol=1e-11 * top)
    assert (curvature >= 0).all()


@pytest.mark.parametrize(
    ("intercept", "centre", "mean", "scale"),
    [(True, True, 3.0, 4.0), (True, False, 0.0, 4.0), (False, True, 0.0, 5.0), (False, False, 0.0, 5.0)],
)
def test_without_an_intercept_nothing_is_centred_and_the_root_mean_square_is_the_scale(
    intercept: bool, centre: bool, mean: float, scale: float
) -> None:
    """A feature of mean 3 and deviation 4, and constant ones of 0 and 5, whose deviation is no divisor."""
    scaling = Scaling.of(
        mean=np.array([3.0, 0.0, 5.0]), deviation=np.array([4.0, 0.0, 0.0]), intercept=intercept, centre=centre
    )
    assert scaling.centred == (centre and intercept)
    assert scaling.mean[0] == mean
    assert scaling.scale.tolist() == [scale, 1.0, 1.0 if intercept else 5.0]
    assert scaling.deviation.tolist() == [4.0, 1.0, 1.0]
