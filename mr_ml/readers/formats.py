"""Text rows in any supported format -> arrays: the one door that pack and predict use.

The text is whole lines, cut anywhere between lines; the last line may lack its line feed. It never holds the header of
a CSV file: where the options say that there is one, cut it off each file and give it to `split_header`.

    summary, rows = draft(text, options, file=...)         # of each text; summaries add
    options       = declared(options, sum of the summaries)[0]  # and again from the start, if these are others
    schema        = resolve(options, sum of the summaries)
    parsed        = parse(text, schema, labels="required")  # as often as needed, in any process

Rows that a draft kept and that fit the schema need not be parsed again.
"""

from __future__ import annotations

from typing import Literal, Protocol

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.csv import reader as csv_reader
from mr_ml.readers.libsvm import reader as libsvm
from mr_ml.readers.rows import Parsed
from mr_ml.readers.schema import Schema, TextOptions
from mr_ml.readers.summary import Summary

__all__ = [
    "Draft",
    "Schema",
    "Summary",
    "TextOptions",
    "bind",
    "check_header",
    "declared",
    "draft",
    "parse",
    "resolve",
    "split_header",
]

_READERS = {"libsvm": libsvm, "csv": csv_reader}


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
    """Read a text once: what is in it, and its rows, where these can be read without the schema.

    Parameters
    ----------
    text : bytes
        Whole lines, without the header.
    options : TextOptions
    file : str
        Name of the file for messages and for facts that are kept by file.
    seen : Summary, optional
        Of other text of the same data: what is too much there already is not counted here.

    Returns
    -------
    summary : Summary
        Examples of refused rows count lines from the start of the text.
    draft : Draft or None

    Raises
    ------
    UsageError
        The options name an unknown format, or columns that are not there.
    """
    found: tuple[Summary, Draft | None] = _reader(options.format).draft(text, options, file=file, seen=seen)
    return found


def declared(options: TextOptions, summary: Summary) -> tuple[TextOptions, list[str]]:
    """Say in the options what the whole text tells of its columns, so that another scan refuses the rows that differ.

    Returns
    -------
    options : TextOptions
        The same if no other scan is needed.
    reasons : list of str
        For the user, should rows be refused.
    """
    return csv_reader.declared(options, summary) if options.format == "csv" else (options, [])


def doubts(options: TextOptions, summary: Summary) -> list[str]:
    """What in the use of the columns may not be meant, a sentence each."""
    return csv_reader.doubts(options, summary) if options.format == "csv" else []


def check_header(options: TextOptions, schema: Schema) -> None:
    """See that the first lines that were taken for headers are none of the rows.

    Raises
    ------
    BadDataError
        They look like rows.
    """
    if options.format == "csv" and options.header:
        csv_reader.check_header(options, schema)


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
    csv_reader.check_delimiter(first_line, options)
    names: tuple[str, ...] = csv_reader.split_header(first_line, options)
    return names


def bind(schema: Schema, first_line: bytes, *, needs_all: bool = False) -> Schema:
    """Return the schema for a text whose first line is this: its columns may stand in another order.

    Parameters
    ----------
    needs_all
        Whether the rows are for training, which needs labels, weights and groups where the schema has them.

    Raises
    ------
    BadDataError
        The text does not have the columns that the schema needs.
    """
    if schema.format != "csv":
        return schema
    try:
        return csv_reader.bind(schema, csv_reader.split_header(first_line, schema.options), needs_all=needs_all)
    except BadDataError:
        remedy = "write it with the delimiter of the data that the schema was made from"
        csv_reader.check_delimiter(first_line, schema.options, remedy=remedy)
        raise


def _reader(name: str):  # type: ignore[no-untyped-def]  # a module has no type of its own
    if name not in _READERS:
        raise UsageError(f"expected a text format of {sorted(_READERS)}, found {name!r}; use --format to choose one")
    return _READERS[name]
