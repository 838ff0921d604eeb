"""Streams of text as chunks of whole lines: nothing lost, nothing added, nothing cut short in silence."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

import pytest
import zstandard
from far_store import far_stores
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.text import compressed
from mr_ml.readers.text.chunks import Compression, compression_of, open_chunks, read_range
from mr_ml.readers.text.fetch import StoredText

COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
kinds = st.sampled_from(sorted(COMPRESS))
TEXT = b"".join(b"%d 1:%d 7:0.25\n" % (i % 2, i) for i in range(300))


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time, as pipes and sockets do."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step, self._at = data, step, 0

    def read(self, size: int = -1) -> bytes:
        taken = self._data[self._at : self._at + (self._step if size < 0 else min(size, self._step))]
        self._at += len(taken)
        return taken


def trickle(data: bytes, step: int) -> BinaryIO:
    return cast("BinaryIO", Trickle(data, step))


def chunks_of(data: bytes, compression: Compression = "none", **options: int) -> list[bytes]:
    return list(open_chunks(io.BytesIO(data), compression, name="rows.txt", **options))


def check_chunks(chunks: list[bytes], text: bytes) -> None:
    assert b"".join(chunks) == text
    assert all(chunks)
    assert all(chunk.endswith(b"\n") for chunk in chunks[:-1])


texts = st.lists(st.sampled_from([b"\n", b"a", b"1 2:3", b"\r", b"\0", b"\xff", b"x" * 50]), max_size=40).map(b"".join)


@given(text=texts, chunk_bytes=st.integers(1, 100), step=st.integers(1, 60))
def test_chunks_are_whole_lines_and_join_to_the_text(text: bytes, chunk_bytes: int, step: int) -> None:
    chunks = list(open_chunks(trickle(text, step), "none", name="rows.txt", chunk_bytes=chunk_bytes))
    check_chunks(chunks, text)
    assert all(len(chunk) >= chunk_bytes for chunk in chunks[:-1])


@given(
    parts=st.lists(texts, min_size=1, max_size=4), kind=kinds, chunk_bytes=st.integers(1, 100), step=st.integers(1, 60)
)
def test_members_that_follow_each_other_are_read_as_one(
    parts: list[bytes], kind: Compression, chunk_bytes: int, step: int
) -> None:
    data = b"".join(COMPRESS[kind](part) for part in parts)
    chunks = list(open_chunks(trickle(data, step), kind, name="rows.txt", chunk_bytes=chunk_bytes))
    check_chunks(chunks, b"".join(parts))


@pytest.mark.parametrize("kind", sorted(COMPRESS))
def test_content_larger_than_any_buffer(kind: Compression) -> None:
    text = TEXT * 800
    assert len(text) > 3 * compressed.READ_BYTES
    check_chunks(chunks_of(COMPRESS[kind](text), kind, chunk_bytes=1 << 20), text)


@pytest.mark.parametrize("kind", sorted(COMPRESS))
def test_truncation_is_found_wherever_it_is(kind: Compression) -> None:
    data = COMPRESS[kind](TEXT)
    for length in range(len(data)):
        with pytest.raises(BadDataError, match=r"^rows\.txt: .*truncated"):
            chunks_of(data[:length], kind)
        if length:
            with pytest.raises(BadDataError, match=r"^rows\.txt: .*truncated"):
                chunks_of(data + data[:length], kind)


@pytest.mark.parametrize("kind", sorted(COMPRESS))
@pytest.mark.parametrize(
    "garbage", [b"\0", b"\0" * 512, b"\n", b"1 2:3\n", b"garbage", b"\x1f\x8c", b"BZx", b"(\xb5/\0"]
)
def test_trailing_garbage_is_refused(kind: Compression, garbage: bytes) -> None:
    with pytest.raises(BadDataError, match=r"^rows\.txt: .*(found other data behind|truncated)"):
        chunks_of(COMPRESS[kind](TEXT) + garbage, kind)


@pytest.mark.parametrize("kind", sorted(COMPRESS))
def test_a_file_that_is_not_compressed_is_named_as_such(kind: Compression) -> None:
    with pytest.raises(BadDataError, match=rf"^rows\.txt: expected {kind} data as the name says"):
        chunks_of(TEXT, kind)


@given(data=st.data(), kind=kinds)
def test_a_flipped_bit_never_gives_other_text(data: st.DataObject, kind: Compression) -> None:
    damaged = bytearray(COMPRESS[kind](TEXT))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        text = b"".join(chunks_of(bytes(damaged), kind))
    except BadDataError:
        return
    # Some bits mean nothing for the content, such as gzip's time stamp.
    assert text == TEXT


@given(data=st.binary(max_size=200), kind=kinds, begin=st.booleans())
def test_any_bytes_give_text_or_a_clean_error(data: bytes, kind: Compression, begin: bool) -> None:
    magic = {"gzip": b"\x1f\x8b\x08\0", "bzip2": b"BZh9", "zstd": b"\x28\xb5\x2f\xfd"}[kind]
    with contextlib.suppress(BadDataError):
        chunks_of(magic + data if begin else data, kind)


def test_a_wrong_checksum_is_refused() -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-8:-4] = (zlib.crc32(TEXT) ^ 1).to_bytes(4, "little")
    with pytest.raises(BadDataError, match="damage"):
        chunks_of(bytes(packed), "gzip")
    frame = bytearray(COMPRESS["zstd"](TEXT))
    frame[-1] ^= 1
    with pytest.raises(BadDataError, match="damage"):
        chunks_of(bytes(frame), "zstd")


def test_zstd_frames_of_every_kind() -> None:
    context = zstandard.ZstdCompressor
    unsized = context(write_content_size=False)
    streamed = context(level=19).compressobj()
    frames = [
        context(write_checksum=False).compress(TEXT),
        unsized.compress(TEXT),
        streamed.compress(TEXT) + streamed.flush(),
        context().compress(b""),
        context().compress(b"a" * 300_000 + b"\n"),
        context(level=1).compress(bytes(range(1, 10)) * 3 + b"\n"),
    ]
    skippable = (0x184D2A5A).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"hello"
    data = skippable + skippable.join(frames) + skippable
    expected = TEXT * 3 + b"a" * 300_000 + b"\n" + bytes(range(1, 10)) * 3 + b"\n"
    assert b"".join(chunks_of(data, "zstd")) == expected
    with pytest.raises(BadDataError, match="truncated"):
        chunks_of(data[:-1], "zstd")


@pytest.mark.parametrize("kind", sorted(COMPRESS))
def test_a_little_data_that_swells_is_read_in_bounded_memory(kind: Compression) -> None:
    bomb = COMPRESS[kind](b"\n" * (64 << 20))
    assert len(bomb) < 100_000
    stream = io.BytesIO(bomb)
    tracemalloc.start()
    try:
        total = sum(len(chunk) for chunk in open_chunks(stream, kind, name="rows.txt", chunk_bytes=1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 64 << 20
    assert peak < 16 << 20


def test_zstd_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(UsageError, match=r"pip install 'mr_ml\[zstd\]'"):
        chunks_of(COMPRESS["zstd"](TEXT), "zstd")


@pytest.mark.parametrize("kind", [*sorted(COMPRESS), "none"])
def test_empty_text(kind: Compression) -> None:
    if kind == "none":
        assert chunks_of(b"") == []
        return
    assert chunks_of(COMPRESS[kind](b""), kind) == []
    with pytest.raises(BadDataError, match="truncated"):
        chunks_of(b"", kind)


@given(
    lengths=st.lists(st.integers(0, 30), max_size=20),
    limit=st.integers(0, 30),
    chunk_bytes=st.integers(1, 100),
    step=st.integers(1, 50),
    ended=st.booleans(),
)
def test_lines_beyond_the_limit_are_refused(
    lengths: list[int], limit: int, chunk_bytes: int, step: int, ended: bool
) -> None:
    text = b"".join(b"x" * length + b"\n" for length in lengths)
    text = text if ended else text.removesuffix(b"\n")
    stream = trickle(text, step)
    options = {"chunk_bytes": chunk_bytes, "max_line_bytes": limit}
    if all(length <= limit for length in lengths):
        check_chunks(list(open_chunks(stream, "none", name="rows.txt", **options)), text)
        return
    first = next(i for i, length in enumerate(lengths) if length > limit)
    begins = sum(lengths[:first]) + first
    with pytest.raises(BadDataError, match=rf"line_too_long: expected lines of {limit} bytes .* at byte {begins} of"):
        list(open_chunks(stream, "none", name="rows.txt", **options))


def test_a_line_without_end_is_given_up_in_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            assert self.given <= 16 << 20
            return b"x" * size

    stream = Endless()
    with pytest.raises(BadDataError, match="line_too_long"):
        list(open_chunks(cast("BinaryIO", stream), "none", name="rows.txt", max_line_bytes=4 << 20))
    assert stream.given <= (4 << 20) + 2 * compressed.READ_BYTES


@given(text=texts, cuts=st.lists(st.integers(0, 300), max_size=6), read_bytes=st.integers(1, 40))
def test_ranges_that_tile_a_file_give_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, cuts: list[int], read_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("ranges") / "rows.txt"
    path.write_bytes(text)
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    line_starts = [0, *(i + 1 for i, byte in enumerate(text) if byte == ord("\n"))]
    lines = [text[a:b] for a, b in pairwise([*line_starts, len(text)])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mr_ml.readers.text.chunks._LOOK_AHEAD_BYTES", read_bytes)
        for start, stop in pairwise(bounds):
            chunks = list(read_range(path, start, stop, chunk_bytes=20))
            own = [line for at, line in zip(line_starts, lines, strict=True) if start <= at < stop]
            check_chunks(chunks, b"".join(own))
        joined = b"".join(chunk for start, stop in pairwise(bounds) for chunk in read_range(path, start, stop))
    assert joined == text


def stored(path: Path, start: int, stop: int, **options: int) -> list[bytes]:
    """The same, of the file in a store, by small requests."""
    with far_stores(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mr_ml.data.from_store.REQUEST_BYTES", 5)
        patch.setattr("mr_ml.readers.text.fetch._LOOK_AHEAD_BYTES", 2)
        text = StoredText(name=f"far://{path}", request_bytes=1, **options)
        return list(text.chunks(start, stop, "none"))


@pytest.mark.parametrize("text", [b"a\n\nbb\nccc", b"a\n\nbb\nccc\n", b"\n", b"one long line", b""])
def test_every_range_of_a_small_file(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(text)
    starts = [0, *(i + 1 for i, byte in enumerate(text) if byte == ord("\n"))]
    lines = {start: text[start:stop] for start, stop in pairwise([*starts, len(text)])}
    for start in range(len(text) + 2):
        for stop in range(start, len(text) + 3):
            own = b"".join(line for at, line in lines.items() if start <= at < stop)
            assert b"".join(read_range(path, start, stop)) == own
            chunks = stored(path, start, stop, chunk_bytes=4)
            check_chunks(chunks, own)


def test_a_range_within_one_line_reads_no_further_than_needed(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(b"a" * 100 + b"\n" + b"b" * 100)
    assert list(read_range(path, 10, 100)) == []
    assert list(read_range(path, 10, 101)) == []
    assert list(read_range(path, 10, 102)) == [b"b" * 100]
    assert list(read_range(path, 101, 102)) == [b"b" * 100]
    assert list(read_range(path, 0, 1)) == [b"a" * 100 + b"\n"]
    assert list(read_range(path, 0, 0)) == []
    assert list(read_range(path, 500, 600)) == []
    for read in (read_range, stored):
        with pytest.raises(BadDataError, match=r"rows\.txt: line_too_long: .* at byte 101 of"):
            list(read(path, 101, 102, max_line_bytes=99))
        assert list(read(path, 10, 101, max_line_bytes=9)) == []


def test_compression_is_told_by_the_suffix() -> None:
    names = ["a", "a.txt", "a.gz", "A.GZ", "a.csv.bz2", "a.zst", "a.zstd", "s3://b/k.libsvm.gz", "gz", "a.gz/part"]
    expected = ["none", "none", "gzip", "gzip", "bzip2", "zstd", "zstd", "gzip", "none", "none"]
    assert [compression_of(name) for name in names] == expected
    for name in ("a.xz", "a.ZIP", "a.lz4", "a.Z"):
        with pytest.raises(UsageError, match="decompress it first"):
            compression_of(name)
