"""Text in a store, as chunks of whole lines, fetched by requests for some megabytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from hdfs_layout import open_store, split_uri
from hdfs_layout.dataclass import dataclass
from mr_ml.data import from_store
from mr_ml.readers.text.chunks import CHUNK_BYTES, MAX_LINE_BYTES, Compression, open_chunks, whole_lines

# Answers that wait take memory too.
_CHUNK_BYTES = CHUNK_BYTES // 2
# What is asked for beyond the end of a range, for the rest of its last line.
_LOOK_AHEAD_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class StoredText:
    """A file of text in a store.

    Attributes
    ----------
    name
        Its URI.
    chunk_bytes, max_line_bytes
        As of `mr_ml.readers.text.chunks.read_range`.
    request_bytes
        The first request asks for so much, each further one for twice as much, up to `from_store.REQUEST_BYTES`; by
        default all ask for that.
    at_once
        Answers that are there or on their way. With three instead of one a pack of plain text takes two thirds of the
        time where each request takes 0.1 s.
    """

    name: str
    chunk_bytes: int = _CHUNK_BYTES
    max_line_bytes: int = MAX_LINE_BYTES
    request_bytes: int | None = None
    at_once: int = 3

    def chunks(self, start: int, stop: int, compression: Compression) -> Iterator[bytes]:
        """Read the lines that begin at a byte in [start, stop); of a compressed file, which ends there, all lines.

        Raises
        ------
        BadDataError
            A line is too long, or a compressed file is damaged.
        StorageError
            The file cannot be read.
        """
        if compression == "none":
            # a line begins at `start` if the byte before it is a line feed
            blocks = self._blocks(max(start - 1, 0), stop)
            begin, first = _line_start(blocks, start, stop)
            lines = _to_line_end(blocks, begin, first, stop)
            return whole_lines(lines, self.name, self.chunk_bytes, self.max_line_bytes, first_byte=begin)
        stream = cast("BinaryIO", _Stream(self._blocks(0, stop)))
        return open_chunks(
            stream, compression, name=self.name, chunk_bytes=self.chunk_bytes, max_line_bytes=self.max_line_bytes
        )

    def _blocks(self, position: int, stop: int) -> Iterator[bytes]:
        """Read from a position to the end of the file; behind `stop` less at a time, and only what is used."""
        root, path = split_uri(self.name)
        store = open_store(root)
        lengths = list(self._lengths(max(stop - position, 0) + _LOOK_AHEAD_BYTES))
        within = from_store.fetched(store, path, offset=position, lengths=lengths, at_once=self.at_once)
        position += sum(lengths)
        behind = from_store.fetched(
            store, path, offset=position, lengths=itertools.repeat(_LOOK_AHEAD_BYTES), at_once=1
        )
        asked = itertools.chain(lengths, itertools.repeat(_LOOK_AHEAD_BYTES))
        for length, block in zip(asked, itertools.chain(within, behind), strict=False):
            if block:
                yield block
            if len(block) < length:
                return

    def _lengths(self, n_bytes: int) -> Iterator[int]:
        request = self.request_bytes or from_store.REQUEST_BYTES
        while n_bytes:
            request = min(request, n_bytes)
            yield request
            n_bytes -= request
            request = min(2 * request, from_store.REQUEST_BYTES)


def _line_start(blocks: Iterator[bytes], start: int, stop: int) -> tuple[int, bytes]:
    """Find where the first line begins that begins at `start` or later; `stop` or more if there is none before it.

    Returns
    -------
    begin, rest
        The rest of the block in which it begins.
    """
    if start <= 0:
        return 0, b""
    position = start - 1
    for block in blocks:
        cut = block.find(b"\n", 0, max(stop - position, 0)) + 1
        if cut:
            return position + cut, block[cut:]
        position += len(block)
        if position >= stop:
            break
    return stop, b""


def _to_line_end(blocks: Iterable[bytes], position: int, first: bytes, stop: int) -> Iterator[bytes]:
    """Yield blocks, of which the first begins at a position, to the end of the line that reaches `stop`."""
    if position >= stop:
        return
    for block in itertools.chain((first,), blocks):
        end = block.find(b"\n", max(stop - 1 - position, 0)) + 1
        yield block[:end] if end else block
        if end:
            return
        position += len(block)


class _Stream:
    """Blocks as a stream."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, memoryview(b"")

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)
