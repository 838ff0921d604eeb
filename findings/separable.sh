#!/usr/bin/env bash
# Guess: where one level of a feature has events only, its coefficient has no finite estimate, and an unpenalised fit
#   says so.
# Happened: statsmodels' GLM says converged, without a warning (its PerfectSeparationWarning is for separation of all
#   rows), with a coefficient of 24 and a standard error of 18,000; its own Logit says not converged. Three solvers of
#   scikit-learn stop at 6, 7 and 10, also without a warning: how far they get depends on the solver alone.
# Matters: rare levels with one outcome are common; such a coefficient, and its p-value near 1, are an accident of
#   stopping.
# Versions: statsmodels 0.15.0, scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
install statsmodels==0.15.0 pandas==3.1.1
observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
import statsmodels
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
level = np.arange(1000) < 50
x = np.c_[rng.standard_normal(1000), level]
y = (level | (rng.random(1000) < 1 / (1 + np.exp(-0.5 * x[:, 0])))).astype(int)
design = sm.add_constant(x)
print(f"statsmodels {statsmodels.__version__}, scikit-learn {sklearn.__version__}")
print("expected: of every fit a word that the last coefficient has no finite estimate")
fits = {"Logit": lambda: sm.Logit(y, design).fit(disp=0)}
fits["GLM"] = lambda: sm.GLM(y, design, family=sm.families.Binomial()).fit()
for solver in ("lbfgs", "newton-cg", "newton-cholesky"):
    fits[solver] = lambda solver=solver: LogisticRegression(C=np.inf, solver=solver).fit(x, y)
last = {}
as_seen = True
for name, fit in fits.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit()
    kinds = [w.category.__name__ for w in caught]
    last[name] = result.params[-1] if name in ("Logit", "GLM") else result.coef_[0, -1]
    print(f"seen: {name:15} last coefficient {last[name]:.1f}, {kinds}")
    if name in ("Logit", "GLM"):
        print(f"      converged {result.converged}, standard error {result.bse[-1]:.0f}, p {result.pvalues[-1]:.4f}")
    as_seen &= bool(kinds) == (name == "Logit")
    as_seen &= name != "GLM" or bool(result.converged)
as_seen &= min(last["lbfgs"], last["newton-cg"], last["newton-cholesky"]) < 9 and last["GLM"] > 15
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
