"""Parquet files. Tasks read row groups, and of these the columns that are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mr_ml.readers.base import Format
from mr_ml.readers.tables.format import TableFormat
from mr_ml.readers.tables.needs import library

if TYPE_CHECKING:
    from mr_ml.readers.tables.source import Layout, TablePiece
    from mr_ml.readers.tables.text import Chunk
    from mr_ml.readers.text.source import TextFile

# Of each column at a time, while a row group is read.
_BUFFER_BYTES = 1 << 20
# The timestamps of Hive and older Spark, INT96, are nanoseconds otherwise, among which years from 1678 to 2261 are all
# there is: others would become some of these without a word. Checksums are read by request only, where files have them.
_READING: Mapping[str, Any] = {
    "pre_buffer": False, "coerce_int96_timestamp_unit": "us", "page_checksum_verification": True,
}  # fmt: skip


class ParquetFormat(TableFormat):
    """See `TableFormat`."""

    name = "parquet"
    suffixes = (".parquet", ".parq", ".pq")
    magic = b"PAR1"

    def layout(self, file: TextFile) -> Layout:
        """See `TableFormat.layout`."""
        parquet = library("pyarrow.parquet", extra="columnar", what=file.path)
        from mr_ml.readers.tables import pyarrow as arrow
        from mr_ml.readers.tables.columns import with_partitions
        from mr_ml.readers.tables.source import Layout, reading

        with reading(file.path, what="Parquet", errors=arrow.ERRORS) as stream:
            opened = parquet.ParquetFile(stream, **_READING)
            columns = with_partitions(file.path, arrow.columns_of(opened.schema_arrow))
            starts = [_start(opened.metadata.row_group(k)) for k in range(opened.metadata.num_row_groups)]
        if sorted(set(starts)) != starts or (starts and starts[-1] >= file.size):
            starts = [k * file.size // len(starts) for k in range(len(starts))]
        return Layout(columns, (0, *starts[1:]) if starts else ())

    def texts(self, piece: TablePiece, roles: Mapping[str, str]) -> Iterator[Chunk]:
        """See `TableFormat.texts`."""
        parquet = library("pyarrow.parquet", extra="columnar", what=piece.file, on_node=piece.is_sent)
        from mr_ml.readers.tables import pyarrow as arrow
        from mr_ml.readers.tables.source import reading

        with reading(piece.file, what="Parquet", errors=arrow.ERRORS, piece=piece) as stream:
            opened = parquet.ParquetFile(stream, buffer_size=_BUFFER_BYTES, **_READING)
            batches = opened.iter_batches(
                batch_size=arrow.rows_at_once(len(roles)), row_groups=list(range(piece.first, piece.last)),
                columns=arrow.read_names(opened.schema_arrow.names, roles), use_threads=False,
            )  # fmt: skip
            for batch in batches:
                yield arrow.chunk_of(batch, roles, piece.file)


def _start(group: Any) -> int:
    """Return where a row group begins."""
    if not group.num_columns:
        return 0
    first = group.column(0)
    # a dictionary, if there is one, goes before the values
    return int(min(filter(None, (first.dictionary_page_offset, first.data_page_offset)), default=0))


FORMAT: Format = ParquetFormat()
