"""What losses are as likelihoods, against scipy's distributions, differences, and the laws of likelihoods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import make_engine
from loss_cases import BY_NAME, CASES, LossCase
from scipy import stats

from mr_ml.models.linear.inference_query import InferenceQuery, NullQuery
from mr_ml.models.linear.line_query import LineQuery
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.losses.likelihood import LikelihoodSums
from mr_ml.models.linear.reading import RowSpec

WITH_LIKELIHOOD = [case for case in CASES if case.loss.likelihood is not None]
FAMILIES = [case for case in WITH_LIKELIHOOD if not case.n_classes and case.loss.name != "squared"]


def rows_of(case: LossCase, n: int = 80) -> dict[str, Any]:
    """Labels, weights, offsets and features on two scales; margins that the loss takes, not next to a jump of l''."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, 2)) * [1.0, 3.0]
    x[rng.random(x.shape) < 0.4] = 0.0
    coef = rng.normal(size=(case.n_outputs, 3)) * [0.2, 0.1, 0.0]
    offsets = rng.normal(size=n) * 0.05
    y = np.asarray(case.labels(rng, n), float)
    z = x @ coef[:, :2].T + offsets[:, None]
    # inside of the domain
    coef[:, 2] = 1.5 if (case.margins(z) != z).any() else 0.1
    z = z + coef[:, 2]
    kept = case.smooth(z, y)
    u = (rng.random(n) * 2 + 0.1) * (rng.random(n) < 0.9)
    return {"x": x[kept], "y": y[kept], "weights": u[kept], "offsets": offsets[kept], "coef": coef}


def spec_of(case: LossCase) -> RowSpec:
    return RowSpec(loss=case.loss, n_features=2, classes=tuple(map(float, range(case.n_classes))))


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_information_is_the_derivative_of_the_gradient(case: LossCase, form: str) -> None:
    """By differences, for every loss, with weights and offsets; and the factors say the same."""
    given = rows_of(case)
    coef, spec = given.pop("coef"), spec_of(case)
    engine = make_engine(**given, form=form, block_rows=16, partitions=2)
    query = InferenceQuery(spec, coef)
    sums = query.read(engine.run(query))
    first = case.n_outputs - query.n_compared
    h, columns = 1e-5, []
    for k in range(coef[first:].size):
        moved = np.zeros(coef[first:].size)
        moved[k] = h
        both = []
        for sign in (-1, 1):
            at = coef.copy()
            at[first:] += sign * moved.reshape(-1, 3)
            line = LineQuery(spec, at)
            both.append(line.read(engine.run(line)).gradient_sum[first:].ravel())
        columns.append((both[1] - both[0]) / (2 * h))
    observed = sums.matrix("observed")
    np.testing.assert_allclose(observed, np.array(columns), rtol=1e-6, atol=1e-7 * np.abs(observed).max())
    if case.n_outputs > 1:
        return
    factored = InferenceQuery(spec, coef, factor=True)
    factors = factored.read(engine.run(factored))
    order = [2, 0, 1]
    for name in ("observed", "meat", *(["expected"] if sums.has_expected else [])):
        whole = sums.matrix(name)
        r = factors.matrix(name)
        np.testing.assert_allclose(r.T @ r, whole[np.ix_(order, order)], rtol=1e-10, atol=1e-12 * np.abs(whole).max())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_meat_is_the_product_of_the_rows_gradients(case: LossCase) -> None:
    given = rows_of(case)
    coef, spec = given.pop("coef"), spec_of(case)
    query = InferenceQuery(spec, coef)
    first = case.n_outputs - query.n_compared
    gradients = []
    for k in range(len(given["y"])):
        one = make_engine(**{name: column[k : k + 1] for name, column in given.items()})
        line = LineQuery(spec, coef)
        gradients.append(line.read(one.run(line)).gradient_sum[first:].ravel())
    found = query.read(make_engine(**given, block_rows=16).run(query)).matrix("meat")
    expected = np.array(gradients).T @ np.array(gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("case", WITH_LIKELIHOOD, ids=str)
def test_expected_information_is_the_mean_of_the_observed_one(case: LossCase) -> None:
    z = case.margins(np.linspace(-2, 2, 9)[:, None] * np.linspace(1, 0.4, case.n_outputs))
    loss, u = case.loss, np.full(9, 3.0)
    expected = loss.expected_information(z, u)
    if case.n_classes:
        p = loss.inverse_link(z)
        by_label = [loss.observed_information(z, np.full(9, float(k)), u) for k in range(case.n_classes)]
        mean = {at: sum(p[:, k] * of[at] for k, of in enumerate(by_label)) for at in by_label[0]}
    else:
        # linear in the label: that of the mean label is the mean
        mu = loss.inverse_link(z)[:, 0]
        low, middle, high = (loss.observed_information(z, mu * by, u)[0, 0] for by in (0.5, 1.0, 1.5))
        np.testing.assert_allclose(low + high, 2 * middle, rtol=1e-12)
        mean = {(0, 0): middle}
        if expected is None:
            np.testing.assert_allclose(low, high, rtol=1e-12)
    if expected is None:
        expected = loss.observed_information(z, np.ones(9), u)
    for at, of in mean.items():
        np.testing.assert_allclose(expected[at], of, rtol=1e-12)


@pytest.mark.parametrize("case", FAMILIES, ids=str)
def test_variances_are_those_of_the_information(case: LossCase) -> None:
    """(dmu/dz)^2 / V(mu), by differences of the link; and Pearson's statistic has V(mu) below."""
    z = case.margins(np.linspace(-1, 1, 9)[:, None])
    loss, h = case.loss, 1e-6
    rise = (loss.inverse_link(z + h) - loss.inverse_link(z - h))[:, 0] / (2 * h)
    mu, ones = loss.inverse_link(z), np.ones(9)
    information = (loss.expected_information(z, ones) or loss.observed_information(z, ones, ones))[0, 0]
    likelihood: Any = loss.likelihood
    np.testing.assert_allclose(likelihood.pearson(mu, mu[:, 0] + 1), information / rise**2, rtol=1e-8)


def drawn(name: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """Margins and labels."""
    z = rng.normal(size=40) * 0.4 + (2.0 if name in ("gamma:link=inverse", "inverse_gaussian") else 0.5)
    counts = name.startswith(("poisson", "negative"))
    return z, rng.poisson(np.exp(z)).astype(float) if counts else rng.gamma(2.0, size=40) + 0.1


DENSITIES: dict[str, Callable[[Any, Any, float], Any]] = {
    "squared": lambda y, mu, phi: stats.norm.logpdf(y, mu, np.sqrt(phi)),
    "poisson": lambda y, mu, phi: stats.poisson.logpmf(y, mu),
    "negative_binomial:theta=1.7": lambda y, mu, phi: stats.nbinom.logpmf(y, 1.7, 1.7 / (1.7 + mu)),
    "gamma": lambda y, mu, phi: stats.gamma.logpdf(y, 1 / phi, scale=mu * phi),
    "gamma:link=inverse": lambda y, mu, phi: stats.gamma.logpdf(y, 1 / phi, scale=mu * phi),
    # of mean mu and shape 1 / phi
    "inverse_gaussian": lambda y, mu, phi: stats.invgauss.logpdf(y, mu * phi, scale=1 / phi),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_log_likelihoods_are_sums_of_log_densities(name: str) -> None:
    """With phi as R has it in `logLik`: the mean deviance."""
    z, y = drawn(name, np.random.default_rng(1))
    loss = loss_from_text(name)
    likelihood = loss.likelihood
    assert likelihood is not None
    losses = loss.value(z[:, None], y)
    sums = LikelihoodSums(
        n_rows=40, weight=40.0, log_weight=0.0, loss=losses.sum(), terms=likelihood.terms(y, 0).sum(axis=0)
    )
    phi = 2 * losses.mean() if likelihood.estimates_dispersion else 1.0
    mu = loss.inverse_link(z[:, None])[:, 0]
    assert likelihood.log_likelihood(sums) == pytest.approx(DENSITIES[name](y, mu, phi).sum(), rel=1e-12)


def test_counts_that_are_not_whole_have_no_probability() -> None:
    likelihood: Any = BY_NAME["poisson"].loss.likelihood
    y = np.array([1.0, 2.5])
    sums = LikelihoodSums(n_rows=2, weight=2.0, log_weight=0.0, loss=1.0, terms=likelihood.terms(y, 0).sum(axis=0))
    assert likelihood.log_likelihood(sums) is None
    assert np.isfinite(likelihood.null_loss(sums))


def test_the_null_query_needs_no_features() -> None:
    """Values, slopes and second derivatives at several intercepts."""
    rng = np.random.default_rng(2)
    x, y, o, u = rng.normal(size=(50, 3)), rng.poisson(1.0, 50).astype(float), rng.normal(size=50), rng.random(50)
    query = NullQuery(RowSpec(loss=loss_from_text("poisson"), n_features=3), np.array([-1.0, 0.5]))
    engine = make_engine(x, y, weights=u, offsets=o, block_rows=7)
    mean = np.exp(np.array([[-1.0], [0.5]]) + o)
    value = (np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mean), 0) - (y - mean)) @ u
    np.testing.assert_allclose(query.read(engine.run(query)), [value, (mean - y) @ u, mean @ u], rtol=1e-12)
