"""Text rows in any supported format -> arrays: the one door that pack and predict use.

The text is whole lines, cut anywhere between lines; the last line may lack its line feed. It never holds the header of
a CSV file: where the options say that there is one, cut it off each file and give it to `split_header`.

    summary = sum of scan(text, options, file=...) over all texts
    schema  = resolve(options, summary)
    parsed  = parse(text, schema, labels="required")       # as often as needed, in any process

Where both are wanted, `draft` does the work of `scan` and keeps what `parse` would do again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Protocol

from mr_ml.errors import UsageError
from mr_ml.readers import csv_reader, libsvm
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema, Summary, TextOptions

__all__ = ["Draft", "Schema", "Summary", "TextOptions", "bind", "draft", "parse", "resolve", "scan", "split_header"]

_READERS = {"libsvm": libsvm, "csv": csv_reader}


def scan(text: bytes, options: TextOptions, *, file: str, first_line: int = 0) -> Summary:
    """Read a text once and say what is in it.

    Parameters
    ----------
    text : bytes
        Whole lines, without the header.
    options : TextOptions
    file : str
        Name of the file for messages and for facts that are kept by file.
    first_line : int
        Number of lines of the file before this text, the header included; examples of refused rows count from there.

    Raises
    ------
    UsageError
        The options name an unknown format, or columns that are not there.
    """
    summary: Summary = _reader(options.format).scan(text, options, file=file)
    if not first_line:
        return summary
    moved = tuple((name, replace(row, line=row.line + first_line)) for name, row in summary.examples)
    return replace(summary, examples=moved)


class Draft(Protocol):
    """The rows of a text, read before the schema was known."""

    @property
    def nbytes(self) -> int: ...

    def narrowed(self) -> Draft:
        """The same in fewer bytes, to be kept."""

    def fits(self, schema: Schema) -> bool:
        """Whether these are the rows under that schema; if not, the text must be read again."""

    def under(self, schema: Schema) -> Parsed:
        """What `parse` finds in the same text, labels required."""


def draft(text: bytes, options: TextOptions, *, file: str, seen: Summary | None = None) -> tuple[Summary, Draft | None]:
    """What `scan` says of a text, and its rows, where these can be read without the schema.

    Parameters
    ----------
    seen : Summary, optional
        Of other text of the same data: what is too much there already is not counted here.
    """
    found: tuple[Summary, Draft | None] = _reader(options.format).draft(text, options, file=file, seen=seen)
    return found


def resolve(options: TextOptions, summary: Summary) -> Schema:
    """Decide how text is turned into rows, from what was asked and what was seen in all of it.

    Raises
    ------
    BadDataError
        The text contradicts itself or the options, or holds no row.
    UsageError
        The options cannot be used with this text.
    """
    schema: Schema = _reader(options.format).resolve(options, summary)
    return schema


def parse(text: bytes, schema: Schema, *, labels: Literal["required", "optional"]) -> Parsed:
    """Turn text into rows.

    Parameters
    ----------
    text : bytes
        Whole lines, without the header.
    schema : Schema
    labels : {'required', 'optional'}
        'optional': a row may come without its label, which is then NaN. What stands in a label column of CSV and is
        none of the schema's labels is NaN too; a libsvm label must be a number if it is there.
    """
    parsed: Parsed = _reader(schema.format).parse(text, schema, labels=labels)
    return parsed


def split_header(first_line: bytes, options: TextOptions) -> tuple[str, ...]:
    """Return the column names in a CSV file's first line.

    Raises
    ------
    BadDataError
        The line is no usable header.
    """
    names: tuple[str, ...] = csv_reader.split_header(first_line, options)
    return names


def bind(schema: Schema, first_line: bytes) -> Schema:
    """Return the schema for a text whose first line is this: its columns may stand in another order.

    Raises
    ------
    BadDataError
        The text does not have the columns that the schema needs.
    """
    if schema.format != "csv":
        return schema
    bound: Schema = csv_reader.bind(schema, csv_reader.split_header(first_line, schema.options))
    return bound


def _reader(name: str):  # type: ignore[no-untyped-def]  # a module has no type of its own
    if name not in _READERS:
        raise UsageError(f"expected a text format of {sorted(_READERS)}, found {name!r}; use --format to choose one")
    return _READERS[name]
