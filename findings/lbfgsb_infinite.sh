#!/usr/bin/env bash
# Guess: where the objective is infinite, outside of its domain or by an overflow, the line search of L-BFGS-B takes a shorter step;
#   at worst success is False, as it is where the objective is NaN.
# Happened: if the first step leads there, it ends at the point where it began, with success True and "relative reduction of F", and a
#   slope as large as at the start. BFGS and CG find the minimum. So PoissonRegressor returns coefficients of exactly 0 for features
#   in the thousands: RuntimeWarnings of the overflow, but no ConvergenceWarning, and n_iter_ 1; its newton-cholesky is right. The
#   documentation of the method has the formula of that criterion, and nothing of infinite values. scikit-learn has an open report
#   of PoissonRegressor from 2023, scipy none that we found.
# Matters: infinity for what is not allowed is what people write as a barrier, and every loss with an exponential overflows; success
#   is what programs look at, and all coefficients 0 looks like "no effect".
# Versions: scipy 1.17.1 (alike from 1.11.4 on), scikit-learn 1.9.1, numpy 2.4.6. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
import scipy
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor


def barrier(outside):
    """x - log(x) / 1000: its minimum is at 0.001."""

    def value_and_slope(x):
        if x[0] <= 0:
            return outside, np.array([1.0])
        return x[0] - 1e-3 * np.log(x[0]), np.array([1 - 1e-3 / x[0]])

    return value_and_slope


print(f"scipy {scipy.__version__}; expected: 0.001, or success False")
as_seen = True
for method, outside, right in (
    ("L-BFGS-B", np.inf, False), ("BFGS", np.inf, True), ("CG", np.inf, True), ("L-BFGS-B", 1e9, True), ("L-BFGS-B", np.nan, None),
):
    end = minimize(barrier(outside), [0.5], jac=True, method=method)
    print(f"seen: {method:8} {outside:5} outside: x {end.x[0]:.4f}, slope {end.jac[0]:6.3f}, success {end.success}, {end.message}")
    if right is None:
        as_seen &= not end.success
    elif right:
        as_seen &= bool(end.success) and abs(end.x[0] - 1e-3) < 1e-4
    else:
        as_seen &= bool(end.success) and end.x[0] == 0.5 and end.jac[0] > 0.9

rng = np.random.default_rng(0)
x = rng.standard_normal((200, 3))
y = rng.poisson(np.exp(x @ [0.5, 0.2, 0])).astype(float)
print("expected: in every unit the same coefficient, or a ConvergenceWarning")
for unit in (1.0, 100.0, 1000.0):
    for solver in ("lbfgs", "newton-cholesky"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = PoissonRegressor(alpha=0, solver=solver, max_iter=10_000).fit(x * unit, y)
        kinds = sorted({w.category.__name__ for w in caught})
        print(f"seen: features x {unit:4g}: {solver:15} coef {model.coef_ * unit}, n_iter {model.n_iter_}, {kinds}")
        lost = solver == "lbfgs" and unit == 1000
        as_seen &= not model.coef_.any() if lost else abs(model.coef_[0] * unit - 0.5487) < 1e-3
        as_seen &= not any(issubclass(w.category, ConvergenceWarning) for w in caught)
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
