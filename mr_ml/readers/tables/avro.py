"""Avro files. Tasks read the blocks that begin in a range of bytes, which a mark of 16 bytes before each shows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from mr_ml.readers.base import Format
from mr_ml.readers.tables.format import TableFormat
from mr_ml.readers.tables.needs import library

if TYPE_CHECKING:
    from mr_ml.readers.tables.columns import Column, Kind
    from mr_ml.readers.tables.source import Layout, TablePiece
    from mr_ml.readers.tables.text import Chunk
    from mr_ml.readers.text.source import TextFile

_ROWS, _MARK_BYTES, _SEARCHED_BYTES = 1 << 12, 16, 1 << 20
# "Object Container Files" of the Avro specification
_HEADER = {
    "type": "record",
    "name": "header",
    "fields": [
        {"name": "magic", "type": {"type": "fixed", "name": "magic", "size": 4}},
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "sync", "size": _MARK_BYTES}},
    ],
}
# What fastavro raises over damaged files; a codec that it lacks is a ValueError, too.
_ERRORS = (ValueError, EOFError, TypeError, KeyError, IndexError, AssertionError, OverflowError, MemoryError)

_NUMBERS = frozenset({"boolean", "int", "long", "float", "double", "decimal"})
_TEXTS = frozenset(
    {
        "string", "enum", "uuid", "date", "time-millis", "time-micros", "timestamp-millis", "timestamp-micros",
        "local-timestamp-millis", "local-timestamp-micros",
    }
)  # fmt: skip


class AvroFormat(TableFormat):
    """See `TableFormat`."""

    name = "avro"
    suffixes = (".avro",)
    magic = b"Obj\x01"

    def layout(self, file: TextFile) -> Layout:
        """See `TableFormat.layout`."""
        fastavro = library("fastavro", extra="avro", what=file.path)
        from mr_ml.readers.tables.columns import with_partitions
        from mr_ml.readers.tables.source import Layout, reading

        with reading(file.path, what="Avro", errors=_errors()) as stream:
            schema = fastavro.reader(stream).writer_schema
            return Layout(with_partitions(file.path, _columns(schema)), (0,))

    def starts(self, file: TextFile) -> Sequence[int]:
        """See `TableFormat.starts`: anywhere."""
        from mr_ml.readers.text.source import RANGE_BYTES

        return range(0, file.size, RANGE_BYTES)

    def texts(self, piece: TablePiece, roles: Mapping[str, str]) -> Iterator[Chunk]:
        """See `TableFormat.texts`."""
        fastavro = library("fastavro", extra="avro", what=piece.file, on_node=piece.is_sent)
        from mr_ml.readers.tables.columns import partitions
        from mr_ml.readers.tables.source import reading
        from mr_ml.readers.tables.text import chunk_of

        named = partitions(piece.file)
        with reading(piece.file, what="Avro", errors=_errors(), piece=piece) as stream:
            mark = fastavro.schemaless_reader(stream, _HEADER, None)["sync"]
            header_bytes = stream.tell()
            stream.seek(0)
            header = stream.read(header_bytes)
            begin = header_bytes if piece.start == 0 else _behind_mark(stream, mark, max(piece.start, header_bytes))
            stream.seek(begin)
            records: list[dict[str, Any]] = []
            for block in fastavro.block_reader(io.BufferedReader(_Joined(header, stream))):
                if block.offset - header_bytes + begin >= piece.stop:
                    break
                for record in block:
                    records.append({**named, **record})
                    if len(records) == _ROWS:
                        yield chunk_of(records, roles)
                        records = []
            if records:
                yield chunk_of(records, roles)


def _errors() -> tuple[type[Exception], ...]:
    import zlib

    return (*_ERRORS, zlib.error)


def _behind_mark(stream: BinaryIO, mark: bytes, start: int) -> int:
    """Return where the first block begins that begins at `start` or later; the end of the file if there is none."""
    position = start - _MARK_BYTES
    stream.seek(position)
    seen = b""
    while data := stream.read(_SEARCHED_BYTES):
        seen += data
        at = seen.find(mark)
        if at >= 0:
            return position + at + _MARK_BYTES
        cut = max(len(seen) - _MARK_BYTES + 1, 0)
        position, seen = position + cut, seen[cut:]
    return position + len(seen)


class _Joined(io.RawIOBase):
    """A header, and then the rest of a stream from where it stands."""

    def __init__(self, header: bytes, stream: BinaryIO) -> None:
        self._header, self._stream, self._position = memoryview(header), stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data: bytes | memoryview = self._header[: len(buffer)]
        self._header = self._header[len(buffer) :]
        data = data or self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position


def _columns(schema: Any) -> list[Column]:
    """Return the columns of a file by its schema.

    Raises
    ------
    ValueError
        If its values are no records.
    """
    from mr_ml.readers.tables.columns import Column

    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("its values are no records")
    named: dict[str, Any] = {}
    columns = []
    for field in schema["fields"]:
        kinds = tuple(sorted(set(_kinds(field["type"], named))))
        kinds = tuple(kind for kind in kinds if kind != "nothing") or kinds
        columns.append(Column(field["name"], kinds, _shown(field["type"])))
    return columns


def _kinds(type_: Any, named: dict[str, Any]) -> Iterator[Kind]:
    """Say what values of a type are; `named` are types that were defined before, by name."""
    if isinstance(type_, list):
        for one in type_:
            yield from _kinds(one, named)
        return
    name = type_
    if isinstance(type_, dict):
        if "name" in type_:
            named[type_["name"]] = type_
        name = type_.get("logicalType")
        if name not in _NUMBERS | _TEXTS:
            name = type_["type"]
        if isinstance(name, dict | list):
            yield from _kinds(name, named)
            return
    elif type_ in named:
        yield from _kinds({**named[type_]}, {})
        return
    if name == "null":
        yield "nothing"
    else:
        yield "number" if name in _NUMBERS else "text" if name in _TEXTS else "unknown"


def _shown(type_: Any) -> str:
    if isinstance(type_, list):
        return " or ".join(map(_shown, type_))
    if isinstance(type_, dict):
        return str(type_.get("logicalType") or _shown(type_["type"]))
    return str(type_)


FORMAT: Format = AvroFormat()
