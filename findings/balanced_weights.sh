#!/usr/bin/env bash
# Guess: class_weight="balanced" makes the classes weigh the same, and a row of sample weight 3 counts as three rows.
# Happened: in LogisticRegression and LinearSVC it does. In RidgeClassifier and SVC of the same release "balanced" counts
#   rows, whatever they weigh, so that the classes do not weigh the same: another intercept, and half of the rows get the
#   other label. Nothing is said. Documented for all of them is the one formula n_samples / (n_classes * np.bincount(y)),
#   nothing of sample weights.
# Matters: weights by which a majority was thinned out, or of aggregated rows, are exactly those that must count here;
#   who changes the estimator changes the meaning of the option.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import SVC, LinearSVC

warnings.simplefilter("error")
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 3))
y = (x[:, 0] + rng.logistic(size=1000) > 1).astype(int)
weights = rng.integers(1, 5, 1000) * np.where(y == 1, 4, 1)
rows = np.repeat(np.arange(1000), weights)
print("scikit-learn", sklearn.__version__)
print("classes of", np.bincount(y), "rows weigh", np.bincount(y, weights))
print("expected: with sample weights the same model as of the rows repeated")
estimators = {
    "LogisticRegression": lambda: LogisticRegression(C=1e5, class_weight="balanced"),
    "LinearSVC": lambda: LinearSVC(class_weight="balanced", dual=False),
    "RidgeClassifier": lambda: RidgeClassifier(alpha=1e-6, class_weight="balanced"),
    "SVC": lambda: SVC(kernel="linear", C=0.01, class_weight="balanced"),
}
as_seen = True
for name, make in estimators.items():
    weighted, repeated = make().fit(x, y, sample_weight=weights), make().fit(x[rows], y[rows])
    off = abs(weighted.intercept_[0] - repeated.intercept_[0])
    others = np.mean(weighted.predict(x) != repeated.predict(x))
    print(f"seen: {name:20} intercept {weighted.intercept_[0]:+.3f}, of repeated rows {repeated.intercept_[0]:+.3f}")
    print(f"      {others:.0%} of the rows get another label")
    as_seen &= off < 1e-3 if name in ("LogisticRegression", "LinearSVC") else off > 0.3 and others > 0.1
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
