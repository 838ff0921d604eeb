"""ORC files. Tasks read stripes, and of these the columns that are used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mr_ml.errors import BadDataError
from mr_ml.readers.base import Format
from mr_ml.readers.rows import listed
from mr_ml.readers.tables.format import TableFormat
from mr_ml.readers.tables.needs import library

if TYPE_CHECKING:
    from mr_ml.readers.tables.source import Layout, TablePiece
    from mr_ml.readers.tables.text import Chunk
    from mr_ml.readers.text.source import TextFile


class OrcFormat(TableFormat):
    """See `TableFormat`."""

    name = "orc"
    suffixes = (".orc",)
    magic = b"ORC"

    def layout(self, file: TextFile) -> Layout:
        """See `TableFormat.layout`."""
        orc = library("pyarrow.orc", extra="columnar", what=file.path)
        from mr_ml.readers.tables import pyarrow as arrow
        from mr_ml.readers.tables.columns import with_partitions
        from mr_ml.readers.tables.source import Layout, reading

        with reading(file.path, what="ORC", errors=arrow.ERRORS) as stream:
            opened = orc.ORCFile(stream)
            columns = with_partitions(file.path, arrow.columns_of(opened.schema))
            n_stripes = opened.nstripes
        # where stripes begin is not told
        return Layout(columns, tuple(k * file.size // n_stripes for k in range(n_stripes)))

    def texts(self, piece: TablePiece, roles: Mapping[str, str]) -> Iterator[Chunk]:
        """See `TableFormat.texts`."""
        orc = library("pyarrow.orc", extra="columnar", what=piece.file, on_node=piece.is_sent)
        from mr_ml.readers.tables import pyarrow as arrow
        from mr_ml.readers.tables.source import reading

        with reading(piece.file, what="ORC", errors=arrow.ERRORS, piece=piece) as stream:
            opened = orc.ORCFile(stream)
            names = opened.schema.names
            # in a list of columns a dot is one within another
            wanted = None if any("." in name for name in names) else arrow.read_names(names, roles)
            at_once = arrow.rows_at_once(len(roles))
            for k in range(piece.first, piece.last):
                stripe = _stripe(opened, k, wanted, piece.file)
                for start in range(0, stripe.num_rows, at_once):
                    yield arrow.chunk_of(stripe.slice(start, at_once), roles, piece.file)


def _stripe(opened: Any, k: int, wanted: list[str] | None, file: str) -> Any:
    """Read a stripe; pyarrow refuses timestamps that are no nanoseconds of 64 bits, such as 9999-12-31."""
    try:
        return opened.read_stripe(k, columns=wanted)
    except ValueError as error:
        if not re.search("timestamp .* is out of range for nanosecond", str(error)):
            raise
        schema = opened.schema
        times = [name for name in wanted or schema.names if str(schema.field(name).type).startswith("timestamp")]
        raise BadDataError(
            f"{file}: expected timestamps from 1677-09-21 to 2262-04-11 in the columns that are used, for pyarrow "
            f"reads no others of ORC; found one in some column of {listed(times)}. Drop such columns, or have them "
            "written as dates or texts"
        ) from error


FORMAT: Format = OrcFormat()
