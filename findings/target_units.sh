#!/usr/bin/env bash
# Guess: a target in another unit gives the same model in that unit, to the precision that is asked for.
# Happened: with targets of 1e-9 (seconds, where nanoseconds are usual), counts of 1e-6 for each unit of exposure, or
#   targets of 1e-12: Ridge(positive=True), TweedieRegressor(power=0), PoissonRegressor and QuantileRegressor return
#   coefficients of exactly 0, HuberRegressor wrong ones, all without a warning: they stop where a number in the unit
#   of the target is small. For the GLMs that criterion, the largest slope, is documented, but not what it does here;
#   of HuberRegressor it is said that y may be scaled. Ridge's default solver and the newton-cholesky solver of the
#   GLMs are right.
# Matters: all coefficients 0 looks like "no effect". Rates per impression or per second are as small as that.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import HuberRegressor, PoissonRegressor, QuantileRegressor, Ridge, TweedieRegressor

rng = np.random.default_rng(0)
x = rng.standard_normal((300, 2))
line = 5 + x @ [1, 2] + 0.1 * rng.standard_normal(300)
counts = rng.poisson(np.exp(1 + x @ [0.5, -0.3])).astype(float)
print("scikit-learn", sklearn.__version__)
print("expected: coefficients in the new unit are the same (of Poisson: in any)")
as_seen = True
for name, model, y, unit, right in (
    ("Ridge()", Ridge(alpha=1e-6), line, 1e-9, True),
    ("Tweedie(newton-cholesky)", TweedieRegressor(power=0, alpha=0, solver="newton-cholesky"), line, 1e-9, True),
    ("Ridge(positive=True)", Ridge(alpha=1e-6, positive=True), line, 1e-9, False),
    ("Tweedie(power=0)", TweedieRegressor(power=0, alpha=0), line, 1e-9, False),
    ("Poisson()", PoissonRegressor(alpha=0), counts, 1e-6, False),
    ("Quantile()", QuantileRegressor(alpha=0), line, 1e-9, False),
    ("Huber()", HuberRegressor(alpha=0), line, 1e-12, False),
):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plain = model.fit(x, y).coef_.copy()
        small = model.fit(x, y * unit).coef_ / (1 if name == "Poisson()" else unit)
    steps = getattr(model, "n_iter_", None)
    print(f"seen: {name:24} coef {plain}, of y * {unit:g} {small}, n_iter {steps}, {len(caught)} warnings")
    as_seen &= not caught
    if name == "Huber()":
        as_seen &= not np.allclose(small, plain, rtol=0.2)
    else:
        as_seen &= np.allclose(small, plain, rtol=0.01) if right else not small.any()
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
