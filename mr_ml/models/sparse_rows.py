"""Rows in memory, an array or a scipy sparse matrix, as the features of a block."""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_ml.data.features import SparseFeatures
from mr_ml.errors import UsageError


def sparse_rows(x: Any, n_features: int) -> SparseFeatures:
    """Return rows as they are read from text: what is not zero, in order.

    Raises
    ------
    UsageError
        If these are not rows of so many numbers.
    """
    if hasattr(x, "tocsr"):
        x = x.tocsr().copy()
        _check_real(x)
        x.sum_duplicates()
        shape, indptr, indices, values = x.shape, x.indptr, x.indices, np.asarray(x.data, np.float64)
        keep = values != 0
        indptr = np.concatenate([[0], np.cumsum(keep)])[indptr]
        indices, values = indices[keep], values[keep]
    else:
        try:
            _check_real(x)
            dense = np.asarray(x, np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError(f"expected rows of {n_features} numbers, all of one length; {error}") from None
        shape = dense.shape
        if dense.ndim == 2:
            rows, indices = np.nonzero(dense)
            values = dense[rows, indices]
            indptr = np.searchsorted(rows, np.arange(len(dense) + 1))
    if len(shape) != 2 or shape[1] != n_features:
        raise UsageError(f"expected rows of {n_features} features, (n_rows, {n_features}); found shape {shape}")
    return SparseFeatures(indptr.astype(np.int64), indices.astype(np.int32), values)


def _check_real(x: Any) -> None:
    if np.iscomplexobj(x):
        raise UsageError("expected real numbers as features, found complex ones")
