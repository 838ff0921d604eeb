#!/usr/bin/env bash
# Guess: least squares without a penalty does not care about units: a feature times s has its coefficient divided
#   by s.
# Happened: LinearRegression of scikit-learn 1.9.1 drops a feature whose spread is a millionth of another's:
#   coefficient 0, R2 0.24 instead of 0.998, no warning; 1.8.0 and tol=1e-15 fit it. Its tol, 1e-6, is now also the
#   "cond" below which scipy's lstsq leaves out singular values of dense data. That is documented; that columns of
#   other units fall below it is not.
# Matters: amounts of money beside rates, or populations beside shares, are a million apart; the rate is not used, and
#   nobody says so.
# Versions: scikit-learn 1.9.1 (and 1.8.0), numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
for version in 1.8.0 1.9.1; do
    install_sklearn "$version"
    observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import LinearRegression

rng = np.random.default_rng(0)
income = rng.normal(60_000, 20_000, 300)
interest = rng.normal(0.03, 0.01, 300)
y = income / 20_000 + 200 * interest + 0.1 * rng.standard_normal(300)
x = np.c_[income, interest]
print(f"scikit-learn {sklearn.__version__}: expected: coefficients near 5e-05 and 200, R2 near 1")
drops = not sklearn.__version__.startswith("1.8.")
as_seen = True
for tol in (1e-6, 1e-15):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LinearRegression(tol=tol).fit(x, y)
    r2 = model.score(x, y)
    print(f"seen: tol {tol:g}: coef {model.coef_}, R2 {r2:.3f}, rank_ {model.rank_}, {len(caught)} warnings")
    as_seen &= not caught and (r2 < 0.3 and abs(model.coef_[1]) < 1e-3 if drops and tol == 1e-6 else r2 > 0.99)
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
done
