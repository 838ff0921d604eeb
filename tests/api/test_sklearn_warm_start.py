"""Estimators that begin where their last fit ended, as those of scikit-learn do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import linear_model as theirs
from sklearn.base import clone

import mr_ml
from mr_ml import sklearn as ours

RNG = np.random.default_rng(3)
X = RNG.normal(size=(400, 4)) * [1, 3, 0.2, 1] + [0, 0, 0, 20]
MARGIN = X @ [0.5, -0.2, 2, 0.3] - 6
TARGETS: dict[str, Any] = {
    "classes": np.array(["no", "yes"])[(MARGIN + RNG.logistic(size=400) > 0).astype(int)],
    "three": np.digitize(MARGIN + RNG.logistic(size=400), [-1, 1]),
    "counts": RNG.poisson(np.exp(MARGIN / 3)).astype(float),
    "amounts": RNG.gamma(2, np.exp(MARGIN / 3)) + 1e-3,
}
CASES: list[tuple[Any, str]] = [
    (ours.LogisticRegression(C=0.3), "classes"), (ours.LogisticRegression(C=0.3), "three"),
    (ours.LogisticRegression(C=0.3, fit_intercept=False), "classes"), (ours.LinearSVC(C=0.3), "classes"),
    (ours.PoissonRegressor(alpha=0.1), "counts"), (ours.GammaRegressor(alpha=0.1), "amounts"),
    (ours.TweedieRegressor(power=1.4, alpha=0.1), "counts"),
]  # fmt: skip


@pytest.mark.parametrize(("estimator", "target"), CASES)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_fit_begins_where_the_last_one_ended(estimator: Any, target: str, form: Any) -> None:
    y, x = TARGETS[target], form(X)
    again = clone(estimator).set_params(warm_start=True)
    cold = again.fit(x, y).n_iter_
    # a clone knows nothing
    assert cold == clone(estimator).fit(x, y).n_iter_
    first = again.coef_
    assert again.fit(x, y).n_iter_ < min(cold, 3)
    np.testing.assert_allclose(again.coef_, first, rtol=1e-4, atol=1e-6)
    # that of other rows is near, and the optimum is theirs
    half = again.fit(x[:300], y[:300])
    other = clone(estimator).fit(x[:300], y[:300])
    np.testing.assert_allclose(half.coef_, other.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(half.intercept_, other.intercept_, rtol=1e-4, atol=1e-4)


def test_the_last_fit_may_be_scikit_learns() -> None:
    y = TARGETS["classes"]
    other = theirs.LogisticRegression(C=0.3, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(X, y)
    mine = ours.LogisticRegression(C=0.3, warm_start=True)
    mine.coef_, mine.intercept_, mine.classes_ = other.coef_, other.intercept_, other.classes_
    cold = ours.LogisticRegression(C=0.3).fit(X, y).n_iter_
    # penalties on the intercept are alike: neither has any
    assert mine.fit(X, y).n_iter_ <= 2 < cold
    np.testing.assert_allclose(mine.coef_, other.coef_, atol=1e-5)


def test_columns_go_by_name_where_both_fits_have_names() -> None:
    y, frame = TARGETS["counts"], pd.DataFrame(X, columns=list("abcd"))
    mine = ours.PoissonRegressor(alpha=0.1, warm_start=True).fit(frame, y)
    cold = mine.n_iter_
    assert mine.fit(frame[list("dbca")], y).n_iter_ <= 2 < cold
    mine.fit(frame[list("da")].assign(new=RNG.normal(size=400)), y)
    assert mine.coef_.shape == (3,)
    # an array has no names: by order, of as many
    mine.fit(frame, y)
    assert mine.fit(X, y).n_iter_ <= 2
    with pytest.raises(ValueError, match=r"expected the 4 features of the fit before, found 3.*warm_start=False"):
        mine.fit(X[:, :3], y)


def test_a_fit_before_that_is_no_start_is_refused() -> None:
    y = TARGETS["classes"]
    mine = ours.LogisticRegression(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="expected the classes of the fit before, no, yes, found 0, 1, 2"):
        mine.fit(X, TARGETS["three"])
    # afresh it is the fit that it is without
    mine.set_params(warm_start=False).fit(X, TARGETS["three"])
    assert mine.coef_.shape == (3, 4)
    mine = ours.LogisticRegression(warm_start=True).fit(X, y)
    mine.intercept_ = np.zeros(5)
    with pytest.raises(ValueError, match=r"warm_start: expected coef_ .* found shapes \(1, 4\) and \(5,\)"):
        mine.fit(X, y)
    named = ours.LogisticRegression(warm_start=True).fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.raises(ValueError, match=r"^warm_start: expected features"):
        named.fit(pd.DataFrame(X, columns=list("wxyz")), y)


def test_a_dataset_goes_by_names_and_labels(tmp_path: Path) -> None:
    root = tmp_path / "root"
    pd.DataFrame(X, columns=list("abcd")).assign(y=TARGETS["classes"]).to_csv(tmp_path / "rows.csv", index=False)
    pd.DataFrame(X[:, ::-1], columns=list("dcba")).assign(y=TARGETS["classes"]).to_csv(
        tmp_path / "back.csv", index=False
    )
    for name in ("rows", "back"):
        mr_ml.pack(root, tmp_path / f"{name}.csv", name, label_column="y")
    mine = ours.LogisticRegression(C=0.3, warm_start=True, root=root).fit("rows")
    cold, coef = mine.n_iter_, mine.coef_
    assert mine.fit("back").n_iter_ <= 2 < cold
    np.testing.assert_allclose(mine.coef_[:, ::-1], coef, atol=1e-5)
    assert mine.fit(pd.DataFrame(X, columns=list("abcd")), TARGETS["classes"]).n_iter_ <= 2
    assert mine.fit("rows").n_iter_ <= 2
    # a file of coefficients, as the estimator of one is
    mr_ml.train(root, "rows", "m", l2=0.01)
    mr_ml.export(root, "m", tmp_path / "m.npz", kind="sklearn")
    begun = ours.from_file(tmp_path / "m.npz").set_params(C=0.25, warm_start=True, root=root)
    assert begun.fit("back").n_iter_ <= 2
    nameless = ours.LogisticRegression(warm_start=True, root=root).fit(X, TARGETS["classes"])
    with pytest.raises(ValueError, match=r"^warm_start: expected .* to say the names of its features"):
        nameless.fit("rows")
