"""Optima of real data against values that other people's solvers agreed on.

The expected results state objectives as sums: n times ours, with l2 = 1 / (C n) or lambda / n on the mean loss. What
they call bias=1 is a constant column that is penalised like any other; bias=0 is no intercept at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_engine, make_objective, minimise, read_csv, read_libsvm
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.optimize.lbfgs import Lbfgs
from mr_ml.optimize.line_search import LineMethod
from mr_ml.optimize.newton import Newton

SMALL = [Newton(tolerance=1e-10), Lbfgs(tolerance=1e-10, memory=50)]


def ident(value: Any) -> str:
    return str(getattr(value, "name", value))


def oracle(data_dir: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data_dir / "_oracles" / f"{name}.json").read_text())
    return found


def optimum(
    x: Any, y: Any, spec: RowSpec, method: LineMethod, *, l2: float, intercept: bool = True, **blocks: Any
) -> tuple[float, Any]:
    """n times the objective, and the coefficients; centred where training would centre."""
    engine = make_engine(x, y, form="stored", block_rows=2048, partitions=2, **blocks)
    filled = x.nnz if sparse.issparse(x) else np.count_nonzero(x)
    centre = filled >= x.shape[0] * x.shape[1] / 3
    objective = make_objective(engine, spec, l2=l2, intercept=intercept, centre=centre)
    state = minimise(engine, objective, method)
    assert state.stop.converged, state.stop.value
    return state.value * len(y), objective.coef(state.point)


LOGISTIC: dict[str, tuple[str, int, tuple[float, float], list[LineMethod]]] = {
    "a9a": ("a9a/a9a", 123, (-1.0, 1.0), SMALL[:1]),
    "agaricus": ("agaricus/agaricus.txt.train", 126, (0.0, 1.0), SMALL[:1]),
    "heart_scale": ("heart_scale/heart_scale", 13, (-1.0, 1.0), SMALL),
    "breast-cancer": ("libsvm_small/breast-cancer", 10, (2.0, 4.0), SMALL),
    "w6a_subset": ("w6a/w6a_300d_train.libsvm", 300, (-1.0, 1.0), SMALL[:1]),
}
CASES = [
    pytest.param(name, case, method, id=f"{name} {case} {method.name}")
    for name, (_, _, _, methods) in LOGISTIC.items()
    for method in methods
    for case in (
        ["C=1.0,free_intercept"]
        if name == "w6a_subset"
        else ["C=1.0,bias=0", "C=1.0,bias=1", "C=0.01,bias=0", "C=0.01,bias=1", "C=1.0,free_intercept"]
    )
]


@pytest.mark.parametrize(("name", "case", "method"), CASES)
def test_logistic_optima(data_dir: Path, name: str, case: str, method: LineMethod) -> None:
    path, n_features, classes, _ = LOGISTIC[name]
    expected = oracle(data_dir, f"l2logistic_{name}")["results"][case]
    x, y = read_libsvm(data_dir / path, n_features=n_features)
    if case.endswith("bias=1"):
        x = sparse.hstack([x, np.ones((len(y), 1))], format="csr")
    intercept = case.endswith("free_intercept")
    spec = RowSpec(loss_from_json("logistic"), x.shape[1], classes=classes)
    l2 = 1 / (expected["C"] * len(y))
    mean_sum, coef = optimum(x, y, spec, method, l2=l2, intercept=intercept)
    assert mean_sum * expected["C"] == pytest.approx(expected["f"], rel=1e-11)
    wanted = np.array(expected["coef"] if intercept else [*expected["coef"], 0.0])
    np.testing.assert_allclose(coef[0], wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())


def test_accuracy_and_auc_of_a9a(data_dir: Path) -> None:
    """Trained with C = 1 and a free intercept; on the test set, which lacks one of the features."""
    expected = oracle(data_dir, "l2logistic_a9a")["results"]["C=1.0,free_intercept"]
    assert expected["f"] == 10528.572430543307
    spec = RowSpec(loss_from_json("logistic"), 123, classes=(-1.0, 1.0))
    x, y = read_libsvm(data_dir / "a9a" / "a9a", n_features=123)
    _, coef = optimum(x, y, spec, Newton(tolerance=1e-10), l2=1 / len(y))
    test = read_libsvm(data_dir / "a9a" / "a9a.t", n_features=123)
    for name, (rows, labels) in {"train": (x, y), "test": test}.items():
        engine = make_engine(rows, labels, form="stored", block_rows=2048, partitions=2)
        query = MetricsQuery(spec, coef)
        found = query.read(engine.run(query)).to_json()
        assert found["accuracy"] == pytest.approx(expected[name]["accuracy"], abs=1e-12)
        assert found["auc"] == pytest.approx(expected[name]["auc"], abs=1e-9)
        assert found["log_loss"] == pytest.approx(expected[name]["mean_logloss"], rel=1e-9)
        assert found["auc_error"] == 0


def softmax_data(data_dir: Path, name: str) -> tuple[Any, Any]:
    if name == "iris":
        return read_libsvm(data_dir / "spark_mllib" / "iris_libsvm.txt", n_features=4)
    if name == "dna":
        return read_libsvm(data_dir / "dna" / "dna.scale", n_features=180)
    if name == "digits_div16":
        table = read_csv(data_dir / "sklearn" / "digits.csv.gz", skip=0)
        return table[:, :-1] / 16, table[:, -1]
    table = read_csv(data_dir / "sklearn" / "wine_data.csv")
    x = table[:, :-1]
    return (x - x.mean(axis=0)) / x.std(axis=0), table[:, -1]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *[(name, method) for name in ("iris", "wine_standardised") for method in SMALL],
        ("dna", Newton(tolerance=1e-9)),
        ("digits_div16", Lbfgs(tolerance=1e-7, memory=50)),
        ("digits_div16", Newton(tolerance=1e-9)),
    ],
    ids=ident,
)
def test_softmax_optima(data_dir: Path, name: str, method: LineMethod) -> None:
    expected = oracle(data_dir, f"softmax_{name}")
    x, y = softmax_data(data_dir, name)
    spec = RowSpec(loss_from_json("softmax"), x.shape[1], classes=tuple(expected["classes"]))
    mean_sum, coef = optimum(x, y, spec, method, l2=expected["lam"] / len(y))
    assert mean_sum == pytest.approx(expected["f"], rel=1e-10)
    w, b = np.array(expected["W"]).T, np.array(expected["b"])
    slack = 1e-6 if method.tolerance <= 1e-9 else 1e-3
    np.testing.assert_allclose(coef[:, :-1], w, atol=slack * np.abs(w).max())
    intercepts = coef[:, -1] - coef[:, -1].mean()
    np.testing.assert_allclose(intercepts, b - b.mean(), atol=slack * np.abs(b).max())


@pytest.mark.parametrize("method", [Newton(), Lbfgs(tolerance=1e-11, memory=50)], ids=ident)
@pytest.mark.parametrize("penalty", [0, 1])
def test_ridge_of_housing(data_dir: Path, penalty: int, method: LineMethod) -> None:
    expected = oracle(data_dir, f"ridge_lam{penalty}_housing_scale")
    x, y = read_libsvm(data_dir / "libsvm_small" / "housing_scale", n_features=13)
    mean_sum, coef = optimum(x, y, RowSpec(loss_from_json("squared"), 13), method, l2=penalty / len(y))
    w = np.array(expected["coef"], float)
    np.testing.assert_allclose(coef[0], [*w, float(expected["intercept"])], rtol=1e-9, atol=1e-9)
    assert mean_sum == pytest.approx(float(expected["rss"]) / 2 + penalty / 2 * w @ w, rel=1e-13)


@pytest.mark.parametrize(("name", "digits"), [("norris", 11), ("longley", 8)])
def test_certified_regressions(data_dir: Path, name: str, digits: int) -> None:
    """NIST StRD. Half of the digits that the condition number takes are lost to the normal equations."""
    expected = oracle(data_dir, f"nist_{name}")["recomputed_80_digits"]
    table = read_csv(data_dir / "nist_strd" / f"{name}.csv")
    x, y = table[:, 1:], table[:, 0]
    mean_sum, coef = optimum(x, y, RowSpec(loss_from_json("squared"), x.shape[1]), Newton(), l2=0.0)
    intercept, *slopes = map(float, expected["coef"])
    np.testing.assert_allclose(coef[0], [*slopes, intercept], rtol=10.0**-digits)
    assert 2 * mean_sum == pytest.approx(float(expected["rss"]), rel=1e-8)


@pytest.mark.parametrize("method", [Newton(tolerance=1e-11), Lbfgs(tolerance=1e-10, memory=50)], ids=ident)
@pytest.mark.parametrize("name", ["iris", "breast_cancer", "wine_data"])
def test_coefficients_of_scikit_learn(data_dir: Path, name: str, method: LineMethod) -> None:
    """Raw features, from thousandths to thousands; scikit-learn's most exact solver with a tolerance of its own."""
    table = read_csv(data_dir / "sklearn" / f"{name}.csv")
    x, y = table[:, :-1], table[:, -1]
    classes = tuple(np.unique(y).tolist())
    spec = RowSpec(loss_from_json("logistic" if len(classes) == 2 else "softmax"), x.shape[1], classes=classes)
    theirs = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    _, coef = optimum(x, y, spec, method, l2=1 / len(y))
    if len(classes) > 2:
        coef[:, -1] -= coef[:, -1].mean()
    np.testing.assert_allclose(coef[:, :-1], theirs.coef_, atol=1e-6 * np.abs(theirs.coef_).max())
    offsets = theirs.intercept_ - (theirs.intercept_.mean() if len(classes) > 2 else 0)
    np.testing.assert_allclose(coef[:, -1], offsets, rtol=1e-6, atol=1e-6 * np.abs(offsets).max())


def test_class_weights_are_row_weights_by_class(data_dir: Path) -> None:
    x, y = read_libsvm(data_dir / "heart_scale" / "heart_scale", n_features=13)
    factors = {-1.0: 0.25, 1.0: 3.0}
    by_class = RowSpec(loss_from_json("logistic"), 13, classes=(-1.0, 1.0), class_weights=tuple(factors.values()))
    by_row = RowSpec(loss_from_json("logistic"), 13, classes=(-1.0, 1.0))
    u = np.array([factors[label] for label in y])
    one = optimum(x, y, by_class, Newton(tolerance=1e-11), l2=0.01)
    other = optimum(x, y, by_row, Newton(tolerance=1e-11), l2=0.01, weights=u)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-9, atol=1e-11)
    theirs = LogisticRegression(C=1 / (0.01 * u.sum()), class_weight=factors, solver="newton-cholesky", tol=1e-12)
    np.testing.assert_allclose(one[1][0, :-1], theirs.fit(x.toarray(), y).coef_[0], rtol=1e-6, atol=1e-8)
