"""The compiled inner loops; each function returns None where they are not installed.

Every caller has the same computation in numpy and scipy beside it, with the same bits; a test runs both.
`MR_ML_NATIVE=0` in the environment switches the compiled ones off.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

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
Pulled = tuple[Floats, Floats | None, Floats | None]
"""X' R, (X o X)' D and X' D, (n_features, n_outputs) each; None where it was not asked for."""

# What the compiled loop sets aside for a number and the tab before it; repr() writes 24 characters at most.
MOST_NUMBER_BYTES = 32
# Bytes from which on a checksum is worth another call.
_CRC_FROM = 1024


def installed() -> bool:
    """Whether there are compiled loops."""
    return native is not None


class Entries(NamedTuple):
    """Entries of rows in few bytes; row r has those from ends[r - 1], or from 0, to ends[r].

    Attributes
    ----------
    ends : int32
    indices : uint16 or int32
        Of one row only where all rows have the same.
    values, places
        As `mr_ml.data.narrow.narrow` gives them.
    """

    ends: Array
    indices: Array
    values: Array
    places: int

    def given(self) -> tuple[Array, Array, Array, bool, float]:
        """As the compiled loops want them."""
        return self.ends, self.indices, self.values, self.values.dtype.kind == "f", 10.0**self.places


def csr_dot(entries: Entries, coef: Floats, *, width: int) -> Floats | None:
    """X coef for coef (n_features, n_outputs), or None. All indices are in 0 .. width - 1."""
    if native is None or entries.ends.dtype != np.int32:
        return None
    out = np.empty((len(entries.ends), coef.shape[1]))
    native.csr_dot(entries.given(), width, coef.shape[1], np.ascontiguousarray(coef), out)
    return out


def csr_transpose_dots(
    entries: Entries, slope: Floats, curvature: Floats | None, cross: bool = False, *, width: int, n_features: int
) -> Pulled | None:
    """Compute X' slope and, if it is given, (X o X)' curvature, (n_features, n_outputs) each, or None.

    And X' curvature, if `cross` asks for it. All indices are in 0 .. width - 1.
    """
    if native is None or entries.ends.dtype != np.int32:
        return None
    n_outputs = slope.shape[1]
    slope = np.ascontiguousarray(slope)
    if curvature is None:
        sums = np.zeros((n_features, n_outputs))
        native.csr_pull(entries.given(), width, n_outputs, slope, None, False, sums)
        return sums, None, None
    sums = np.zeros((n_features, n_outputs, 2 + cross))
    native.csr_pull(entries.given(), width, n_outputs, slope, np.ascontiguousarray(curvature), cross, sums)
    return sums[..., 0], sums[..., 1], sums[..., 2] if cross else None


def column_sums(
    indices: Array, values: Array, *, n_features: int
) -> tuple[Floats, Array, Floats, Floats, Array] | None:
    """Of each column: sum and number of entries; least, largest and number of those that are not 0. Or None."""
    if native is None:
        return None
    sums, stored, nonzero = np.zeros(n_features), np.zeros(n_features, np.int64), np.zeros(n_features, np.int64)
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    native.column_sums(indices, values, sums, stored, low, high, nonzero)
    return sums, stored, low, high, nonzero


def column_deviations(indices: Array, values: Array, mean: Floats) -> tuple[Floats, Floats] | None:
    """Of each column: sum of its entries less the column's mean, and of their squares. Or None."""
    if native is None:
        return None
    left, squares = np.zeros(len(mean)), np.zeros(len(mean))
    native.column_deviations(indices, values, mean, left, squares)
    return left, squares


def dense_sums(values: Array, places: int = 0) -> tuple[Floats, Floats, Floats, Array] | None:
    """Of each column of (n, d): the sum; least, largest and number of the entries that are not 0. Or None.

    The values may be as `mr_ml.data.narrow.narrow` gives them.
    """
    d = values.shape[1]
    if native is None or not d:
        return None
    sums, nonzero = np.zeros(d), np.zeros(d, np.int64)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    native.dense_sums(np.ascontiguousarray(values), values.dtype.kind == "f", 10.0**places, sums, low, high, nonzero)
    return sums, low, high, nonzero


def dense_deviations(values: Array, mean: Floats, places: int = 0) -> tuple[Floats, Floats] | None:
    """Of each column of (n, d), as of `dense_sums`: sum of its entries less its mean, and of their squares. Or None."""
    if native is None or not len(mean):
        return None
    left, squares = np.zeros(len(mean)), np.zeros(len(mean))
    native.dense_deviations(np.ascontiguousarray(values), values.dtype.kind == "f", 10.0**places, mean, left, squares)
    return left, squares


def gather_rows(pieces: Sequence[Entries], piece: Array, row: Array) -> tuple[Array, Array, Array] | None:
    """indptr, indices and values of a CSR matrix whose row i is row ``row[i]`` of ``pieces[piece[i]]``, or None.

    Raises
    ------
    ValueError
        If there is no such row, or its entries are not there.
    """
    if native is None:
        return None
    given = [entries.given() for entries in pieces]
    indptr = np.empty(len(row) + 1, np.int64)
    native.gather_rows(given, piece, row, indptr, None, None)
    indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1])
    native.gather_rows(given, piece, row, indptr, indices, values)
    return indptr, indices, values


def hash_entries(start: int, column: int, indptr: Array, indices: Array, values: Array) -> NDArray[np.uint64] | None:
    """Sum over each row's entries of mix(value bits + start + (id + 1) column) mod 2^64, or None."""
    if native is None:
        return None
    out = np.empty(len(indptr) - 1, np.uint64)
    native.hash_entries(start, column, indptr, indices, values, out)
    return out


def hash_matrix(start: int, column: int, array: Array, places: int) -> NDArray[np.uint64] | None:
    """As `hash_entries`, of the entries that are not zero in (n_rows, n_features), in few bytes as by `narrow`."""
    if native is None or not array.shape[1]:
        return None
    out = np.empty(len(array), np.uint64)
    native.hash_matrix(start, column, np.ascontiguousarray(array), array.dtype.kind == "f", 10.0**places, out)
    return out


def crc32(data: Any, crc: int = 0) -> int:
    """As `zlib.crc32` of bytes, a view or an array of bytes, which it is where nothing is compiled."""
    fast = None if native is None or len(data) < _CRC_FROM else native.crc32(data, crc)
    return zlib.crc32(data, crc) if fast is None else fast


def count_bytes(text: bytes, characters: bytes) -> tuple[int, ...] | None:
    """How often each of the characters is in the text, or None."""
    return None if native is None else tuple(native.count_bytes(text, characters))


def read_libsvm(
    text: bytes,
    start: int,
    stop: int,
    *,
    lowest_id: int,
    highest_id: int,
    base: int,
    labels_required: bool,
    filled: tuple[int, int, int],
    arrays: tuple[Array, Array, Array, Array, Array],
) -> tuple[int, int, int, int, int] | None:
    """Append ordinary libsvm lines in text[start:stop] to arrays that are filled so far; None if any is unusual.

    Parameters
    ----------
    base
        What ids count from; indices count from 0.
    filled
        Rows, entries and lines that there are.
    arrays
        labels, row_lines, indptr, indices and values, with room for all of the text.

    Returns
    -------
    tuple of int, or None
        Rows, entries and lines that there are now; the least and the largest id here, as written (-1: no id).
    """
    if native is None:
        return None
    counts: tuple[int, int, int, int, int] | None = native.read_libsvm(
        text, start, stop, lowest_id, highest_id, base, labels_required, *filled, *arrays
    )
    return counts


def read_csv(text: bytes | memoryview, *, delimiter: int, n_columns: int) -> tuple[Floats, Array, Array] | None:
    """Read ordinary CSV lines, each of `n_columns` fields; None if any is unusual.

    Returns
    -------
    values : (n_rows, n_columns)
        The numbers that fields plainly spell; NaN for other fields.
    ends : int64 (n_rows, n_columns)
        Where each field ends in the text. The next one, of the same line or the next, begins behind the byte there.
    left : int64
        Which fields are other ones, counted through the rows.
    """
    if native is None or not n_columns:
        return None
    # a field takes a byte at least
    n = min(native.count_bytes(text, b"\n")[0] * n_columns, len(text))
    values, ends, left = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
    counts = native.read_csv(text, delimiter, n_columns, values, ends, left)
    if counts is None:
        return None
    n_rows, n_left = counts
    shape = n_rows, n_columns
    return values[: n_rows * n_columns].reshape(shape), ends[: n_rows * n_columns].reshape(shape), left[:n_left]


def few_texts(text: bytes | memoryview, ends: Array, column: int) -> list[bytes] | None:
    """Return the different fields of a column; None if they are many, or if there are no compiled loops.

    `ends` are as `read_csv` gives them, (n_rows, n_columns).
    """
    if native is None:
        return None
    return native.few_texts(text, ends, ends.shape[1], column)


def count_nonzero(values: Floats) -> int:
    """Return how many of the values are not zero."""
    if native is None:
        # of floats numpy counts many times slower than of truth values
        return int(np.count_nonzero(values != 0))
    return native.count_nonzero(np.ascontiguousarray(values))


def read_floats(buffer: Array, starts: Array, ends: Array) -> tuple[Floats, Array] | None:
    """Numbers that the fields ``buffer[starts[i]:ends[i]]`` plainly spell, and which fields are left; or None."""
    if native is None:
        return None
    values, left = np.empty(len(starts)), np.empty(len(starts), np.int64)
    n_left = native.read_floats(buffer, np.ascontiguousarray(starts), np.ascontiguousarray(ends), values, left)
    return values, left[:n_left]


def first_scale(values: Floats, scales: Floats, *, limit: int) -> int | None:
    """Return which scale is the first by which values are integers up to `limit` that give them back; -1: none.

    Or None.
    """
    if native is None:
        return None
    return native.first_scale(np.ascontiguousarray(values), np.ascontiguousarray(scales), float(limit))


def narrow(values: Floats, *, scale: float, limit: int) -> tuple[NDArray[np.int32], int] | None:
    """Return values * scale and their largest size, if those are integers up to `limit` that give back all values."""
    if native is None:
        return None
    whole = np.empty(len(values), np.int32)
    largest = native.narrow(np.ascontiguousarray(values), scale, float(limit), whole)
    return None if largest is None else (whole, largest)


def widen(integers: Array, *, scale: float) -> Floats | None:
    """Return integers / scale, for signed integers of 1, 2 or 4 bytes; or None."""
    if native is None or integers.dtype.str not in ("|i1", "<i2", "<i4"):
        return None
    wide = np.empty(integers.shape)
    native.widen(np.ascontiguousarray(integers), scale, wide)
    return wide


def scale_rows(numbers: Array, places: int, factors: Floats) -> Floats | None:
    """Return rows that are as `mr_ml.data.narrow.narrow` gives them in full, each times its factor (n,); or None."""
    if native is None:
        return None
    out = np.empty(numbers.shape)
    numbers, factors = np.ascontiguousarray(numbers), np.ascontiguousarray(factors)
    native.scale_rows(numbers, numbers.dtype.kind == "f", 10.0**places, factors, out)
    return out


def write_rows(
    values: Floats, *, starts: bytes, start_ends: Array, choice: Array, lines: Array, n_lines: int
) -> memoryview | None:
    """Lines of text: for row i, on line ``lines[i]``, a start and then the row's values as `repr` writes them.

    Parameters
    ----------
    values
        (n, n_columns).
    starts, start_ends, choice
        Texts one behind the other, where each ends, and which of them row i gets: (n,).
    lines
        (n,), ascending, below n_lines. Lines without a row are empty.
    """
    if native is None:
        return None
    n, n_columns = values.shape
    longest = int(np.diff(start_ends, prepend=0).max(initial=0))
    out = np.empty(n_lines + n * (longest + n_columns * MOST_NUMBER_BYTES), np.uint8)
    start_ends, choice, lines = (np.ascontiguousarray(array, np.int64) for array in (start_ends, choice, lines))
    values = np.ascontiguousarray(values)
    return out[: native.write_rows(values, n_columns, starts, start_ends, choice, lines, n_lines, out)].data
