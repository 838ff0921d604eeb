"""Decompress a stream in bounded memory, to its very end or not at all.

The standard library's file objects forgive: ``bz2`` ignores what follows the last stream, readers of zstd return short
at a truncated frame. Here each member (gzip), stream (bzip2) or frame (zstd) must end as its format says, the next must
follow at once, and the file must end with one.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal

from mr_ml.errors import BadDataError, UsageError

Compression = Literal["none", "gzip", "bzip2", "zstd"]

READ_BYTES = 1 << 20

_GZIP_MAGIC, _BZIP2_MAGIC = b"\x1f\x8b", b"BZh"
_ZSTD_MAGIC, _ZSTD_SKIPPABLE = 0xFD2FB528, range(0x184D2A50, 0x184D2A60)
_ZSTD_RLE_BLOCK = 1
_SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd", ".zstd": "zstd"}
_UNKNOWN_SUFFIXES = (".xz", ".lzma", ".lz4", ".zip", ".7z", ".snappy", ".lzo", ".z", ".br")


def compression_of(name: str) -> Compression:
    """Tell a file's compression by its suffix, upper or lower case; 'none' if it has no suffix of a compression.

    Raises
    ------
    UsageError
        The suffix is that of a compression that is not supported.
    """
    lower = name.lower()
    for suffix, compression in _SUFFIXES.items():
        if lower.endswith(suffix):
            return compression
    if lower.endswith(_UNKNOWN_SUFFIXES):
        raise UsageError(f"expected plain text, .gz, .bz2 or .zst, found {name!r}; decompress it first")
    return "none"


def decompressed(stream: BinaryIO, compression: Compression, *, name: str) -> Iterator[bytes]:
    """Yield the stream's content in blocks of about 1 MB at most.

    Parameters
    ----------
    stream
        Open for reading bytes; is not closed.
    compression
        Members, streams or frames that follow each other are read as one.
    name
        Of the stream, for messages.

    Raises
    ------
    BadDataError
        The stream is truncated, damaged, empty although compressed, or something else follows its end.
    UsageError
        zstd without the package zstandard.
    OSError
        The stream cannot be read.
    """
    if compression == "none":
        while block := stream.read(READ_BYTES):
            yield block
    elif compression == "gzip":
        yield from _members(stream, _Gzip, _GZIP_MAGIC, zlib.error, "gzip", name)
    elif compression == "bzip2":
        yield from _members(stream, bz2.BZ2Decompressor, _BZIP2_MAGIC, (OSError, ValueError), "bzip2", name)
    else:
        yield from _zstd_frames(stream, name)


class _Gzip:
    """One gzip member behind the interface of `bz2.BZ2Decompressor`."""

    def __init__(self) -> None:
        # 16 + 15: a gzip header and trailer, whose length and CRC-32 zlib checks, and the largest window.
        self._inflate = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    @property
    def needs_input(self) -> bool:
        # The trailer stays unconsumed until all output is out, so a member whose input is used up is not at its end.
        return not self._inflate.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


def _members(
    stream: BinaryIO,
    new: Callable[[], Any],
    magic: bytes,
    damage: type[Exception] | tuple[type[Exception], ...],
    what: str,
    name: str,
) -> Iterator[bytes]:
    data, first = stream.read(READ_BYTES), True
    while data or first:
        if not data.startswith(magic[: len(data)]):
            raise _not_this(name, what, after=not first)
        member, first = new(), False
        while not member.eof:
            if not data and member.needs_input:
                data = stream.read(READ_BYTES)
                if not data:
                    raise _truncated(name, what)
            try:
                block = member.decompress(data, READ_BYTES)
            except damage as error:
                raise _damaged(name, what, error) from error
            data = b""
            if block:
                yield block
        data = member.unused_data or stream.read(READ_BYTES)


class _Bytes:
    """Takes exact numbers of bytes from a stream."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._data, self._at = b"", 0

    def at_end(self) -> bool:
        if self._at == len(self._data):
            self._data, self._at = self._stream.read(READ_BYTES), 0
        return not self._data

    def take(self, n: int) -> bytes:
        taken = self._data[self._at : self._at + n]
        self._at += len(taken)
        while len(taken) < n:
            if self.at_end():
                raise _truncated(self._name, "zstd")
            more = self._data[self._at : self._at + n - len(taken)]
            self._at += len(more)
            taken += more
        return taken

    def skip(self, n: int) -> None:
        while n:
            n -= len(self.take(min(n, READ_BYTES)))


def _zstd_frames(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Feed the decompressor one block (RFC 8878, section 3.1.1) at a time: each gives 128 KB at most."""
    try:
        import zstandard
    except ImportError as error:
        raise UsageError(
            f"{name} is compressed by zstd, which needs an optional package; run: pip install 'mr_ml[zstd]'"
        ) from error
    source, first = _Bytes(stream, name), True
    while first or not source.at_end():
        start = source.take(4)
        magic = int.from_bytes(start, "little")
        if magic in _ZSTD_SKIPPABLE:
            source.skip(int.from_bytes(source.take(4), "little"))
            continue
        if magic != _ZSTD_MAGIC:
            raise _not_this(name, "zstd", after=not first)
        frame, first = zstandard.ZstdDecompressor().decompressobj(), False
        try:
            for part in _parts_of_frame(start, source):
                if block := frame.decompress(part):
                    yield block
        except zstandard.ZstdError as error:
            raise _damaged(name, "zstd", error) from error
        if not frame.eof:
            raise _damaged(name, "zstd", ValueError("the frame does not end after its last block"))


def _parts_of_frame(magic: bytes, source: _Bytes) -> Iterator[bytes]:
    descriptor = source.take(1)
    flags = descriptor[0]
    single_segment = flags >> 5 & 1
    window = 1 - single_segment
    dictionary_id = (0, 1, 2, 4)[flags & 3]
    content_size = (single_segment, 2, 4, 8)[flags >> 6]
    yield magic + descriptor + source.take(window + dictionary_id + content_size)
    last = 0
    while not last:
        header = source.take(3)
        word = int.from_bytes(header, "little")
        last, kind, size = word & 1, word >> 1 & 3, word >> 3
        yield header + source.take(1 if kind == _ZSTD_RLE_BLOCK else size)
    if flags >> 2 & 1:
        yield source.take(4)


def _truncated(name: str, what: str) -> BadDataError:
    return BadDataError(f"{name}: expected more {what} data, found the end of the file: it is truncated; copy it again")


def _damaged(name: str, what: str, error: Exception) -> BadDataError:
    return BadDataError(f"{name}: expected {what} data, found damage ({error}); copy it again")


def _not_this(name: str, what: str, *, after: bool) -> BadDataError:
    if after:
        return BadDataError(f"{name}: expected the end of the file, found other data behind the {what} data; remove it")
    return BadDataError(f"{name}: expected {what} data as the name says, found other data; rename or compress the file")
