"""A retraining beside other processes: one that removes things, and one that took over its lock."""

from __future__ import annotations

from pathlib import Path

import pytest
from daily import SETTINGS, Daily, day

import mr_ml
from hdfs_layout import open_root
from hdfs_layout.lock import hold
from hdfs_layout.lock_folder import LockFolder
from mr_ml.errors import LockedError, StorageError
from mr_ml.retraining import night, work


@pytest.fixture
def daily(tmp_path: Path) -> Daily:
    made = Daily(tmp_path)
    made.add(0, 6)
    made.configure(SETTINGS + "retention: {models: {versions: 1}, datasets: {versions: 1}}\n")
    return made


def test_while_another_process_removes_things_the_rest_is_done(daily: Daily) -> None:
    for number in (4, 5):
        daily.published(number)
    root = open_root(daily.root)
    with hold(root.store, root.layout.cleaning, what="clean"):
        done = daily.run(6)
    assert (done.code, done.result["candidate"], done.result["removed"]) == (0, "ctr@3", 0)
    assert "not everything that is old was removed: " in done.err
    assert "clean" in done.err
    assert daily.published(6)["repeated"] is True


def test_what_fails_since_the_lock_is_lost_is_no_failure(daily: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the lock now may have removed what this process reads."""
    root = open_root(daily.root)
    kernel_file = LockFolder(root.store, root.layout.lock("ctr")).kernel_file

    def reached(point: str) -> None:
        if point == "packed":
            root.store.remove(kernel_file)
            raise StorageError("found no such file")

    def tell(*told: object, **more: object) -> None:
        raise AssertionError("this is for the other process to tell")

    monkeypatch.setattr(work, "reached", reached)
    monkeypatch.setattr(night, "finish", tell)
    with pytest.raises(LockedError, match="removed") as raised:
        mr_ml.retrain(daily.settings, last=day(5))
    assert isinstance(raised.value.__context__, StorageError)
    assert "failed" not in "".join(path.read_text() for path in (daily.root / "retrains").rglob("v*.json"))
