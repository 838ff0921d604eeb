"""The estimators on packed datasets: what `mr_ml.train` finds, and what they find in the same rows as arrays."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from commands import Commands
from sklearn.base import clone

import mr_ml
from mr_ml import sklearn as ours
from mr_ml.errors import UsageError
from mr_ml.readers.summary import MAX_LABELS

N = 240
RNG = np.random.default_rng(3)
COLUMNS: dict[str, Any] = {
    "size": RNG.normal(size=N).tolist(),
    "colour": [["red", "blue", "green"][k % 3] for k in range(N)],
    "weight": RNG.integers(1, 4, N).tolist(),
}
SCORE = np.array(COLUMNS["size"]) + np.array([k % 3 == 0 for k in range(N)]) + RNG.logistic(size=N)
LABELS: dict[str, list[Any]] = {
    "two": np.where(SCORE > 0.3, "yes", "no").tolist(),
    "three": np.digitize(SCORE, [-1, 1]).tolist(),
    "counts": RNG.poisson(np.exp(SCORE / 4)).tolist(),
    "amounts": (np.exp(SCORE / 4) + 0.1).tolist(),
}
# as the features of the datasets: categories by name, then in the order of the columns
X = np.column_stack(
    [COLUMNS["size"], *([colour == name for colour in COLUMNS["colour"]] for name in ("blue", "green", "red"))]
).astype(float)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("datasets")
    for name, labels in LABELS.items():
        pd.DataFrame({**COLUMNS, "label": labels}).to_csv(folder / f"{name}.csv", index=False)
        mr_ml.pack(folder / "root", folder / f"{name}.csv", name, drop=["weight"])
        mr_ml.pack(folder / "root", folder / f"{name}.csv", f"{name}-weighted", weight_column="weight")
    return str(folder / "root")


CASES: dict[str, tuple[Any, str]] = {
    "logistic": (ours.LogisticRegression(C=0.3), "two"),
    "softmax": (ours.LogisticRegression(C=0.3), "three"),
    "without a penalty": (ours.LogisticRegression(C=np.inf, fit_intercept=False), "two"),
    "balanced": (ours.LogisticRegression(C=0.3, class_weight="balanced"), "three"),
    "by class": (ours.LogisticRegression(C=0.3, class_weight={"yes": 3.0}), "two"),
    "by number": (ours.LogisticRegression(C=0.3, class_weight={0: 0.5, 2: 4}), "three"),
    "machine": (ours.LinearSVC(C=0.3), "two"),
    "ridge": (ours.Ridge(alpha=3.0), "amounts"),
    "poisson": (ours.PoissonRegressor(alpha=0.1), "counts"),
    "gamma": (ours.GammaRegressor(alpha=0.1), "amounts"),
    "tweedie": (ours.TweedieRegressor(power=1.3, alpha=0.1), "counts"),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_dataset_gives_what_its_rows_give_as_arrays(root: str, name: str, weighted: bool) -> None:
    estimator, labels = CASES[name]
    dataset = f"{labels}-weighted" if weighted else labels
    fitted = clone(estimator).set_params(root=root, tol=1e-10)
    assert fitted.fit(dataset) is fitted
    weights = COLUMNS["weight"] if weighted else None
    expected = clone(estimator).set_params(tol=1e-10).fit(X, LABELS[labels], weights)
    np.testing.assert_allclose(fitted.predict(X), expected.predict(X)) if labels in (
        "counts", "amounts",
    ) else np.testing.assert_array_equal(fitted.predict(X), expected.predict(X))  # fmt: skip
    if name != "without a penalty":
        np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(fitted.intercept_, expected.intercept_, rtol=1e-5, atol=1e-7)
    assert fitted.n_features_in_ == 4
    assert getattr(fitted, "classes_", np.array([])).tolist() == getattr(expected, "classes_", np.array([])).tolist()


def test_the_bits_are_those_of_training_on_every_runner(root: str) -> None:
    C, frame = 0.3, pd.DataFrame(COLUMNS)
    mr_ml.train(root, "two", "trained", l2=1 / (C * N), tolerance=1e-6, max_passes=500)
    trained = mr_ml.load("trained", root=root)
    places = {
        "named": (ours.LogisticRegression(C, root=root), "two"),
        "local": (ours.LogisticRegression(C, root=root, runner="local"), "two@1"),
        "reference": (ours.LogisticRegression(C), mr_ml.DatasetRef("two", root=root, where={"runner": "local"})),
    }
    for estimator, given in places.values():
        estimator.fit(given)
        assert np.array_equal(estimator.coef_, trained.model.coef[:, :-1])  # type: ignore[attr-defined]
        for rows in (frame, pl.DataFrame(COLUMNS), dict(reversed(COLUMNS.items()))):
            assert np.array_equal(estimator.predict_proba(rows), trained.predict_proba(rows))
            assert estimator.predict(rows).tolist() == trained.predict(rows).tolist()
        assert estimator.score(frame, LABELS["two"]) == np.mean(trained.predict(frame) == np.array(LABELS["two"]))
        again = pickle.loads(pickle.dumps(estimator))
        assert np.array_equal(again.predict_proba(frame), trained.predict_proba(frame))
    assert mr_ml.load_model(root, "trained").version == 1


def test_a_split_of_a_dataset(root: str, tmp_path: Path) -> None:
    pd.DataFrame({**COLUMNS, "label": LABELS["counts"]}).to_csv(tmp_path / "in.csv", index=False)
    place = str(tmp_path / "root")
    mr_ml.pack(place, tmp_path / "in.csv", "rows", split={"train": 0.5, "late": 0.5}, drop=["weight"])
    late = ours.PoissonRegressor().fit(mr_ml.DatasetRef("rows", split="late", root=place))
    mr_ml.train(place, "rows", "late", split="late", loss="poisson", l2=1.0)
    assert late.coef_.tolist() == list(mr_ml.load_model(place, "late").coefficients["coef"].values())  # type: ignore[attr-defined]


def test_a_penalty_relative_to_weights_that_nobody_noted(tmp_path: Path) -> None:
    """Their sums are kept by label, of few labels."""
    n = 2 * MAX_LABELS
    frame = pd.DataFrame({"a": np.arange(n) % 7, "w": 1 + np.arange(n) % 2, "label": np.arange(n) / 8})
    frame.to_csv(tmp_path / "in.csv", index=False)
    place = str(tmp_path / "root")
    mr_ml.pack(place, tmp_path / "in.csv", "rows", weight_column="w")
    with pytest.raises(ValueError, match="the sum of the row weights of rows@1"):
        ours.Ridge(root=place).fit("rows")
    squares = ours.LinearRegression(root=place).fit("rows")
    expected = ours.LinearRegression().fit(frame[["a"]].to_numpy(float), frame["label"], frame["w"])
    np.testing.assert_allclose(squares.coef_, expected.coef_, rtol=1e-9)
    mr_ml.pack(place, tmp_path / "in.csv", "bare", drop=["w"])
    assert ours.Ridge(root=place).fit("bare").coef_.shape == (1,)
    with pytest.raises(ValueError, match="found numbers"):
        ours.LogisticRegression(root=place).fit("rows")


def test_a_fit_to_arrays_forgets_the_dataset(root: str) -> None:
    estimator = ours.LogisticRegression(root=root).fit("two")
    assert estimator.predict(pd.DataFrame(COLUMNS)).shape == (N,)
    estimator.fit(X, LABELS["two"])
    assert not hasattr(estimator, "model_")
    with pytest.raises(UserWarning, match="fitted without feature names"):
        estimator.predict(pd.DataFrame(COLUMNS))


def test_what_cannot_be_fitted(root: str) -> None:
    estimator = ours.LogisticRegression(root=root)
    with pytest.raises(ValueError, match="found y or sample_weight beside it"):
        estimator.fit("two", LABELS["two"])
    with pytest.raises(ValueError, match="nothing"):
        estimator.fit("nothing")
    with pytest.raises(ValueError, match="`root`: expected where the dataset is kept"):
        ours.LogisticRegression().fit("two")
    with pytest.raises(ValueError, match="expected classes as labels of amounts@1, found numbers"):
        estimator.fit("amounts")
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        ours.LinearSVC(root=root).fit("three")
    with pytest.raises(ValueError, match="`nodes` is no parameter"):
        ours.Ridge().fit(mr_ml.DatasetRef("amounts", root=root, where={"nodes": 3}))  # type: ignore[typeddict-unknown-key]
    fitted = estimator.fit("two")
    with pytest.raises(ValueError, match="unseen_value"):
        fitted.predict({**COLUMNS, "colour": ["mauve"] * N})
    with pytest.raises(ValueError, match="requires y to be passed"):
        estimator.fit(X)


def test_the_run_of_a_fit_is_done_and_cannot_be_resumed(root: str, tmp_path: Path) -> None:
    """It is listed as `fitted`, keeps its passes, and publishes nothing, whatever somebody asks for."""
    commands = Commands(tmp_path / "root")
    mr_ml.pack(commands.root, Path(root).parent / "two.csv", "two", drop=["weight"])
    ours.LogisticRegression(root=commands.root).fit("two")
    (listed,) = commands("runs", "list")["runs"]
    assert (listed["status"], listed["error"], listed["can_resume"]) == ("fitted", None, False)
    assert listed["passes"] > 1
    assert listed["stop"].startswith("converged")
    with pytest.raises(UsageError, match=r"fit of an estimator .* publishes nothing"):
        mr_ml.resume(commands.root, listed["run"])
    with pytest.raises(UsageError, match="publishes nothing"):
        mr_ml.resume(commands.root, listed["run"], max_passes=900)
    assert commands("models", "list")["models"] == []
    mr_ml.report(commands.root, listed["run"], tmp_path / "report.html")
    shown = (tmp_path / "report.html").read_text()
    assert '<p class="status good">fitted</p>' in shown
    assert "the fit of an estimator, on two@1" in shown


def test_a_fit_that_fails_or_is_interrupted_says_so(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(tmp_path / "root")
    mr_ml.pack(commands.root, Path(root).parent / "two.csv", "two", drop=["weight"])

    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mr_ml.training.train.search", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ours.LogisticRegression(root=commands.root).fit("two")
    (listed,) = commands("runs", "list")["runs"]
    assert (listed["status"], listed["can_resume"]) == ("interrupted", False)
