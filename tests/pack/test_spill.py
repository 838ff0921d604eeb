"""Rows come back from the files between map and reduce tasks as they went in, or not at all."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mr_ml.data import kernels
from mr_ml.errors import BadDataError, InternalError, StorageError
from mr_ml.pack.miniblock import Columns, joined, split_rows
from mr_ml.pack.plan import PackPlan, make_plan
from mr_ml.pack.spill import KeptFile, SpillFile, SpillReader
from mr_ml.readers.rows import NarrowRows, Rows

numbers = st.sampled_from([0.0, 1.0, -2.5, 1e300])
row_contents = st.tuples(numbers, st.dictionaries(st.integers(0, 9), numbers, max_size=4), numbers, numbers)
chunks_of_rows = st.lists(st.lists(row_contents, max_size=9), max_size=4)


def plan_of(*, partitions: int = 3) -> PackPlan:
    return make_plan(n_rows=50, nnz=100, n_features=10, shares={"a": 0.7, "b": 0.3}, partitions=partitions, seed=5)


def spilled(folder: Path, chunks: list[Any], plan: PackPlan, *, together: bool) -> dict[int, list[bytes]]:
    """Pointers to the rows of each partition, of two map tasks that share the chunks."""
    pointers: dict[int, list[bytes]] = {}
    for task in range(2):
        with SpillFile(str(folder), together=together) as spill:
            for chunk in chunks[task::2]:
                for partition, pointer in spill.append(make_rows(chunk), plan):
                    pointers.setdefault(partition, []).append(pointer)
    return pointers


def taken(pointers: list[bytes], plan: PackPlan, where: str = "here") -> tuple[Rows, Any]:
    """All rows of a partition, and their order hashes."""
    reader = SpillReader()
    found = reader.rows(pointers, plan=plan, where=where)
    reader.close()
    return found.take(np.arange(len(found.order))), found.order


@pytest.fixture(params=["compiled", "plain"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(kernels, "native", None)
    elif not kernels.installed():
        pytest.skip("mr_ml was installed without its compiled loops")


@pytest.mark.usefixtures("kernel")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=chunks_of_rows, weighted=st.booleans(), offset=st.booleans(), together=st.booleans())
def test_files_give_what_frames_give(
    tmp_path_factory: pytest.TempPathFactory, chunks: Any, weighted: bool, offset: bool, together: bool
) -> None:
    chunks = [
        [(y, x, w if weighted else None, o if offset else None) for y, x, w, o in chunk] for chunk in chunks if chunk
    ]
    plan = plan_of()
    frames: dict[int, list[bytes]] = {}
    for chunk in [*chunks[::2], *chunks[1::2]]:
        for partition, data in split_rows(make_rows(chunk), plan):
            frames.setdefault(partition, []).append(data)
    pointers = spilled(tmp_path_factory.mktemp("spill"), chunks, plan, together=together)
    assert pointers.keys() == frames.keys()
    for partition, miniblocks in frames.items():
        ours = Columns(*taken(pointers[partition], plan)).arrays()
        theirs = joined(miniblocks, where="here").arrays()
        assert {name: (a.dtype, a.tolist()) for name, a in ours.items()} == {
            name: (a.dtype, a.tolist()) for name, a in theirs.items()
        }


ENTRIES = {
    "tenths": [0.1, -0.2, 12.5],
    "bytes": [1.0, -3.0, 100.0],
    "two bytes": [1000.0, 0.0, -2.0],
    "floats": [0.5**20, 2.0**100, 1.0],
    "doubles": [1e-300, 0.1, 3.0],
}


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("most", [10, 70_000])
@pytest.mark.parametrize("kind", ENTRIES)
def test_every_kind_of_number_comes_back(tmp_path: Path, kind: str, most: int, together: bool) -> None:
    plan = make_plan(n_rows=50, nnz=100, n_features=most + 1, shares={"a": 1.0}, partitions=1)
    rows = [(1.0, {0: v, 3: 1.0, most: 0.0 - v}, None, None) for v in ENTRIES[kind]]
    found, _ = taken(spilled(tmp_path, [rows, rows[::-1]], plan, together=together)[0], plan)
    expected = make_rows([*rows, *rows[::-1]])
    for name in ("labels", "indptr", "indices", "values"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name


def one_partition(folder: Path, *, together: bool, dense: bool = False) -> tuple[list[bytes], PackPlan]:
    plan = make_plan(n_rows=50, nnz=100, n_features=10, shares={"a": 1.0}, partitions=1)
    chunks = [[(1.0, {0: 2.0, 3: 1.5}, None, None), (0.0, {7: 0.25}, None, None)], [(1.0, {2: 4.0}, None, None)]]
    if dense:
        chunks = [[(1.0, {0: k, 3: 1.5}, None, None) for k in range(4)]]
    return spilled(folder, chunks, plan, together=together)[0], plan


@pytest.mark.parametrize("together", [True, False])
def test_a_file_cut_short_is_found(tmp_path: Path, together: bool) -> None:
    pointers, plan = one_partition(tmp_path, together=together)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InternalError, match=r"partition 0: what was written to .* is not there any more"):
        taken(pointers, plan, where="the shuffle of partition 0")


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("together", [True, False])
def test_ids_that_all_rows_have_are_written_once(tmp_path: Path, together: bool) -> None:
    plan = plan_of()
    chunks = [[(float(k), {1: k / 8, 4: 0.0, 9: -1.0}, None, None) for k in range(40)]]
    pointers = spilled(tmp_path, chunks, plan, together=together)
    assert {json.loads(pointer)[3]["indices"][1] for found in pointers.values() for pointer in found} == {3}
    rows: dict[int, Any] = {}
    for found in pointers.values():
        taken_rows, _ = taken(found, plan)
        assert taken_rows.indices.tolist() == [1, 4, 9] * taken_rows.n_rows
        rows.update(zip(taken_rows.labels.tolist(), taken_rows.values.reshape(-1, 3).tolist(), strict=True))
    assert rows == {float(k): [k / 8, 0.0, -1.0] for k in range(40)}


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_every_changed_byte_is_found(tmp_path: Path, together: bool, dense: bool) -> None:
    pointers, plan = one_partition(tmp_path, together=together, dense=dense)
    name, by_row, _, by_entry, *_ = json.loads(pointers[0])
    path, stored = Path(name), {**by_row, **by_entry}
    whole = path.read_bytes()
    # between columns nothing is read
    read = [
        at for offset, n, dtype, _ in stored.values() for at in range(offset, offset + n * np.dtype(dtype).itemsize)
    ]
    assert len(whole) - 8 * len(stored) < len(read) <= len(whole)
    for at in read:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InternalError, match=r"rows changed between|is not there any more"):
            taken(pointers, plan)


def kept(folder: Path, rows: Rows) -> NarrowRows:
    """Rows whose features lie in a file."""
    with KeptFile(str(folder)) as file:
        # where a file begins is nothing special
        file.put(NarrowRows.of(make_rows([(1.0, {5: 1.0, 7: 2.0}, None, None)])))
        return file.put(NarrowRows.of(rows))


def spilled_beside(folder: Path, found: NarrowRows, plan: PackPlan, *, together: bool) -> dict[int, list[bytes]]:
    with SpillFile(str(folder), together=together) as spill:
        return {partition: [pointer] for partition, pointer in spill.append(found.wide(), plan, where=found.where)}


@pytest.mark.usefixtures("kernel")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(row_contents, min_size=1, max_size=9), together=st.booleans())
def test_features_that_were_kept_are_read_where_they_lie(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, together: bool
) -> None:
    rows, plan = make_rows([(y, x, w, None) for y, x, w, _ in rows]), plan_of()
    folder = tmp_path_factory.mktemp("kept")
    found = kept(folder, rows)
    assert (found.where is not None) == (len(rows.indices) > 0)
    size = sum(path.stat().st_size for path in folder.iterdir())
    beside = spilled_beside(folder, found, plan, together=together)
    again = spilled_beside(folder, NarrowRows.of(rows), plan, together=together)
    assert beside.keys() == again.keys()
    for partition in beside:
        ours, theirs = (Columns(*taken(pointers[partition], plan)).arrays() for pointers in (beside, again))
        assert {name: a.tobytes() for name, a in ours.items()} == {name: a.tobytes() for name, a in theirs.items()}
    assert found.nbytes == NarrowRows.of(rows).nbytes
    assert size % mmap.ALLOCATIONGRANULARITY == 0


@pytest.mark.usefixtures("kernel")
def test_changes_of_what_was_kept_are_found(tmp_path: Path) -> None:
    plan = make_plan(n_rows=50, nnz=100, n_features=10, shares={"a": 1.0}, partitions=1)
    found = kept(tmp_path, make_rows([(1.0, {0: 2.0, 3: 1.5}, None, None), (0.0, {7: 0.25}, None, None)]))
    pointers = spilled_beside(tmp_path, found, plan, together=False)[0]
    name, stored = found.where
    path = Path(name)
    whole = path.read_bytes()
    for offset, n, dtype, _ in stored.values():
        for at in range(offset, offset + n * np.dtype(dtype).itemsize):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(InternalError, match="rows changed between"):
                taken(pointers, plan)
    path.write_bytes(whole)
    taken(pointers, plan)
    path.unlink()
    with pytest.raises(InternalError, match="is not there any more"):
        taken(pointers, plan)


def test_room_is_given_back(tmp_path: Path) -> None:
    with KeptFile(str(tmp_path)) as file:
        file.put(NarrowRows.of(make_rows([(1.0, {0: 2.0}, None, None)])))
        file.drop()
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_what_cannot_be_kept_in_a_file_stays_in_memory() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    rows = NarrowRows.of(make_rows([(1.0, {0: 2.0}, None, None)]))
    file = KeptFile("/dev")
    file.path = "/dev/full"
    with file:
        assert file.put(rows) is rows


def test_weights_of_some_rows_only_are_bad_data(tmp_path: Path) -> None:
    plan = make_plan(n_rows=50, nnz=100, n_features=10, shares={"a": 1.0}, partitions=1)
    chunks = [[(1.0, {0: 2.0}, 3.0, None)], [(1.0, {0: 2.0}, None, None)]]
    with pytest.raises(BadDataError, match="some input has weights or offsets and some has not"):
        taken(spilled(tmp_path, chunks, plan, together=False)[0], plan)


def test_a_full_disk_is_a_storage_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    spill = SpillFile("/dev", together=True)
    spill.path = "/dev/full"
    with (
        spill,
        pytest.raises(StorageError, match=r"rows to /dev/full: No space left on device.*Free some space"),
    ):
        list(spill.append(make_rows([(1.0, {0: 2.0}, None, None)]), plan_of()))
