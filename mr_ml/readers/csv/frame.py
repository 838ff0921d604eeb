"""A table in memory as CSV text, so that it is read as files are: categories, missing values, what is refused.

A number is written so that it reads back as the same, a text as it is, a missing value as an empty field. What else
there may be, such as days, is for each format to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import kernels
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.csv import schema as schemas
from mr_ml.readers.csv.numbers import is_plain
from mr_ml.readers.csv.stored import CsvPart, delimiter_of
from mr_ml.readers.frames import Frame
from mr_ml.readers.schema import Schema

_TAB = "\t"
# No value may end its line; no text of a file holds these, so a category with one is none that the model knows.
_LINE_ENDS = str.maketrans({"\n": "\v", "\r": "\v"})
_NOT_READ = ("label", "weight", "group", "dropped", "id")


@dataclass(frozen=True)
class FrameText:
    """A table as text without a header, a line for each row.

    Attributes
    ----------
    schema
        For the columns of the text.
    exact
        The columns whose numbers are written plainly, with a dot, however the schema's files write numbers.
    """

    text: bytes
    schema: Schema
    exact: frozenset[str]


def text_of(frame: Frame, schema: Schema, *, said: Callable[[Any], str]) -> FrameText:
    """Return a table as text.

    Parameters
    ----------
    said
        Returns the text of a value that is neither missing nor a float, as files of the format would have it.

    Raises
    ------
    BadDataError
        The table does not have the columns that the schema needs.
    UsageError
        A column holds numbers and texts, and the texts may be numbers that are written otherwise.
    """
    part: CsvPart = schema.part
    # columns have names here, also where files have no header
    named = replace(schema, part=replace(part, options=replace(part.options, header=True)))
    read = {name for placed in part.transforms for name in placed.transform.columns}
    used = [
        name for name in frame.names
        if name in part.columns and (part.columns[name]["kind"] not in _NOT_READ or name in read)
    ]  # fmt: skip
    # without it a row without any value would be a blank line
    rest = "rest"
    while rest in frame.names or rest in part.columns:
        rest += "_"
    try:
        bound = schemas.bind(named, [rest, *used])
    except BadDataError:
        # in the words of whoever has the frame, which has no such column
        schemas.bind(named, frame.names)
        raise
    options = replace(bound.part.options, delimiter=_TAB, header=False)
    bound = replace(bound, part=replace(bound.part, options=options))
    columns = {name: _column(frame, name, part, said) for name in used}
    lines = zip([b"0"] * frame.n_rows, *(texts for texts, _ in columns.values()), strict=True)
    text = b"".join(b"\t".join(fields) + b"\n" for fields in lines)
    return FrameText(text, bound, frozenset(name for name, (_, is_exact) in columns.items() if is_exact))


def _column(frame: Frame, name: str, part: CsvPart, said: Callable[[Any], str]) -> tuple[list[bytes], bool]:
    """Return the fields of a column, and whether they are numbers that are written plainly."""
    kind = part.columns[name]["kind"]
    # as files are read: where a tab ends fields, a quoted one may end with it
    blanks = " \t".replace(chr(delimiter_of(part.options)), "")
    if kind == "categorical":
        return [_field(value, part.options.decimal, said, blanks) for value in frame.values(name)], False
    numbers = frame.numbers(name)
    if numbers is not None:
        return number_texts(numbers), True
    values = frame.values(name)
    if kind != "transformed":
        values = [int(value) if isinstance(value, bool) else value for value in values]
    are_numbers = {_is_number(value) for value in values if value is not None}
    if len(are_numbers) > 1 and (part.transforms or not is_plain(part.options)):
        raise UsageError(
            f"expected numbers or texts in column {name!r} of the data frame, found both; the texts may be numbers "
            "that are written as the model's files write them"
        )
    return [_field(value, ".", said, blanks) for value in values], are_numbers == {True}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def number_texts(numbers: Any) -> list[bytes]:
    """Return numbers as texts: integers without a dot, floats as `repr` writes them, of NaN nothing."""
    if numbers.dtype.kind != "f":
        return [b"%d" % number for number in numbers.tolist()]
    return [b"" if one == b"nan" else one for one in bytes(float_lines(numbers)).splitlines()]


def float_lines(numbers: Any) -> bytes | memoryview:
    """Return lines of text, one for each of some floats (n,), as `repr` writes it."""
    n = len(numbers)
    written = kernels.write_rows(
        numbers[:, None], starts=b"", start_ends=np.zeros(1, np.int64), choice=np.zeros(n, np.int64),
        lines=np.arange(n), n_lines=n,
    )  # fmt: skip
    return "".join(f"{number!r}\n" for number in numbers.tolist()).encode() if written is None else written


def _field(value: Any, decimal: str, said: Callable[[Any], str], blanks: str) -> bytes:
    if value is None:
        return b""
    if isinstance(value, float):
        return repr(value).replace(".", decimal).encode()
    text = said(value).translate(_LINE_ENDS).strip(blanks)
    if '"' in text or _TAB in text:
        text = '"' + text.replace('"', '""') + '"'
    return text.encode(errors="surrogatepass")
