#!/usr/bin/env bash
# Guess: with fit_intercept=True the primal and the dual solver of Snap ML give the same model: the same coefficients, the
#   same intercept, and probabilities whose mean is the share of positive labels.
# Happened: coefficients agree to seven digits, but those of the primal solver (dual=False) come with intercept_ 0:
#   it was fitted, and is lost. predict_proba then is 0.50 on average where 0.145 of the labels are positive;
#   LinearRegression predicts 0.01 on average where targets are 5.0. Dense and sparse, no warning. The documentation
#   says of intercept_ that it is zero if fit_intercept is False, of dual=False that it is recommended for more features
#   than rows; and an L1 penalty is possible with dual=False only, so that such models never have an intercept.
# Matters: Snap ML is the fastest peer on sparse text, and a penalty that selects features is why people choose it.
# Versions: snapml 1.17.2, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
install snapml==1.17.2 numpy==2.4.6
observe <<'PY'
import sys
import warnings

import numpy as np
import scipy.sparse
import snapml

rng = np.random.default_rng(0)
x = rng.standard_normal((5000, 2))
y = (rng.random(5000) < 1 / (1 + np.exp(2 - x[:, 0]))).astype(float)
target = x @ [1.0, 2.0] + 5 + rng.standard_normal(5000)
print("expected: the same intercept by both, probabilities of", y.mean(), "and predictions of", target.mean(), "on average")
as_seen = True
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for kind, rows in (("dense", x), ("sparse", scipy.sparse.csr_matrix(x))):
        by = {}
        for name, options in (
            ("dual", {"dual": True}), ("primal", {"dual": False}), ("L1", {"dual": False, "penalty": "l1"}),
        ):  # fmt: skip
            model = snapml.LogisticRegression(fit_intercept=True, regularizer=1.0, tol=1e-9, **options).fit(rows, y)
            by[name] = model
            mean = model.predict_proba(rows)[:, 1].mean()
            print(f"seen: {kind:6} {name:6} coef {model.coef_.ravel()} intercept {model.intercept_[0]:.4f} mean p {mean:.3f}")
            right = abs(model.intercept_[0] + 2.05) < 0.01 and abs(mean - y.mean()) < 1e-3
            as_seen &= right if name == "dual" else model.intercept_[0] == 0 and mean > 0.45
        as_seen &= np.allclose(by["dual"].coef_, by["primal"].coef_, rtol=1e-6)
    for dual in (True, False):
        model = snapml.LinearRegression(fit_intercept=True, regularizer=1.0, tol=1e-9, dual=dual).fit(x, target)
        mean = model.predict(x).mean()
        print(f"seen: squares dual={dual} intercept {model.intercept_:.4f} mean prediction {mean:.3f}")
        as_seen &= abs(mean - target.mean()) < 0.01 if dual else model.intercept_ == 0 and abs(mean) < 0.1
print("seen: warnings", [str(w.message) for w in caught])
sys.exit(None if as_seen and not caught else "changed: not what the first lines of this script say")
PY
