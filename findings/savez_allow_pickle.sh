#!/usr/bin/env bash
# Guess: numpy.savez(file, allow_pickle=False, ...) refuses to pickle, as numpy.save(file, a, allow_pickle=False)
#   does.
# Happened: in numpy 1.26.4, 2.0.2 and 2.1.3 savez has no such parameter: every keyword names an array, so that False
#   is stored as an array "allow_pickle", and objects are pickled all the same. 2.2.0 and 2.4.6 refuse. The documented
#   signatures agree with that; nothing warns of it.
# Matters: who writes blocks or models so believes that no pickle can get into them; and the files hold one array
#   more.
# Versions: numpy 1.26.4, 2.0.2, 2.1.3, 2.2.0 and 2.4.6. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
for version in 1.26.4 2.0.2 2.1.3 2.2.0 2.4.6; do
    install "numpy==$version"
    observe <<'PY'
import sys

import numpy as np

objects = np.array([{"a": 1}, None], dtype=object)
refuses = np.lib.NumpyVersion(np.__version__) >= "2.2.0"
try:
    np.savez("stored.npz", allow_pickle=False, coef=objects)
except ValueError as error:
    print(f"numpy {np.__version__}: expected: refused; seen: {error}")
    as_seen = refuses
else:
    with np.load("stored.npz", allow_pickle=True) as stored:
        print(f"numpy {np.__version__}: expected: refused; seen: stored as {stored.files}, coef = {stored['coef']}")
        as_seen = not refuses and set(stored.files) == {"allow_pickle", "coef"} and stored["coef"][0] == {"a": 1}
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
done
