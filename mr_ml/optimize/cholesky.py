"""Positive definite equations, by numpy alone: loading scipy.linalg takes longer than solving most of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Lower = NDArray[np.floating[Any]]


def solved(lower: Lower, b: Floats) -> Floats:
    """Solve L L' x = b by substitution.

    Parameters
    ----------
    lower
        (n, n) L, with a positive diagonal, as `numpy.linalg.cholesky` returns it.
    b
        (n,)

    Returns
    -------
    x
        (n,)

    Notes
    -----
    O(n^2) time, which is little beside that of the factor, and n^2 numbers of memory.
    """
    pivots = np.diagonal(lower)
    y = np.zeros(len(b))
    for k in range(len(b)):
        y[k] = (b[k] - lower[k, :k] @ y[:k]) / pivots[k]
    # rows lie together, columns do not
    upper = np.ascontiguousarray(lower.T)
    x = np.zeros(len(b))
    for k in reversed(range(len(b))):
        x[k] = (y[k] - upper[k, k + 1 :] @ x[k + 1 :]) / pivots[k]
    return x
