"""Rows come back from the files between map and reduce tasks as they went in, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import make_rows
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.errors import BadDataError, InternalError, StorageError
from mr_ml.pack.miniblock import arrange, joined, split_rows
from mr_ml.pack.plan import PackPlan, make_plan
from mr_ml.pack.spill import SpillFile, gather

numbers = st.sampled_from([0.0, 1.0, -2.5, 1e300])
row_contents = st.tuples(numbers, st.dictionaries(st.integers(0, 9), numbers, max_size=4), numbers, numbers)
chunks_of_rows = st.lists(st.lists(row_contents, max_size=9), max_size=4)


def plan_of(*, partitions: int = 3) -> PackPlan:
    return make_plan(n_rows=50, nnz=100, n_features=10, shares={"a": 0.7, "b": 0.3}, partitions=partitions, seed=5)


def spilled(folder: Path, chunks: list[Any], plan: PackPlan) -> dict[int, list[bytes]]:
    """Pointers to the mini-blocks of each partition, of two map tasks that share the chunks."""
    pointers: dict[int, list[bytes]] = {}
    for task in range(2):
        with SpillFile(str(folder)) as spill:
            for chunk in chunks[task::2]:
                for partition, pointer in spill.append(*arrange(make_rows(chunk), plan)):
                    pointers.setdefault(partition, []).append(pointer)
    return pointers


@given(chunks=chunks_of_rows, weighted=st.booleans(), offset=st.booleans())
def test_files_give_what_frames_give(
    tmp_path_factory: pytest.TempPathFactory, chunks: Any, weighted: bool, offset: bool
) -> None:
    chunks = [
        [(y, x, w if weighted else None, o if offset else None) for y, x, w, o in chunk] for chunk in chunks if chunk
    ]
    plan = plan_of()
    frames: dict[int, list[bytes]] = {}
    for chunk in [*chunks[::2], *chunks[1::2]]:
        for partition, data in split_rows(make_rows(chunk), plan):
            frames.setdefault(partition, []).append(data)
    pointers = spilled(tmp_path_factory.mktemp("spill"), chunks, plan)
    assert pointers.keys() == frames.keys()
    for partition, miniblocks in frames.items():
        ours = gather(pointers[partition], plan=plan, where="here").arrays()
        theirs = joined(miniblocks, where="here").arrays()
        assert {name: (a.dtype, a.tolist()) for name, a in ours.items()} == {
            name: (a.dtype, a.tolist()) for name, a in theirs.items()
        }


def one_partition(folder: Path) -> tuple[list[bytes], PackPlan]:
    plan = make_plan(n_rows=50, nnz=100, n_features=10, shares={"a": 1.0}, partitions=1)
    chunks = [[(1.0, {0: 2.0, 3: 1.5}, None, None), (0.0, {7: 0.25}, None, None)], [(1.0, {2: 4.0}, None, None)]]
    return spilled(folder, chunks, plan)[0], plan


def test_a_file_cut_short_is_found(tmp_path: Path) -> None:
    pointers, plan = one_partition(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InternalError, match=r"the shuffle of partition 0: .* is shorter than what was written"):
        gather(pointers, plan=plan, where="the shuffle of partition 0")


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    pointers, plan = one_partition(tmp_path)
    stored = json.loads(pointers[0])[1]
    path = Path(json.loads(pointers[0])[0])
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        if stored["counts"][0] <= at < stored["indices"][0]:
            # what belongs to which row changes, so that there may be no rows at all
            with pytest.raises((InternalError, ValueError, IndexError)):
                gather(pointers, plan=plan, where="here")
        else:
            with pytest.raises(InternalError, match="rows changed between the map and the reduce task"):
                gather(pointers, plan=plan, where="here")


def test_weights_of_some_rows_only_are_bad_data(tmp_path: Path) -> None:
    plan = make_plan(n_rows=50, nnz=100, n_features=10, shares={"a": 1.0}, partitions=1)
    chunks = [[(1.0, {0: 2.0}, 3.0, None)], [(1.0, {0: 2.0}, None, None)]]
    with pytest.raises(BadDataError, match="some input has weights or offsets and some has not"):
        gather(spilled(tmp_path, chunks, plan)[0], plan=plan, where="here")


def test_a_full_disk_is_a_storage_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    spill = SpillFile("/dev")
    spill._path = "/dev/full"
    with spill, pytest.raises(StorageError, match="No space left on device; free some space there"):
        list(spill.append(*arrange(make_rows([(1.0, {0: 2.0}, None, None)]), plan_of())))
