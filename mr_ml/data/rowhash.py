"""Hashes of rows, whole arrays at a time.

    h_i = mix(label, weight, offset, sum over entries of mix(column, value))  mod 2^64,  mix = SplitMix64's finaliser

The sum makes h_i independent of how the text was cut; equal rows have equal hashes. Everything that must look random
but be reproducible (split, fold, order) is a further mix of h_i with a seed and a purpose, so the purposes are
independent of each other. Of equal rows, which would all go one way, all but the first have hashes of their own, see
`again`. Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import kernels

Hashes = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_COLUMN = np.uint64(0xD1B54A32D192ED03)
_AGAIN = np.uint64(0xA0761D6478BD642F)
_MASK = (1 << 64) - 1


class Rows(Protocol):
    """What a row's hash is made of: entries in CSR form, with int32 indices and float64 values, and columns beside."""

    @property
    def indptr(self) -> NDArray[Any]:
        """(n_rows + 1,)."""

    @property
    def indices(self) -> NDArray[np.int32]:
        """(nnz,)."""

    @property
    def values(self) -> NDArray[np.float64]:
        """(nnz,)."""

    @property
    def labels(self) -> NDArray[np.float64] | None:
        """(n_rows,), or None where there are none."""

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """As `labels`."""

    @property
    def offsets(self) -> NDArray[np.float64] | None:
        """As `labels`."""


class Purpose(IntEnum):
    """What a hash is used for: each purpose has a key of its own."""

    ORDER = 1
    SPLIT = 2
    FOLD = 3
    TIE = 4


def mix(x: Hashes) -> Hashes:
    """SplitMix64's finaliser: a bijection of 64-bit words that spreads every bit over all bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)


def row_hashes(rows: Rows, *, salt: int = 0) -> Hashes:
    """64-bit hash of each row's content, (n_rows,); another `salt` gives an independent hash."""
    start = _start(salt)
    compiled = kernels.hash_entries(int(start), int(_COLUMN), rows.indptr, rows.indices, rows.values)
    return _with_columns(_hash_entries(rows, start) if compiled is None else compiled, rows, start)


def matrix_hashes(rows: Rows, array: NDArray[Any], places: int) -> Hashes:
    """As `row_hashes`, of rows whose entries are what is not zero in a matrix, (n_rows, n_features).

    Parameters
    ----------
    array, places
        The matrix as `mr_ml.data.narrow.narrow` gives it.
    """
    start = _start(0)
    compiled = kernels.hash_matrix(int(start), int(_COLUMN), array, places)
    return row_hashes(rows) if compiled is None else _with_columns(compiled, rows, start)


def _start(salt: int) -> np.uint64:
    return np.uint64(int(mix(np.array([salt], np.uint64))[0]))


def _with_columns(sums: Hashes, rows: Rows, start: np.uint64) -> Hashes:
    """Return the hashes of rows of which `sums` are those of the entries."""
    h = sums
    for column in (rows.labels, rows.weights, rows.offsets):
        h = h * _GOLDEN
        if column is not None:
            h = h + mix(column.view(np.uint64) + _GOLDEN)
        h = mix(h + start)
    return h


def _hash_entries(rows: Rows, start: np.uint64) -> Hashes:
    entries = rows.values.view(np.uint64) + start
    entries = mix(entries + (rows.indices.astype(np.uint64) + np.uint64(1)) * _COLUMN)
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(entries)])
    return np.asarray(running[rows.indptr[1:]] - running[rows.indptr[:-1]])


def again(hashes: Hashes, numbers: NDArray[np.int64]) -> Hashes:
    """Hashes of rows of which `numbers` equal ones came before, (n_rows,); of the first of its kind, its content's."""
    return np.where(numbers == 0, hashes, mix(hashes + numbers.astype(np.uint64) * _AGAIN))


def derive(hashes: Hashes, *, seed: int, purpose: Purpose) -> Hashes:
    """Return the hash used for one purpose under one seed."""
    key = mix(np.array([(seed * 64 + purpose) & _MASK], np.uint64))[0]
    return mix(hashes ^ key)


def scale_to(hashes: Hashes, n: int) -> NDArray[np.int64]:
    """Map hashes to 0 .. n-1, order preserving and even (to 2^-32)."""
    return ((hashes >> np.uint64(32)) * np.uint64(n) >> np.uint64(32)).astype(np.int64)
