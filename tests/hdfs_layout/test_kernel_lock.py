"""What is particular to a lock on a local folder; tests/contract/test_lock.py has what every lock promises."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hdfs_layout import LocalStore
from hdfs_layout.errors import LockedError, StorageError
from hdfs_layout.lock import hold

PATH = "locks/ctr"

TAKE = """
import sys
from hdfs_layout import LocalStore
from hdfs_layout.errors import LockedError
from hdfs_layout.lock import hold
try:
    with hold(LocalStore(sys.argv[1]), "locks/ctr", what="another test") as lock:
        print(lock.number)
except LockedError as error:
    print(error)
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "root"))


def take_elsewhere(store: LocalStore) -> str:
    """Take the lock in another process for a moment: its number, or why not."""
    done = subprocess.run([sys.executable, "-c", TAKE, store.root], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_who_reads_the_file_may_lose_the_lock_and_gets_it_again(store: LocalStore) -> None:
    """Any descriptor of the file that this process closes unlocks it."""
    with hold(store, PATH, what="a test") as lock:
        assert "held for a test" in take_elsewhere(store)
        store.read(f"{PATH}/.lock")
        lock.check()
        assert "held for a test" in take_elsewhere(store)
        store.read(f"{PATH}/.lock")
        assert take_elsewhere(store) == "2"
        with pytest.raises(LockedError, match=r"was taken over \(another test by"):
            lock.check()


def test_a_file_that_was_removed_by_hand(store: LocalStore) -> None:
    with hold(store, PATH, what="a test") as lock:
        store.remove(f"{PATH}/.lock")
        with pytest.raises(LockedError, match="its file was removed"):
            lock.check()
        assert take_elsewhere(store) == "2"
    assert store.list(PATH) == ("released-000002", "v000002.json")
    with hold(store, PATH, what="a test") as lock:
        assert lock.number == 3


def test_the_note_of_a_killed_holder_is_not_taken_for_that_of_the_next(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between locking and writing the note."""
    code = TAKE.replace("print(lock.number)", "import os; os.kill(os.getpid(), 9)")
    assert subprocess.run([sys.executable, "-c", code, store.root], check=False).returncode == -9
    assert b"another test" in store.read(f"{PATH}/.lock")

    told = []
    write = os.pwrite

    def late(*arguments: Any) -> int:
        told.append(take_elsewhere(store))
        return write(*arguments)

    monkeypatch.setattr(os, "pwrite", late)
    with hold(store, PATH, what="a test") as lock:
        assert (lock.number, lock.taken_over) == (2, True)
    assert "at this moment" in told[0]


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (fcntl.lockf, errno.ENOLCK, "file system with locks"),
        (fcntl.lockf, errno.EOPNOTSUPP, "file system with locks"),
        (os.open, errno.EROFS, "read-only file system"),
        (os.open, errno.EACCES, "permission denied"),
        (os.pwrite, errno.ENOSPC, "no space left"),
        (os.pwrite, errno.EIO, "input/output error"),
    ],
)
def test_what_the_system_refuses(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, function: Any, error: int, words: str
) -> None:
    store.make_folder(PATH)

    real_open = os.open

    def refuse(*arguments: Any, **options: Any) -> Any:
        if function is os.open and not str(arguments[0]).endswith(".lock"):
            return real_open(*arguments, **options)
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[function.__module__.replace("posix", "os")], function.__name__, refuse)
        before = os.listdir("/proc/self/fd")
        with pytest.raises(StorageError, match=f"(?i){words}") as raised, hold(store, PATH, what="a test"):
            pytest.fail("taken")
        assert raised.value.exit_code == 74
        assert len(os.listdir("/proc/self/fd")) == len(before)
    with hold(store, PATH, what="a test") as lock:
        assert lock.number == 1


def test_a_failure_after_the_kernel_locked_frees_it(store: LocalStore) -> None:
    @dataclass(frozen=True)
    class Broken(LocalStore):
        def publish(self, staged: str, target: str) -> None:
            raise StorageError("out of order")

    for _ in range(2):
        with pytest.raises(StorageError, match="out of order"), hold(Broken(store.root), PATH, what="a test"):
            pytest.fail("taken")
        assert [entry.name for entry in store.entries(PATH, hidden=True)] == [".lock"]
    assert take_elsewhere(store) == "1"


def test_a_link_is_not_locked(store: LocalStore, tmp_path: Path) -> None:
    """Its note would be written to what it leads to."""
    (tmp_path / "precious").write_text("content")
    store.make_folder(PATH)
    (Path(store.root) / PATH / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError), hold(store, PATH, what="a test"):
        pytest.fail("taken")
    assert (tmp_path / "precious").read_text() == "content"
