"""What docs/models.md says of other programs, by running them: the same coefficients under converted options.

Ours are trained by the command line on the same rows; a weight of 3 is three rows, to them too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from glum import GeneralizedLinearRegressor
from sklearn.linear_model import HuberRegressor, LogisticRegression, QuantileRegressor, Ridge
from sklearn.svm import LinearSVC
from statsmodels.genmod import families
from test_glm_optima import fit, made

FAMILY: Mapping[str, Callable[[], Any]] = {
    "poisson": families.Poisson,
    "gamma": lambda: families.Gamma(families.links.Log()),
    "gamma:link=inverse": families.Gamma,
    "inverse_gaussian": families.InverseGaussian,
    "tweedie:power=1.3": lambda: families.Tweedie(families.links.Log(), var_power=1.3),
    "negative_binomial:theta=2": lambda: families.NegativeBinomial(alpha=0.5),
    "probit": lambda: families.Binomial(families.links.Probit()),
    "cloglog": lambda: families.Binomial(families.links.CLogLog()),
    "logistic": families.Binomial,
    "squared": families.Gaussian,
}
ROWS = {
    "poisson": "poisson", "negative_binomial:theta=2": "poisson", "tweedie:power=1.3": "tweedie", "squared": "numbers",
    "probit": "two", "cloglog": "two", "logistic": "two",
}  # fmt: skip
POSITIVE_MARGINS = ("gamma:link=inverse", "inverse_gaussian")


def rows(loss: str) -> dict[str, Any]:
    given = made(ROWS.get(loss, "gamma"))
    if loss in POSITIVE_MARGINS:
        given["y"], given["offsets"] = np.maximum(given["y"] * 2, 0.5), given["offsets"] * 1e-3
    return given


@pytest.mark.filterwarnings("ignore:The .* link function does not respect")
@pytest.mark.parametrize("has_offsets", [False, True])
@pytest.mark.parametrize("loss", FAMILY)
def test_families_of_statsmodels(tmp_path: Path, loss: str, has_offsets: bool) -> None:
    given = rows(loss)
    x, y, u = given["x"], given["y"], given["weights"]
    o = given["offsets"] if has_offsets else None
    found = fit(tmp_path, x, y, loss, "--tolerance", "1e-10", weights=u, offsets=o)
    some = u > 0
    model = sm.GLM(
        y[some], np.column_stack([x, np.ones(len(y))])[some], FAMILY[loss](), freq_weights=u[some],
        offset=None if o is None else o[some],
    )  # fmt: skip
    # whose steps are never shortened: from afar they leave the margins that have a mean
    start = found.coef if loss in POSITIVE_MARGINS else None
    theirs = model.fit(tol=1e-12, maxiter=300, start_params=start)
    assert theirs.converged
    np.testing.assert_allclose(found.coef, theirs.params, rtol=1e-6, atol=1e-6 * np.abs(theirs.params).max())


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize(
    ("loss", "family"), [("poisson", "poisson"), ("gamma", "gamma"), ("tweedie:power=1.3", "tweedie (1.3)")]
)
def test_families_of_glum(tmp_path: Path, loss: str, family: str, l2: float) -> None:
    """Its objective is half the mean deviance + alpha/2 |w|^2."""
    given = rows(loss)
    x, y, u, o = (given[name] for name in ("x", "y", "weights", "offsets"))
    found = fit(tmp_path, x, y, loss, "--l2", l2, "--tolerance", "1e-10", weights=u, offsets=o)
    theirs = GeneralizedLinearRegressor(
        family=family, link="log", alpha=l2, l1_ratio=0, gradient_tol=1e-10, max_iter=1000, scale_predictors=False
    ).fit(x, y, sample_weight=u, offset=o)
    expected = np.append(theirs.coef_, theirs.intercept_)
    np.testing.assert_allclose(found.coef, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@dataclass(frozen=True, eq=False)
class There:
    """What they find, and what is to be said here for that; `given` are the columns that both have."""

    coef: Any
    loss: str
    options: tuple[object, ...]
    given: dict[str, Any]
    digits: float = 1e-5


def _estimator(made_by: Any, given: dict[str, Any], *, weighted: bool = True) -> Any:
    weights = {"sample_weight": given["weights"]} if weighted else {}
    found = made_by.fit(given["x"], given["y"], **weights)
    return np.append(np.ravel(found.coef_), np.ravel(found.intercept_)), found


def logistic_regression(folder: Path) -> There:
    given, c = made("two"), 0.3
    coef, _ = _estimator(LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10), given)
    return There(coef, "logistic", ("--l2", 1 / (c * given["weights"].sum())), given)


def liblinear_without_intercept(folder: Path) -> There:
    given, c = made("two"), 0.3
    coef, _ = _estimator(
        LogisticRegression(C=c, solver="liblinear", tol=1e-12, max_iter=100000, fit_intercept=False), given
    )
    return There(coef, "logistic", ("--l2", 1 / (c * given["weights"].sum()), "--no-intercept"), given)


def liblinear_with_a_penalised_intercept(folder: Path) -> There:
    """-B 1, or intercept_scaling=1: a feature that is 1 in all rows."""
    given, c = made("two"), 0.3
    coef, _ = _estimator(LogisticRegression(C=c, solver="liblinear", tol=1e-12, max_iter=100000), given)
    given["x"] = np.column_stack([given["x"], np.ones(len(given["y"]))])
    return There(
        np.append(coef, 0.0), "logistic", ("--l2", 1 / (c * given["weights"].sum()), "--no-intercept"), given
    )  # fmt: skip


def linear_svc(folder: Path) -> There:
    given, c = made("two"), 0.01
    coef, _ = _estimator(LinearSVC(C=c, dual=False, tol=1e-12, max_iter=100000, fit_intercept=False), given)
    options = ("--l2", 1 / (c * given["weights"].sum()), "--no-intercept")
    return There(coef, "squared_hinge", options, given)


def ridge(folder: Path) -> There:
    given, alpha = made("numbers"), 7.0
    coef, _ = _estimator(Ridge(alpha=alpha, solver="cholesky"), given)
    return There(coef, "squared", ("--l2", alpha / given["weights"].sum()), given)


def huber_regressor(folder: Path) -> There:
    """It fits a scale too; for that, delta is epsilon times it, and l2 alpha times it over N."""
    given, alpha, epsilon = made("numbers"), 0.5, 1.35
    coef, found = _estimator(HuberRegressor(epsilon=epsilon, alpha=alpha, tol=1e-9, max_iter=10000), given)
    loss = f"huber:delta={float(epsilon * found.scale_)!r}"
    return There(coef, loss, ("--l2", float(alpha * found.scale_) / given["weights"].sum()), given, digits=1e-4)


def quantile_regressor(folder: Path) -> There:
    given = made("numbers")
    given["x"] = given["x"] / given["x"].std(axis=0)
    coef, _ = _estimator(QuantileRegressor(quantile=0.8, alpha=0, solver="highs"), given)
    return There(coef, "quantile:level=0.8,width=1e-4", (), given, digits=1e-3)


def rlm(folder: Path) -> There:
    given = made("numbers")
    given["weights"] = None
    found = sm.RLM(given["y"], sm.add_constant(given["x"], prepend=False), M=sm.robust.norms.HuberT(1.345))
    there = found.fit(tol=1e-12, maxiter=1000)
    return There(there.params, f"huber:delta={1.345 * float(there.scale)!r}", (), given)


def quantreg(folder: Path) -> There:
    given = made("numbers")
    given["x"], given["weights"] = given["x"] / given["x"].std(axis=0), None
    found = sm.QuantReg(given["y"], sm.add_constant(given["x"], prepend=False)).fit(q=0.8, p_tol=1e-10, max_iter=5000)
    return There(found.params, "quantile:level=0.8,width=1e-4", (), given, digits=1e-3)


def _vw(folder: Path, loss: str, given: dict[str, Any], l2: float, *, halved: float = 1.0) -> There:
    """By L-BFGS, whose --l2 goes with the sum of the losses, and whose coefficients are float32. Its Constant is
    penalised as all others: --noconstant."""
    given["x"] = np.round(given["x"] / given["x"].std(axis=0), 3)
    labels = 2 * given["y"] - 1 if loss == "logistic" else given["y"]
    table = zip(labels.tolist(), given["weights"].tolist(), given["x"].tolist(), strict=True)
    text = [f"{y!r} {u!r} | {' '.join(f'{k + 1}:{v!r}' for k, v in enumerate(row))}\n" for y, u, row in table]
    (folder / "vw.txt").write_text("".join(text))
    flags = f"--loss_function {loss} --bfgs --passes 300 -k --cache_file cache --termination 1e-14 --mem 20 -b 18"
    files = "-d vw.txt --predict_only_model -f model --readable_model text --quiet --holdout_off --noconstant"
    command = [sys.executable, "-m", "vowpalwabbit", *flags.split(), *files.split(), "--l2", repr(l2)]
    subprocess.run(command, check=True, cwd=folder, timeout=120)
    weights = dict(line.split(":") for line in (folder / "text").read_text().split("\n:0\n")[1].splitlines())
    coef = [float(weights[str(k + 1)]) for k in range(3)]
    options = ("--l2", l2 / given["weights"].sum() * halved, "--no-intercept")
    return There(np.append(coef, 0.0), loss, options, given, digits=1e-3)


def vw_logistic(folder: Path) -> There:
    return _vw(folder, "logistic", made("two"), 2.0)


def vw_squared(folder: Path) -> There:
    """Its squared loss is not halved."""
    return _vw(folder, "squared", made("numbers"), 2.0, halved=0.5)


def vw_poisson(folder: Path) -> There:
    return _vw(folder, "poisson", made("poisson"), 2.0)


CONVERSIONS: list[Callable[[Path], There]] = [
    logistic_regression, liblinear_without_intercept, liblinear_with_a_penalised_intercept, linear_svc, ridge,
    huber_regressor, quantile_regressor, rlm, quantreg, vw_logistic, vw_squared, vw_poisson,
]  # fmt: skip


@pytest.mark.parametrize("program", CONVERSIONS, ids=lambda program: program.__name__)
def test_converted_options(tmp_path: Path, program: Callable[[Path], There]) -> None:
    there = program(tmp_path)
    given = there.given
    found = fit(
        tmp_path, given["x"], given["y"], there.loss, *there.options, "--tolerance", "1e-9", weights=given["weights"]
    )
    np.testing.assert_allclose(found.coef, there.coef, rtol=there.digits, atol=there.digits * np.abs(there.coef).max())
