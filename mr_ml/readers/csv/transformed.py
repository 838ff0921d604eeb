"""Apply the transforms of a schema to a table: what its rows hold for them, which rows that refuses, their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.csv.stored import Placed
from mr_ml.readers.csv.table import Table
from mr_ml.readers.text.fields import F64, I64, U8, U64, Mask
from mr_ml.readers.text.options import TextOptions
from mr_ml.readers.transforms.base import Entries, Reading, Spelling, Transform
from mr_ml.readers.transforms.seen import Seen

# of the numbers that bad fields are not, the text says better why
_NO_NUMBER = "bad_value"


@dataclass(frozen=True)
class TableCells:
    """A table as transforms see it: `mr_ml.readers.transforms.base.Cells`.

    Attributes
    ----------
    sampled_by
        The columns that tell rows apart.
    """

    table: Table
    options: TextOptions
    sampled_by: Sequence[str]

    @property
    def n_rows(self) -> int:
        """See `Cells.n_rows`."""
        return self.table.n_rows

    def numbers(self, column: str, spelling: Spelling) -> tuple[F64, Mask, Mask]:
        """See `Cells.numbers`."""
        options = replace(
            self.options, decimal=spelling.decimal, thousands=spelling.thousands, percent=spelling.percent
        )
        values, ok, missing = self.table.numbers([column], options=options)
        return values[:, 0], ok[:, 0], missing[:, 0]

    def texts(self, column: str) -> tuple[U8, I64, I64]:
        """See `Cells.texts`."""
        return self.table.texts(column)

    def missing(self, column: str) -> Mask:
        """See `Cells.missing`."""
        missing: Mask = self.table.missing([column])[:, 0]
        return missing

    def row_keys(self) -> U64:
        """See `Cells.row_keys`."""
        return self._row_keys

    @cached_property
    def _row_keys(self) -> U64:
        return self.table.row_keys(self.sampled_by)


@dataclass(frozen=True)
class Readings:
    """What transforms read in a table.

    Attributes
    ----------
    transforms, readings
        Of each transform, what it read.
    incomplete : bool (n_rows,)
        Rows to leave out because a value is missing.
    """

    transforms: Sequence[Transform]
    readings: Sequence[Reading]
    incomplete: Mask

    def seen(self, kept: Mask) -> tuple[Seen, ...]:
        """Return what is to be learnt of the kept rows."""
        pairs = zip(self.transforms, self.readings, strict=True)
        return tuple(transform.look(reading, kept) for transform, reading in pairs)

    def n_stored(self, kept: Mask) -> int:
        """About how many features the kept rows have of these transforms."""
        return sum(reading.n_stored(kept) for reading in self.readings)

    def missing(self, kept: Mask) -> dict[str, int]:
        """Count the kept rows without a value, by columns, where there are some."""
        counts = {
            transform.title: int(np.count_nonzero(reading.missing & kept))
            for transform, reading in zip(self.transforms, self.readings, strict=True)
        }
        return {title: count for title, count in counts.items() if count}


def read(
    table: Table, options: TextOptions, transforms: Sequence[Transform], *, sampled_by: Sequence[str] = ()
) -> Readings:
    """Read a table, and refuse the rows that a transform refuses.

    Parameters
    ----------
    sampled_by
        The columns that tell rows apart, where something is to be learnt of them: those that are used, since not all
        formats read the others.
    """
    cells = TableCells(table, options, sampled_by)
    readings = [transform.read(cells) for transform in transforms]
    incomplete = np.zeros(table.n_rows, np.bool_)
    for transform, reading in zip(transforms, readings, strict=True):
        for bad in reading.bad:
            refuse = table.refuse_numbers if bad.kind == _NO_NUMBER else table.refuse
            refuse(bad.kind, [bad.column], bad.rows[:, None])
        if transform.missing == "error":
            table.refuse("missing_value", transform.columns[:1], reading.missing[:, None])
        elif transform.missing == "drop":
            incomplete |= reading.missing
    return Readings(transforms, readings, incomplete)


def entries(readings: Readings) -> list[Entries]:
    """Return the features of all rows, by transform."""
    pairs = zip(readings.transforms, readings.readings, strict=True)
    return [transform.entries(reading) for transform, reading in pairs]


def joined(
    plain: tuple[I64, NDArray[np.int32], F64], placed: Sequence[Placed], made: Sequence[Entries], kept: Mask
) -> tuple[I64, NDArray[np.int32], F64]:
    """Add the features that transforms made of the kept rows to those of the plain columns.

    Parameters
    ----------
    plain
        indptr, indices and values of the kept rows.
    made
        Of all rows, for each of `placed`.

    Returns
    -------
    indptr, indices, values
        Indices ascend in each row; nothing is 0.
    """
    indptr, indices, values = plain
    n_rows = len(indptr) - 1
    number = np.cumsum(kept) - 1
    rows, ids, stored = [np.repeat(np.arange(n_rows), np.diff(indptr))], [indices.astype(np.int64)], [values]
    for one, entry in zip(placed, made, strict=True):
        chosen = kept[entry.rows] & (entry.values != 0)
        rows.append(number[entry.rows[chosen]])
        ids.append(one.first + entry.ids[chosen])
        stored.append(entry.values[chosen])
    all_rows, all_ids, all_values = np.concatenate(rows), np.concatenate(ids), np.concatenate(stored)
    order = np.lexsort((all_ids, all_rows))
    joined_indptr = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(all_rows, minlength=n_rows), out=joined_indptr[1:])
    return joined_indptr, all_ids[order].astype(np.int32), all_values[order]
