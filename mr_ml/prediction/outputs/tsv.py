r"""Tab-separated text: the kept columns, then `label TAB probability of each class`, or the predicted value.

In texts a backslash, tab, line feed and carriage return are written as two characters, a backslash and one of
``\ t n r``. A line of input without a row gives an empty line. There is a header where the input has one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mr_ml.data import kernels
from mr_ml.prediction.outputs.base import Columns, OutputFormat, Records, escaped


class TsvFormat:
    """See `mr_ml.prediction.outputs.base.OutputFormat`."""

    name = "tsv"
    suffix = ".tsv"
    names_files = False

    def check(self) -> None:
        """See `OutputFormat.check`."""

    def lines(self, records: Records) -> bytes | memoryview:
        """See `OutputFormat.lines`."""
        starts = [f"{escaped(label)}\t".encode() for label in records.columns.labels] or [b""]
        if not records.kept:
            written = kernels.write_rows(
                records.values, starts=b"".join(starts), start_ends=np.cumsum([len(start) for start in starts]),
                choice=records.choice, lines=records.lines, n_lines=records.n_lines,
            )  # fmt: skip
            if written is not None:
                return written
        rows = [starts[k] + number for k, number in zip(records.choice.tolist(), records.numbers(), strict=True)]
        for column in reversed(records.kept):
            rows = [f"{escaped(text)}\t".encode() + row for text, row in zip(column, rows, strict=True)]
        return records.placed(rows, nothing=b"")

    def file(self, columns: Columns, lines: Iterator[bytes], *, has_header: bool) -> Iterator[bytes]:
        """See `OutputFormat.file`."""
        if has_header:
            yield ("\t".join(map(escaped, columns.names)) + "\n").encode()
        yield from lines


FORMAT: OutputFormat = TsvFormat()
