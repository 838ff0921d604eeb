"""Standard errors against statsmodels, and of models that have none, or none for some coefficients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from commands import Commands
from inference_cases import EXACTLY, fitted, inferred
from scipy import special
from test_glm_optima import fit, made

import mr_ml

FAMILIES: dict[str, tuple[str, Callable[[], Any]]] = {
    "squared": ("numbers", sm.families.Gaussian),
    "logistic": ("two", sm.families.Binomial),
    "probit": ("two", lambda: sm.families.Binomial(sm.families.links.Probit())),
    "cloglog": ("two", lambda: sm.families.Binomial(sm.families.links.CLogLog())),
    "poisson": ("poisson", sm.families.Poisson),
    "gamma": ("gamma", lambda: sm.families.Gamma(sm.families.links.Log())),
    "gamma:link=inverse": ("gamma", sm.families.Gamma),
    "inverse_gaussian": ("gamma", sm.families.InverseGaussian),
    "tweedie:power=1.3": ("tweedie", lambda: sm.families.Tweedie(sm.families.links.Log(), var_power=1.3)),
    "negative_binomial:theta=2": ("poisson", lambda: sm.families.NegativeBinomial(alpha=0.5)),
}


def rows_for(loss: str) -> dict[str, Any]:
    """Rows whose model is right; with the links that need means above 0, nearly constant ones."""
    given = made(FAMILIES[loss][0])
    if loss in ("gamma:link=inverse", "inverse_gaussian"):
        rng = np.random.default_rng(5)
        mean = 1 / (1 + 0.05 * given["x"][:, 0])
        given.update(y=rng.gamma(9.0, mean / 9), offsets=given["offsets"] * 0.02)
    return given


@pytest.mark.filterwarnings("ignore:.*link function does not respect the domain")
@pytest.mark.parametrize("loss", FAMILIES)
def test_families_of_statsmodels(tmp_path: Path, loss: str) -> None:
    """With weights (their `var_weights`, R's prior weights) and offsets, sparse and far from 0."""
    given = rows_for(loss)
    x, y, u, o = (given[name] for name in ("x", "y", "weights", "offsets"))
    found = fitted(tmp_path, x, y, loss, weights=u, offsets=o)
    kept = u > 0
    x1 = np.column_stack([x, np.ones(len(y))])[kept]
    model = sm.GLM(y[kept], x1, family=FAMILIES[loss][1](), var_weights=u[kept], offset=o[kept])
    theirs = model.fit(tol=1e-13, maxiter=300)
    np.testing.assert_allclose(found.estimates, theirs.params, rtol=1e-6, atol=1e-9)
    # theirs count rows too, not weights
    np.testing.assert_allclose(found.std_errors(), theirs.bse, rtol=1e-6)
    bread = np.linalg.inv(-model.hessian(theirs.params, scale=1.0, observed=True))
    score = model.score_obs(theirs.params, scale=1.0)
    sandwich = bread @ (score.T @ score) @ bread
    np.testing.assert_allclose(found.std_errors("HC0"), np.sqrt(np.diag(sandwich)), rtol=1e-6)
    left = kept.sum() - 4
    np.testing.assert_allclose(found.std_errors("HC1"), np.sqrt(np.diag(sandwich) * kept.sum() / left), rtol=1e-6)
    size = np.sqrt(np.outer(np.diag(sandwich), np.diag(sandwich)))
    np.testing.assert_allclose(found.covariance_of("HC0") / size, sandwich / size, atol=1e-6)
    assert found.statistics.df_residual == left
    assert found.statistics.deviance == pytest.approx(theirs.deviance, rel=1e-8)
    assert found.statistics.dispersion == pytest.approx(theirs.scale, rel=1e-6)
    assert found.statistics.pearson == pytest.approx(theirs.pearson_chi2, rel=1e-6)
    null = sm.GLM(y[kept], np.ones((kept.sum(), 1)), family=FAMILIES[loss][1](), var_weights=u[kept], offset=o[kept])
    assert found.statistics.null_deviance == pytest.approx(null.fit(tol=1e-14, maxiter=300).deviance, rel=1e-9)


def test_robust_errors_without_weights_are_those_of_statsmodels(tmp_path: Path) -> None:
    given = made("poisson")
    found = fitted(tmp_path, given["x"], given["y"], "poisson")
    x1 = np.column_stack([given["x"], np.ones(400)])
    theirs = sm.GLM(given["y"], x1, family=sm.families.Poisson()).fit(tol=1e-13, cov_type="HC0")
    np.testing.assert_allclose(found.std_errors("HC0"), theirs.bse, rtol=1e-7)
    np.testing.assert_allclose(found.p_values("HC0"), theirs.pvalues, rtol=1e-5)
    np.testing.assert_allclose(found.intervals(0.9, "HC0"), theirs.conf_int(0.1), rtol=1e-6)
    # with which HC1 is HC0 but for least squares
    found = fitted(tmp_path / "squares", given["x"], given["y"], "squared")
    theirs = sm.OLS(given["y"], x1).fit(cov_type="HC1", use_t=True)
    np.testing.assert_allclose(found.std_errors("HC1"), theirs.bse, rtol=1e-9)
    np.testing.assert_allclose(found.p_values("HC1"), theirs.pvalues, rtol=1e-6)
    np.testing.assert_allclose(found.intervals(0.9, "HC1"), theirs.conf_int(0.1), rtol=1e-7)


def test_classes_against_the_first_one(tmp_path: Path) -> None:
    """The parametrisation of nnet::multinom and of statsmodels, covariances across classes included."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(500, 2)) * [1.0, 40.0] + [0.0, 300.0]
    margins = (x - [0.0, 300.0]) @ (rng.normal(size=(2, 4)) / [[1.0], [40.0]])
    y = np.array([rng.choice(4, p=p) for p in special.softmax(margins, axis=1)], float)
    found = fitted(tmp_path, x, y, "softmax")
    theirs = sm.MNLogit(y, np.column_stack([x, np.ones(500)])).fit(disp=0, method="newton", tol=1e-12, maxiter=100)
    assert found.outputs == ("1", "2", "3")
    np.testing.assert_allclose(found.estimates, theirs.params.T.ravel(), rtol=1e-6)
    np.testing.assert_allclose(found.std_errors(), theirs.bse.T.ravel(), rtol=1e-6)
    covariance = np.asarray(theirs.cov_params())
    np.testing.assert_allclose(found.covariance_of(), covariance, rtol=1e-5, atol=1e-9 * np.abs(covariance).max())
    assert found.statistics.log_likelihood == pytest.approx(theirs.llf, rel=1e-10)
    assert found.statistics.null_deviance == pytest.approx(-2 * theirs.llnull, rel=1e-10)
    assert found.statistics.aic == pytest.approx(theirs.aic, rel=1e-10)
    assert "less those of 0" in found.notes[0]


@pytest.mark.parametrize("loss", ["huber:delta=0.7", "quantile:level=0.3,width=0.6", "squared_hinge"])
def test_losses_without_a_likelihood_have_robust_errors_alone(tmp_path: Path, loss: str) -> None:
    """The sandwich by its definition, derivatives by differences of the definition of the loss."""
    given = made("two" if loss == "squared_hinge" else "numbers")
    x, y, u = given["x"], given["y"], given["weights"]
    found = fitted(tmp_path, x, y, loss, weights=u)
    x1, sign = np.column_stack([x, np.ones(len(y))]), 2 * y - 1
    values: dict[str, Callable[[Any], Any]] = {
        "huber": lambda z: special.huber(0.7, z - y),
        "quantile": lambda z: special.huber(0.6, z - y) / 1.2 + 0.2 * (z - y),
        "squared_hinge": lambda z: np.maximum(1 - sign * z, 0) ** 2,
    }
    value, z, h = values[loss.partition(":")[0]], x1 @ found.estimates, 1e-4
    slope = (value(z + h) - value(z - h)) / (2 * h)
    second = np.round((value(z + h) - 2 * value(z) + value(z - h)) / h**2, 3)
    bread = np.linalg.inv((x1 * (u * second)[:, None]).T @ x1)
    rows = x1 * (u * slope)[:, None]
    np.testing.assert_allclose(found.std_errors("HC0") ** 2, np.diag(bread @ (rows.T @ rows) @ bread), rtol=2e-3)
    assert found.covariance is None
    assert found.statistics.deviance is found.statistics.aic is found.statistics.dispersion is None
    assert "no likelihood" in found.notes[0]
    with pytest.raises(mr_ml.MrMlError, match="no standard errors but robust ones"):
        found.std_errors("model")


def test_what_rows_do_not_determine_has_no_standard_error(tmp_path: Path) -> None:
    """All levels of a factor beside an intercept, and a constant: what R calls NA; others are as without these."""
    rng = np.random.default_rng(1)
    level = np.arange(300) % 3
    x = np.column_stack([rng.normal(size=(300, 2)), level[:, None] == np.arange(3), np.full(300, 2.0)])
    y = rng.poisson(np.exp(x[:, 0] * 0.3 + level * 0.2)).astype(float)
    found = fitted(tmp_path, x, y, "poisson")
    kept = sm.GLM(y, np.column_stack([x[:, :4], np.ones(300)]), family=sm.families.Poisson()).fit(tol=1e-13)
    errors = found.std_errors()
    np.testing.assert_allclose(errors[:2], kept.bse[:2], rtol=1e-8)
    assert np.isnan(errors[2:]).all()
    assert np.isnan(found.p_values()[2:]).all()
    # differences of levels are determined whatever the rest is
    np.testing.assert_allclose(found.estimates[2] - found.estimates[4], kept.params[2], rtol=1e-6)
    assert (found.statistics.rank, found.statistics.df_residual) == (5, 295)
    assert "do not determine the coefficients of x2, x3, x4, x5, (intercept)" in found.notes[0]
    assert found.statistics.aic == pytest.approx(kept.aic, rel=1e-10)


@pytest.mark.parametrize("loss", ["poisson", "softmax"])
def test_beside_a_constant_the_intercept_is_not_determined(tmp_path: Path, loss: str) -> None:
    """Training may give some of the intercept to the constant: then neither is what it is without the other."""
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.normal(size=200), np.full(200, 3.0), np.zeros(200)])
    y = rng.integers(0, 3, 200).astype(float)
    found = fitted(tmp_path, x, y, loss)
    assert found.features[:4] == ("x0", "x1", "x2", "(intercept)")
    assert np.isnan(found.std_errors()[1:4]).all()
    assert np.isfinite(found.std_errors()[0])
    assert any("of x1, x2, (intercept):" in note for note in found.notes)
    # a column of nothing but 0 takes nothing from the intercept
    alone = fitted(tmp_path / "alone", x[:, [0, 2]], y, loss)
    assert np.isfinite(alone.std_errors()[[0, 2]]).all()


def test_many_classes_without_an_intercept(tmp_path: Path) -> None:
    """In the null model all classes are equally probable."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(150, 2)), rng.integers(0, 3, 150).astype(float)
    found = fitted(tmp_path, x, y, "softmax", "--no-intercept")
    theirs = sm.MNLogit(y, x).fit(disp=0, method="newton", tol=1e-12)
    np.testing.assert_allclose(found.std_errors(), theirs.bse.T.ravel(), rtol=1e-6)
    assert found.statistics.null_deviance == pytest.approx(2 * 150 * np.log(3), rel=1e-12)
    assert found.statistics.df_null == 150


def test_a_sum_of_other_features_is_named(tmp_path: Path) -> None:
    """Dense rows, which are factored: one of three numbers is the sum of the others but for rounding."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 4))
    x[:, 2] = x[:, 0] + x[:, 1]
    y = x[:, 3] + rng.normal(size=200)
    fit(tmp_path, x, y, "squared", *EXACTLY)
    found = inferred(tmp_path)
    assert np.isnan(found.std_errors()[:3]).all()
    kept = sm.OLS(y, np.column_stack([x[:, [0, 1, 3]], np.ones(200)])).fit()
    np.testing.assert_allclose(found.std_errors()[3:], kept.bse[2:], rtol=1e-9)
    assert "x0, x1, x2" in found.notes[0]


def test_features_that_are_almost_sums_of_others_are_named(tmp_path: Path) -> None:
    """Where training leaves the fit open: what it said is among the notes, and other coefficients are as without."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    x[:, 2] = x[:, 0] + x[:, 1] + 1e-8 * x[:, 2]
    y = (x[:, 3] + rng.logistic(size=300) > 0).astype(float)
    trained = fit(tmp_path, x, y, "logistic").trained
    assert "does not determine the fit" in trained["stop"]
    found = inferred(tmp_path)
    assert trained["stop"] in found.notes[0]
    assert all(name in found.notes[1] for name in ("x0", "x1", "x2"))
    errors = found.std_errors()
    kept = sm.Logit(y, np.column_stack([x[:, [0, 1, 3]], np.ones(300)])).fit(disp=0)
    assert (errors[:3] > 1e5).all()
    np.testing.assert_allclose(errors[3:], kept.bse[2:], rtol=0.03)


def test_covariances_that_cannot_be_held_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = made("poisson")
    fit(tmp_path, given["x"], given["y"], "poisson")
    monkeypatch.setattr("mr_ml.models.linear.kind.inference._MOST", 3)
    with pytest.raises(mr_ml.MrMlError, match="at most 3 coefficients, whose covariances can be held, found 4"):
        inferred(tmp_path)


def test_separated_classes_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = np.column_stack([rng.normal(size=100), np.repeat([0.0, 1.0], 50)])
    found = fit(tmp_path, x, x[:, 1], "logistic", "--inference").trained
    assert not found["converged"]
    place = Commands(tmp_path / "root")
    said = place.run("models", "infer", "m", "-r", "inline")
    assert said.code == 65
    assert "told apart without fail by x1" in said.err
    assert place.run("models", "show", "m", "--table").code == 74


def test_weights_of_any_size(tmp_path: Path) -> None:
    """Sums of tiny and huge weights; phi takes their unit in, standard errors do not change."""
    given = made("gamma")
    x, y, u = given["x"], given["y"], given["weights"]
    one = fitted(tmp_path / "one", x, y, "gamma", weights=u)
    other = fitted(tmp_path / "other", x, y, "gamma", weights=u * 2.0**-900)
    np.testing.assert_allclose(other.std_errors(), one.std_errors(), rtol=1e-10)
    np.testing.assert_allclose(other.std_errors("HC1"), one.std_errors("HC1"), rtol=1e-10)
    before: Any = one.statistics
    assert other.statistics.dispersion == pytest.approx(before.dispersion * 2.0**-900, rel=1e-10)
    assert other.statistics.deviance == pytest.approx(before.deviance * 2.0**-900, rel=1e-10)


def test_weighted_classes_have_robust_errors_alone(tmp_path: Path) -> None:
    given = made("two")
    x, y = given["x"], given["y"]
    found = fitted(tmp_path, x, y, "logistic", "--class-weights", "0=1,1=3")
    assert found.covariance is None
    assert "classes are weighted" in found.notes[0]
    x1, u = np.column_stack([x, np.ones(len(y))]), np.where(y > 0, 3.0, 1.0)
    p = special.expit(x1 @ found.estimates)
    bread, rows = np.linalg.inv((x1 * (u * p * (1 - p))[:, None]).T @ x1), x1 * (u * (p - y))[:, None]
    np.testing.assert_allclose(found.covariance_of("HC0"), bread @ (rows.T @ rows) @ bread, rtol=1e-6, atol=1e-12)


def test_without_an_intercept(tmp_path: Path) -> None:
    """The null model is then that of the offsets alone, as R has it."""
    given = made("poisson")
    x, y, o = given["x"][:, :1], given["y"], given["offsets"]
    found = fitted(tmp_path, x, y, "poisson", "--no-intercept", offsets=o)
    theirs = sm.GLM(y, x, family=sm.families.Poisson(), offset=o).fit(tol=1e-13)
    np.testing.assert_allclose(found.std_errors(), theirs.bse, rtol=1e-8)
    mean = np.exp(o)
    null = 2 * (special.xlogy(y, y / mean) - (y - mean)).sum()
    assert found.statistics.null_deviance == pytest.approx(null, rel=1e-10)
    assert (found.statistics.df_null, found.statistics.df_residual) == (400, 399)
    assert found.features == ("x0",)
