"""Text that Hadoop streams to a map task: the task reads its part of a file from standard input."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.text import chunks as text

# A property of the job, which Hadoop Streaming puts into the tasks' environment with _ for every dot.
PROPERTY = "mr_ml.text"
WITH_HEADER, WITHOUT_HEADER = "header", "rows"
# Another one: whether some files are compressed. They are streamed whole, as they are, and recognised
# by their first bytes.
PACKED = "mr_ml.packed"
_BEGINNINGS: tuple[tuple[bytes, text.Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
# Of bzip2: a block, or the end of the stream. `BZh9` could be text.
_BZIP2_NEXT = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
# Frames of zstd that hold no content may come first; no text begins with the last two bytes.
_SKIPPABLE = b"\x2a\x4d\x18"
_BEGINNING_BYTES = 10
_DRAIN_BYTES = 1 << 20
# A lone CR does not end a line here, but would in Hadoop.
DELIMITER = {"textinputformat.record.delimiter": "\n"}


@dataclass
class StreamedText:
    """The lines of a file that begin in one of Hadoop's splits; read once.

    Attributes
    ----------
    start
        First byte of the split.
    length
        Of the file, if some files of the job are compressed and so all are streamed whole; else None.
    n_bytes
        Bytes read so far, the header's included, before decompression. Hadoop ends a last line that has no line feed.
    """

    file: str
    start: int
    stream: BinaryIO
    has_header: bool
    length: int | None = None
    n_bytes: int = 0

    @classmethod
    def is_streamed(cls, environment: Mapping[str, str]) -> bool:
        """Whether the map task of this environment reads its text from standard input."""
        return "mr_ml_text" in environment

    @classmethod
    def of_task(cls, stream: BinaryIO, environment: Mapping[str, str]) -> StreamedText:
        """Make the text of this map task from its environment."""
        file, start = environment["mapreduce_map_input_file"], int(environment["mapreduce_map_input_start"])
        length = int(environment["mapreduce_map_input_length"]) if "mr_ml_packed" in environment else None
        return cls(file, start, stream, environment["mr_ml_text"] == WITH_HEADER, length)

    def chunks(self) -> Iterator[bytes]:
        """Whole lines, some megabytes at a time, without the file's header.

        Raises
        ------
        BadDataError
            If a line is too long, or a compressed file is damaged.
        """
        skips = self.has_header and self.start == 0
        counted = _Counted(self.stream, self.length)
        compression = "none" if self.length is None else counted.compression()
        if compression == "none":
            counted.length = None
        for chunk in text.open_chunks(counted, compression, name=self.file):  # type: ignore[arg-type]
            self.n_bytes = counted.n_bytes
            rows = chunk[chunk.find(b"\n") + 1 or len(chunk) :] if skips else chunk
            skips = False
            if rows:
                yield rows
        counted.drain()
        self.n_bytes = counted.n_bytes

    def key(self) -> bytes:
        """JSON of file, start and, once all is read, `n_bytes`."""
        return json.dumps([self.file, self.start, self.n_bytes]).encode()


class _Counted:
    """A stream that counts what is read of it, and ends where the file does: Hadoop may have added a line feed."""

    def __init__(self, stream: BinaryIO, length: int | None) -> None:
        self._stream, self.length = stream, length
        self._begun = b""
        self.n_bytes = 0

    def compression(self) -> text.Compression:
        """By the first bytes, which are read again afterwards."""
        while len(self._begun) < _BEGINNING_BYTES and (more := self._stream.read(_BEGINNING_BYTES - len(self._begun))):
            self._begun += more
        if self._begun[1:4] == _SKIPPABLE:
            return "zstd"
        for start, kind in _BEGINNINGS:
            if self._begun.startswith(start) and (kind != "bzip2" or self._begun[4:].startswith(_BZIP2_NEXT)):
                return kind
        return "none"

    def read(self, size: int) -> bytes:
        if self.length is not None:
            size = min(size, self.length - self.n_bytes)
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
        else:
            data = self._stream.read(size) if size else b""
        self.n_bytes += len(data)
        return data

    def drain(self) -> None:
        """Read the rest; Hadoop would take a closed pipe for a failure of the task."""
        self.length = None
        while self.read(_DRAIN_BYTES):
            pass
