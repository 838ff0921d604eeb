"""CSV by RFC 4180, but that lines end in a line feed alone: a header, then a record for each line of input.

A field stands in quotes, which are doubled in it, if it holds a comma, a quote, a line end, or blanks at its ends.
Nothing else is done to texts: one that a spreadsheet would take for a formula is what it is. A line of input without a
row gives a record of empty fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mr_ml.prediction.outputs.base import Columns, OutputFormat, Records

# Of texts, in the lines of tasks, where a line end is one of ours or Hadoop's; no text has these bytes in UTF-8.
_LINE_FEED, _RETURN = b"\xff", b"\xfe"
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$')


class CsvFormat:
    """See `mr_ml.prediction.outputs.base.OutputFormat`."""

    name = "csv"
    suffix = ".csv"
    names_files = True

    def check(self) -> None:
        """See `OutputFormat.check`."""

    def lines(self, records: Records) -> bytes:
        """See `OutputFormat.lines`."""
        labels = [_in_line(label) for label in records.columns.labels] or [b""]
        numbers = (number.replace(b"\t", b",") for number in records.numbers())
        rows = [labels[k] + number for k, number in zip(records.choice.tolist(), numbers, strict=True)]
        for column in reversed(records.kept):
            rows = [_in_line(text) + row for text, row in zip(column, rows, strict=True)]
        n_columns = len(records.columns.names)
        # one empty field would be a blank line, which readers skip
        return records.placed(rows, nothing=b"," * (n_columns - 1) if n_columns > 1 else b'""')

    def file(self, columns: Columns, lines: Iterator[bytes], *, has_header: bool) -> Iterator[bytes]:
        """See `OutputFormat.file`."""
        yield (",".join(map(_field, columns.names)) + "\n").encode()
        for chunk in lines:
            yield chunk.replace(_LINE_FEED, b"\n").replace(_RETURN, b"\r")


def _in_line(text: str) -> bytes:
    """Return a field and the comma behind it, without line ends."""
    return f"{_field(text)},".encode().replace(b"\n", _LINE_FEED).replace(b"\r", _RETURN)


def _field(text: str) -> str:
    if _NEEDS_QUOTES.search(text) is None:
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


FORMAT: OutputFormat = CsvFormat()
