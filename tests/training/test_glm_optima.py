"""Optima of the losses against R's glm, published tables, scikit-learn and scipy; and data that have none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_engine, read_libsvm
from commands import Commands, write_csv, write_libsvm
from scipy import special
from scipy.optimize import minimize
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor
from sklearn.metrics import d2_tweedie_score
from sklearn.svm import LinearSVC

import mr_ml
from mr_ml.errors import UsageError
from mr_ml.models.linear.losses import loss_from_text
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec

SOLVERS = ("newton", "lbfgs")


@dataclass(frozen=True, eq=False)
class Fitted:
    """Coefficients, intercept last, and what the command line said of training and on the same rows."""

    coef: Any
    trained: dict[str, Any]
    metrics: dict[str, Any]


def fit(folder: Path, x: Any, y: Any, loss: str, *options: object, **columns: Any) -> Fitted:
    """Through the whole of pack, train and evaluate; `columns` are weights and offsets."""
    place = Commands(folder / "root", runner=("-r", "inline"))
    folder.mkdir(exist_ok=True)
    given = {name: np.asarray(column, float) for name, column in columns.items() if column is not None}
    table = {"y": np.asarray(y, float), **{f"x{k}": column for k, column in enumerate(np.asarray(x, float).T)}, **given}
    text = write_csv(folder / "rows.csv", table)
    named = [word for name in given for word in (f"--{name.removesuffix('s')}-column", name)]
    place("pack", text, "--to", "rows", "--format", "csv", "--label-column", "y", *named)
    trained = place("train", "rows", "--model", "m", "--loss", loss, *options)
    coef = place.coef("m")
    metrics = place("evaluate", "m", "rows", "--split", "train") if trained["converged"] else {}
    return Fitted(np.append(coef.coef[0], coef.intercept[0]), trained, metrics)


def levels(column: Any) -> Any:
    """Indicators of all levels but the first, as R's treatment contrasts."""
    names = list(dict.fromkeys(column))
    return np.array([[value == name for name in sorted(names)[1:]] for value in column], float)


def r_table(data_dir: Path, name: str) -> dict[str, list[str]]:
    lines = (data_dir / "glm_r" / f"{name}.csv").read_text().splitlines()
    header, *rows = ([cell.strip('"') for cell in line.split(",")] for line in lines)
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def r_case(data_dir: Path, name: str) -> tuple[Any, Any, Any]:
    """x, y and offsets of a model of R."""
    table = r_table(data_dir, name)
    if name == "Insurance":
        ages = {"<25": [0, 0, 0], "25-29": [1, 0, 0], "30-35": [0, 1, 0], ">35": [0, 0, 1]}
        groups = {"<1l": [0, 0, 0], "1-1.5l": [1, 0, 0], "1.5-2l": [0, 1, 0], ">2l": [0, 0, 1]}
        x = np.hstack([levels(table["District"]), [groups[g] for g in table["Group"]], [ages[a] for a in table["Age"]]])
        return x, np.array(table["Claims"], float), np.log(np.array(table["Holders"], float))
    if name == "dobson":
        return np.hstack([levels(table["outcome"]), levels(table["treatment"])]), np.array(table["counts"], float), None
    if name == "quine":
        x = np.hstack([levels(table[column]) for column in ("Eth", "Sex", "Age", "Lrn")])
        return x, np.array(table["Days"], float), None
    return np.log(np.array(table["u"], float))[:, None], np.array(table["lot1"], float), None


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("name", "loss"),
    [("Insurance", "poisson"), ("dobson", "poisson"), ("quine", "poisson"), ("clotting_lot1", "gamma:link=inverse")],
)
def test_models_of_r(data_dir: Path, tmp_path: Path, name: str, loss: str, solver: str) -> None:
    expected = json.loads((data_dir / "_oracles" / f"glm_{name}.json").read_text())
    x, y, offsets = r_case(data_dir, name)
    found = fit(tmp_path, x, y, loss, "--solver", solver, "--tolerance", "1e-11", offsets=offsets)
    intercept, *slopes = expected["coef"].values()
    size = max(map(abs, expected["coef"].values()))
    np.testing.assert_allclose(found.coef, [*slopes, intercept], rtol=1e-8, atol=1e-8 * size)
    assert found.metrics["mean_deviance"] * len(y) == pytest.approx(expected["deviance"], rel=1e-8)
    if offsets is None:
        assert found.metrics["d2"] == pytest.approx(1 - expected["deviance"] / expected["null_deviance"], rel=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("name", "loss", "digits"),
    [
        ("Scotvote", "gamma:link=inverse", 3e-6),
        ("Cpunish", "poisson", 3e-6),
        # printed before its search had converged
        ("Committee", "negative_binomial:theta=1", 3e-4),
    ],
)
def test_published_tables(data_dir: Path, tmp_path: Path, name: str, loss: str, digits: float, solver: str) -> None:
    expected = json.loads((data_dir / "_oracles" / f"published_glm.{name}.json").read_text())["values"]
    x, y = published_case(data_dir, name)
    found = fit(tmp_path, x, y, loss, "--solver", solver, "--tolerance", "1e-10")
    # as many digits as are printed
    np.testing.assert_allclose(found.coef, expected["params"], rtol=digits)
    assert found.metrics["mean_deviance"] * len(y) == pytest.approx(expected["deviance"], rel=1e-7)
    null = expected["null_deviance"]
    assert found.metrics["d2"] == pytest.approx(1 - expected["deviance"] / null, rel=1e-6)


def published_case(data_dir: Path, name: str) -> tuple[Any, Any]:
    lines = (data_dir / "statsmodels" / f"{name.lower()}.csv").read_text().splitlines()
    # the first column has names
    table = np.array([line.rsplit('"', 1)[-1].split(",")[1:] for line in lines[1:]], float)
    y, x = table[:, 0], table[:, 1:]
    if name == "Cpunish":
        x[:, 3] = np.log(x[:, 3])
    if name == "Committee":
        x[:, 2] = np.log(x[:, 2])
        x = np.column_stack([x, x[:, 1] * x[:, 2]])
    return x, y


def made(loss: str, *, n: int = 400, seed: int = 0) -> dict[str, Any]:
    """Rows with weights, and offsets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1.0, 20.0, 0.05] + [0.0, 30.0, 0.0]
    o = rng.normal(size=n) * 0.3
    z = x @ [0.5, -0.03, 4.0] + 1 + o
    drawn: dict[str, Callable[[], Any]] = {
        "poisson": lambda: rng.poisson(np.exp(z)).astype(float),
        "gamma": lambda: rng.gamma(2.0, np.exp(z) / 2),
        "tweedie": lambda: rng.gamma(2.0, np.exp(z) / 2) * (rng.random(n) < 0.6),
        "two": lambda: (z + rng.normal(size=n) > 1).astype(float),
        "numbers": lambda: z + rng.standard_t(2, size=n),
    }
    return {"x": x, "y": drawn[loss](), "weights": rng.integers(0, 4, n).astype(float), "offsets": o}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize(
    ("loss", "peer"),
    [
        ("poisson", PoissonRegressor),
        ("gamma", GammaRegressor),
        ("tweedie:power=1.3", lambda **how: TweedieRegressor(power=1.3, link="log", **how)),
    ],
)
def test_regressors_of_scikit_learn(tmp_path: Path, loss: str, peer: Any, l2: float, solver: str) -> None:
    """Their objective is half the mean deviance + alpha/2 |w|^2: alpha is l2. An offset is a weight and a rate."""
    given = made(loss.partition(":")[0])
    x, y, u, o = given["x"], given["y"], given["weights"], given["offsets"]
    found = fit(tmp_path, x, y, loss, "--l2", l2, "--solver", solver, "--tolerance", "1e-9", weights=u)
    theirs = peer(alpha=l2, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(x, y, sample_weight=u)
    np.testing.assert_allclose(found.coef, [*theirs.coef_, theirs.intercept_], rtol=1e-6, atol=1e-7)
    power = {"poisson": 1, "gamma": 2}.get(loss, 1.3)
    d2 = d2_tweedie_score(y, theirs.predict(x), sample_weight=u, power=power)
    assert found.metrics["d2"] == pytest.approx(d2, rel=1e-6)
    # y e^-o with weights u e^((2 - power) o) has the same gradient
    exactly = ("--solver", solver, "--tolerance", "1e-9")
    moved = fit(tmp_path / "moved", x, y, loss, *exactly, weights=u, offsets=o)
    rate = peer(alpha=0, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(
        x, y * np.exp(-o), sample_weight=u * np.exp((2 - power) * o)
    )
    np.testing.assert_allclose(moved.coef, [*rate.coef_, rate.intercept_], rtol=1e-6, atol=1e-7)


# by definition, for scipy's optimizer
DEFINED: dict[str, Any] = {
    "negative_binomial:theta=1.5": ("poisson", lambda z, y: (y + 1.5) * np.logaddexp(z, np.log(1.5)) - y * z),
    "inverse_gaussian": ("gamma", lambda z, y: np.where(z > 0, y * z / 2 - np.sqrt(np.maximum(z, 0)), np.inf)),
    "gamma:link=inverse": ("gamma", lambda z, y: np.where(z > 0, y * z - np.log(np.maximum(z, 1e-300)), np.inf)),
    "huber:delta=0.5": ("numbers", lambda z, y: special.huber(0.5, z - y)),
    "quantile:level=0.8,width=0.5": ("numbers", lambda z, y: special.huber(0.5, z - y) - 0.3 * (z - y)),
    "probit": ("two", lambda z, y: -special.log_ndtr((2 * y - 1) * z)),
    "cloglog": ("two", lambda z, y: np.where(y > 0, -np.log(-np.expm1(-np.exp(z))), np.exp(z))),
    "squared_hinge": ("two", lambda z, y: np.maximum(0, 1 - (2 * y - 1) * z) ** 2),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", DEFINED)
def test_optima_of_definitions(tmp_path: Path, loss: str, solver: str) -> None:
    """No other point near it is better, by scipy's simplex; with weights and offsets."""
    rows, definition = DEFINED[loss]
    given = made(rows)
    if rows == "gamma":
        given["y"], given["offsets"] = np.maximum(given["y"] * 2, 0.5), given["offsets"] * 1e-3
    x, y, u, o = (given[name][given["weights"] > 0] for name in ("x", "y", "weights", "offsets"))
    l2 = 1e-3
    found = fit(tmp_path, x, y, loss, "--l2", l2, "--solver", solver, "--tolerance", "1e-9", weights=u, offsets=o)
    assert found.trained["converged"], found.trained["stop"]

    def objective(coef: Any) -> Any:
        return (u * definition(x @ coef[:3] + coef[3] + o, y)).sum() / u.sum() + l2 / 2 * coef[:3] @ coef[:3]

    best = minimize(objective, found.coef, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13})
    assert objective(found.coef) <= best.fun + 1e-11 * abs(best.fun)
    np.testing.assert_allclose(found.coef, best.x, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["heart_scale", "breast-cancer"])
def test_machines_of_liblinear(data_dir: Path, tmp_path: Path, name: str, solver: str) -> None:
    path = "heart_scale/heart_scale" if name == "heart_scale" else "libsvm_small/breast-cancer"
    found = json.loads((data_dir / "_oracles" / f"l1_and_sqhinge_{name}.json").read_text())
    expected = found["L2 squared hinge: 0.5||w||^2 + C sum max(0,1-yz)^2"]
    _, y = read_libsvm(data_dir / path, n_features=len(expected["coef"]))
    place = Commands(tmp_path / "root", runner=("-r", "inline"))
    place("pack", data_dir / path, "--to", "rows")
    options = ("--l2", 1 / (expected["C"] * len(y)), "--no-intercept", "--tolerance", "1e-10", "--solver", solver)
    trained = place("train", "rows", "--model", "m", "--loss", "squared_hinge", *options)
    assert trained["objective"] * len(y) * expected["C"] == pytest.approx(expected["f"], rel=1e-8)
    np.testing.assert_allclose(place.coef("m").coef[0], expected["coef"], atol=1e-5)
    metrics = place("evaluate", "m", "rows", "--split", "train")
    assert metrics["accuracy"] == pytest.approx(expected["train_accuracy"], abs=1e-12)
    assert "log_loss" not in metrics


def test_what_a_support_vector_machine_predicts(tmp_path: Path) -> None:
    """The label, and the decision value of each class: scikit-learn's, and there are no probabilities."""
    given = made("two")
    x, y = given["x"], given["y"]
    fit(tmp_path, x, y, "squared_hinge", "--l2", 1e-2)
    place = Commands(tmp_path / "root", runner=("-r", "inline"))
    place("predict", "m", tmp_path / "rows.csv", "--to", tmp_path / "predicted")
    header, *lines = (tmp_path / "predicted").read_text().splitlines()
    assert header == "label\tdecision_0\tdecision_1"
    table = np.array([line.split("\t") for line in lines], float)
    theirs = LinearSVC(C=1 / (1e-2 * len(y)), dual=False, tol=1e-10, max_iter=10000, intercept_scaling=1e4).fit(x, y)
    np.testing.assert_allclose(table[:, 2], theirs.decision_function(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(table[:, 1], -table[:, 2])
    np.testing.assert_array_equal(table[:, 0], theirs.predict(x))
    model = mr_ml.load_model(place.root, "m")
    np.testing.assert_array_equal(model.predict(x).astype(float), table[:, 0])
    with pytest.raises(UsageError, match="has no probabilities"):
        model.predict_proba(x)


def indicator(y: Any, rng: np.random.Generator) -> Any:
    """Of rows of label 0 alone."""
    return np.column_stack([rng.normal(size=len(y)), (np.arange(len(y)) < 40) & (y == 0)])


def sum_of_two(y: Any, rng: np.random.Generator) -> Any:
    """Two features that cancel but for rows of label 0: neither of them tells."""
    first = rng.normal(size=len(y))
    return np.column_stack([first, np.where(y == 0, np.abs(rng.normal(size=len(y))), 0.0) - first])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("make", [indicator, sum_of_two])
@pytest.mark.parametrize("loss", ["poisson", "tweedie", "negative_binomial:theta=2", "probit", "cloglog"])
def test_data_without_an_optimum_is_told(tmp_path: Path, loss: str, make: Any, solver: str) -> None:
    rng = np.random.default_rng(2)
    y = rng.poisson(1.0, 300).astype(float)
    y = (y > 0).astype(float) if loss in ("probit", "cloglog") else y
    x = make(y, rng)
    found = fit(tmp_path, x, y, loss, "--solver", solver).trained
    assert not found["converged"]
    assert "there is no finite optimum" in found["stop"]
    assert ("rows whose label is 0" in found["stop"]) == (loss not in ("probit", "cloglog"))
    if make is indicator:
        assert "x1" in found["warnings"][0]
    if loss != "poisson":
        return
    # a penalty makes one, and rows of other labels do
    assert fit(tmp_path / "penalised", x, y, loss, "--solver", solver, "--l2", "1e-3").trained["converged"]
    x[np.flatnonzero(y)[:3]] = x[np.flatnonzero(y == 0)[:3]]
    assert fit(tmp_path / "changed", x, y, loss, "--solver", solver).trained["converged"]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", ["huber:delta=0.001", "quantile:width=0.001"])
def test_kinks_are_passed(tmp_path: Path, loss: str, solver: str) -> None:
    """Labels in two heaps, so that at first no row is where the loss bends: the least absolute deviations, almost."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(301, 1))
    y = np.where(x[:, 0] > -0.2, 1000.0, 0.0) + rng.normal(size=301)
    found = fit(tmp_path, x, y, loss, "--solver", solver)
    assert found.trained["converged"]
    side = np.sign(y - x @ found.coef[:1] - found.coef[1])
    # as many rows above as below, also by the feature, but for the two that the line meets
    assert abs(side.sum()) <= 3
    assert abs((side * x[:, 0]).sum()) <= 3 * np.abs(x).max()


def test_a_machine_whose_rows_are_all_beyond_the_margin_has_converged(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 2))
    for solver in SOLVERS:
        found = fit(tmp_path / solver, x, (x[:, 0] > 0).astype(float), "squared_hinge", "--solver", solver)
        assert found.trained["converged"]
        assert found.trained["objective"] < 1e-20
        assert found.metrics["accuracy"] == 1


@pytest.mark.parametrize("loss", ["poisson", "tweedie:power=1.7"])
def test_labels_of_0_alone_have_no_mean(tmp_path: Path, loss: str) -> None:
    place = Commands(tmp_path / "root", runner=("-r", "inline"))
    place("pack", write_libsvm(tmp_path / "rows", np.ones((9, 1)), np.zeros(9)), "--to", "rows")
    found = place.run("train", "rows", "--model", "m", "--loss", loss)
    assert found.code == 65
    assert "all of split 'train' of rows@1 are 0" in found.err


def test_a_mean_that_is_one_over_the_margin_needs_an_intercept(tmp_path: Path) -> None:
    place = Commands(tmp_path / "root", runner=("-r", "inline"))
    place("pack", write_libsvm(tmp_path / "rows", np.ones((9, 1)), np.arange(1.0, 10.0)), "--to", "rows")
    found = place.run("train", "rows", "--model", "m", "--loss", "gamma:link=inverse", "--no-intercept")
    assert found.code == 2
    assert "needs an intercept" in found.err


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("loss", ["poisson", "gamma:link=inverse", "tweedie", "negative_binomial:theta=2"])
def test_d2_is_that_of_the_mean_label(loss: str, scale: float) -> None:
    """Whatever the size of the labels, which the reference mean of 1 is far from."""
    rng = np.random.default_rng(5)
    y, u = rng.gamma(2.0, size=200) * scale, rng.random(200)
    x = np.zeros((200, 1))
    made_of, spec = make_engine(x, y, weights=u, block_rows=16), RowSpec(loss_from_text(loss), 1)
    mean = np.average(y, weights=u)
    margin = 1 / mean if loss == "gamma:link=inverse" else np.log(mean)
    query = MetricsQuery(spec, np.array([[0.0, margin]]))
    assert query.read(made_of.run(query)).to_json()["d2"] == pytest.approx(0, abs=1e-8)
