#!/usr/bin/env bash
# Guess: adding a constant to a feature changes the intercept alone; a solver that cannot follow says so
#   (ConvergenceWarning).
# Happened: one feature of times in milliseconds (1.7e12 + 0..9999): all six solvers of LogisticRegression return a
#   coefficient of about -5e-15 instead of 4e-4, with the accuracy of a coin, and no ConvergenceWarning.
#   newton-cholesky alone warns of something, a singular Hessian. The documentation asks for features of similar scale
#   for speed (sag, saga); that a far mean of a single feature costs the model is not in it.
# Matters: times, counters and years have far means, and max_iter and warnings are what people look at.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
passed = rng.integers(0, 10_000, 500).astype(float)
y = rng.random(500) < 1 / (1 + np.exp(-4e-4 * (passed - 5000)))
print("scikit-learn", sklearn.__version__)
print("expected: the same coefficient and accuracy for both, or a ConvergenceWarning")
as_seen = True
for solver in ("lbfgs", "newton-cg", "newton-cholesky", "liblinear", "sag", "saga"):
    for name, x in (("centred", passed - passed.mean()), ("as it is", 1.7e12 + passed)):
        strength = 1e10 if solver == "liblinear" else np.inf
        model = LogisticRegression(C=strength, solver=solver, max_iter=1000, random_state=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(x[:, None], y)
        kinds = [w.category.__name__ for w in caught]
        coef, accuracy = model.coef_[0, 0], model.score(x[:, None], y)
        steps = model.n_iter_[0]
        print(f"seen: {solver:15} {name:8} coef {coef:9.2g} accuracy {accuracy:.3f} n_iter {steps:3} {kinds}")
        right = 3e-4 < coef < 5e-4 and accuracy > 0.7
        wrong = abs(coef) < 1e-12 and accuracy < 0.55
        as_seen &= right if name == "centred" else wrong
        as_seen &= not any(issubclass(w.category, ConvergenceWarning) for w in caught)
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
