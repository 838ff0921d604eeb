"""Rows of CSV text that a scan has read already: those of a text in which every field that is looked at is a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        Numbers, (n_i, len(columns)) each, and their decimal places as `narrow` gives them; 0 for float64.
    """

    columns: tuple[str, ...]
    pieces: Sequence[tuple[NDArray[Any], int]]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(piece.nbytes for piece, _ in self.pieces)

    def narrowed(self) -> Draft:
        """Return the same in fewer bytes."""
        return Draft(self.columns, [narrow(widen(*piece)) for piece in self.pieces])

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
        n, n_features = sum(len(piece) for piece, _ in self.pieces), len(self.columns) - 1
        labels, values = np.empty(n), np.empty((n, n_features))
        at = 0
        for piece in (widen(*piece) for piece in self.pieces):
            rows = slice(at, at + len(piece))
            np.add(piece[:, label], 0.0, out=labels[rows])  # -0.0 becomes 0.0
            values[rows, :label], values[rows, label:] = piece[:, :label], piece[:, label + 1 :]
            at = rows.stop
        indptr, indices, stored = sparse_rows(values, np.arange(n_features, dtype=np.int32))
        rows_of_text = Rows(labels=labels, indptr=indptr, indices=indices, values=stored, lines=np.arange(n))
        return Parsed(rows=rows_of_text, bad=(), bad_counts={}, n_lines=n)


def sparse_rows(values: F64, ids: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32], F64]:
    """indptr, indices and values of the entries that are not zero; `ids`, (n or 1, k) or (k,), are their features."""
    n, k = values.shape
    if np.count_nonzero(values) == values.size and ids.ndim == 1:
        return np.arange(n + 1) * k, np.tile(ids, n), values.reshape(-1)
    stored = values != 0
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.count_nonzero(stored, axis=1), out=indptr[1:])
    return indptr, np.broadcast_to(ids, values.shape)[stored], values[stored]
