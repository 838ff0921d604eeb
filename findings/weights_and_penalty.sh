#!/usr/bin/env bash
# Guess: freq_weights of statsmodels' GLM are frequencies: a row of weight 3 is three rows. fit() keeps to that.
# Happened: fit_regularized() does not. It divides the weighted log-likelihood by the number of rows, not by what they
#   weigh, so that rows of weights 1 to 3 have half the penalty of the same rows repeated. The documentation has the
#   formula, -loglike/n, and does not say that n leaves weights out; it warns in general that weights are not verified
#   for all options.
# Matters: aggregating identical rows, which is what frequencies are for, changes the model, and alpha chosen on one
#   table is another one on the other.
# Versions: statsmodels 0.15.0, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
observe <<'PY'
import sys
import warnings

import numpy as np
import statsmodels
import statsmodels.api as sm

warnings.simplefilter("error")
rng = np.random.default_rng(0)
x = rng.standard_normal((300, 2))
y = rng.poisson(np.exp(0.5 * x[:, 0] - 0.1 * x[:, 1] + 0.3))
weights = rng.integers(1, 4, 300)
rows = np.repeat(np.arange(300), weights)
design, family = sm.add_constant(x), sm.families.Poisson()
weighted = sm.GLM(y, design, family, freq_weights=weights)
repeated = sm.GLM(y[rows], design[rows], family)
print("statsmodels", statsmodels.__version__)
print("expected: the same coefficients from frequencies as from repeated rows, with and without a penalty")
plain = weighted.fit().params - repeated.fit().params
lasso = [model.fit_regularized(alpha=0.1, L1_wt=1).params for model in (weighted, repeated)]
half = repeated.fit_regularized(alpha=0.1 * len(y) / weights.sum(), L1_wt=1).params
print(f"seen: fit() differs by {np.abs(plain).max():.1e}")
for name, params in zip(("frequencies", "repeated", "repeated, alpha by rows / weights"), (*lasso, half), strict=True):
    print(f"seen: fit_regularized(alpha=0.1), {name}: {np.round(params, 4)}")
as_seen = np.abs(plain).max() < 1e-8 and np.abs(lasso[0] - lasso[1]).max() > 0.01
as_seen &= np.abs(lasso[0] - half).max() < 1e-6
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
