"""JSON lines: an object for each line of input, with the same keys in the same order.

What is kept of the input is text, as it stood there. A value that is not finite, which JSON has no number for, is null,
as is everything of a line of input without a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from mr_ml.prediction.outputs.base import Columns, OutputFormat, Records

_NOT_FINITE = frozenset((b"nan", b"inf", b"-inf"))


class JsonLinesFormat:
    """See `mr_ml.prediction.outputs.base.OutputFormat`."""

    name = "jsonl"
    suffix = ".jsonl"
    names_files = True

    def check(self) -> None:
        """See `OutputFormat.check`."""

    def lines(self, records: Records) -> bytes:
        """See `OutputFormat.lines`."""
        keys = [f"{_text(name)}:".encode() for name in records.columns.names]
        n_kept, labels = len(records.columns.kept), [_text(label).encode() for label in records.columns.labels]
        of_values = keys[n_kept + bool(labels) :]
        rows = [
            [key + (b"null" if number in _NOT_FINITE else number) for key, number in zip(of_values, row, strict=True)]
            for row in (number.split(b"\t") for number in records.numbers())
        ]
        if labels:
            key = keys[n_kept]
            rows = [[key + labels[k], *row] for k, row in zip(records.choice.tolist(), rows, strict=True)]
        for key, column in zip(reversed(keys[:n_kept]), reversed(records.kept), strict=True):
            rows = [[key + _text(text).encode(), *row] for text, row in zip(column, rows, strict=True)]
        nothing = b",".join(key + b"null" for key in keys)
        return records.placed([_object(b",".join(row)) for row in rows], nothing=_object(nothing))

    def file(self, columns: Columns, lines: Iterator[bytes], *, has_header: bool) -> Iterator[bytes]:
        """See `OutputFormat.file`."""
        return lines


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _object(members: bytes) -> bytes:
    return b"{" + members + b"}"


FORMAT: OutputFormat = JsonLinesFormat()
