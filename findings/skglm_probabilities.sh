#!/usr/bin/env bash
# Guess: predict_proba of a logistic regression is the logistic function of its decision function, so that with an intercept and
#   next to no penalty the mean probability is the share of positive labels.
# Happened: for two classes skglm's SparseLogisticRegression takes the logistic function of twice the decision function: 0.076 on
#   average where 0.198 of the labels are positive. Coefficients, intercept and predicted classes are those of scikit-learn. For
#   three classes intercept_ is the number 0, whatever fit_intercept says: it was fitted, and is lost. Four of five predicted
#   classes are other ones than scikit-learn's one against the rest with the same coefficients. No warning, and the
#   documentation says "probability estimates" and "intercept term in decision function".
# Matters: skglm is the fast one for L1, MCP and groups; every number that multiplies a probability (bids, expected losses,
#   thresholds other than a half, log loss, calibration) is wrong, while accuracy and AUC look right.
# Versions: skglm 0.5, scikit-learn 1.9.1, numpy 2.4.6, numba 0.68.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
install skglm==0.5 numba==0.68.1 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from skglm import SparseLogisticRegression

rng = np.random.default_rng(0)
x = rng.standard_normal((20_000, 2))
y = (rng.random(len(x)) < expit(x @ [0.5, -0.25] - 1.5)).astype(int)
three = np.digitize(x[:, 0] + rng.logistic(size=len(x)), [-1, 2])
# numba's advice on speed is none on results
warnings.filterwarnings("ignore", message="'@' is faster")
with warnings.catch_warnings(record=True) as caught:
    warnings.filterwarnings("always", category=UserWarning)
    warnings.filterwarnings("ignore", message=".*is faster on contiguous")
    ours, theirs = SparseLogisticRegression(alpha=1e-6).fit(x, y), LogisticRegression(C=np.inf).fit(x, y)
    several = SparseLogisticRegression(alpha=1e-6, fit_intercept=True).fit(x, three)
    rest = OneVsRestClassifier(LogisticRegression(C=np.inf)).fit(x, three)
mean = {name: model.predict_proba(x)[:, 1].mean() for name, model in (("skglm", ours), ("scikit-learn", theirs))}
print("expected: probabilities of", y.mean(), "on average by both; seen:", mean)
print("seen: coefficients", ours.coef_.ravel(), ours.intercept_, "scikit-learn", theirs.coef_.ravel(), theirs.intercept_)
twice = np.abs(ours.predict_proba(x)[:, 1] - expit(2 * ours.decision_function(x))).max()
print("seen: difference from the logistic function of twice the decision function", twice)
shares, found, theirs_found = np.bincount(three) / len(three), several.predict_proba(x).mean(axis=0), rest.predict_proba(x).mean(axis=0)
same = (several.predict(x) == rest.predict(x)).mean()
print(f"seen: three classes, shares {shares}: skglm {found}, scikit-learn {theirs_found}; {same:.0%} of the predicted classes are the same")
print("seen: intercepts", several.intercept_, "scikit-learn", [one.intercept_[0] for one in rest.estimators_])
print("seen: warnings", [str(w.message)[:60] for w in caught])
as_seen = (
    abs(mean["scikit-learn"] - y.mean()) < 1e-3
    and mean["skglm"] < 0.1
    and twice < 1e-12
    and np.allclose(ours.coef_, theirs.coef_, atol=2e-3)
    and (ours.predict(x) == theirs.predict(x)).mean() > 0.999
    and np.allclose(several.coef_, [one.coef_[0] for one in rest.estimators_], atol=2e-3)
    and np.abs(theirs_found - shares).max() < 0.01
    and np.abs(found - shares).max() > 0.1
    and np.ndim(several.intercept_) == 0
    and several.intercept_ == 0
    and same < 0.3
)
sys.exit(None if as_seen and not caught else "changed: not what the first lines of this script say")
PY
