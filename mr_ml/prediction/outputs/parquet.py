"""Parquet, by pyarrow (the extra ``columnar``): texts are strings, values are doubles.

Tasks write the lines of tab-separated text; the driver alone makes columns of them, in groups of a fixed number of
rows, so that tasks need no pyarrow and bytes do not depend on how the input was cut. A line of input without a row
gives a record of nulls.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from mr_ml.errors import UsageError
from mr_ml.prediction.outputs.base import Columns, OutputFormat
from mr_ml.prediction.outputs.tsv import TsvFormat

# Of a group of rows: about so many values, which are Python objects for a while.
_GROUP_VALUES = 1 << 20
_MOST_ROWS = 1 << 16
_ESCAPED = re.compile(r"\\(.)")
_MEANING = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


class ParquetFormat(TsvFormat):
    """See `mr_ml.prediction.outputs.base.OutputFormat`."""

    name = "parquet"
    suffix = ".parquet"
    names_files = True

    def check(self) -> None:
        """See `OutputFormat.check`."""
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f"`output_format` parquet needs pyarrow ({error}): pip install 'mr_ml[columnar]'"
            ) from error

    def file(self, columns: Columns, lines: Iterator[bytes], *, has_header: bool) -> Iterator[bytes]:
        """See `OutputFormat.file`."""
        import pyarrow as pa
        from pyarrow import parquet

        n_texts = len(columns.kept) + bool(columns.labels)
        texts, numbers = columns.names[:n_texts], columns.names[n_texts:]
        schema = pa.schema([*((name, pa.string()) for name in texts), *((name, pa.float64()) for name in numbers)])
        sink = _Sink()
        with parquet.ParquetWriter(sink, schema, use_dictionary=list(texts)) as writer:
            for group in _groups(lines, max(1, min(_MOST_ROWS, _GROUP_VALUES // len(columns.names)))):
                writer.write_table(pa.table(_arrays(group, schema, n_texts), schema=schema))
                yield sink.taken()
        yield sink.taken()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._position += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._position

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _groups(lines: Iterator[bytes], n_rows: int) -> Iterator[list[bytes]]:
    """Lines of text, so many at a time."""
    waiting: list[bytes] = []
    for chunk in lines:
        waiting += chunk.split(b"\n")[:-1]
        while len(waiting) >= n_rows:
            yield waiting[:n_rows]
            del waiting[:n_rows]
    if waiting:
        yield waiting


def _arrays(group: list[bytes], schema: Any, n_texts: int) -> list[Any]:
    import pyarrow as pa

    nothing = [None] * len(schema)
    columns = zip(*(line.decode().split("\t") if line else nothing for line in group), strict=True)
    return [
        pa.array([None if field is None else read(field) for field in column], kind.type)
        for column, kind, read in zip(
            columns, schema, [_unescaped] * n_texts + [float] * (len(schema) - n_texts), strict=True
        )
    ]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: _MEANING[match[1]], text) if "\\" in text else text


FORMAT: OutputFormat = ParquetFormat()
