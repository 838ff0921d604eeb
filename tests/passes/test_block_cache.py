"""Decoded blocks stay in memory up to the budget, and are never served after their file changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from builders import make_block, write_partition
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data.block import Block, StoredBlock
from mr_ml.data.partition_file import BlockRange, PartitionFacts, packed_block
from mr_ml.errors import BadDataError
from mr_ml.passes.cache import BlockCache

# features as they are stored, in a byte each; labels in full
BLOCK_BYTES = 4 * 2 + 8 * 4


def some_blocks(*, start: float = 0.0, n: int = 6) -> list[Block]:
    return [make_block(np.full((4, 2), 2.0), np.full(4, start + k)) for k in range(n)]


def part_of(path: Path, facts: PartitionFacts, first: int = 0, last: int = 6) -> BlockRange:
    lines = facts.line_bytes
    return BlockRange(str(path), facts.partition, first, sum(lines[:first]), lines[first:last], facts.n_bytes)


class Counting(BlockCache):
    """A cache that tells what came out of it, and how many blocks had to be decoded for that."""

    def ask(
        self, asked: BlockRange, *, budget: int, monkeypatch: pytest.MonkeyPatch, dataset: str = "d"
    ) -> tuple[list[float], int]:
        decoded = []
        read = BlockRange.read

        def counting(self: BlockRange, *, skip: int = 0):  # type: ignore[no-untyped-def]
            for stored in read(self, skip=skip):
                decoded.append(stored)
                yield stored

        with monkeypatch.context() as patch:
            patch.setattr(BlockRange, "read", counting)
            labels = [float(s.block.labels[0]) for s in self.blocks(asked, dataset=dataset, budget=budget)]
        return labels, len(decoded)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part-00000"


def test_blocks_within_the_budget_are_decoded_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = write_partition(path, some_blocks())
    for fit in range(8):
        cache = Counting()
        asked, budget = part_of(path, facts), fit * BLOCK_BYTES + BLOCK_BYTES // 2
        assert cache.ask(asked, budget=budget, monkeypatch=monkeypatch) == ([0, 1, 2, 3, 4, 5], 6)
        for _ in range(3):
            assert cache.ask(asked, budget=budget, monkeypatch=monkeypatch) == ([0, 1, 2, 3, 4, 5], max(6 - fit, 0))


def test_no_budget_keeps_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = write_partition(path, some_blocks())
    cache = Counting()
    for _ in range(2):
        assert cache.ask(part_of(path, facts), budget=0, monkeypatch=monkeypatch) == ([0, 1, 2, 3, 4, 5], 6)


def test_several_ranges_and_files_share_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "part-00000", tmp_path / "part-00001"
    facts = [write_partition(one, some_blocks()), write_partition(other, some_blocks(start=10), partition=1)]
    cache = Counting()
    asks = [part_of(one, facts[0], 0, 2), part_of(other, facts[1], 3, 6), part_of(one, facts[0], 2, 6)]
    expected = [[0.0, 1.0], [13.0, 14.0, 15.0], [2.0, 3.0, 4.0, 5.0]]
    budget = 6 * BLOCK_BYTES
    assert [cache.ask(a, budget=budget, monkeypatch=monkeypatch) for a in asks] == list(
        zip(expected, (2, 3, 4), strict=True)
    )
    assert [cache.ask(a, budget=budget, monkeypatch=monkeypatch) for a in asks] == list(
        zip(expected, (0, 0, 3), strict=True)
    )


def test_another_dataset_empties_the_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = write_partition(path, some_blocks())
    cache = Counting()
    for dataset, decoded in (("a", 6), ("a", 0), ("b", 6), ("b", 0), ("a", 6)):
        found = cache.ask(part_of(path, facts), budget=1 << 20, monkeypatch=monkeypatch, dataset=dataset)
        assert found == ([0, 1, 2, 3, 4, 5], decoded)


def test_a_replaced_file_is_read_anew_and_kept_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = write_partition(path, some_blocks())
    cache = Counting()
    budget = 6 * BLOCK_BYTES
    cache.ask(part_of(path, facts), budget=budget, monkeypatch=monkeypatch)
    again = write_partition(path, some_blocks(start=20))
    # a file of the same size, and even of the same time: it is another file all the same
    assert again.n_bytes == facts.n_bytes
    assert cache.ask(part_of(path, again), budget=budget, monkeypatch=monkeypatch) == ([20, 21, 22, 23, 24, 25], 6)
    assert cache.ask(part_of(path, again), budget=budget, monkeypatch=monkeypatch) == ([20, 21, 22, 23, 24, 25], 0)


@pytest.mark.parametrize("change", ["missing", "shorter", "longer", "touched and damaged"])
def test_a_file_that_changed_is_noticed_although_its_blocks_are_known(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    facts = write_partition(path, some_blocks())
    cache = Counting()
    cache.ask(part_of(path, facts), budget=1 << 20, monkeypatch=monkeypatch)
    data = path.read_bytes()
    if change == "missing":
        path.unlink()
    elif change == "touched and damaged":
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        os.utime(path, ns=(1, 1))
    else:
        path.write_bytes(data[:-1] if change == "shorter" else data + b"\n")
    with pytest.raises(BadDataError, match="part-00000"):
        cache.ask(part_of(path, facts), budget=1 << 20, monkeypatch=monkeypatch)


def test_a_reader_that_stops_half_way_leaves_a_sound_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = write_partition(path, some_blocks())
    cache = Counting()
    started = cache.blocks(part_of(path, facts), dataset="d", budget=1 << 20)
    for _ in range(3):
        next(started)
    started.close()
    labels, decoded = cache.ask(part_of(path, facts), budget=1 << 20, monkeypatch=monkeypatch)
    assert labels == [0, 1, 2, 3, 4, 5]
    assert decoded <= 4


@given(
    asks=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 7), st.sampled_from("ab")), max_size=8)
)
def test_whatever_is_asked_comes_in_order(
    asks: list[tuple[int, int, int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "part-of-a-property-00000"
    facts = write_partition(path, some_blocks())
    cache = BlockCache()
    for one, other, budget, dataset in asks:
        first, last = sorted((one, other))
        found = cache.blocks(part_of(path, facts, first, last), dataset=dataset, budget=budget * BLOCK_BYTES)
        assert [s.block.labels[0] for s in found] == list(range(first, last))


def test_fed_lines_within_the_budget_are_decoded_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with other bytes at the same address are decoded anew."""
    decoded: list[bytes] = []

    def counting(line: bytes, *, where: str) -> StoredBlock:
        decoded.append(line)
        return packed_block(line, where=where)

    monkeypatch.setattr("mr_ml.passes.cache.packed_block", counting)

    def lines(start: float) -> list[bytes]:
        write_partition(path, some_blocks(start=start))
        return path.read_bytes().splitlines(keepends=True)

    first, other = lines(0), lines(10)
    for fit in range(8):
        cache = BlockCache()
        for asked, expected, n_anew in (
            (first, 0, 6), (first, 0, max(6 - fit, 0)), (other, 10, 6), (other, 10, max(6 - fit, 0)),
        ):  # fmt: skip
            decoded.clear()
            budget = fit * BLOCK_BYTES + BLOCK_BYTES // 2 if fit else 0
            found = [cache.block(line, dataset="d", budget=budget, prepare=lambda block: block) for line in asked]
            assert [stored.block.labels[0] for stored in found] == [expected + k for k in range(6)]
            assert len(decoded) == n_anew
