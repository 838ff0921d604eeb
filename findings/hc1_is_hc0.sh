#!/usr/bin/env bash
# Guess: GLM.fit(cov_type="HC1") has the robust standard errors of HC0 times (n / (n - p))^1/2, as OLS.fit has them and as
#   the name means (MacKinnon & White 1985).
# Happened: GLM has the very numbers of HC0, to the last bit, for all four names from HC0 to HC3, without a word;
#   cov_type of the result says what was asked for.
# Matters: with few rows intervals are too short, by a tenth with 5 coefficients of 30 rows, and the table says that they
#   were corrected. GLM with the Gaussian family and OLS differ on the same data and the same option.
# Versions: statsmodels 0.15.0, numpy 2.4.6, scipy 1.17.1, pandas 2.3.3. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
observe <<'PY'
import sys

import numpy as np
import statsmodels
import statsmodels.api as sm

rng = np.random.default_rng(0)
x = sm.add_constant(rng.standard_normal((30, 4)))
y = x @ [1, 0.5, 0, -0.5, 0] + rng.standard_normal(30)
ratio = np.sqrt(30 / 25)
print("statsmodels", statsmodels.__version__)
print(f"expected: HC1 / HC0 = (30 / 25)^1/2 = {ratio:.6f}")
as_seen = True
for model in (sm.OLS(y, x), sm.GLM(y, x), sm.GLM(y > 1, x, family=sm.families.Binomial())):
    plain = model.fit(cov_type="HC0").bse
    for cov_type in ("HC1", "HC2", "HC3"):
        fit = model.fit(cov_type=cov_type)
        found = fit.bse / plain
        print(f"seen: {type(model).__name__} {type(getattr(model, 'family', None)).__name__:9} {fit.cov_type} / HC0: {found}")
        if isinstance(model, sm.OLS):
            as_seen &= (found > 1.01).all() and (cov_type != "HC1" or np.allclose(found, ratio))
        else:
            as_seen &= fit.cov_type == cov_type and (found == 1).all()
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
