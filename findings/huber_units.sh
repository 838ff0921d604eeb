#!/usr/bin/env bash
# Guess: HuberRegressor fits a scale so that the unit of the target does not matter; and of its default alpha, 1e-4,
#   nothing is seen with 1,000 rows.
# Happened: its loss grows as the target and its penalty as the square of that. The same data in a unit a millionth as
#   large (dollars, not millions of them) has a coefficient 13 % smaller, of a billionth (nanometres, not metres) 99 %
#   smaller. No warning: it is the optimum of the documented objective. Of y the documentation says that it may be
#   scaled without a change of epsilon; nothing of alpha. Ridge's loss and penalty grow alike, so that it has no unit.
# Matters: whoever fits bytes, populations or prices as they are finds no effect where there is one.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import HuberRegressor, Ridge

warnings.simplefilter("error")
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 3))
y = x[:, 0] + rng.standard_t(2, size=1000)
print("scikit-learn", sklearn.__version__)
print("expected: the same coefficient in every unit, as of Ridge")
found = {}
for unit in (1.0, 1e6, 1e9):
    huber, ridge = HuberRegressor(max_iter=1000).fit(x, y * unit), Ridge().fit(x, y * unit)
    found[unit] = huber.coef_[0] / unit, ridge.coef_[0] / unit
    free = HuberRegressor(alpha=0, max_iter=1000).fit(x, y * unit).coef_[0] / unit
    print(f"seen: target x {unit:.0e}: Huber {found[unit][0]:.4f} (alpha=0: {free:.4f}), Ridge {found[unit][1]:.4f}")
huber, ridge = zip(*found.values(), strict=True)
as_seen = huber[1] < 0.92 * huber[0] and huber[2] < 0.05 * huber[0] and np.ptp(ridge) < 1e-9
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
