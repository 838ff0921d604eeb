"""Text as Hadoop feeds it to a map task: compressed files whole, perhaps with a line feed that is not theirs."""

from __future__ import annotations

import bz2
import gzip
import io
import json

import pytest
import zstandard

from mr_ml.errors import BadDataError
from mr_ml.runners.hadoop.streamed_text import PACKED, PROPERTY, StreamedText

TEXT = b"".join(b"%d 1:%d\n" % (k % 2, k * k) for k in range(3000))
SKIPPABLE = b"\x53\x2a\x4d\x18\x03\x00\x00\x00abc"


def streamed(data: bytes, *, length: int | None = None, added: bytes = b"\n", header: str = "rows") -> StreamedText:
    """A task's text: the file, and what Hadoop adds."""
    environment = {
        "mapreduce_map_input_file": "hdfs://n/.reserved/.inodes/1",
        "mapreduce_map_input_start": "0",
        "mapreduce_map_input_length": str(len(data) if length is None else length),
        PROPERTY.replace(".", "_"): header,
        PACKED.replace(".", "_"): "true",
    }
    return StreamedText.of_task(io.BytesIO(data + added), environment)


@pytest.mark.parametrize("added", [b"", b"\n"])
@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
        bz2.compress(TEXT),
        zstandard.compress(TEXT),
        SKIPPABLE + zstandard.compress(TEXT),
        TEXT,
    ],
    ids=["gzip", "members", "bzip2", "zstd", "skippable", "plain"],
)
def test_the_text_comes_out_and_what_was_streamed_is_counted(data: bytes, added: bytes) -> None:
    text = streamed(data, added=added if data is not TEXT else b"")
    assert b"".join(text.chunks()) == TEXT
    assert json.loads(text.key()) == ["hdfs://n/.reserved/.inodes/1", 0, len(data) + (data is not TEXT and len(added))]


def test_plain_text_beside_compressed_files_gets_its_line_feed() -> None:
    text = streamed(TEXT[:-1])
    assert b"".join(text.chunks()) == TEXT
    assert json.loads(text.key())[2] == len(TEXT)


def test_text_may_begin_like_a_compressed_file() -> None:
    rows = b"BZh9,1\n2,3\n"
    assert b"".join(streamed(rows, added=b"", header="header").chunks()) == b"2,3\n"


def test_the_header_is_the_first_line_of_the_text() -> None:
    assert b"".join(streamed(gzip.compress(b"x,label\n1,0\n"), header="header").chunks()) == b"1,0\n"


@pytest.mark.parametrize("data", [gzip.compress(TEXT)[:-9], bz2.compress(TEXT)[:-9], zstandard.compress(TEXT)[:-9]])
def test_a_truncated_file_is_an_error(data: bytes) -> None:
    with pytest.raises(BadDataError, match="truncated"):
        list(streamed(data).chunks())


def test_what_follows_the_end_is_an_error() -> None:
    with pytest.raises(BadDataError, match="other data behind"):
        list(streamed(gzip.compress(TEXT) + b"\n").chunks())
