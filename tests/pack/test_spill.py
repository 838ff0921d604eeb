"""Mini-blocks come back from the files between map and reduce tasks as they went in, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mr_ml.errors import InternalError, StorageError
from mr_ml.packing.spill import SpillFile, read_spilled


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tasks=st.lists(st.lists(st.binary(min_size=1)), max_size=3), data=st.data())
def test_what_tasks_write_comes_back(tmp_path: Path, tasks: list[list[bytes]], data: st.DataObject) -> None:
    pointers = []
    for miniblocks in tasks:
        with SpillFile(str(tmp_path)) as spill:
            pointers += [(spill.append(miniblock), miniblock) for miniblock in miniblocks]
    asked = data.draw(st.permutations(pointers))
    found = read_spilled((pointer for pointer, _ in asked), where="here")
    assert found == [miniblock for _, miniblock in asked]


@pytest.mark.parametrize("left", [None, 0, 7])
def test_a_file_that_is_gone_or_cut_short_is_found(tmp_path: Path, left: int | None) -> None:
    with SpillFile(str(tmp_path)) as spill:
        pointer = spill.append(b"12345678")
    (path,) = tmp_path.iterdir()
    path.unlink() if left is None else path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InternalError, match=rf"partition 3: what was written to {path} is not there any more; run"):
        read_spilled([pointer], where="the shuffle of partition 3")


def test_a_full_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr("mr_ml.packing.spill.uuid.uuid4", lambda: type("Id", (), {"hex": "full"}))
    (tmp_path / "spill-full").symlink_to("/dev/full")
    with (
        SpillFile(str(tmp_path)) as spill,
        pytest.raises(StorageError, match=r"rows to .*: No space left on device.*Free some space"),
    ):
        spill.append(b"1")
