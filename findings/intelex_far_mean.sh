#!/usr/bin/env bash
# Guess: LinearRegression and Ridge of scikit-learn-intelex, "patched" in place of scikit-learn's, give the same coefficients
#   to some digits; at worst a warning says that they do not.
# Happened: they solve by X'X of features that are not centred. A feature far from zero (a time in ms: mean 1.7e12, standard
#   deviation 1000) loses its coefficient, and so does its neighbour: 0.00 a thousand ms for 3.00, R2 0.00 for 0.999, without
#   a warning. At 1.7e9 the coefficient is off by 3 in 1000. scikit-learn 1.9.1 itself has 3.00 in all cases.
# Matters: the accelerated estimators are the fastest peer on dense rows, and a time is the commonest feature far from zero.
# Versions: scikit-learn-intelex 2026.2.0, scikit-learn 1.9.1, numpy 2.4.6. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
install scikit-learn-intelex==2026.2.0
observe <<'PY'
import sys
import warnings

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
from sklearnex.linear_model import LinearRegression as LinearRegressionX
from sklearnex.linear_model import Ridge as RidgeX

rng = np.random.default_rng(0)
noise, other = rng.normal(size=(2, 2000))
y = 3 * noise + 2 * other + 1 + rng.normal(size=2000) * 0.1
fits = {
    "sklearn LinearRegression": LinearRegression(), "sklearnex LinearRegression": LinearRegressionX(),
    "sklearn Ridge": Ridge(alpha=1.0), "sklearnex Ridge": RidgeX(alpha=1.0),
}
found = {}
print("expected of all: about 3 and 2, or a warning")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for mean, unit, name in ((0, 1e3, "around 0"), (1.7e9, 1e3, "seconds"), (1.7e12, 1e3, "ms")):
        x = np.column_stack([mean + unit * noise, other])
        for who, model in fits.items():
            model.fit(x, y)
            found[who, name] = float(model.coef_[0] * unit)
            print(f"seen: {who:27} {name:9} {found[who, name]:9.4f} {model.coef_[1]:7.4f}  R2 {model.score(x, y):.4f}")
print("seen: warnings", [str(w.message) for w in caught])
right = {key for key, value in found.items() if abs(value - 3) < 0.05}
lost = {key for key, value in found.items() if abs(value) < 0.1}
expected = {("sklearnex LinearRegression", "ms"), ("sklearnex Ridge", "ms")}
sys.exit(None if lost == expected and len(right) == 10 and not caught else "changed: not what the first lines say")
PY
