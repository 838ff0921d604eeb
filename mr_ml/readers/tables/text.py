"""Rows of typed columns as CSV text, which the reader of CSV then reads: so they are packed to the same bytes."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.rows import BAD_KINDS, MAX_EXAMPLES, BadRow, Parsed, excerpt
from mr_ml.readers.summary import Summary

# In columns of these roles whole numbers must be exact.
AS_NUMBERS = ("numeric", "weight", "offset")
EXACT_BELOW = 2**53

_QUOTED = re.compile(r'[",]|^[ \t]|[ \t]$')
_BREAK = re.compile(r"[\r\n]")
_SHOWN = 100


@dataclass(frozen=True)
class Chunk:
    """Some rows as CSV text without a header, a line each.

    Attributes
    ----------
    text
        The lines of refused rows are blank.
    bad, bad_counts
        Rows that CSV text cannot hold, or that are none: some of each kind, and counts of all. Lines count from 0.
    """

    text: bytes
    bad: tuple[BadRow, ...] = ()
    bad_counts: Mapping[str, int] = field(default_factory=dict)

    def told(self, summary: Summary, file: str) -> Summary:
        """Add the rows that are refused here to what was found in the text."""
        if not self.bad_counts:
            return summary
        return summary + Summary(bad_counts=dict(self.bad_counts), examples=tuple((file, row) for row in self.bad))

    def parsed(self, parsed: Parsed) -> Parsed:
        """Add them to what was read of the text."""
        if not self.bad_counts:
            return parsed
        counts = Counter(parsed.bad_counts) + Counter(self.bad_counts)
        bad = sorted((*parsed.bad, *self.bad))
        shown = [row for kind in counts for row in [one for one in bad if one.kind == kind][:MAX_EXAMPLES]]
        return replace(parsed, bad=tuple(sorted(shown)), bad_counts=dict(sorted(counts.items())))


class BadRows:
    """Collects refused rows."""

    def __init__(self) -> None:
        self._found: dict[int, BadRow] = {}

    def refuse(self, line: int, kind: str, column: str, value: str) -> None:
        """Refuse a row; of several reasons the first of `BAD_KINDS` counts."""
        shown = f"{column}={value[:_SHOWN]}" if column else value[:_SHOWN]
        self.refuse_line(line, kind, shown.encode(errors="surrogatepass"))

    def refuse_line(self, line: int, kind: str, content: bytes) -> None:
        """Refuse a row for what its line is."""
        row = BadRow(line, kind, excerpt(content))
        known = self._found.setdefault(line, row)
        if _RANK[kind] < _RANK[known.kind]:
            self._found[line] = row

    def __contains__(self, line: int) -> bool:
        return line in self._found

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def lines(self) -> list[int]:
        """Lines of the rows, ascending."""
        return sorted(self._found)

    def chunk(self, text: bytes) -> Chunk:
        """Return a text with its refused rows."""
        counts: Counter[str] = Counter()
        shown = []
        for line in self.lines:
            row = self._found[line]
            counts[row.kind] += 1
            if counts[row.kind] <= MAX_EXAMPLES:
                shown.append(row)
        return Chunk(text, tuple(shown), dict(sorted(counts.items())))


_RANK = {kind: rank for rank, kind in enumerate(BAD_KINDS)}


def line_of(fields: list[str]) -> str:
    """Join fields to a line, which is not blank."""
    line = ",".join(fields)
    return line if line.strip() else '""' + line


def field_of(value: Any, *, line: int, column: str, role: str, bad: BadRows) -> str:
    """Return a value as a field; what cannot be one makes the row a bad one.

    Parameters
    ----------
    value
        None and NaN are missing values; true and false are 1 and 0.
    role
        Of the column.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, int):
        if role in AS_NUMBERS and not is_exact(value):
            bad.refuse(line, "inexact_value", column, str(value))
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.date | datetime.time):
        value = time_text(value)
    if isinstance(value, UUID):
        value = str(value)
    if not isinstance(value, str):
        bad.refuse(line, "nested_value", column, repr(value)[:_SHOWN])
        return ""
    if _BREAK.search(value):
        bad.refuse(line, "line_break", column, value)
        return ""
    return '"' + value.replace('"', '""') + '"' if _QUOTED.search(value) else value


def chunk_of(records: Sequence[Mapping[str, Any]], roles: Mapping[str, str]) -> Chunk:
    """Return records as text; see `TableFormat.texts`."""
    bad, lines = BadRows(), list[str]()
    for number, record in enumerate(records):
        fields = [
            "" if role == "dropped" else field_of(record.get(name), line=number, column=name, role=role, bad=bad)
            for name, role in roles.items()
        ]
        lines.append("" if number in bad else line_of(fields))
    return bad.chunk("".join(f"{line}\n" for line in lines).encode(errors="surrogatepass"))


def value_text(value: Any) -> str:
    """Return a value as `field_of` has it, whatever it is, without quotes."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return time_text(value) if isinstance(value, datetime.date | datetime.time) else str(value)


class Number(str):
    """A number as it is written, in what is text."""

    __slots__ = ()


def is_exact(value: int) -> bool:
    """Whether a float of 64 bits is just this integer."""
    if -EXACT_BELOW <= value <= EXACT_BELOW:
        return True
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def time_text(value: datetime.date | datetime.time) -> str:
    """Return a date, a time or a moment as all formats give it: in UTC with a Z where the zone is known."""
    if not isinstance(value, datetime.datetime):
        return _shortened(value.isoformat())
    if value.tzinfo is None:
        return _shortened(value.isoformat(sep=" "))
    return _shortened(value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(sep=" ")) + "Z"


def _shortened(text: str) -> str:
    return text.rstrip("0").removesuffix(".") if "." in text else text
