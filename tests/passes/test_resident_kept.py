"""The blocks that a resident task holds: in memory up to a limit, the others on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import make_blocks, same_arrays
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data.block import Block, BlockAddress, StoredBlock, encode_line
from mr_ml.errors import BadDataError
from mr_ml.passes.resident.kept import KeptBlocks

RNG = np.random.default_rng(0)
BLOCKS = make_blocks(RNG.normal(size=(40, 3)), RNG.integers(0, 2, 40), form="stored", block_rows=5, partitions=2)
LINES = [encode_line(stored.block, stored.address) for stored in BLOCKS]
SIZE = BLOCKS[0].block.nbytes
PREPARED: dict[str, Callable[[Block], Block]] = {
    "": lambda block: block,
    "twice": lambda block: replace(block, labels=2 * block.labels),
    "minus": lambda block: replace(block, labels=-block.labels),
}


def same(one: Block, other: Block) -> bool:
    return same_arrays({"y": one.labels, "x": one.features.toarray(n_features=3)},
                       {"y": other.labels, "x": other.features.toarray(n_features=3)})  # fmt: skip


@examples(40)
@given(data=st.data(), budget=st.sampled_from([0, SIZE, 3 * SIZE + 1, 9 * SIZE, 100 * SIZE]))
def test_blocks_are_what_was_kept_and_memory_is_bounded(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, budget: int
) -> None:
    folder = tmp_path_factory.mktemp("spilled")
    kept, held = KeptBlocks(budget=budget, folder=folder), dict[BlockAddress, StoredBlock]()
    steps = data.draw(st.lists(st.tuples(st.sampled_from(["keep", "drop", *PREPARED]), st.integers(0, 7)), max_size=30))
    for what, number in steps:
        stored, address = BLOCKS[number], BLOCKS[number].address
        if what == "keep":
            kept.keep(LINES[number], address, where="here")
            held[address] = stored
        elif what == "drop":
            kept.drop((address.partition, address.index))
            held.pop(address, None)
        else:
            for one in held.values():
                at = one.address
                found = kept.blocks(at.partition, at.index, at.index + 1, reading=what, prepare=PREPARED[what])
                (got,) = found
                assert (got.address, got.crc) == (at, one.crc)
                assert same(got.block, PREPARED[what](one.block))
        assert kept.used <= budget
        assert len(kept) == len(held)
        assert kept.spilled == len(list(folder.iterdir()))
    for address in list(held):
        kept.drop((address.partition, address.index))
    assert (kept.used, len(kept), list(folder.iterdir())) == (0, 0, [])


def test_what_is_prepared_is_prepared_once_where_there_is_room(tmp_path: Path) -> None:
    kept, calls = KeptBlocks(budget=100 * SIZE, folder=tmp_path), []
    kept.keep(LINES[0], BLOCKS[0].address, where="here")

    def prepare(block: Block) -> Block:
        calls.append(block)
        return PREPARED["twice"](block)

    for reading, expected in (("a", 1), ("a", 1), ("b", 2), ("a", 3)):
        list(kept.blocks(0, 0, 1, reading=reading, prepare=prepare))
        assert len(calls) == expected


@pytest.mark.parametrize("budget", [0, 100 * SIZE])
def test_a_block_that_is_not_the_one_is_refused(tmp_path: Path, budget: int) -> None:
    kept = KeptBlocks(budget=budget, folder=tmp_path)
    flipped = bytearray(LINES[0])
    flipped[len(flipped) // 2] ^= 1
    for line in (bytes(flipped), LINES[1], LINES[0][:-2] + b"\n", b"\n"):
        with pytest.raises(BadDataError, match="here"):
            kept.keep(line, BLOCKS[0].address, where="here")
    assert (len(kept), kept.used) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_changed_on_disk_is_refused(tmp_path: Path) -> None:
    kept = KeptBlocks(budget=0, folder=tmp_path)
    kept.keep(LINES[0], BLOCKS[0].address, where="here")
    (file,) = tmp_path.iterdir()
    file.write_bytes(LINES[1])
    with pytest.raises(BadDataError, match="here"):
        list(kept.blocks(0, 0, 1, reading="", prepare=PREPARED[""]))
    with pytest.raises(KeyError):
        list(kept.blocks(0, 1, 2, reading="", prepare=PREPARED[""]))
