"""The estimators for scikit-learn: by its own checks, and beside its own estimators of the same objective."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model as theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from mr_ml import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(11)
X = RNG.normal(size=(400, 5)) * [1, 3, 0.2, 1, 10]
MARGIN = X @ [0.5, -0.2, 2, 0, 0.05]
WEIGHTS = RNG.integers(0, 4, 400).astype(float)
COUNTS = RNG.poisson(np.exp(MARGIN / 3)).astype(float)
TARGETS = {
    "classes": np.array(["no", "yes"])[(MARGIN + RNG.logistic(size=400) > 0).astype(int)],
    "three": np.digitize(MARGIN + RNG.logistic(size=400), [-1, 1]),
    "counts": COUNTS,
    "amounts": RNG.gamma(2, np.exp(MARGIN / 3)) + 1e-3,
    "numbers": MARGIN + RNG.normal(size=400),
}

# of each kind one: the others differ in their loss alone
CHECKED = [ours.LogisticRegression()]
CHECKED_SLOWLY = [ours.LinearSVC(), ours.LinearRegression(), ours.TweedieRegressor()]


def not_unique(estimator: Any) -> dict[str, str]:
    """What these checks ask of a fit to fewer rows than features, which has more than one optimum without a penalty."""
    checks = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
    return dict.fromkeys(checks, "not unique") if isinstance(estimator, ours.LinearRegression) else {}


@parametrize_with_checks(CHECKED, expected_failed_checks=not_unique)  # type: ignore[untyped-decorator]
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(CHECKED_SLOWLY, expected_failed_checks=not_unique)  # type: ignore[untyped-decorator]
def test_scikit_learns_checks_of_the_others(estimator: Any, check: Any) -> None:
    check(estimator)


TIGHT: dict[str, Any] = {"tol": 1e-12, "max_iter": 10_000, "solver": "newton-cholesky"}
# ours, theirs, target
PAIRS = {
    "logistic": (ours.LogisticRegression(C=0.3), theirs.LogisticRegression(C=0.3, **TIGHT), "classes"),
    "softmax": (ours.LogisticRegression(C=0.3), theirs.LogisticRegression(C=0.3, **TIGHT), "three"),
    "balanced": (
        ours.LogisticRegression(class_weight="balanced"),
        theirs.LogisticRegression(class_weight="balanced", **TIGHT),
        "classes",
    ),
    "without intercept": (
        ours.LogisticRegression(fit_intercept=False),
        theirs.LogisticRegression(fit_intercept=False, **TIGHT),
        "classes",
    ),
    "squares": (ours.LinearRegression(), theirs.LinearRegression(), "numbers"),
    "ridge": (ours.Ridge(alpha=3.0), theirs.Ridge(alpha=3.0), "numbers"),
    "poisson": (ours.PoissonRegressor(alpha=0.1), theirs.PoissonRegressor(alpha=0.1, **TIGHT), "counts"),
    "gamma": (ours.GammaRegressor(alpha=0.1), theirs.GammaRegressor(alpha=0.1, **TIGHT), "amounts"),
    "tweedie": (
        ours.TweedieRegressor(power=1.3, alpha=0.1),
        theirs.TweedieRegressor(power=1.3, alpha=0.1, link="log", **TIGHT),
        "counts",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_the_fit_is_scikit_learns(name: str, form: Any) -> None:
    mine, other, target = PAIRS[name]
    y = TARGETS[target]
    # whether weights count in what is balanced is another thing from one of its releases to the next
    weights = None if name == "balanced" else WEIGHTS
    mine = mine.set_params(tol=1e-10).fit(form(X), y, sample_weight=weights)
    other.fit(X, y, sample_weight=weights)
    if target != "three":
        np.testing.assert_allclose(mine.coef_, other.coef_, rtol=0, atol=1e-7)
        np.testing.assert_allclose(mine.intercept_, other.intercept_, rtol=0, atol=1e-7)
    for method in ("predict_proba", "decision_function") if target == "classes" else ():
        np.testing.assert_allclose(getattr(mine, method)(form(X)), getattr(other, method)(X), atol=1e-7)
    if target == "three":
        np.testing.assert_allclose(mine.predict_proba(X), other.predict_proba(X), atol=1e-7)
    assert mine.score(X, y, weights) == pytest.approx(other.score(X, y, weights), abs=1e-7)


def test_the_support_vector_machine_is_optimal() -> None:
    y = TARGETS["classes"]
    model = ours.LinearSVC(C=0.5, tol=1e-10).fit(X, y)
    sign = np.where(y == "yes", 1.0, -1.0)
    lacking = np.maximum(1 - sign * model.decision_function(X), 0)
    slope = -2 * 0.5 * sign * lacking
    np.testing.assert_allclose(X.T @ slope + model.coef_[0], 0, atol=1e-4)
    assert slope.sum() == pytest.approx(0, abs=1e-5)


def test_weights_are_balanced() -> None:
    y = TARGETS["classes"]
    sums = {label: WEIGHTS[y == label].sum() for label in ("no", "yes")}
    factors = {label: WEIGHTS.sum() / (2 * weight) for label, weight in sums.items()}
    balanced = ours.LogisticRegression(class_weight="balanced").fit(X, y, sample_weight=WEIGHTS)
    by_hand = ours.LogisticRegression(class_weight=factors).fit(X, y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(balanced.coef_, by_hand.coef_, rtol=1e-9)


def test_what_did_not_converge_warns() -> None:
    with pytest.warns(ConvergenceWarning, match="budget of passes"):
        ours.LogisticRegression(max_iter=2, tol=0.0).fit(X, TARGETS["classes"])


def test_labels_that_the_loss_does_not_take() -> None:
    with pytest.raises(ValueError, match="labels >= 0"):
        ours.PoissonRegressor().fit(X, TARGETS["numbers"])


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (ours.LogisticRegression(C=0), "C: expected a number above 0, found 0"),
        (ours.LinearSVC(C=float("nan")), "C: expected a number above 0, found nan"),
        (ours.Ridge(alpha=-1), "alpha: expected a number of at least 0, found -1"),
        (ours.PoissonRegressor(alpha=float("nan")), "alpha: expected a number of at least 0, found nan"),
    ],
    ids=repr,
)
def test_penalties_are_refused_by_the_names_that_they_have_here(estimator: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimator.fit(X, np.arange(len(X)) % 2)


def test_it_is_searched_and_pickled() -> None:
    search = GridSearchCV(ours.LogisticRegression(), {"C": [0.01, 1.0]}, cv=2).fit(X, TARGETS["classes"])
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(again.predict(X), search.predict(X))
