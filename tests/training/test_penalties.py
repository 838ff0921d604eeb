"""Penalties through the whole of pack and train: the conditions of an optimum, and what other programs find."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import write_csv
from examples import examples
from glum import GeneralizedLinearRegressor
from hypothesis import Phase, given
from hypothesis import strategies as st
from optimality import Penalised
from scipy.optimize import lsq_linear, minimize
from scipy.special import expit
from sklearn.linear_model import ElasticNet, LogisticRegression

import mr_ml
from mr_ml.errors import BadDataError, UsageError

Floats = np.ndarray[Any, np.dtype[np.float64]]
SOLVERS = ("proximal-newton", "proximal-lbfgs")


def fit(x: Any, y: Any, folder: str, *, weights: Any = None, offsets: Any = None, **options: Any) -> tuple[Any, Any]:
    """The model that training publishes, and what it says."""
    table = {"y": y, **{f"x{k}": column for k, column in enumerate(np.asarray(x, float).T)}}
    table |= {name: given for name, given in (("u", weights), ("o", offsets)) if given is not None}
    columns: dict[str, Any] = {
        "weight_column": "u" if weights is not None else None,
        "offset_column": None if offsets is None else "o",
    }
    text = write_csv(Path(folder) / "rows.csv", table)
    mr_ml.pack(f"{folder}/root", str(text), "rows", format="csv", label_column="y", **columns)
    done = mr_ml.train(f"{folder}/root", "rows", "m", **options)
    return mr_ml.load_model(f"{folder}/root", "m"), done


def labels(loss: str, z: Floats, rng: np.random.Generator) -> Floats:
    if loss == "squared":
        return z + rng.normal(size=len(z))
    if loss == "poisson":
        return rng.poisson(np.exp(np.clip(z, -2, 2))).astype(float)
    return np.digitize(z + rng.logistic(size=len(z)), [0.0] if loss == "logistic" else [-0.7, 0.7]).astype(float)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Any, ...]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(2, 40)), draw(st.integers(1, 12))
    x = rng.normal(size=(n, d)) * rng.choice([0.01, 1.0, 30.0], size=d) + rng.choice([0.0, 0.0, 3.0, 1000.0], size=d)
    x[:, rng.random(d) < draw(st.sampled_from([0.0, 0.3]))] = draw(st.sampled_from([0.0, 2.0]))
    x[rng.random(x.shape) < draw(st.sampled_from([0.0, 0.7]))] = 0
    x[rng.random(n) < draw(st.sampled_from([0.0, 0.2]))] = 0
    if d > 2 and draw(st.booleans()):
        x[:, 1] = x[:, 0]
    loss = draw(st.sampled_from(["squared", "logistic", "softmax", "poisson"]))
    y = labels(loss, (x - x.mean(axis=0)) @ rng.normal(size=d) / np.maximum(x.std(axis=0) * d, 1e-9).mean(), rng)
    weights = rng.integers(1, 4, n).astype(float) if draw(st.booleans()) else None
    offsets = rng.normal(size=n) / 3 if loss != "softmax" and draw(st.booleans()) else None
    options = {
        "loss": loss,
        "l1": draw(st.sampled_from([1e-4, 1e-2, 0.1, 10.0])), "l2": draw(st.sampled_from([0.0, 1e-3, 0.1])),
        "intercept": draw(st.booleans()), "penalty_space": draw(st.sampled_from(["raw", "scaled"])),
        "solver": draw(st.sampled_from(SOLVERS)),
    }  # fmt: skip
    if draw(st.booleans()):
        options |= {"non_negative": draw(st.booleans()), "per_feature": rules(rng, d)}
    return x, y, weights, offsets, options


def rules(rng: np.random.Generator, d: int) -> dict[str, dict[str, float]]:
    """Of some features some things, as the columns of the file have them."""
    found = {}
    for k in np.flatnonzero(rng.random(d) < 0.7).tolist():
        said = {"factor": rng.choice([0.5, 2.0])} if rng.random() < 0.5 else {}
        said |= {"lower": -0.2} if rng.random() < 0.3 else {}
        said |= {"upper": rng.choice([0.0, 0.1])} if rng.random() < 0.3 else {}
        said |= {"prior_precision": 0.05, "prior_mean": 0.5} if rng.random() < 0.3 else {}
        found[f"x{k}"] = {name: float(value) for name, value in said.items()}
    return found


def said_of(options: dict[str, Any], d: int) -> dict[str, Any]:
    """The same by feature, as `Penalised` takes it."""
    asked = options.get("per_feature", {})
    none = {"factor": 1.0, "lower": -np.inf, "upper": np.inf, "prior_mean": 0.0, "prior_precision": 0.0}
    of = {name: np.array([asked.get(f"x{k}", {}).get(name, v) for k in range(d)]) for name, v in none.items()}
    return {**of, "lower": np.maximum(of["lower"], 0.0)} if options.get("non_negative") else of


# to make an example smaller would take thousands of trainings
@examples(30, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(problem=problems())
def test_what_is_published_meets_the_conditions_of_an_optimum(problem: tuple[Any, ...]) -> None:
    x, y, weights, offsets, options = problem
    with tempfile.TemporaryDirectory() as folder:
        if options["loss"] != "squared" and len(np.unique(y)) < 2 and (options["loss"] != "poisson" or not y.any()):
            with pytest.raises((BadDataError, UsageError), match="label"):
                fit(x, y, folder, weights=weights, offsets=offsets, **options)
            return
        # columns far from 0 without an intercept are almost one: too much for a method of first order
        passes = 60 if options["solver"] == "proximal-lbfgs" else 500
        model, done = fit(x, y, folder, weights=weights, offsets=offsets, tolerance=1e-8, max_passes=passes, **options)
        if not done.converged and options["solver"] == "proximal-lbfgs":
            assert "budget of passes" in done.stop
            return
        assert done.converged, done.stop
        asked = Penalised(
            loss=options["loss"], l1=options["l1"], l2=options["l2"], scaled=options["penalty_space"] == "scaled",
            intercept=options["intercept"], **said_of(options, x.shape[1]),
        )  # fmt: skip
        y = np.searchsorted(model.classes, y) if model.classes else y
        coef, b = model.coef[:, :-1], model.coef[:, -1]
        assert asked.worst(x, y, coef, b, weights=weights, offsets=offsets) < 1e-6
        if options["l1"] == 10.0 and options["loss"] in ("logistic", "softmax") and options["intercept"]:
            # more than any slope of standardised features
            assert not coef.any() or options["penalty_space"] == "raw" or "per_feature" in options


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_scikit_learn_finds_the_same(tmp_path: Path, loss: str, solver: str) -> None:
    """With weights; zeros in the same places."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 25)) @ np.linalg.qr(rng.normal(size=(25, 25)))[0] * np.linspace(0.3, 3, 25) + 2
    y = labels(loss, (x - 2) @ (rng.normal(size=25) * (rng.random(25) < 0.4)), rng)
    weights = rng.integers(1, 4, 150).astype(float)
    alpha, share = 0.05, 0.7
    model, done = fit(
        x, y, str(tmp_path), weights=weights, loss=loss, l1=alpha * share, l2=alpha * (1 - share), solver=solver,
        tolerance=1e-10,
    )  # fmt: skip
    assert done.converged
    if loss == "squared":
        theirs: Any = ElasticNet(alpha=alpha, l1_ratio=share, tol=1e-14, max_iter=100_000)
    else:
        theirs = LogisticRegression(
            C=1 / (alpha * weights.sum()), l1_ratio=share, solver="saga", tol=1e-12, max_iter=100_000
        )
    theirs.fit(x, y, sample_weight=weights)
    expected = np.append(np.ravel(theirs.coef_), theirs.intercept_)
    np.testing.assert_allclose(model.coef[0], expected, atol=1e-6)
    assert 0 < np.count_nonzero(model.coef[0, :-1]) < 25
    assert ((model.coef[0, :-1] != 0) == (np.ravel(theirs.coef_) != 0)).all()


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie:power=1.5"])
def test_glum_finds_the_same(tmp_path: Path, loss: str) -> None:
    """Elastic net with weights, offsets, factors of features and bounds."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(250, 12)) * np.linspace(0.3, 2, 12)
    mean = np.exp(0.4 * x @ (rng.normal(size=12) * (rng.random(12) < 0.5)) + 0.2)
    y = {"poisson": rng.poisson(mean), "gamma": mean * rng.gamma(2, 0.5, 250)}.get(
        loss, np.where(rng.random(250) < 0.7, mean * rng.gamma(2, 0.7, 250), 0)
    )
    weights, offsets = rng.integers(1, 4, 250).astype(float), rng.normal(size=250) / 4
    factors = np.array([0.0, 2.0, *np.ones(10)])
    alpha, share, family = 0.05, 0.6, {"poisson": "poisson", "gamma": "gamma"}.get(loss, "tweedie (1.5)")
    model, done = fit(
        x, np.asarray(y, float), str(tmp_path), weights=weights, offsets=offsets, loss=loss, l1=alpha * share,
        l2=alpha * (1 - share), per_feature={"x0": {"factor": 0.0}, "x1": {"factor": 2.0}}, tolerance=1e-10,
    )  # fmt: skip
    assert done.converged
    # it multiplies P1 by alpha l1_ratio, and P2 by alpha (1 - l1_ratio)
    theirs = GeneralizedLinearRegressor(
        family=family, link="log", alpha=alpha, l1_ratio=share, P1=factors, P2=factors, gradient_tol=1e-11,
        max_iter=1000, solver="irls-cd",
    )  # fmt: skip
    theirs.fit(x, y, sample_weight=weights, offset=offsets)
    np.testing.assert_allclose(model.coef[0], np.append(theirs.coef_, theirs.intercept_), atol=1e-6)
    assert ((model.coef[0, :-1] != 0) == (theirs.coef_ != 0)).all()
    assert 1 < np.count_nonzero(model.coef[0, :-1]) < 12


def test_scipy_finds_the_same_within_bounds(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(120, 8)) + 1
    y = x @ np.array([1.0, -1.0, 0.5, -0.2, 0, 2, 0.1, -3]) + rng.normal(size=120) + 4
    bounds = {"x0": {"upper": 0.5}, "x1": {"lower": -0.5}, "x7": {"lower": -1.0, "upper": 1.0}}
    model, done = fit(x, y, str(tmp_path), loss="squared", per_feature=bounds, tolerance=1e-10)
    lower = [bounds.get(f"x{k}", {}).get("lower", -np.inf) for k in range(8)] + [-np.inf]
    upper = [bounds.get(f"x{k}", {}).get("upper", np.inf) for k in range(8)] + [np.inf]
    theirs = lsq_linear(np.column_stack([x, np.ones(120)]), y, (lower, upper), method="bvls", tol=1e-14)
    assert done.converged
    np.testing.assert_allclose(model.coef[0], theirs.x, atol=1e-8)
    assert (model.coef[0, 0], model.coef[0, 1], model.coef[0, 7]) == (0.5, -0.5, -1.0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_not_penalised_may_have_no_optimum(tmp_path: Path, solver: str) -> None:
    """A feature without a penalty that tells the classes apart; with a bound there is an optimum again."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(100, 3))
    y = (x[:, 0] > 0).astype(float)
    _, done = fit(x, y, str(tmp_path), l1=0.01, per_feature={"x0": {"factor": 0.0}}, solver=solver)
    assert not done.converged
    assert "no finite optimum" in done.stop
    assert done.passes < 60
    assert "x0" in done.warnings[0]
    for rule in ({"factor": 1.0}, {"factor": 0.0, "upper": 5.0}):
        again = mr_ml.train(f"{tmp_path}/root", "rows", "m", l1=0.01, per_feature={"x0": rule}, solver=solver)
        assert again.converged
    bounded: Any = mr_ml.load_model(f"{tmp_path}/root", "m")
    assert bounded.coef[0, 0] == 5.0


def one_tells(loss: str) -> tuple[Any, Any]:
    """1500 rows of 720 features, of which x5 is 1 in rows of label 1 only, or of label 0 where rows are counts."""
    rng = np.random.default_rng(6 if loss == "logistic" else 3)
    x = (rng.random((1500, 720)) < 0.02) * 1.0
    x[:, 0] = rng.normal(size=1500)
    if loss == "logistic":
        y = (x[:, 0] + rng.logistic(size=1500) > 0) * 1.0
        y[x[:, 5] > 0] = 1
    else:
        y = rng.poisson(np.exp(0.3 * x[:, 0])) * 1.0
        y[x[:, 5] > 0] = 0
    return x, y


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("loss", "open_side", "closed_side"),
    [("logistic", {"lower": 0.0}, {"upper": 4.0}), ("poisson", {"upper": 0.3}, {"lower": -3.0})],
)
def test_a_bound_behind_a_feature_that_tells_leaves_no_optimum(
    tmp_path: Path, loss: str, open_side: dict[str, float], closed_side: dict[str, float], solver: str
) -> None:
    """It may go for ever to the other side, also by a leap to where all slopes of its rows are 0."""
    x, y = one_tells(loss)
    rules = {f"x{j}": open_side for j in range(720)}
    _, done = fit(x, y, str(tmp_path), loss=loss, per_feature=rules, solver=solver)
    assert not done.converged
    assert "no finite optimum" in done.stop
    assert "x5;" in done.warnings[0]
    # with a bound ahead of it, alone or beside the other one, there is an optimum, which is on it
    for rule in (closed_side, {**open_side, **closed_side}):
        root, by_feature = f"{tmp_path}/root", {**rules, "x5": rule}
        again = mr_ml.train(root, "rows", "m", loss=loss, per_feature=by_feature, solver=solver)
        assert again.converged, again.stop
        bounded: Any = mr_ml.load_model(root, "m")
        assert bounded.coef[0, 5] == next(iter(closed_side.values()))


@pytest.mark.parametrize("solver", ["newton", "lbfgs", *SOLVERS])
@pytest.mark.parametrize("size", [40.0, 80.0, 300.0])
def test_offsets_that_are_sure_of_wrong_classes_end_no_search_where_it_starts(
    tmp_path: Path, size: float, solver: str
) -> None:
    """No row has curvature there, so that full steps lead out of all bounds; scipy finds the optimum."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    offsets = size * rng.choice([-1.0, 1.0], 2000)
    y = (x @ np.array([1.0, -1.0, 0.5]) + rng.logistic(size=2000) > 0) * 1.0
    a, penalised = np.column_stack([x, np.ones(2000)]), np.array([1.0, 1.0, 1.0, 0.0])

    def value(w: Any) -> Any:
        z = a @ w + offsets
        gradient = a.T @ (expit(z) - y) / 2000 + 1e-4 * penalised * w
        return (np.logaddexp(0, z) - y * z).mean() + 0.5e-4 * (penalised * w) @ w, gradient

    theirs = minimize(value, np.zeros(4), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
    model, done = fit(x, y, str(tmp_path), offsets=offsets, loss="logistic", l2=1e-4, solver=solver)
    assert done.converged, done.stop
    assert done.passes < 100
    assert done.objective == pytest.approx(theirs.fun, rel=1e-9)
    np.testing.assert_allclose(model.coef[0], theirs.x, atol=1e-4 * size)
