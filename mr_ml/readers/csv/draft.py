"""Rows of CSV text that a scan has read already: those of a text in which every field that is looked at is a number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.narrow import narrow, widen
from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.rows import Parsed, Rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.fields import F64

_READ = ("label", "numeric")
_IGNORED = ("dropped", "id")


@dataclass(frozen=True, eq=False)
class Draft:
    """All rows of a text, none of them bad or left out.

    Attributes
    ----------
    columns
        The label and the features, in the order of the text.
    pieces
        Numbers, (n_i, len(columns)) each, and their decimal places as `narrow` gives them.
    """

    columns: tuple[str, ...]
    pieces: Sequence[tuple[NDArray[Any], int]]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(piece.nbytes for piece, _ in self.pieces)

    def narrowed(self) -> Draft:
        """Return the same: it has no fewer bytes."""
        return self

    def fits(self, schema: Schema) -> bool:
        """Whether `parse` reads the same columns as numbers, and nothing else."""
        part: CsvPart = schema.part
        if part.vocabularies or schema.label_kind == "text":
            return False
        columns = {name: part.columns[name] for name in part.options.columns or ()}
        read = {name: column for name, column in columns.items() if column["kind"] not in _IGNORED}
        firsts = [column["first"] for column in read.values() if column["kind"] == "numeric"]
        return (
            tuple(read) == self.columns
            and all(column["kind"] in _READ for column in read.values())
            and firsts == list(range(len(self.columns) - 1))
        )

    def under(self, schema: Schema) -> Parsed:
        """Return what `parse` finds in the same text."""
        part: CsvPart = schema.part
        label = next(k for k, name in enumerate(self.columns) if part.columns[name]["kind"] == "label")
        labels = np.concatenate([np.zeros(0), *(widen(array[:, label], places) for array, places in self.pieces)])
        labels += 0.0  # -0.0 becomes 0.0
        rows = MatrixRows(labels, *_joined(self.pieces, without=label))
        return Parsed(rows=rows, bad=(), bad_counts={}, n_lines=len(labels))


class MatrixRows(Rows):
    """Rows that came as a matrix; their entries are made where they are asked for.

    Parameters
    ----------
    labels : float64 (n,)
    array, places
        The features, (n, n_features), as `narrow` gives them.
    """

    def __init__(self, labels: F64, array: NDArray[Any], places: int) -> None:
        self.__dict__.update(labels=labels, lines=np.arange(len(labels)), weights=None, offsets=None, groups=None)
        self.__dict__["_matrix"] = array, places

    @property
    def matrix(self) -> tuple[NDArray[Any], int]:
        """See `Rows.matrix`."""
        matrix: tuple[NDArray[Any], int] = self.__dict__["_matrix"]
        return matrix

    @cached_property
    def _entries(self) -> tuple[NDArray[np.int64], NDArray[np.int32], F64]:
        values = widen(*self.matrix)
        return sparse_rows(values, np.arange(values.shape[1], dtype=np.int32))

    @property
    def indptr(self) -> NDArray[np.int64]:
        """See `Rows`."""
        return self._entries[0]

    @property
    def indices(self) -> NDArray[np.int32]:
        """See `Rows`."""
        return self._entries[1]

    @property
    def values(self) -> F64:
        """See `Rows`."""
        return self._entries[2]


def _joined(pieces: Sequence[tuple[NDArray[Any], int]], *, without: int) -> tuple[NDArray[Any], int]:
    """Return narrow matrices, one below the other, as one without a column."""
    if len({(array.dtype.kind, places) for array, places in pieces}) == 1:
        return _below([array for array, _ in pieces], without), pieces[0][1]
    return narrow(_below([widen(*piece) for piece in pieces], without))


def _below(arrays: Sequence[NDArray[Any]], without: int) -> NDArray[Any]:
    # left and right of the column, each copied once
    n_columns = arrays[0].shape[1]
    joined = np.empty((sum(map(len, arrays)), n_columns - 1), np.result_type(*arrays))
    for columns, into in ((slice(without), slice(without)), (slice(without + 1, None), slice(without, None))):
        if len(range(n_columns)[columns]):
            np.concatenate([array[:, columns] for array in arrays], out=joined[:, into])
    return joined


def sparse_rows(values: F64, ids: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32], F64]:
    """indptr, indices and values of the entries that are not zero; `ids`, (n or 1, k) or (k,), are their features."""
    n, k = values.shape
    if np.count_nonzero(values) == values.size and ids.ndim == 1:
        return np.arange(n + 1) * k, np.tile(ids, n), values.reshape(-1)
    stored = values != 0
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.count_nonzero(stored, axis=1), out=indptr[1:])
    return indptr, np.broadcast_to(ids, values.shape)[stored], values[stored]
