#!/usr/bin/env bash
# Guess: threadpoolctl limits the threads of numpy's and scipy's BLAS, or says that it knows none.
# Happened: threadpoolctl 3.1 to 3.4 find no BLAS in the wheels of numpy 2.4.6 and scipy 1.17.1, whose OpenBLAS has
#   other names for its functions; limit() then does nothing, without a word. 3.5.0 and 3.8.0 find both; the list
#   of changes of 3.5.0 says that this support is new.
# Matters: many processes with as many threads each are slow, and sums split among threads differ in their last bits
#   from machine to machine; a lower bound such as threadpoolctl>=3.1 in a package lets both happen again.
# Versions: threadpoolctl 3.1.0, 3.2.0, 3.3.0, 3.4.0, 3.5.0, 3.8.0; numpy 2.4.6, scipy 1.17.1; Linux. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install numpy==2.4.6 scipy==1.17.1
for version in 3.1.0 3.2.0 3.3.0 3.4.0 3.5.0 3.8.0; do
    install "threadpoolctl==$version"
    observe <<'PY'
import ctypes
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.linalg
import threadpoolctl

scipy.linalg.cholesky(np.eye(2))  # loads scipy's BLAS
(path,) = (Path(np.__file__).parents[1] / "numpy.libs").glob("libscipy_openblas*")
blas = ctypes.CDLL(str(path))
blas.scipy_openblas_set_num_threads64_(2)
before = blas.scipy_openblas_get_num_threads64_()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    controller = threadpoolctl.ThreadpoolController()
    with controller.limit(limits=1, user_api="blas"):
        within = blas.scipy_openblas_get_num_threads64_()
found, version = len(controller.info()), threadpoolctl.__version__
print(f"threadpoolctl {version}, numpy {np.__version__}, scipy {scipy.__version__}")
print("    expected: 2 libraries, 2 threads -> 1, or a warning")
print(f"    seen:     {found} libraries, {before} threads -> {within}, {len(caught)} warnings")
works = tuple(map(int, version.split("."))) >= (3, 5)
as_seen = not caught and (found, before, within) == ((2, 2, 1) if works else (0, 2, 2))
sys.exit(None if as_seen else "changed: not what the first lines of this script say")
PY
done
