"""A file that is read at an address: what is read is what is there, and how much comes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
import resident_tasks
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from resident_tasks import Web

from hdfs_layout import Address
from mr_ml.data import fetched, over_http
from mr_ml.data.fetched import FetchedFile
from mr_ml.errors import NotFoundError, StorageError, UnavailableError

PART = 64
CONTENT = np.random.default_rng(5).bytes(50 * PART + 7)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with pytest.MonkeyPatch.context() as patch, resident_tasks.web() as server:
        patch.setattr(over_http, "_PAUSE_SECONDS", 0.0)
        patch.setattr(fetched, "PART_BYTES", PART)
        yield server


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(CONTENT)
    return path


def opened(web: Web, file: Path, *, size: int = len(CONTENT)) -> FetchedFile:
    address = Address(url=f"{web.address}{quote(str(file))}?", part_query="offset={offset}&length={length}")
    return FetchedFile("hdfs://nn/file", size, [address], folder=str(file.parent))


def asked(web: Web) -> list[tuple[int, int]]:
    """Offset and length of each range that was asked for, and forget them."""
    queries = [parse_qs(urlsplit(seen).query) for seen in web.seen]
    web.seen.clear()
    return [(int(query["offset"][0]), int(query["length"][0])) for query in queries]


@examples(40)
@given(reads=st.lists(st.tuples(st.integers(0, len(CONTENT) + 9), st.integers(0, 20 * PART)), max_size=12))
def test_any_reads_in_any_order(web: Web, file: Path, reads: list[tuple[int, int]]) -> None:
    """The bytes of the file, and none of them comes twice."""
    web.seen.clear()
    with opened(web, file) as stream:
        for offset, length in reads:
            stream.seek(offset)
            assert stream.read(length) == CONTENT[offset : offset + length]
            assert stream.tell() == offset + min(length, max(len(CONTENT) - offset, 0))
        ranges = asked(web)
        assert stream.n_fetched == sum(length for _, length in ranges)
    bytes_that_came = [k for offset, length in ranges for k in range(offset, offset + length)]
    assert len(bytes_that_came) == len(set(bytes_that_came))
    # whole parts of what was read
    parts = {k // PART for offset, length in reads for k in range(offset, min(offset + length, len(CONTENT)))}
    assert {k // PART for k in bytes_that_came} == parts


def test_what_lies_together_comes_together(web: Web, file: Path) -> None:
    web.seen.clear()
    with opened(web, file) as stream:
        stream.seek(3 * PART)
        stream.read(PART)
        stream.seek(0)
        stream.read(20 * PART)
    assert asked(web) == [(3 * PART, PART), (0, 3 * PART), (4 * PART, 8 * PART), (12 * PART, 8 * PART)]


def test_nothing_is_left(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    with opened(web, tmp_path / "file") as stream:
        assert stream.readall() == CONTENT
    assert os.listdir(tmp_path) == ["file"]


def test_what_goes_wrong_is_said_of_the_file(web: Web, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(web, file.with_name("gone")) as stream, pytest.raises(NotFoundError, match="hdfs://nn/file"):
        stream.read(1)
    with opened(web, file, size=len(CONTENT) + PART) as stream, pytest.raises(StorageError, match="hdfs://nn/file"):
        stream.readall()
    nobody = FetchedFile("hdfs://nn/file", 9, [Address(url="http://127.0.0.1:9/?")], folder=str(file.parent))
    with nobody, pytest.raises(UnavailableError, match="hdfs://nn/file could not be read from this node"):
        nobody.read(1)

    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(web, file) as stream:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(StorageError, match=f"cannot keep parts of the input in {file.parent}.*No space left"):
            stream.read(1)
