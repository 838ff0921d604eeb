#!/usr/bin/env bash
# Guess: StandardScaler gives every feature that varies a standard deviation of 1, however many rows there are.
# Happened: of 1,000,000 rows with times in microseconds within one second (1.7e15 + 0..999999) it says scale_ 1 and
#   leaves a standard deviation of 288,703; of the first 100,000 rows it is right. var_ is right in both. A feature
#   counts as constant below a bound that grows with rows * mean; the documentation names variance zero only.
# Matters: scaling is the cure for features of far means; on much data it does not take place, without a word.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_sklearn 1.9.1
observe <<'PY'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.preprocessing import StandardScaler

times = 1.7e15 + np.random.default_rng(0).integers(0, 1_000_000, (1_000_000, 1))
print("scikit-learn", sklearn.__version__)
print("expected: scale_ = sqrt(var_), and a standard deviation of 1 after scaling")
as_seen = True
for n_rows in (100_000, 1_000_000):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scaler = StandardScaler()
        after = scaler.fit_transform(times[:n_rows]).std()
    scale, root = scaler.scale_[0], np.sqrt(scaler.var_[0])
    print(f"seen: {n_rows} rows: scale_ {scale:g}, sqrt(var_) {root:g}, std after {after:g}, {len(caught)} warnings")
    right = abs(after - 1) < 1e-6
    as_seen &= not caught and (right if n_rows == 100_000 else scale == 1 and after > 1e5)
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
