"""A published model as prior of the next training: means, and precisions by its standard errors or one for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_csv
from scipy import special
from scipy.optimize import minimize

import mr_ml
from mr_ml.errors import UsageError

NAMES = ("a", "b", "c")


def rows(n: int, seed: int, *, classes: bool = False) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1.0, 20.0, 0.1] + [0.0, 5.0, 0.0]
    z = 0.7 + x @ [0.5, -0.03, 4.0]
    return x, (z + rng.logistic(size=n) > 0) * 1.0 if classes else z + rng.normal(size=n) * 0.5


def packed(root: Path, x: Any, y: Any, name: str, names: Any = NAMES, **columns: Any) -> None:
    mr_ml.pack_arrays(root, x, y, name, feature_names=list(names), **columns)


def days(root: Path, *, classes: bool = False) -> tuple[Any, Any]:
    """Yesterday's model with its standard errors, and the rows of today."""
    packed(root, *rows(900, 1, classes=classes), "yesterday")
    loss = "logistic" if classes else "squared"
    mr_ml.train(root, "yesterday", "old", loss=loss, tolerance=1e-12, inference=True)
    x, y = rows(60, 2, classes=classes)
    packed(root, x, y, "today")
    return x, y


def coef_of(root: Path, model: str) -> Any:
    opened: Any = mr_ml.load_model(root, model)
    return opened.coef[0]


def test_least_squares_with_a_prior_are_two_sets_of_rows(tmp_path: Path) -> None:
    """By the normal equations, in which the prior of a coefficient is a row of its own, as sure as its error says."""
    x, y = days(tmp_path)
    mr_ml.train(tmp_path, "today", "new", loss="squared", tolerance=1e-12, prior="old")
    old, known = coef_of(tmp_path, "old"), mr_ml.infer(tmp_path, "old")
    assert known.statistics.dispersion is not None
    x1 = np.column_stack([x, np.ones(len(y))])
    sure = np.append(known.statistics.dispersion / known.std_errors()[:3] ** 2, 0.0)
    expected = np.linalg.solve(x1.T @ x1 + np.diag(sure), x1.T @ y + sure * old)
    np.testing.assert_allclose(coef_of(tmp_path, "new"), expected, rtol=1e-8)
    # it is of use: nearer to what both days say than today alone
    mr_ml.train(tmp_path, "today", "alone", loss="squared", tolerance=1e-12)
    both = np.linalg.lstsq(
        np.vstack([x1, np.column_stack([rows(900, 1)[0], np.ones(900)])]), np.append(y, rows(900, 1)[1]), rcond=None
    )[0]
    far = [np.abs((coef_of(tmp_path, name) - both) * [1, 20, 0.1, 0]).max() for name in ("new", "alone")]
    assert far[0] < far[1] / 3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("precision", [None, 0.3])
def test_the_optimum_of_likelihood_and_prior(tmp_path: Path, weighted: bool, precision: float | None) -> None:
    """By minimising the sum of both, as it is defined, with scipy; weights count in the likelihood alone."""
    x, y = days(tmp_path, classes=True)
    u = np.random.default_rng(3).integers(1, 5, len(y)) * 1.0 if weighted else np.ones(len(y))
    packed(tmp_path, x, y, "today", weights=u if weighted else None)
    options: dict[str, Any] = {} if precision is None else {"prior_precision": precision}
    mr_ml.train(tmp_path, "today", "new", tolerance=1e-12, prior="old@1", **options)
    old, errors = coef_of(tmp_path, "old"), mr_ml.infer(tmp_path, "old").std_errors()
    sure = np.append(errors[:3] ** -2.0 if precision is None else np.full(3, precision * u.sum()), 0.0)
    x1, scale = np.column_stack([x, np.ones(len(y))]), np.array([1, 20, 0.1, 1])

    def value(w: Any) -> tuple[float, Any]:
        w = w / scale
        z, off = x1 @ w, w - old
        slope = x1.T @ (u * (special.expit(z) - y)) + sure * off
        return float((u * (np.logaddexp(0, z) - y * z)).sum() + (sure * off**2).sum() / 2), slope / scale

    best = minimize(value, old * scale, jac=True, method="BFGS", options={"gtol": 1e-10})
    np.testing.assert_allclose(coef_of(tmp_path, "new") * scale, best.x, rtol=1e-6, atol=1e-7)


def test_features_are_known_by_name(tmp_path: Path) -> None:
    """Others of today have no prior; those that today lacks are left; what a file says of a feature goes before."""
    days(tmp_path)
    x, y = rows(60, 2)
    packed(tmp_path, np.column_stack([x[:, 1], x[:, 0], x[:, 0] ** 2]), y, "other", ("b", "a", "new"))
    own = {"a": {"lower": 0.2}, "b": {"prior_mean": 1.0, "prior_precision": 2.0}, "new": {"factor": 0.5}}
    mr_ml.train(tmp_path, "other", "m", loss="squared", prior="old", per_feature=own)
    rules = mr_ml.load_model(tmp_path, "m").manifest["spec"]["per_feature"]
    old = coef_of(tmp_path, "old")
    assert rules.keys() == {"a", "b", "new"}
    assert (rules["a"]["prior_mean"], rules["a"]["lower"]) == (old[0], 0.2)
    assert rules["b"] == own["b"]
    assert rules["new"] == own["new"]


def test_what_is_no_prior_is_said(tmp_path: Path) -> None:
    days(tmp_path)
    x, y = rows(60, 2)
    mr_ml.train(tmp_path, "yesterday", "shrunk", loss="squared", l2=0.1)
    mr_ml.train(tmp_path, "yesterday", "middle", loss="huber:delta=1", inference=True)
    packed(tmp_path, x, y, "elsewhere", ("d", "e", "f"))
    packed(tmp_path, x, (np.arange(60) % 3) * 1.0, "classes")
    mr_ml.train(tmp_path, "classes", "three", loss="softmax", l2=0.1)
    cases: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("today", {"prior": "shrunk"}, "standard errors are kept, .* or say `prior_precision`"),
        ("today", {"prior": "old", "loss": "huber:delta=2"}, "`prior`: expected a model of the huber:delta=2 loss"),
        ("today", {"prior": "middle", "loss": "huber:delta=1"}, "has no standard errors of a likelihood"),
        ("today", {"prior": "old", "penalty_space": "scaled"}, "expected `penalty_space` raw"),
        ("today", {"prior_precision": 1.0}, "`prior_precision` is for `prior`"),
        ("today", {"prior": "old", "prior_precision": -1.0}, "prior_precision"),
        ("elsewhere", {"prior": "old"}, "expected features of elsewhere@1, found none of them"),
        ("classes", {"prior": "three", "loss": "softmax", "prior_precision": 1.0}, "of 3 classes"),
    )
    for dataset, options, text in cases:
        with pytest.raises(UsageError, match=text):
            mr_ml.train(tmp_path, dataset, "new", **{"loss": "squared", **options})


def test_other_labels_are_said(tmp_path: Path) -> None:
    x, y = days(tmp_path, classes=True)
    packed(tmp_path, x, y + 5, "other")
    with pytest.raises(UsageError, match=r"expected a model of the labels of other@1, which are \['5', '6'\]"):
        mr_ml.train(tmp_path, "other", "new", prior="old")


def test_categories_need_a_precision(tmp_path: Path) -> None:
    """Their standard errors are those of differences; one number for all is what can be said."""
    place = Commands(tmp_path / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(0)
    text = tmp_path / "rows.csv"
    x = rng.normal(size=200)
    write_csv(text, {"y": x + rng.normal(size=200), "x": x, "k": rng.integers(0, 3, 200) * 1.0})
    place("pack", text, "--to", "rows", "--label-column", "y", "--categorical", "k")
    place("train", "rows", "--model", "old", "--loss", "squared", "--inference")
    found = place.run("train", "rows", "--model", "new", "--loss", "squared", "--prior", "old")
    assert found.code == 2
    assert (
        "'k=0.0', 'k=1.0', 'k=2.0' alone (those of categories are of differences); say --prior-precision" in found.err
    )
    done = place("train", "rows", "--model", "new", "--loss", "squared", "--prior", "old", "--prior-precision", "0.5")
    rules = place("models", "show", "new")["spec"]["per_feature"]
    assert {name: said["prior_precision"] for name, said in rules.items()} == dict.fromkeys(
        ["x", "k=0.0", "k=1.0", "k=2.0"], 0.5
    )
    refused = place.run("train", "--resume", done["run"], "--prior", "old")
    assert (refused.code, "leave --prior out" in refused.err) == (2, True)


def test_it_is_said_what_keeps_a_model_from_having_standard_errors(tmp_path: Path) -> None:
    """Rules of features that an earlier model made are none that the user gave."""
    days(tmp_path)
    mr_ml.train(tmp_path, "today", "new", loss="squared", prior="old")
    with pytest.raises(UsageError, match=r"train without `prior` \(or priors of `per_feature`\)$"):
        mr_ml.infer(tmp_path, "new")
    mr_ml.train(tmp_path, "today", "both", loss="squared", prior="old", per_feature={"a": {"lower": 0.0}})
    with pytest.raises(UsageError, match=r"train without `prior` and `per_feature`$"):
        mr_ml.infer(tmp_path, "both")
    mr_ml.train(tmp_path, "today", "bounded", loss="squared", per_feature={"a": {"lower": 0.0}})
    with pytest.raises(UsageError, match=r"train without `per_feature`$"):
        mr_ml.infer(tmp_path, "bounded")


def test_what_can_be_chosen_names_the_prior(tmp_path: Path) -> None:
    days(tmp_path)
    options: dict[str, Any] = {"prior_precison": 1.0}
    with pytest.raises(UsageError, match=r"did you mean 'prior_precision'.* prior, prior_precision, inference, "):
        mr_ml.train(tmp_path, "today", "new", loss="squared", **options)
