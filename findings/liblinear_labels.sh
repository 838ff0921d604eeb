#!/usr/bin/env bash
# Guess: classes are whole numbers, given as float64, so any up to 2^53 will do; or larger ones are refused.
# Happened: labels that do not fit in 32 bits become one and the same class, -2147483648 (on x86-64): the model has
#   one class and predicts a label that does not occur in the data. Nothing is said. The documentation speaks of
#   integers without a range.
# Matters: ids of products, dates with a running number and hashes are labels in practice, and do not fit.
# Versions: liblinear-official 2.50.0 (PyPI, built by a C++ compiler), numpy 2.4.6, scipy 1.17.1; x86-64.
#   Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install liblinear-official==2.50.0 numpy==2.4.6 scipy==1.17.1
observe <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from liblinear.liblinearutil import predict, train

x = np.random.default_rng(0).standard_normal((200, 1))
print("liblinear-official", version("liblinear-official"))
print("expected: both labels are predicted, or a refusal")
as_seen = True
for labels, fit in (((1, 2), True), ((2147483646, 2147483647), True), ((3000000001, 3000000002), False)):
    y = np.where(x[:, 0] > 0, labels[1], labels[0]).astype(float)
    model = train(y, x, "-s 0 -q")
    predicted = sorted({int(label) for label in predict(y, x, model, "-q")[0]})
    print(f"seen: labels {labels}: the model has {model.get_nr_class()} classes and predicts {predicted}")
    as_seen &= predicted == (list(labels) if fit else [-2147483648]) and model.get_nr_class() == (2 if fit else 1)
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
