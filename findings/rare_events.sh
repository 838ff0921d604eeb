#!/usr/bin/env bash
# Guess: an unpenalised logistic model with an intercept predicts, on average, the rate of events that it was trained
#   on: that is its score equation of the intercept. A solver that stopped short of it says so.
# Happened: with row weights that make an event one in ten million, three solvers of LogisticRegression predict
#   hundreds of times that rate, without a warning; with tol=1e-14 newton-cg is right. The criterion, largest slope <=
#   tol, is documented (lbfgs, newton-cg); that of rare events every slope is that small, is not.
# Matters: whoever keeps all events and one in many of the others, and weights them back (clicks, fraud), gets
#   probabilities that are wrong by orders of magnitude.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 2))
y = rng.random(1000) < 1 / (1 + np.exp(-x @ [1, -0.5]))
rate = 1e-7
weight = np.where(y, 1.0, y.sum() * (1 / rate - 1) / (~y).sum())
print("scikit-learn", sklearn.__version__)
print("expected: mean predicted probability / rate of events = 1")
as_seen = True
for solver, tol in (("lbfgs", 1e-4), ("newton-cg", 1e-4), ("newton-cholesky", 1e-4), ("newton-cg", 1e-14)):
    model = LogisticRegression(C=np.inf, solver=solver, tol=tol, max_iter=1000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, sample_weight=weight)
    ratio = np.average(model.predict_proba(x)[:, 1], weights=weight) / rate
    print(f"seen: {solver:15} tol {tol:g}: ratio {ratio:.4g}, coef {model.coef_[0]}, {len(caught)} warnings")
    as_seen &= abs(ratio - 1) < 0.01 if tol < 1e-4 else ratio > 100 and not caught
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
