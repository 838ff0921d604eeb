"""The compiled inner loops, where they are installed, behind functions that say None where they are not.

Whoever calls one of these has the same computation in numpy and scipy beside it, with the same bits; a test runs both.
`MR_ML_NATIVE=0` in the environment switches the compiled ones off.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from mr_ml import _native as native
except ImportError:  # no compiler where mr_ml was installed, or a bare node
    native = None  # type: ignore[assignment]

if os.environ.get("MR_ML_NATIVE") == "0":
    native = None  # type: ignore[assignment]

Array = NDArray[Any]
Floats = NDArray[np.float64]


def csr_dot(indptr: Array, indices: Array, values: Array, coef: Floats) -> Floats | None:
    """X coef for coef (n_features, n_outputs), or None."""
    if native is None or indptr.dtype != np.int32:
        return None
    out = np.empty((len(indptr) - 1, coef.shape[1]))
    native.csr_dot(indptr, indices, values, coef.shape[1], np.ascontiguousarray(coef), out)
    return out


def csr_pull(
    indptr: Array, indices: Array, values: Array, slope: Floats, bend: Floats, *, n_features: int
) -> tuple[Floats, Floats] | None:
    """X' slope and (X o X)' bend, (n_features, n_outputs) each, or None."""
    if native is None or indptr.dtype != np.int32:
        return None
    n_outputs = slope.shape[1]
    gradient, curvature = np.zeros((n_features, n_outputs)), np.zeros((n_features, n_outputs))
    slope, bend = np.ascontiguousarray(slope), np.ascontiguousarray(bend)
    native.csr_pull(indptr, indices, values, n_outputs, slope, bend, gradient, curvature)
    return gradient, curvature


def take_rows(rows: Array, indptr: Array, indices: Array, values: Array) -> tuple[Array, Array, Array] | None:
    """indptr, indices and values of the given rows of a CSR matrix, or None."""
    if native is None:
        return None
    n = int((indptr[1:] - indptr[:-1])[rows].sum())
    taken = np.empty(len(rows) + 1, np.int64), np.empty(n, np.int32), np.empty(n)
    native.take_rows(np.ascontiguousarray(rows, np.int64), indptr, indices, values, *taken)
    return taken


def hash_entries(start: int, column: int, indptr: Array, indices: Array, values: Array) -> NDArray[np.uint64] | None:
    """Sum over each row's entries of mix(value bits + start + (id + 1) column) mod 2^64, or None."""
    if native is None:
        return None
    out = np.empty(len(indptr) - 1, np.uint64)
    native.hash_entries(start, column, indptr, indices, values, out)
    return out


def read_libsvm(
    text: bytes, *, lowest_id: int, highest_id: int, labels_required: bool
) -> tuple[int, Array, Array, Array, Array, Array] | None:
    """Lines, labels, line of each row, row ends, ids and values of ordinary libsvm lines; None if any is unusual."""
    if native is None or not text.endswith(b"\n"):
        return None
    most_rows, most_values = text.count(b"\n"), text.count(b":")
    labels, values = np.empty(most_rows), np.empty(most_values)
    row_lines, row_ends = np.empty(most_rows, np.int64), np.empty(most_rows, np.int64)
    ids = np.empty(most_values, np.int64)
    arrays = labels, row_lines, row_ends, ids, values
    found = native.read_libsvm(text, lowest_id, highest_id, labels_required, *arrays)
    if found is None:
        return None
    n_rows, n_values, n_lines = found
    return n_lines, labels[:n_rows], row_lines[:n_rows], row_ends[:n_rows], ids[:n_values], values[:n_values]
