"""What the options make of the columns of a CSV text: their names, and what each one is for."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from hdfs_layout.suggestions import did_you_mean
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.csv.fields import KINDS, NO_DEFECT, split_fields
from mr_ml.readers.csv.numbers import is_decimal
from mr_ml.readers.csv.stored import Role, delimiter_of, missing_value_of
from mr_ml.readers.rows import BAD_KINDS, excerpt, listed
from mr_ml.readers.text.marks import check_marks
from mr_ml.readers.text.options import Column, TextOptions

LABEL_NAMES = ("label", "target", "y")
#: Of a first column it is the name of the rows; of a last one what stands behind a delimiter at the end of every line.
NAMELESS = ""


def split_header(first_line: bytes, options: TextOptions) -> tuple[str, ...]:
    """Name the columns from the first line of a file.

    Parameters
    ----------
    first_line : bytes
        With or without its line end.
    options : TextOptions
        Without a header the columns are called c0, c1, ..., and the line is a row still to be read.

    Returns
    -------
    tuple of str
        A delimiter at the end of the line gives a last column `NAMELESS`, in which rows must have nothing. So may the
        first column be called, whatever rows have there.

    Raises
    ------
    BadDataError
        The line is no usable header: empty, byte order mark, not UTF-8, unpaired quotes, empty or equal names, control
        characters in a name. Whether it may be a row is for `csv.header` to judge.
    UsageError
        The delimiter is not usable.
    """
    fields = split_fields(first_line, delimiter=delimiter_of(options), n_columns=None)
    shown = excerpt(first_line)
    if len(fields.defects) and fields.defects[0] != NO_DEFECT:
        kind = KINDS[fields.defects[0]]
        raise BadDataError(
            f"expected a first line that tells the columns, found {kind} in '{shown}': {BAD_KINDS[kind]}"
        )
    if len(fields.lines) != 1:
        raise BadDataError(f"expected one line that tells the columns, found '{shown}'; check the file")
    if not options.header:
        return tuple(f"c{i}" for i in range(fields.starts.shape[1]))
    spans = zip(fields.starts[0].tolist(), fields.ends[0].tolist(), strict=True)
    names = tuple(fields.buffer[start:end].tobytes().decode() for start, end in spans)
    count = Counter(names)
    for position, name in enumerate(names):
        if not name and (0 < position < len(names) - 1 or len(names) == 1 or (position and not names[0])):
            problem = f"no name for column {position}"
        elif name and count[name] > 1:
            problem = f"the name '{excerpt(name.encode())}' twice"
        elif any(unicodedata.category(character) == "Cc" for character in name):
            problem = f"a control character in the name of column {position}"
        else:
            continue
        raise BadDataError(
            f"expected a header with a name of its own for each column, found {problem} in '{shown}'; fix the first "
            "line, or say `header=False` if it is a row"
        )
    return names


def roles_of(options: TextOptions) -> dict[str, Role]:
    """Decide what each column is for, in the order of the columns; 'either' are those that the data will decide.

    Raises
    ------
    UsageError
        A column is not there or has two roles; there is no label column, or more than one that could be it. Or one of
        the other CSV options is not usable.
    """
    if options.columns is None:
        raise UsageError("expected options with the names of the columns; take them from split_header")
    columns = options.columns
    missing_value_of(options)
    check_marks(decimal=options.decimal, thousands=options.thousands)
    if options.unseen not in ("error", "ignore"):
        raise UsageError(f"expected `unseen` error or ignore, found {options.unseen!r}")
    if not all(is_text(marker) for marker in options.missing_markers):
        raise UsageError(f"expected missing markers of valid UTF-8, found {options.missing_markers!r}")
    roles: dict[str, Role] = {NAMELESS: "dropped"} if NAMELESS in columns else {}
    find = _Columns(options).find
    wanted: list[tuple[Role, Iterable[Column]]] = [
        ("label", [label_column_of(options)]),
        ("weight", _given(options.weight_column)),
        ("offset", _given(options.offset_column)),
        ("group", _given(options.group_column)),
        ("id", options.id_columns),
        ("dropped", options.drop_columns),
        ("categorical", options.categorical_columns),
        ("numeric", options.numeric_columns),
    ]
    for role, chosen in wanted:
        for column in chosen:
            name = find(column)
            if roles.get(name) == "label" and role in ("numeric", "categorical"):
                continue  # what kind of label it is
            if name == NAMELESS and role != "dropped":
                raise UsageError(f"column 0 has no name and is left out, found it as {role}; name it in the first line")
            if roles.setdefault(name, role) != role:
                raise UsageError(f"expected one use of column {name!r}, found two: as {roles[name]} and as {role}")
    for transform in options.transforms:
        for name in transform.columns:
            if name not in columns:
                guess = did_you_mean(name, columns)
                raise UsageError(f"expected the name of a column, found {name!r}{guess}; there are {listed(columns)}")
            if roles.get(name) in ("label", "weight", "offset", "group"):
                raise UsageError(
                    f"expected one use of column {name!r}, found two: as {roles[name]} and as {transform.written}"
                )
            if roles.get(name) == "dropped" or (name in transform.claimed and name not in roles):
                roles[name] = "transformed"
    rest: Role = "dropped" if options.drop_others else "either" if options.detect_categorical else "numeric"
    label_kind_of(options)
    return {name: roles.get(name, rest) for name in columns}


def label_kind_of(options: TextOptions) -> Literal["numeric", "categorical"] | None:
    """Return what the options say of the label: numbers, texts, or nothing.

    Raises
    ------
    UsageError
        Both.
    """
    columns = _Columns(options)
    label = columns.find(label_column_of(options))
    numeric = label in map(columns.find, options.numeric_columns)
    categorical = label in map(columns.find, options.categorical_columns)
    if numeric and categorical:
        raise UsageError(f"expected one use of column {label!r}, found two: `numeric` and `categorical`")
    return "numeric" if numeric else "categorical" if categorical else None


def label_column_of(options: TextOptions) -> str:
    """Return the name of the label column, as asked for or by its usual names."""
    columns = options.columns or ()
    if options.label_column is not None:
        return _Columns(options).find(options.label_column)
    usual = [name for name in columns if name in LABEL_NAMES]
    if len(usual) != 1:
        shown = f"{len(usual)} of them" if usual else "none"
        first = "" if not options.header or not any(map(is_decimal, columns)) else (
            "if the first line is a row and not the names of the columns, say `header=False`; "
        )  # fmt: skip
        raise UsageError(
            f"expected one column called 'label', 'target' or 'y', found {shown} in {listed(columns)}; {first}"
            "say which column is the label by `label_column` NAME or its number from 0 (-1: the last)"
        )
    return usual[0]


def is_text(value: str) -> bool:
    """Whether UTF-8 can write a string: not if an argument's bytes were no UTF-8, for these become surrogates."""
    return not any(unicodedata.category(character) == "Cs" for character in value)


def _given(column: Column | None) -> list[Column]:
    return [] if column is None else [column]


class _Columns:
    """The columns of a text by name or number, without a last one that has no name."""

    def __init__(self, options: TextOptions) -> None:
        columns = options.columns or ()
        self._columns = columns[:-1] if columns[-1:] == (NAMELESS,) else columns
        self._names = frozenset(self._columns)

    def find(self, column: Column) -> str:
        """Its name."""
        columns = self._columns
        if isinstance(column, str) and column in self._names:
            return column
        if isinstance(column, int) or re.fullmatch(r"-?[0-9]{1,9}", column):
            position = int(column)
            if -len(columns) <= position < len(columns):
                return columns[position]
        guess = did_you_mean(str(column), columns)
        raise UsageError(
            f"expected the name of a column or its number from 0, found {column!r}{guess}; there are {listed(columns)}"
        )
