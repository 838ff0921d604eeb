"""Partition files: whole when visible, with books that hold them to every byte."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_block, write_partition

from mr_ml.data.block import Block, BlockAddress, decode_line, encode_line
from mr_ml.data.partition_file import BlockRange, PartitionFacts, PartitionShelf
from mr_ml.errors import BadDataError, StorageError

PARTITION = 4


def some_blocks(n: int = 5) -> list[Block]:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 3, size=(n, 3, 30)) * (rng.random((n, 3, 30)) < 0.2)
    return [make_block(x[k], rng.normal(size=3), form="sparse") for k in range(n)]


def whole_range(path: Path, facts: PartitionFacts) -> BlockRange:
    return BlockRange(str(path), facts.partition, 0, 0, facts.line_bytes, facts.n_bytes)


def labels_read(asked: BlockRange) -> list[list[float]]:
    asked.signature()
    return [stored.block.labels.tolist() for stored in asked.read()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part-00004"


def test_the_books_are_those_of_the_file(path: Path) -> None:
    blocks = some_blocks()
    facts = write_partition(path, blocks, partition=PARTITION)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    assert data == b"".join(encode_line(block, BlockAddress(PARTITION, k)) for k, block in enumerate(blocks))
    assert facts.line_bytes == tuple(map(len, lines))
    assert (facts.partition, facts.blocks, facts.n_bytes) == (PARTITION, 5, len(data))
    assert (facts.rows, facts.nnz) == (15, sum(block.features.nnz for block in blocks))
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    crcs = [decode_line(line, where="").crc for line in lines]
    assert facts.digest == sum((2 * k + 1) * crc for k, crc in enumerate(crcs)) % 2**64
    assert PartitionFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts
    assert facts.to_json()["bytes"] == len(data)


def test_blocks_are_handed_on_as_they_will_be_read(path: Path) -> None:
    with PartitionShelf() as shelf:
        written = [stored for stored, _ in shelf.write(str(path), some_blocks(), partition=PARTITION)]
    facts = write_partition(path, some_blocks(), partition=PARTITION)
    read = list(whole_range(path, facts).read())
    assert [s.address for s in read] == [s.address for s in written] == [BlockAddress(PARTITION, k) for k in range(5)]
    assert [s.crc for s in read] == [s.crc for s in written]
    assert [type(s.block.features) for s in read] == [type(s.block.features) for s in written]


def test_a_partition_without_rows_is_an_empty_file(path: Path) -> None:
    facts = write_partition(path, [], partition=PARTITION)
    assert path.read_bytes() == b""
    assert facts == PartitionFacts.of_nothing(PARTITION)
    assert facts.sha256 == hashlib.sha256(b"").hexdigest()
    assert labels_read(whole_range(path, facts)) == []


def test_nothing_is_visible_before_the_file_is_whole(path: Path) -> None:
    with PartitionShelf() as shelf:
        for _ in shelf.write(str(path), some_blocks(), partition=PARTITION):
            assert not path.exists()
    assert path.exists()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_nothing_is_left_of_a_writer_that_failed_or_gave_up(path: Path) -> None:
    def failing() -> Iterator[Block]:
        yield from some_blocks(2)
        raise RuntimeError("the disk of the source")

    with pytest.raises(RuntimeError, match="the disk of the source"), PartitionShelf() as shelf:
        list(shelf.write(str(path), failing(), partition=PARTITION))
    with PartitionShelf() as shelf:
        writer = shelf.write(str(path), some_blocks(), partition=PARTITION)
        next(writer)
        writer.close()
    assert list(path.parent.iterdir()) == []


def test_several_files_are_all_there_when_the_shelf_is_closed(path: Path) -> None:
    places = [path.with_name(f"part-{number:05}") for number in range(4)]
    with PartitionShelf() as shelf:
        for number, place in enumerate(places):
            list(shelf.write(str(place), some_blocks(), partition=number))
    assert sorted(path.parent.iterdir()) == places
    for number, place in enumerate(places):
        alone = place.with_suffix(".alone")
        write_partition(alone, some_blocks(), partition=number)
        assert place.read_bytes() == alone.read_bytes()


def test_a_second_attempt_replaces_the_first_by_the_same_bytes(path: Path) -> None:
    facts = write_partition(path, some_blocks(), partition=PARTITION)
    before = path.read_bytes()
    assert write_partition(path, some_blocks(), partition=PARTITION) == facts
    assert path.read_bytes() == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_fails_is_a_storage_error(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=rf"cannot write partition 4 to .*part-00004: {os.strerror(code)} "):
        write_partition(path, some_blocks(), partition=PARTITION)
    assert list(path.parent.iterdir()) == []


def test_a_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"):
        write_partition(tmp_path / "nowhere" / "part-00004", some_blocks(), partition=PARTITION)


def test_any_range_reads_its_blocks(path: Path) -> None:
    blocks = some_blocks()
    facts = write_partition(path, blocks, partition=PARTITION)
    for first in range(6):
        for last in range(first, 6):
            lines = facts.line_bytes
            asked = BlockRange(str(path), PARTITION, first, sum(lines[:first]), lines[first:last], facts.n_bytes)
            assert labels_read(asked) == [block.labels.tolist() for block in blocks[first:last]]
            assert BlockRange.from_json(json.loads(json.dumps(asked.to_json()))) == asked
            for skip in range(last - first + 1):
                assert [s.address.index for s in asked.read(skip=skip)] == list(range(first + skip, last))


def test_no_changed_byte_of_a_file_passes(path: Path) -> None:
    facts = write_partition(path, some_blocks(2), partition=PARTITION)
    with path.open("r+b", buffering=0) as file:
        for position, old in enumerate(file.read()):
            others = sorted({old ^ 1, old ^ 32, 10, 9, 61} - {old})
            file.seek(position)
            file.write(bytes([others[position % len(others)]]))
            with pytest.raises(BadDataError, match="part-00004"):
                labels_read(whole_range(path, facts))
            file.seek(position)
            file.write(bytes([old]))
    assert len(labels_read(whole_range(path, facts))) == 2


def damaged_files(good: bytes) -> dict[str, bytes]:
    lines = good.splitlines(keepends=True)
    return {
        "emptied": b"",
        "cut in a line": good[:-50],
        "without its last newline": good[:-1],
        "without its last line": b"".join(lines[:-1]),
        "without its first line": b"".join(lines[1:]),
        "twice": good + good,
        "last line twice": good + lines[-1],
        "first and last line exchanged": b"".join([lines[-1], *lines[1:-1], lines[0]]),
        "one line in another's place": b"".join([lines[1], *lines[1:]]),
        "a newline more": good + b"\n",
        "a newline before": b"\n" + good,
        "zeros at the end, as after a crash": good[:-64] + bytes(64),
        "all zeros": bytes(len(good)),
    }


@pytest.mark.parametrize("kind", damaged_files(b"a\nb\nc\n"))
def test_no_damaged_file_passes(path: Path, kind: str) -> None:
    facts = write_partition(path, some_blocks(3), partition=PARTITION)
    path.write_bytes(damaged_files(path.read_bytes())[kind])
    with pytest.raises(BadDataError, match="part-00004"):
        labels_read(whole_range(path, facts))


def test_another_partitions_file_is_refused(path: Path) -> None:
    facts = write_partition(path, some_blocks(3), partition=PARTITION)
    write_partition(path, some_blocks(3), partition=PARTITION + 1)
    with pytest.raises(BadDataError, match=r"part-00004.*expected partition 4, block 0 .*found partition 5, block 0"):
        labels_read(whole_range(path, facts))


def test_a_missing_file_is_bad_data_that_names_the_partition(path: Path) -> None:
    facts = write_partition(path, some_blocks(), partition=PARTITION)
    path.unlink()
    with pytest.raises(BadDataError, match=r"partition 4 is missing: expected .*part-00004; restore it or pack"):
        whole_range(path, facts).signature()


def test_a_file_of_another_size_is_bad_data_that_names_the_partition(path: Path) -> None:
    facts = write_partition(path, some_blocks(), partition=PARTITION)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(
        BadDataError, match=rf"partition 4 changed .*expected {facts.n_bytes} bytes, found {facts.n_bytes + 1}"
    ):
        whole_range(path, facts).signature()


def test_the_signature_changes_with_the_file(path: Path) -> None:
    facts = write_partition(path, some_blocks(), partition=PARTITION)
    asked = whole_range(path, facts)
    before = asked.signature()
    assert asked.signature() == before
    os.utime(path, ns=(1, 1))
    assert asked.signature() != before
    copy: Any = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(1, 1))
    copy.replace(path)
    assert asked.signature()[1:] == (facts.n_bytes, 1)
    assert asked.signature()[0] != before[0]
