"""Feature matrices of a block, and the products that every statistic is made of.

    dot(W)                X W            (n_rows, K)
    transpose_dot(R)      X' R           (n_features, K)
    squares_dot(D)        (X o X)' D     (n_features, K)
    transpose_dots(R, D)  the two above at once, or only the first if D is None; and X' D
    gram(d)               X' diag(d) X   (n_features, n_features), and X' d
    shifted(ids, by)      X less by in the columns ids

X is (n_rows, n_features) but a block does not know n_features: the dataset does, so it is passed in.
The order of additions is fixed by the block's content alone, so results are the same bits everywhere. Products of
sparse rows have the same bits in each of K columns whatever the others are (`columns_apart`); BLAS does not promise it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import kernels
from mr_ml.data.kernels import Pulled
from mr_ml.data.narrow import narrow_again, widen

Floats = NDArray[np.float64]
Array = NDArray[Any]

# Of dense features so many numbers are in full at a time, of many columns so many rows. Sums go by them.
_PIECE_NUMBERS, _PIECE_ROWS = 1 << 16, 1 << 9


@dataclass(frozen=True, eq=False)
class SparseFeatures:
    """Rows in CSR form, the entries in few bytes or in full.

    Attributes
    ----------
    indptr : int32 or int64, (n_rows + 1,)
    indices : uint16 or int32, (nnz,)
    values, places
        As `mr_ml.data.narrow.narrow` gives them: floats, or integers over 10^places; (nnz,).
    """

    columns_apart: ClassVar[bool] = True

    indptr: Array
    indices: Array
    values: Array
    places: int = 0

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return len(self.indices)

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays occupy."""
        return self.indptr.nbytes + self.indices.nbytes + self.values.nbytes

    @property
    def nbytes_in_full(self) -> int:
        """Bytes that the entries would occupy in full: ids int32 and values float64."""
        return 12 * self.nnz

    @cached_property
    def width(self) -> int:
        """Largest column id + 1; too large for any dataset if there are negative ones."""
        return int(self.indices.view(f"u{self.indices.itemsize}").max()) + 1 if len(self.indices) else 0

    @property
    def wide(self) -> SparseFeatures:
        """The same rows with indices int32 and values float64."""
        if self.indices.dtype == np.int32 and self.values.dtype == np.float64:
            return self
        return SparseFeatures(self.indptr, self.indices.astype(np.int32, copy=False), widen(self.values, self.places))

    @property
    def _entries(self) -> kernels.Entries:
        return kernels.Entries(self.indptr[1:], self.indices, self.values, self.places)

    def _matrix(self, n_features: int) -> Any:
        # here, since most processes do without, and it takes longer to load than numpy
        from scipy import sparse

        x = self.wide
        return sparse.csr_array((x.values, x.indices, x.indptr), shape=(self.n_rows, n_features))

    def as_sparse(self) -> SparseFeatures:
        """Return these rows, which are in CSR form already."""
        return self

    def head(self, n: int) -> SparseFeatures:
        """Return the first n rows."""
        indptr = self.indptr[: n + 1]
        return replace(self, indptr=indptr, indices=self.indices[: indptr[-1]], values=self.values[: indptr[-1]])

    def rows(self, chosen: Array) -> SparseFeatures:
        """Return the rows of these numbers, in their order."""
        counts = np.diff(self.indptr)[chosen]
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(self.indptr.dtype)
        entries = np.repeat(self.indptr[:-1][chosen] - indptr[:-1], counts) + np.arange(indptr[-1])
        return replace(self, indptr=indptr, indices=self.indices[entries], values=self.values[entries])

    def compact(self, *, below: float) -> tuple[Array, SparseFeatures] | None:
        """Return the columns that have entries, ascending, and the same rows over these columns alone.

        None if there are not fewer entries than `below`. Sums over a column's entries, or over a row's, have the same
        order and so the same bits.
        """
        if self.nnz >= below:
            return None
        columns, ids = np.unique(self.indices, return_inverse=True)
        return columns, replace(self, indices=ids.astype(np.int32))

    def over(self, columns: Array) -> SparseFeatures:
        """Return the rows over these columns alone, int32 and ascending, without the entries in other columns."""
        at = np.searchsorted(columns, self.indices.astype(np.int32, copy=False))
        known = columns[np.minimum(at, len(columns) - 1)] == self.indices if len(columns) else np.zeros(len(at), bool)
        # plain loops would widen narrow ids again for each product
        narrow = kernels.installed() and len(columns) <= 1 << 16
        indices = at.astype(np.uint16 if narrow else np.int32)
        if known.all():
            # not a view, which would keep the ids that were here
            return replace(self, indices=indices, values=self.values.copy())
        before = np.concatenate([np.zeros(1, self.indptr.dtype), np.cumsum(known, dtype=self.indptr.dtype)])
        return replace(self, indptr=before[self.indptr], indices=indices[known], values=self.values[known])

    def shifted(self, ids: Array, by: Floats) -> SparseFeatures:
        """Return X less `by` in the columns `ids`, which fills them: (len(ids),) each, ids ascending."""
        from scipy import sparse

        width, n = max(self.width, int(ids[-1]) + 1), self.n_rows
        starts = np.arange(n + 1) * len(ids)
        off = sparse.csr_array((np.tile(by, n), np.tile(ids, n), starts), shape=(n, width))
        deviations = self._matrix(width) - off
        deviations.sort_indices()
        return SparseFeatures(deviations.indptr.astype(np.int32), deviations.indices.astype(np.int32), deviations.data)

    def dot(self, coef: Floats) -> Floats:
        """Return X W, (n_rows, K) or (n_rows,), for W (n_features, K) or (n_features,)."""
        product = kernels.csr_dot(self._entries, coef, width=self.width)
        return np.asarray(self._matrix(len(coef)) @ coef) if product is None else product

    def transpose_dot(self, rows: Floats, *, n_features: int) -> Floats:
        """Return X' R, (n_features, K) or (n_features,), for R (n_rows, K) or (n_rows,)."""
        return np.asarray(self._matrix(n_features).T @ rows)

    def squares_dot(self, rows: Floats, *, n_features: int) -> Floats:
        """Return (X o X)' D, shaped as `transpose_dot`."""
        if rows.ndim == 2:
            # the loop makes X' D too, which takes less time than to load scipy
            products = kernels.csr_transpose_dots(self._entries, rows, rows, width=self.width, n_features=n_features)
            if products is not None and products[1] is not None:
                return products[1]
        return self.squared().transpose_dot(rows, n_features=n_features)

    def transpose_dots(self, rows: Floats, bends: Floats | None, *, n_features: int, cross: bool = False) -> Pulled:
        """Return X' R and, if D is given, (X o X)' D, and X' D too if `cross`; shaped as `transpose_dot`."""
        found = kernels.csr_transpose_dots(self._entries, rows, bends, cross, width=self.width, n_features=n_features)
        if found is not None:
            return found
        squares = None if bends is None else self.squares_dot(bends, n_features=n_features)
        crossed = self.transpose_dot(bends, n_features=n_features) if cross and bends is not None else None
        return self.transpose_dot(rows, n_features=n_features), squares, crossed

    def squared(self) -> SparseFeatures:
        """Return X o X."""
        x = self.wide
        return replace(x, values=x.values * x.values)

    def gram(self, rows: Floats, *, n_features: int) -> tuple[Floats, Floats]:
        """Return X' diag(d) X, (n_features, n_features), and X' d, (n_features,), for d (n_rows,)."""
        x = self.wide
        weighted = replace(x, values=x.values * np.repeat(rows, np.diff(x.indptr)))
        inner = (x._matrix(n_features).T @ weighted._matrix(n_features)).toarray()
        return np.asarray(inner), self.transpose_dot(rows[:, None], n_features=n_features)[:, 0]

    def toarray(self, *, n_features: int) -> Floats:
        """Return X as an array (n_rows, n_features)."""
        if self.nnz == self.n_rows * n_features:
            # every row has every column, in order
            return self.wide.values.reshape(self.n_rows, n_features)
        return np.asarray(self._matrix(n_features).toarray())

    def column_sums(self, *, n_features: int) -> tuple[Floats, Array, Floats, Floats, Array]:
        """Sum each column.

        Returns
        -------
        sums, stored, low, high, nonzero
            (n_features,) each: sum and count of the entries; minimum (or inf), maximum (or -inf) and count of
            those that are not zero.
        """
        x = self.wide
        totals = kernels.column_sums(x.indices, x.values, n_features=n_features)
        if totals is not None:
            return totals
        sums = _sums_by(x.indices, x.values, n_features)
        stored = np.bincount(x.indices, minlength=n_features)
        kept = x.values != 0
        columns, values = x.indices[kept], x.values[kept]
        low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
        np.minimum.at(low, columns, values)
        np.maximum.at(high, columns, values)
        return sums, stored, low, high, np.bincount(columns, minlength=n_features)

    def deviations(self, mean: Floats) -> tuple[Floats, Floats]:
        """Return each column's sum of the entries less its mean, (n_features,), and the sum of their squares."""
        x = self.wide
        sums = kernels.column_deviations(x.indices, x.values, mean)
        if sums is not None:
            return sums
        deviation = x.values - mean[x.indices]
        return _sums_by(x.indices, deviation, len(mean)), _sums_by(x.indices, deviation * deviation, len(mean))

    def weighted_moments(self, shares: Floats, *, n_features: int) -> tuple[Floats, Floats]:
        """Weighted mean and variance of each column, for shares of the rows that sum to one; (n_features,) each."""
        x = self.wide
        at, u = x.indices, np.repeat(shares, np.diff(x.indptr))
        # of a column that all rows store, nothing is left for zeros, whatever rounding says
        some = np.bincount(at, minlength=n_features) < self.n_rows
        absent = np.where(some, 1 - _sums_by(at, u, n_features), 0.0)
        mean = _sums_by(at, u * x.values, n_features)
        deviation = x.values - mean[at]
        left = _sums_by(at, u * deviation, n_features) - absent * mean
        squares = _sums_by(at, u * deviation * deviation, n_features) + absent * mean * mean
        return _recentred(mean, left, squares)


@dataclass(frozen=True, eq=False)
class DenseFeatures:
    """Rows of all columns, in few bytes or in full; columns from width to n_features are zero.

    Products widen some rows at a time, which stay near the processor, and add up these pieces from the first to the
    last. Where they begin depends on the width alone, never on the form in which the rows are held.

    Attributes
    ----------
    numbers, places
        As `mr_ml.data.narrow.narrow` gives them, for these rows and perhaps others: floats, or integers over
        10^places; (n_rows, width).
    """

    columns_apart: ClassVar[bool] = False

    numbers: Array
    places: int = 0

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    @property
    def nnz(self) -> int:
        """Number of entries that are not zero."""
        return int(np.count_nonzero(self.numbers))

    @property
    def nbytes(self) -> int:
        """Bytes that the array occupies."""
        return self.numbers.nbytes

    @property
    def nbytes_in_full(self) -> int:
        """Bytes that it would occupy in full."""
        return 8 * self.numbers.size

    @property
    def width(self) -> int:
        """Number of columns of the array; all others are zero."""
        return int(self.numbers.shape[1])

    @property
    def array(self) -> Floats:
        """The rows in full, float64 (n_rows, width)."""
        return widen(self.numbers, self.places)

    def _pieces(self, factors: Floats | None = None) -> Iterator[tuple[slice, Floats]]:
        """Yield which rows, and these in full, times their factors if there are any."""
        n = max(_PIECE_NUMBERS >> (max(self.width, 1) - 1).bit_length(), _PIECE_ROWS)
        for first in range(0, self.n_rows, n):
            some = slice(first, first + n)
            numbers = self.numbers[some]
            piece = None if factors is None else kernels.scale_rows(numbers, self.places, factors[some])
            if piece is None:
                # BLAS adds in another order where they lie in another
                piece = np.ascontiguousarray(widen(numbers, self.places))
                piece = piece if factors is None else piece * factors[some, None]
            yield some, piece

    def narrow(self) -> tuple[Array, int]:
        """Return the array as `mr_ml.data.narrow.narrow` does."""
        return narrow_again(self.numbers, self.places)

    def as_sparse(self) -> SparseFeatures:
        """Return the same rows in CSR form."""
        rows, columns = np.nonzero(self.numbers)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.n_rows))]).astype(np.int32)
        return SparseFeatures(indptr, columns.astype(np.int32), self.numbers[rows, columns], self.places)

    def head(self, n: int) -> DenseFeatures:
        """Return the first n rows."""
        return replace(self, numbers=self.numbers[:n])

    def compact(self, *, below: float) -> None:
        """Return None: every column has entries."""

    def over(self, columns: Array) -> DenseFeatures:
        """Return the rows over these columns alone, int32 and ascending."""
        return replace(self, numbers=self.numbers.take(columns[: np.searchsorted(columns, self.width)], axis=1))

    def shifted(self, ids: Array, by: Floats) -> DenseFeatures:
        """Return X less `by` in the columns `ids`: (len(ids),) each, ids ascending."""
        array = _pad(self.array.T, max(self.width, int(ids[-1]) + 1)).T.copy(order="C")
        array[:, ids] -= by
        return DenseFeatures(array)

    def rows(self, chosen: Array) -> DenseFeatures:
        """Return the rows of these numbers, in their order."""
        return replace(self, numbers=self.numbers[chosen])

    def dot(self, coef: Floats) -> Floats:
        """Return X W, see `SparseFeatures.dot`."""
        coef = coef[: self.width]
        products = np.empty((self.n_rows, *coef.shape[1:]))
        for some, piece in self._pieces():
            np.matmul(piece, coef, out=products[some])
        return products

    def transpose_dot(self, rows: Floats, *, n_features: int) -> Floats:
        """Return X' R, see `SparseFeatures.transpose_dot`."""
        return self.transpose_dots(rows, None, n_features=n_features)[0]

    def squares_dot(self, rows: Floats, *, n_features: int) -> Floats:
        """Return (X o X)' D, see `SparseFeatures.squares_dot`."""
        return self.squared().transpose_dot(rows, n_features=n_features)

    def transpose_dots(self, rows: Floats, bends: Floats | None, *, n_features: int, cross: bool = False) -> Pulled:
        """See `SparseFeatures.transpose_dots`."""
        sums = np.zeros((n_features, *rows.shape[1:]))
        squares = None if bends is None else np.zeros((n_features, *bends.shape[1:]))
        crossed = np.zeros_like(squares) if cross and squares is not None else None
        for some, piece in self._pieces():
            sums[: self.width] += piece.T @ rows[some]
            if squares is not None and bends is not None:
                squares[: self.width] += (piece * piece).T @ bends[some]
                if crossed is not None:
                    crossed[: self.width] += piece.T @ bends[some]
        return sums, squares, crossed

    def squared(self) -> DenseFeatures:
        """Return X o X."""
        array = self.array
        return DenseFeatures(array * array)

    def gram(self, rows: Floats, *, n_features: int) -> tuple[Floats, Floats]:
        """Return X' diag(d) X and X' d, see `SparseFeatures.gram`."""
        inner, sums = np.zeros((n_features, n_features)), np.zeros(n_features)
        roots = np.sqrt(rows) if (rows >= 0).all() else None
        for some, piece in self._pieces(roots):
            left, right = piece.T, rows[some]
            if roots is None:
                product = left @ (piece * right[:, None])
            else:
                # of a matrix and itself BLAS computes one half: a fifth less time for 100 columns, two fifths for 500
                product, right = left @ piece, roots[some]
            inner[: self.width, : self.width] += product
            sums[: self.width] += left @ right
        return inner, sums

    def toarray(self, *, n_features: int) -> Floats:
        """Return X as an array (n_rows, n_features)."""
        return _pad(self.array.T, n_features).T

    def column_sums(self, *, n_features: int) -> tuple[Floats, Array, Floats, Floats, Array]:
        """Sum each column, see `SparseFeatures.column_sums`; every element of the array counts as an entry."""
        totals = kernels.dense_sums(self.numbers, self.places)
        if totals is None:
            array = self.array
            nonzero = array != 0
            low = np.where(nonzero, array, np.inf).min(axis=0, initial=np.inf)
            high = np.where(nonzero, array, -np.inf).max(axis=0, initial=-np.inf)
            totals = _sums_down(array), low, high, nonzero.sum(axis=0)
        sums, low, high, nonzero = totals
        stored = _pad(np.full(self.width, self.n_rows), n_features)
        nothing = np.full(n_features - self.width, np.inf)
        low, high = np.append(low, nothing), np.append(high, -nothing)
        return _pad(sums, n_features), stored, low, high, _pad(nonzero, n_features)

    def deviations(self, mean: Floats) -> tuple[Floats, Floats]:
        """Return the sums of deviations and of their squares, see `SparseFeatures.deviations`."""
        sums = kernels.dense_deviations(self.numbers, mean[: self.width], self.places)
        if sums is None:
            deviation = self.array - mean[: self.width]
            sums = _sums_down(deviation), _sums_down(deviation * deviation)
        left, squares = (_pad(column, len(mean)) for column in sums)
        return left, squares

    def weighted_moments(self, shares: Floats, *, n_features: int) -> tuple[Floats, Floats]:
        """As of sparse features."""
        array, u = self.array, shares[:, None]
        mean = _sums_down(u * array)
        deviation = array - mean
        weighted = u * deviation
        mean, variance = _recentred(mean, _sums_down(weighted), _sums_down(weighted * deviation))
        return _pad(mean, n_features), _pad(variance, n_features)


Features = SparseFeatures | DenseFeatures


def narrow_indptr(indptr: Array) -> Array:
    """As the compiled loops and scipy's want it: of the indices' type where that can count the entries."""
    return indptr.astype(np.int32, copy=False) if indptr[-1] < 2**31 else indptr


def _recentred(mean: Floats, left: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Mean and variance less the rounding of the mean: `left` is the mean deviation (Chan, Golub & LeVeque 1983)."""
    return mean + left, np.maximum(squares - left * left, 0)


def _sums_by(columns: Array, values: Floats, n_features: int) -> Floats:
    # of no values bincount makes integers
    return np.asarray(np.bincount(columns, values, n_features), np.float64)


def _sums_down(array: Floats) -> Floats:
    """Add up each column, from the first row to the last."""
    # numpy adds a single column in another order
    return np.asarray(array.sum(axis=0) if array.shape[1] != 1 else np.cumsum(array, axis=0)[-1:].sum(axis=0))


def _pad(columns: Array, n_features: int) -> Floats:
    missing = n_features - columns.shape[0]
    if not missing:
        return np.asarray(columns)
    return np.concatenate([columns, np.zeros((missing, *columns.shape[1:]), columns.dtype)])
