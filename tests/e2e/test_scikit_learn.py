"""What the command line fits, against scikit-learn and scipy: weights, penalties, offsets, intercepts.

scikit-learn's objective: sum_i u_i l_i + |w|^2 / (2 C);  ours: that divided by sum_i u_i, with --l2 1 / (C sum_i u_i)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, packed, write_csv, write_libsvm
from scipy import optimize, special
from sklearn import datasets, linear_model
from sklearn.utils.class_weight import compute_sample_weight

from hdfs_layout import decode_document, encode_document

TIGHT = ("--tolerance", "1e-10")


@pytest.fixture(scope="module")
def mr_ml(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """One root for the module: what is packed once serves many tests."""
    return Commands(tmp_path_factory.mktemp("scikit-learn") / "root")


def sklearn_logistic(x: Any, y: Any, *, l2: float, weights: Any = None, intercept: bool = True) -> tuple[Any, Any]:
    """The optimum by scikit-learn's Newton-Cholesky at its tightest."""
    total = len(y) if weights is None else float(np.sum(weights))
    model = linear_model.LogisticRegression(
        C=1 / (l2 * total), solver="newton-cholesky", tol=1e-14, max_iter=1000, fit_intercept=intercept
    )
    model.fit(x, y, sample_weight=weights)
    return model.coef_, model.intercept_


BUNDLED = {"iris": datasets.load_iris, "breast_cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_coefficients_are_scikit_learns(mr_ml: Commands, tmp_path: Path, name: str, solver: str) -> None:
    x, y = BUNDLED[name](return_X_y=True)
    packed(mr_ml, f"sk-{name}", write_libsvm(tmp_path / name, x, y))
    loss = "logistic" if len(set(y)) == 2 else "softmax"
    l2 = 1e-2
    model = f"sk-{name}-{solver}"
    mr_ml(
        "train", f"sk-{name}", "--model", model, "--loss", loss, "--l2", l2, "--solver", solver, "--tolerance", "1e-11"
    )
    coef, intercept = sklearn_logistic(x, y, l2=l2)
    fitted = mr_ml.coef(model)
    np.testing.assert_allclose(fitted.coef, coef, atol=1e-6)
    np.testing.assert_allclose(fitted.intercept, intercept - intercept.mean() * (loss == "softmax"), atol=1e-6)


def small_problem(seed: int = 3, n: int = 300, d: int = 6) -> tuple[Any, Any, Any]:
    """Features of scales 0.03 to 30, labels from a logistic model, positive weights."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.logspace(-1.5, 1.5, d) + rng.normal(size=d)
    y = (rng.random(n) < special.expit(x @ (rng.normal(size=d) / np.logspace(-1.5, 1.5, d)))).astype(int)
    return x, y, rng.gamma(1.0, size=n) + 0.01


def named(x: Any, **more: Any) -> dict[str, Any]:
    return {**{f"x{j}": x[:, j] for j in range(x.shape[1])}, **more}


def test_row_weights(mr_ml: Commands, tmp_path: Path) -> None:
    x, y, u = small_problem()
    text = write_csv(tmp_path / "rows.csv", named(x, label=y, u=u))
    packed(mr_ml, "weighted", text, "--weight-column", "u")
    mr_ml("train", "weighted", "--model", "weighted", "--l2", "0.01", *TIGHT)
    coef, intercept = sklearn_logistic(x, y, l2=0.01, weights=u)
    fitted = mr_ml.coef("weighted")
    np.testing.assert_allclose(fitted.coef, coef, atol=1e-6)
    np.testing.assert_allclose(fitted.intercept, intercept, atol=1e-6)
    metrics = mr_ml("evaluate", "weighted", "weighted", "--split", "train")
    right = (x @ coef[0] + intercept > 0) == y
    assert metrics["accuracy"] == pytest.approx(u[right].sum() / u.sum(), rel=1e-9)
    mr_ml("train", "weighted", "--model", "unweighted", "--l2", "0.01", "--weights", "none", *TIGHT)
    coef, intercept = sklearn_logistic(x, y, l2=0.01)
    np.testing.assert_allclose(mr_ml.coef("unweighted").coef, coef, atol=1e-6)


@pytest.mark.parametrize(("spec", "theirs"), [("balanced", "balanced"), ("0=3,1=0.25", {0: 3.0, 1: 0.25})])
def test_class_weights(mr_ml: Commands, tmp_path: Path, spec: str, theirs: Any) -> None:
    x, y, _ = small_problem()
    packed(mr_ml, "classes", write_csv(tmp_path / "rows.csv", named(x, label=y)))
    mr_ml("train", "classes", "--model", "classes", "--l2", "0.01", "--class-weights", spec, *TIGHT)
    coef, intercept = sklearn_logistic(x, y, l2=0.01, weights=compute_sample_weight(theirs, y))
    fitted = mr_ml.coef("classes")
    np.testing.assert_allclose(fitted.coef, coef, atol=1e-6)
    np.testing.assert_allclose(fitted.intercept, intercept, atol=1e-6)


@pytest.mark.parametrize("given", ["2=5", "balanced"])
def test_class_weights_multiply_row_weights(mr_ml: Commands, tmp_path: Path, given: str) -> None:
    """Balanced: after that every class weighs the same."""
    x, _, u = small_problem()
    y = np.digitize(x[:, 0] + x[:, 1] / 2 + np.random.default_rng(0).normal(size=len(x)), [-0.5, 0.8])
    packed(mr_ml, "three", write_csv(tmp_path / "rows.csv", named(x, label=y, u=u)), "--weight-column", "u")
    mr_ml("train", "three", "--model", "three", "--loss", "softmax", "--l2", "0.02", "--class-weights", given, *TIGHT)
    factors = [1.0, 1.0, 5.0] if given == "2=5" else [u.sum() / (3 * u[y == k].sum()) for k in range(3)]
    coef, intercept = sklearn_logistic(x, y, l2=0.02, weights=u * np.array(factors)[y])
    fitted = mr_ml.coef("three")
    np.testing.assert_allclose(fitted.coef, coef, atol=1e-6)
    np.testing.assert_allclose(fitted.intercept, intercept - intercept.mean(), atol=1e-6)


@pytest.mark.parametrize(("name", "scale"), [("tiny", 2.0**-1074), ("huge", 2.0**1010)])
@pytest.mark.parametrize("more", [("--class-weights", "balanced"), ("--class-weights", "0=1e-319,1=3e-319")])
def test_tiny_and_huge_weights_are_like_others(
    mr_ml: Commands, tmp_path: Path, name: str, scale: float, more: tuple[str, ...]
) -> None:
    """Down to the smallest numbers that there are."""
    x, y, _ = small_problem()
    u = np.random.default_rng(5).integers(1, 9, len(y))
    found = []
    for data, weights in (("plain", u.astype(float)), (name, u * scale)):
        packed(mr_ml, data, write_csv(tmp_path / f"{data}.csv", named(x, label=y, u=weights)), "--weight-column", "u")
        mr_ml("train", data, "--model", "scaled-weights", "--l2", "0.01", *more, *TIGHT)
        metrics = mr_ml("evaluate", "scaled-weights", data, "--split", "train")
        fitted = mr_ml.coef("scaled-weights")
        found.append([*fitted.coef[0], *fitted.intercept, *(metrics[m] for m in ("accuracy", "log_loss", "auc"))])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10)


def weighted_ridge(x: Any, y: Any, u: Any, *, l2: float, intercept: bool) -> Any:
    """Coefficients of least squares with the penalty 1/2 l2 sum_j (d_j w_j)^2, d_j weighted standard deviations."""
    x, y, u = (np.asarray(a, np.longdouble) for a in (x, y, u / u.sum()))
    deviation = np.sqrt(u @ (x - u @ x) ** 2)
    if intercept:
        x, y = x - u @ x, y - u @ y
    return np.linalg.solve(
        ((x * u[:, None]).T @ x + l2 * np.diag(deviation**2)).astype(float), (x.T @ (u * y)).astype(float)
    )


@pytest.mark.parametrize("exponent", [0, -1070, 990])
@pytest.mark.parametrize("options", [(), ("--no-intercept",), ("--weights", "none"), ("--solver", "lbfgs")], ids=str)
def test_a_penalty_on_scaled_features_counts_weights(
    mr_ml: Commands, tmp_path: Path, options: tuple[str, ...], exponent: int
) -> None:
    """Integer weights, some of them 0, times a power of two: 2^-1070 is 16 of the least number."""
    x, _, u = small_problem(seed=8)
    y, u = x.sum(axis=1) + np.random.default_rng(8).normal(size=len(x)), np.floor(u * 500) * (u > 0.2)
    intercept = "--no-intercept" not in options
    # far from zero, where there is an intercept to take that in
    x[:, 3] += 1e7 * intercept
    name = f"scaled{exponent}-{intercept}"
    text = write_csv(tmp_path / "rows.csv", named(x, label=y, u=np.ldexp(u, exponent)))
    packed(mr_ml, name, text, "--weight-column", "u")
    penalty = ("--loss", "squared", "--l2", "0.2", "--penalty-space", "scaled")
    mr_ml("train", name, "--model", name, *penalty, *TIGHT, *options)
    expected = weighted_ridge(x, y, np.ones(len(u)) if "none" in options else u, l2=0.2, intercept=intercept)
    np.testing.assert_allclose(mr_ml.coef(name).coef[0], expected, rtol=1e-6)


def test_a_penalty_on_scaled_features_is_that_of_repeated_rows(mr_ml: Commands, tmp_path: Path) -> None:
    """A row of weight 3 is three rows; categories are stored sparse."""
    x, y, _ = small_problem(seed=4)
    rng = np.random.default_rng(9)
    u, shop = rng.integers(0, 4, len(y)), rng.integers(0, 12, len(y))
    table = named(x[:, :2], shop=[f"s{k}" for k in shop], label=y, u=u)
    packed(mr_ml, "shops", write_csv(tmp_path / "shops.csv", table), "--weight-column", "u")
    mr_ml("train", "shops", "--model", "shops", "--l2", "0.05", "--penalty-space", "scaled", *TIGHT)
    indicators = shop[:, None] == sorted(range(12), key=lambda k: f"s{k}")
    repeated, labels = (np.repeat(a, u, axis=0) for a in (np.hstack([x[:, :2], indicators]), y))
    deviation = repeated.std(axis=0)
    coef, intercept = sklearn_logistic(repeated / deviation, labels, l2=0.05)
    fitted = mr_ml.coef("shops")
    np.testing.assert_allclose(fitted.coef, coef / deviation, atol=1e-6)
    np.testing.assert_allclose(fitted.intercept, intercept, atol=1e-6)


def test_weights_without_a_sum_scale_nothing(mr_ml: Commands, tmp_path: Path) -> None:
    """They may be as large as numbers are; only their sum may not be larger."""
    text = write_csv(tmp_path / "no-sum.csv", named(np.arange(8.0)[:, None], label=[0, 1] * 4, u=[1.5e308] * 8))
    packed(mr_ml, "no-sum", text, "--weight-column", "u")
    assert mr_ml("train", "no-sum", "--model", "no-sum", "--l2", "0.1")["converged"]
    refused = mr_ml.run("train", "no-sum", "--model", "no-sum", "--l2", "0.1", "--penalty-space", "scaled")
    assert refused.code == 65
    assert "expected row weights in no-sum@1 whose sum is a number" in refused.err


def test_datasets_that_do_not_say_what_labels_weigh(mr_ml: Commands, tmp_path: Path) -> None:
    """Those of before are trained as they were, and refused where it is needed."""
    x, y, u = small_problem()
    packed(mr_ml, "before", write_csv(tmp_path / "rows.csv", named(x, label=y, u=u)), "--weight-column", "u")
    (path,) = (mr_ml.root / "datasets/before").glob("v*.json")
    document = decode_document(path.read_bytes(), where="here")
    path.write_bytes(encode_document({k: v for k, v in document.items() if k != "weights"}))
    found = mr_ml.run("train", "before", "--model", "before", "--class-weights", "balanced")
    assert (found.code, "pack it again" in found.err) == (2, True)
    mr_ml("train", "before", "--model", "before", "--class-weights", "balanced", "--weights", "none")
    mr_ml("train", "before", "--model", "before", "--l2", "0.01")
    mr_ml("evaluate", "before", "before", "--split", "train")


def test_no_intercept(mr_ml: Commands, tmp_path: Path) -> None:
    x, y, _ = small_problem()
    packed(mr_ml, "free", write_csv(tmp_path / "rows.csv", named(x, label=y)))
    mr_ml("train", "free", "--model", "free", "--l2", "0.01", "--no-intercept", *TIGHT)
    coef, _ = sklearn_logistic(x, y, l2=0.01, intercept=False)
    fitted = mr_ml.coef("free")
    np.testing.assert_allclose(fitted.coef, coef, atol=1e-6)
    assert fitted.intercept == 0


def test_penalty_on_scaled_features(mr_ml: Commands, tmp_path: Path) -> None:
    x, y, _ = small_problem()
    packed(mr_ml, "scaled", write_csv(tmp_path / "rows.csv", named(x, label=y)))
    mr_ml("train", "scaled", "--model", "scaled", "--l2", "0.05", "--penalty-space", "scaled", *TIGHT)
    deviation = x.std(axis=0)
    coef, intercept = sklearn_logistic(x / deviation, y, l2=0.05)
    fitted = mr_ml.coef("scaled")
    np.testing.assert_allclose(fitted.coef * deviation, coef, atol=1e-6)
    np.testing.assert_allclose(fitted.intercept, intercept, atol=1e-6)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_offsets(mr_ml: Commands, tmp_path: Path, loss: str) -> None:
    """Known parts of the margin, against scipy's minimiser on the formula, its gradient by hand."""
    x, y, _ = small_problem()
    offset = np.random.default_rng(8).normal(size=len(y)) + 0.5
    text = write_csv(tmp_path / "rows.csv", named(x, label=y, o=offset))
    packed(mr_ml, f"offset-{loss}", text, "--offset-column", "o")
    mr_ml("train", f"offset-{loss}", "--model", f"offset-{loss}", "--loss", loss, "--l2", "0.03", *TIGHT)
    fitted = mr_ml.coef(f"offset-{loss}")
    x1, free = np.column_stack([x, np.ones(len(x))]), np.append(np.ones(x.shape[1]), 0)

    def slope(z: Any) -> Any:
        return special.expit(z) - y if loss == "logistic" else z - y

    def gradient(w: Any) -> Any:
        return x1.T @ slope(x1 @ w + offset) / len(y) + 0.03 * free * w

    found = optimize.root(gradient, np.zeros(x1.shape[1]), tol=1e-13)
    assert np.abs(gradient(found.x)).max() < 1e-10
    np.testing.assert_allclose(fitted.coef[0], found.x[:-1], atol=1e-6)
    np.testing.assert_allclose(fitted.intercept[0], found.x[-1], atol=1e-6)


def test_least_squares_with_weights(mr_ml: Commands, tmp_path: Path) -> None:
    """sum_i u_i (x_i w + b - y_i)^2 / 2 without a penalty, against numpy's least squares by SVD."""
    x, _, u = small_problem()
    y = x @ np.arange(1.0, 7.0) + np.random.default_rng(1).normal(size=len(x)) + 4
    packed(mr_ml, "wls", write_csv(tmp_path / "rows.csv", named(x, label=y, u=u)), "--weight-column", "u")
    mr_ml("train", "wls", "--model", "wls", "--loss", "squared", *TIGHT)
    x1 = np.column_stack([x, np.ones(len(x))]) * np.sqrt(u)[:, None]
    expected = np.linalg.lstsq(x1, y * np.sqrt(u), rcond=None)[0]
    fitted = mr_ml.coef("wls")
    np.testing.assert_allclose(np.append(fitted.coef[0], fitted.intercept), expected, atol=1e-8)
