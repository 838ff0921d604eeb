"""The first line of a CSV text: its delimiter, whether it is a header or a row, and whether it comes once more."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from mr_ml.errors import BadDataError
from mr_ml.readers.csv.columns import LABEL_NAMES, NAMELESS, roles_of
from mr_ml.readers.csv.fields import NO_DEFECT, split_fields
from mr_ml.readers.csv.numbers import numbers_of
from mr_ml.readers.csv.stored import CsvPart, delimiter_of
from mr_ml.readers.csv.values import Vocabulary
from mr_ml.readers.rows import excerpt, listed
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.fields import I64, U8
from mr_ml.readers.text.options import TextOptions

_DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}


def check_delimiter(first_line: bytes, options: TextOptions, *, remedy: str = "say `delimiter` {}") -> None:
    """Refuse one column in which another usual delimiter stands outside quotes.

    Raises
    ------
    BadDataError
        The line has another delimiter; `remedy` is said with it.
    UsageError
        The delimiter is not usable.
    """
    if _n_columns(first_line, delimiter_of(options)) > 1:
        return
    for delimiter, shown in _DELIMITERS.items():
        n_columns = _n_columns(first_line, ord(delimiter))
        if n_columns > 1:
            raise BadDataError(
                f"expected columns with {_DELIMITERS.get(options.delimiter, repr(options.delimiter))} between them, "
                f"found {n_columns} with {shown} in '{excerpt(first_line)}'; {remedy.format(shown)}, or quote the line "
                "if it is one column"
            )


def _n_columns(line: bytes, delimiter: int) -> int:
    """Return the number of columns in a line with such a delimiter, 0 if it would be no row."""
    fields = split_fields(line, delimiter=delimiter, n_columns=None)
    return fields.starts.shape[1] if fields.defects.tolist() == [NO_DEFECT] else 0


def check_header(options: TextOptions, schema: Schema) -> None:
    """Refuse names that look like one more row: numbers above numbers, or values of their own columns.

    One name that can be none of a row's fields settles it: a text above numbers, 'label', 'target' or 'y', or a name by
    which the user called the column.

    Parameters
    ----------
    options, schema
        As asked and as resolved, of a text with a header.

    Raises
    ------
    BadDataError
        The names look like a row.
    """
    columns = options.columns or ()
    numbers = numbers_of(columns, options)
    called = _names_said(options)
    rowlike = 0
    for name, role in roles_of(options).items():
        if name in called or (role == "label" and name in LABEL_NAMES):
            return
        kind, values = _found_in(name, schema)
        is_number, is_marker = name in numbers, name in (*options.missing_markers, *options.number_markers)
        if kind == "numeric" and not is_number and not is_marker and name != NAMELESS:
            return
        rowlike += is_marker or (is_number and kind == "numeric") or name in values
    if rowlike:
        raise BadDataError(
            f"expected a header with the names of the columns, found a first line that looks like a row: "
            f"'{listed(columns)}'; say `header=False` if it is one (columns are then c0, c1, ..., or numbers from 0, "
            "-1 the last), or `header=True` if it is not"
        )


def rows_of_names(
    columns: Sequence[str], options: TextOptions, n_rows: int, buffer: U8, bounds: Callable[[str], tuple[I64, I64]]
) -> I64:
    """Return the rows that hold the names of their columns; none if all names are numbers, which a row may have too.

    Parameters
    ----------
    bounds
        Starts and ends in the buffer of the fields of a column, (n_rows,) each.
    """
    # a long one first: fewest fields are as long
    likely = itertools.chain([max(columns, key=len)], columns)
    text = next((name for name in likely if not numbers_of([name], options)), None)
    if text is None:
        return np.zeros(0, np.int64)
    rows = np.arange(n_rows)
    for name in itertools.chain([text], columns):
        starts, ends = bounds(name)
        wanted = name.encode()
        # length, first and last byte of one field nearly always settle it
        alike = rows[ends[rows] - starts[rows] == len(wanted)]
        if wanted:
            alike = alike[buffer[starts[alike]] == wanted[0]]
            alike = alike[buffer[ends[alike] - 1] == wanted[-1]]
        rows = alike[Vocabulary([name]).find(buffer, starts[alike], ends[alike]) == 0]
        if not len(rows):
            break
    return rows


def _names_said(options: TextOptions) -> set[str]:
    """Return the names in the options that are no numbers of columns."""
    chosen = {
        options.label_column, options.weight_column, options.offset_column, options.group_column,
        *options.drop_columns, *options.categorical_columns, *options.numeric_columns, *options.id_columns,
        *(name for transform in options.transforms for name in transform.columns),
    }  # fmt: skip
    return {name for name in chosen if isinstance(name, str) and not name.lstrip("-").isdecimal()}


def _found_in(name: str, schema: Schema) -> tuple[str, set[str]]:
    """'numeric', 'text' or '' for a column, and the distinct values of one of texts."""
    part: CsvPart = schema.part
    kind = part.columns[name]["kind"]
    if kind == "label":
        return ("text", set(map(str, schema.labels))) if schema.label_kind == "text" else ("numeric", set())
    if kind == "categorical":
        return "text", set(part.vocabularies[name])
    return ("numeric", set()) if kind in ("numeric", "weight", "offset") else ("", set())
