#!/usr/bin/env bash
# Guess: LogisticRegression of dask-ml, "scikit-learn's API on dask arrays", takes two labels of any numbers, as -1 and 1 of libsvm
#   files, 1 and 2; or it refuses what is not 0 and 1.
# Happened: labels are numbers in its formula, unchecked. With 0 and 1 all five solvers agree with scikit-learn. With -1 and 1, or
#   1 and 2, there is no finite optimum: coefficients of 20 to 1e24 come back for ones of 1 and -0.5, after the default number of
#   iterations, with numbers that predict True or False. Text is an error of types. The documentation says only "y : array-like".
# Matters: -1 and 1 is what files of this field hold, from a9a to rcv1; accuracy, by comparing with > 0, may look plausible, the
#   probabilities are 0 and 1.
# Versions: dask-ml 2025.1.0, dask-glm 0.4.0, dask 2026.8.0, scikit-learn 1.9.1, numpy 2.4.6. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
install dask-ml==2025.1.0 dask-glm==0.4.0 dask==2026.8.0 numba==0.68.1 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
observe <<'PY'
import sys
import warnings

import dask.array as da
import numpy as np
from dask_ml.linear_model import LogisticRegression
from scipy.special import expit
from sklearn.linear_model import LogisticRegression as OfSklearn

warnings.simplefilter("ignore")
SOLVERS = ("admm", "gradient_descent", "lbfgs", "newton", "proximal_grad")
rng = np.random.default_rng(0)
x = rng.standard_normal((2_000, 2))
y = (rng.random(len(x)) < expit(x @ [1.0, -0.5] - 0.5)).astype(int)
rows = da.from_array(x, chunks=(1_000, 2))
as_seen = True
for what, labels in (("0 and 1", y), ("-1 and 1", 2 * y - 1), ("1 and 2", y + 1)):
    expected = OfSklearn(C=1e4).fit(x, labels).coef_.ravel()
    print(f"labels {what}: expected coefficients {expected}")
    for solver in SOLVERS:
        model = LogisticRegression(C=1e4, solver=solver).fit(rows, da.from_array(labels, chunks=1_000))
        beyond = np.isin(np.asarray(model.predict_proba(x)).round(3), (0, 1)).mean()
        print(f"seen: {solver:16} {model.coef_} predicts {set(np.unique(np.asarray(model.predict(rows))).tolist())},"
              f" {beyond:.0%} of the probabilities are 0 or 1")
        right = np.allclose(model.coef_, expected, atol=0.01)
        as_seen &= right if what == "0 and 1" else not right and np.abs(model.coef_).max() > 10
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
