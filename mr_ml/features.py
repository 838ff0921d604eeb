"""Feature matrices of a block, and the products that every statistic is made of.

    dot(W)            X W            (n_rows, K)
    transpose_dot(R)  X' R           (n_features, K)
    squares_dot(D)    (X o X)' D     (n_features, K)
    pull(R, D)        the two above at once
    gram(d)           X' diag(d) X   (n_features, n_features)

X is (n_rows, n_features) but a block does not know n_features: the dataset does, so it is passed in.
The order of additions is fixed by the block's content alone, so results are the same bits everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mr_ml import kernels

Floats = NDArray[np.float64]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class SparseFeatures:
    """Rows in CSR form: indptr int64 (n_rows + 1,), indices int32 (nnz,), values float64 (nnz,)."""

    indptr: Array
    indices: Array
    values: Array

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def nnz(self) -> int:
        return len(self.indices)

    @property
    def nbytes(self) -> int:
        return self.indptr.nbytes + self.indices.nbytes + self.values.nbytes

    @cached_property
    def width(self) -> int:
        """Largest column id + 1."""
        return int(self.indices.max()) + 1 if len(self.indices) else 0

    def _matrix(self, n_features: int, values: Array | None = None) -> Any:
        return sparse.csr_array(
            (self.values if values is None else values, self.indices, self.indptr), shape=(self.n_rows, n_features)
        )

    def as_sparse(self) -> SparseFeatures:
        return self

    def dot(self, coef: Floats) -> Floats:
        found = kernels.csr_dot(self.indptr, self.indices, self.values, coef)
        return np.asarray(self._matrix(len(coef)) @ coef) if found is None else found

    def transpose_dot(self, rows: Floats, *, n_features: int) -> Floats:
        return np.asarray(self._matrix(n_features).T @ rows)

    def squares_dot(self, rows: Floats, *, n_features: int) -> Floats:
        return np.asarray(self._matrix(n_features, self.values * self.values).T @ rows)

    def pull(self, rows: Floats, of_squares: Floats, *, n_features: int) -> tuple[Floats, Floats]:
        found = kernels.csr_pull(self.indptr, self.indices, self.values, rows, of_squares, n_features=n_features)
        if found is not None:
            return found
        return self.transpose_dot(rows, n_features=n_features), self.squares_dot(of_squares, n_features=n_features)

    def gram(self, rows: Floats, *, n_features: int) -> Floats:
        weighted = self._matrix(n_features, self.values * np.repeat(rows, np.diff(self.indptr)))
        return np.asarray((self._matrix(n_features).T @ weighted).toarray())

    def toarray(self, *, n_features: int) -> Floats:
        return np.asarray(self._matrix(n_features).toarray())

    def extremes(self, *, n_features: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Per column: minimum and maximum of the non-zero entries (inf, -inf where none) and their count."""
        stored = self.values != 0
        columns, values = self.indices[stored], self.values[stored]
        low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
        np.minimum.at(low, columns, values)
        np.maximum.at(high, columns, values)
        return low, high, np.bincount(columns, minlength=n_features).astype(np.int64)


@dataclass(frozen=True, eq=False)
class DenseFeatures:
    """Rows as an array float64 (n_rows, width); columns from width to n_features are zero."""

    array: Floats

    @property
    def n_rows(self) -> int:
        return int(self.array.shape[0])

    @property
    def nnz(self) -> int:
        return int(np.count_nonzero(self.array))

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    @property
    def width(self) -> int:
        return int(self.array.shape[1])

    def as_sparse(self) -> SparseFeatures:
        """The same rows in CSR form."""
        csr = sparse.csr_array(self.array)
        return SparseFeatures(csr.indptr, csr.indices, csr.data)

    def dot(self, coef: Floats) -> Floats:
        return np.asarray(self.array @ coef[: self.width])

    def transpose_dot(self, rows: Floats, *, n_features: int) -> Floats:
        return _pad(self.array.T @ rows, n_features)

    def squares_dot(self, rows: Floats, *, n_features: int) -> Floats:
        return _pad((self.array * self.array).T @ rows, n_features)

    def pull(self, rows: Floats, of_squares: Floats, *, n_features: int) -> tuple[Floats, Floats]:
        return self.transpose_dot(rows, n_features=n_features), self.squares_dot(of_squares, n_features=n_features)

    def gram(self, rows: Floats, *, n_features: int) -> Floats:
        inner = self.array.T @ (self.array * rows[:, None])
        whole = np.zeros((n_features, n_features))
        whole[: self.width, : self.width] = inner
        return whole

    def toarray(self, *, n_features: int) -> Floats:
        return _pad(self.array.T, n_features).T

    def extremes(self, *, n_features: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Per column: minimum and maximum of the non-zero entries (inf, -inf where none) and their count."""
        stored = self.array != 0
        low = np.full(n_features, np.inf)
        high = np.full(n_features, -np.inf)
        count = np.zeros(n_features, np.int64)
        low[: self.width] = np.where(stored, self.array, np.inf).min(axis=0, initial=np.inf)
        high[: self.width] = np.where(stored, self.array, -np.inf).max(axis=0, initial=-np.inf)
        count[: self.width] = stored.sum(axis=0)
        return low, high, count


Features = SparseFeatures | DenseFeatures


def _pad(columns: Array, n_features: int) -> Floats:
    missing = n_features - columns.shape[0]
    if not missing:
        return np.asarray(columns)
    return np.concatenate([columns, np.zeros((missing, *columns.shape[1:]))])
