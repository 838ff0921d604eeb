"""Streams and files of text as chunks of whole lines, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mr_ml.errors import BadDataError
from mr_ml.readers.compressed import READ_BYTES, Compression, compression_of, decompressed

__all__ = ["CHUNK_BYTES", "MAX_LINE_BYTES", "Compression", "compression_of", "open_chunks", "read_range"]

CHUNK_BYTES = 8 << 20
MAX_LINE_BYTES = 64 << 20


def open_chunks(
    stream: BinaryIO,
    compression: Compression,
    *,
    name: str,
    chunk_bytes: int = CHUNK_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[bytes]:
    """Read a stream as chunks of whole lines.

    Parameters
    ----------
    stream
        Open for reading bytes; is not closed.
    compression
        Of the stream, see `compression_of`.
    name
        Of the stream, for messages.
    chunk_bytes
        A chunk ends with the first line that reaches this length, or up to 1 MB later.
    max_line_bytes
        Longest line allowed, without its line feed.

    Yields
    ------
    bytes
        Not empty. Only the last chunk may lack the line feed at its end.

    Raises
    ------
    BadDataError
        A line is too long; a compressed stream is truncated or damaged.
    UsageError
        zstd without the package zstandard.
    OSError
        The stream cannot be read.
    """
    yield from _whole_lines(decompressed(stream, compression, name=name), name, chunk_bytes, max_line_bytes)


def read_range(
    path: str | Path,
    start: int,
    stop: int,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[bytes]:
    """Read the lines of a plain file that begin at a byte in [start, stop), as chunks of whole lines.

    Ranges that tile a file yield each of its lines exactly once (Hadoop's rule for the splits of a text file). Reads on
    behind `stop` to the end of the last line.

    Raises
    ------
    BadDataError
        A line is too long.
    OSError
        The file cannot be read.
    """
    with open(path, "rb") as stream:
        begin = _line_start(stream, start, stop)
        if begin < stop:
            blocks = _up_to_line_end(stream, begin, stop)
            yield from _whole_lines(blocks, str(path), chunk_bytes, max_line_bytes, first_byte=begin)


def _line_start(stream: BinaryIO, start: int, stop: int) -> int:
    """Return where the first line begins that begins in [start, stop); `stop` or more if there is none."""
    if start <= 0:
        return 0
    # A line begins at `start` if the byte before it is a line feed.
    position = start - 1
    stream.seek(position)
    while position < stop and (block := stream.read(READ_BYTES)):
        found = block.find(b"\n") + 1
        if found:
            return position + found
        position += len(block)
    return stop


def _up_to_line_end(stream: BinaryIO, position: int, stop: int) -> Iterator[bytes]:
    stream.seek(position)
    while block := stream.read(READ_BYTES):
        end = block.find(b"\n", max(stop - 1 - position, 0)) + 1
        if end:
            yield block[:end]
            return
        yield block
        position += len(block)


def _whole_lines(
    blocks: Iterator[bytes], name: str, chunk_bytes: int, max_line_bytes: int, *, first_byte: int = 0
) -> Iterator[bytes]:
    pending: list[bytes] = []
    n_pending, position = 0, first_byte
    line = 0  # where the open line begins, from the start of the block; negative if in an earlier one
    for block in blocks:
        while len(block) - line > max_line_bytes:
            line_feed = block.rfind(b"\n", max(line, 0), line + max_line_bytes + 1)
            if line_feed < 0:
                raise BadDataError(
                    f"{name}: line_too_long: expected lines of {max_line_bytes} bytes at most, found a longer one that "
                    f"begins at byte {position + line} of the text; is it text with one row a line?"
                )
            line = line_feed + 1
        cut = block.rfind(b"\n") + 1
        line = (cut or line) - len(block)
        position += len(block)
        if cut and n_pending + cut >= chunk_bytes:
            yield b"".join([*pending, memoryview(block)[:cut]])
            pending, n_pending, block = [], 0, block[cut:]
        if block:
            pending.append(block)
            n_pending += len(block)
    if pending:
        yield b"".join(pending)
