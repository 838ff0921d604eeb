"""Columns of a CSV text as they stand there, for what is written beside predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.csv.table import Table, pieces
from mr_ml.readers.rows import Rows
from mr_ml.readers.schema import Schema


def texts(text: bytes, schema: Schema, rows: Rows, keep: Sequence[str]) -> tuple[list[str], ...]:
    """Return the fields of columns, without their quotes and blanks around them, for the rows made of a text.

    Parameters
    ----------
    text
        Whole lines without a header.
    schema
        For the columns of the text.
    rows
        What `csv.reader.parse` made of it.
    keep
        Names of columns that it has.
    """
    part: CsvPart = schema.part
    found: tuple[list[str], ...] = tuple([] for _ in keep)
    first = 0
    for piece in pieces(text, n_columns=len(part.options.columns or ())) if rows.n_rows else ():
        table = Table(piece, part.options)
        low, high = np.searchsorted(rows.lines, [first, first + table.n_lines])
        at = np.searchsorted(table.lines, rows.lines[low:high] - first)
        for column, name in zip(found, keep, strict=True):
            column += table.decoded(name, at)
        first += table.n_lines
    return found
