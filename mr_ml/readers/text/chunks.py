"""Streams and files of text as chunks of whole lines, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from mr_ml.errors import BadDataError
from mr_ml.readers.text.compressed import Compression, compression_of, decompressed

__all__ = ["CHUNK_BYTES", "MAX_LINE_BYTES", "Compression", "compression_of", "open_chunks", "read_range", "whole_lines"]

CHUNK_BYTES = 8 << 20
MAX_LINE_BYTES = 64 << 20

_LOOK_AHEAD_BYTES = 1 << 12


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
    yield from whole_lines(decompressed(stream, compression, name=name), name, chunk_bytes, max_line_bytes)


def read_range(
    path: str | Path,
    start: int,
    stop: int,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[bytes]:
    """Read the lines of a plain file of this machine that begin at a byte in [start, stop), as chunks of whole lines.

    Ranges that tile a file yield each of its lines exactly once (Hadoop's rule for the splits of a text file). Reads on
    behind `stop` to the end of the last line.

    Raises
    ------
    BadDataError
        A line is too long.
    OSError
        The file cannot be read.
    """
    with open(path, "rb", buffering=0) as stream:
        begin = _line_start(stream, start, stop)
        while begin < stop:
            chunk = _read_at(stream, begin, _line_end(stream, min(begin + chunk_bytes, stop), longest=max_line_bytes))
            if not chunk:
                return
            _check_lines(chunk, str(path), max_line_bytes, first_byte=begin)
            yield chunk
            begin += len(chunk)


def _line_start(stream: FileIO, start: int, stop: int) -> int:
    """Return where the first line begins that begins in [start, stop); `stop` or more if there is none."""
    # A line begins at `start` if the byte before it is a line feed.
    return 0 if start <= 0 else _line_end(stream, start, longest=stop - start)


def _line_end(stream: FileIO, position: int, *, longest: int) -> int:
    """Return where the first line ends that ends at `position` or later; at most `longest` bytes are looked at."""
    position -= 1
    last = position + longest + 1
    while position < last and (block := os.pread(stream.fileno(), _LOOK_AHEAD_BYTES, position)):
        end = block.find(b"\n") + 1
        if end:
            return position + end
        position += len(block)
    return position


def _read_at(stream: FileIO, start: int, stop: int) -> bytes:
    """Read the bytes in [start, stop), or those of them that there are."""
    parts = []
    while start < stop and (part := os.pread(stream.fileno(), stop - start, start)):
        parts.append(part)
        start += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_lines(chunk: bytes, name: str, longest: int, *, first_byte: int) -> None:
    line = 0
    while len(chunk) - line > longest:
        line_feed = chunk.rfind(b"\n", line, line + longest + 1)
        if line_feed < 0:
            raise _too_long(name, longest, first_byte + line)
        line = line_feed + 1


def _too_long(name: str, longest: int, first_byte: int) -> BadDataError:
    more = "" if longest >= MAX_LINE_BYTES else " With more `memory` lines may be longer."
    return BadDataError(
        f"{name}: line_too_long: expected lines of {longest} bytes at most, found a longer one that begins at byte "
        f"{first_byte} of the text; is it text with one row a line?{more}"
    )


def whole_lines(
    blocks: Iterator[bytes], name: str, chunk_bytes: int, max_line_bytes: int, *, first_byte: int = 0
) -> Iterator[bytes]:
    """Put blocks of text together to chunks; see `open_chunks`.

    Parameters
    ----------
    first_byte
        Of the blocks in the whole text, for messages.
    """
    pending: list[bytes] = []
    n_pending, position = 0, first_byte
    line = 0  # where the open line begins, from the start of the block; negative if in an earlier one
    for block in blocks:
        while len(block) - line > max_line_bytes:
            line_feed = block.rfind(b"\n", max(line, 0), line + max_line_bytes + 1)
            if line_feed < 0:
                raise _too_long(name, max_line_bytes, position + line)
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
