"""What holds for a local folder only: errors of the system, links, durability. The rest is in tests/contract."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from hdfs_layout import AlreadyExistsError, LocalStore, NotFoundError, check_store, publish_version
from mr_ml.errors import StorageError


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "root"))


def hidden(store: LocalStore) -> list[str]:
    """All that is on disk but not listed."""
    seen = set(store.walk(""))
    files = (path for path in Path(store.root).rglob("*") if path.is_file())
    return [str(path) for path in files if str(path.relative_to(store.root)) not in seen]


def run_child(code: str, *arguments: str, wrapper: tuple[str, ...] = ()) -> list[str]:
    """Run code in a process of its own and return the lines that it wrote."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    command = [*wrapper, sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# --- nothing stays behind ---------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_no_temporary_file(store: LocalStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 3_000_000
        raise RuntimeError("the source failed")

    with pytest.raises(RuntimeError, match="the source failed"):
        store.write("folder/file", chunks())
    store.make_folder("folder/taken")
    with pytest.raises(StorageError):
        store.write("folder/taken", b"")
    assert hidden(store) == []


def test_check_store_leaves_nothing(store: LocalStore) -> None:
    check_store(store)
    assert os.listdir(store.root) == []


@pytest.mark.parametrize("answer", ["overwrites", "does nothing"])
def test_check_store_refuses_a_store_that_does_not_refuse(store: LocalStore, answer: str) -> None:
    class Careless(LocalStore):
        def publish(self, staged: str, target: str) -> None:
            if answer == "overwrites" or not self.exists(target):
                os.replace(str(self.local_path(staged)), str(self.local_path(target)))

    with pytest.raises(StorageError, match="could lose a version"):
        check_store(Careless(store.root))
    assert os.listdir(store.root) == []


def test_many_may_remove_the_same_tree_at_once(store: LocalStore) -> None:
    for number in range(300):
        store.write(f"tree/{number % 7}/{number}", b"")
    barrier = threading.Barrier(8)

    def remove(_: int) -> None:
        barrier.wait()
        store.remove_tree("tree")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, range(8)))
    assert os.listdir(store.root) == []


# --- durability and modes ---------------------------------------------------------------------------------------------


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_return(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.make_folder("folder")
    calls: list[str] = []
    real_fsync, real_replace, real_link = os.fsync, os.replace, os.link

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        calls.append("sync folder" if stat.S_ISDIR(status.st_mode) else f"sync file of {status.st_size}")
        real_fsync(descriptor)

    def replace(source: str, target: str) -> None:
        calls.append("rename")
        real_replace(source, target)

    def link(source: str, target: str) -> None:
        calls.append("link")
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "link", link)
    store.write("folder/file", [b"1234", b"56"])
    assert calls == ["sync file of 6", "rename", "sync folder"]
    calls.clear()
    store.publish("folder/file", "folder/target")
    assert calls == ["link", "sync folder"]
    calls.clear()
    store.make_folder("a/b")
    assert calls == ["sync folder", "sync folder"]


def test_others_can_read_what_the_umask_lets_them(store: LocalStore) -> None:
    before = os.umask(0o027)
    try:
        store.write("folder/file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(f"{store.root}/folder/file").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(f"{store.root}/folder").st_mode) == 0o750


# --- links ------------------------------------------------------------------------------------------------------------


def test_links_are_followed_but_never_written_removed_through_or_published(store: LocalStore, tmp_path: Path) -> None:
    other = LocalStore(str(tmp_path / "other disk"))
    other.write("data/part-00000", b"content")
    store.make_folder("datasets/iris")
    os.symlink(f"{other.root}/data", f"{store.root}/datasets/iris/data")
    os.symlink(f"{other.root}/data/part-00000", f"{store.root}/file")

    assert store.read("datasets/iris/data/part-00000") == store.read("file") == b"content"
    assert store.walk("") == ("datasets/iris/data/part-00000", "file")
    with pytest.raises(StorageError):
        store.publish("file", "target")
    store.write("file", b"new")
    assert not os.path.islink(f"{store.root}/file")
    store.remove_tree("datasets/iris/data")
    os.symlink(f"{other.root}/data", f"{store.root}/datasets/iris/data")
    store.remove_tree("datasets")
    assert store.walk("") == ("file",)
    assert other.read("data/part-00000") == b"content"


def test_the_root_may_be_a_link(store: LocalStore, tmp_path: Path) -> None:
    store.write("file", b"content")
    os.symlink(store.root, tmp_path / "link")
    assert LocalStore(str(tmp_path / "link")).walk("") == ("file",)


def test_links_in_a_circle_are_an_error_not_an_endless_walk(store: LocalStore) -> None:
    store.make_folder("a/b")
    for name in ("c", "d"):
        os.symlink(f"{store.root}/a", f"{store.root}/a/b/{name}")
    with pytest.raises(StorageError, match="circle"):
        store.walk("")
    os.symlink("self", f"{store.root}/self")
    with pytest.raises(StorageError, match="circle"):
        store.read("self")


def test_a_file_reached_by_two_paths_is_not_lost_by_publishing_it_onto_itself(store: LocalStore) -> None:
    store.write("folder/file", b"content")
    os.symlink(f"{store.root}/folder", f"{store.root}/alias")
    with pytest.raises(AlreadyExistsError):
        store.publish("folder/file", "alias/file")
    assert store.read("folder/file") == b"content"


def test_a_link_whose_answer_was_lost_is_a_publish(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real_link = os.link

    def link_as_over_nfs(source: str, target: str) -> None:
        real_link(source, target)
        real_link(source, target)

    store.write("staged", b"content")
    monkeypatch.setattr(os, "link", link_as_over_nfs)
    store.publish("staged", "target")
    assert store.read("target") == b"content"
    assert not store.exists("staged")


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_is_refused(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError(code, os.strerror(code))

    store.write("staged", b"content")
    monkeypatch.setattr(os, "link", refuse)
    calls: tuple[Callable[[], object], ...] = (lambda: store.publish("staged", "target"), lambda: check_store(store))
    for publish in calls:
        with pytest.raises(StorageError, match=r"expected a file system with hard links.*Choose a `root` on"):
            publish()
    assert os.listdir(store.root) == ["staged"]


# --- errors of the operating system -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "found", "remedy"),
    [
        (errno.ENOSPC, "no space left on the device", "Free some space"),
        (errno.EDQUOT, "disk quota exceeded", "have the quota raised"),
        (errno.EACCES, "permission denied", "Ask its owner"),
        (errno.EROFS, "a read-only file system", "remounted"),
        (errno.EIO, "an input/output error", "system's log"),
        (errno.ESTALE, "a stale network mount", "mounted again"),
        (errno.EMFILE, "too many open files", "ulimit -n"),
        (errno.ENETDOWN, "Network is down", "system's log"),
    ],
)
def test_errors_of_the_system_say_what_to_do(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, code: int, found: str, remedy: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    store.make_folder("folder")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as failed:
        store.write("folder/file", b"")
    message = str(failed.value)
    assert message.startswith(f"could not write '{store.root}/folder/file': found {found} ({errno.errorcode[code]}).")
    assert remedy in message
    assert isinstance(failed.value.__cause__, OSError)
    assert os.listdir(f"{store.root}/folder") == []


def test_a_name_that_is_too_long(store: LocalStore) -> None:
    with pytest.raises(StorageError, match="ENAMETOOLONG"):
        store.write("a" * 300, b"")
    with pytest.raises(StorageError, match="ENAMETOOLONG"):
        store.exists("a" * 300)


FULL = """
import subprocess, sys
from hdfs_layout import open_store
from mr_ml.errors import StorageError
subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[2], "tmpfs", sys.argv[1]], check=True)
store = open_store(sys.argv[1])
store.write("folder/old", b"old content")
store.write("folder/staged", b"staged content")
if len(sys.argv) > 3:
    subprocess.run(["mount", "-o", sys.argv[3], sys.argv[1]], check=True)
def attempt(name, call):
    try:
        call()
        print(name, "worked")
    except StorageError as error:
        print(name, error)
attempt("new", lambda: store.write("folder/new", [b"x" * 50_000] * 100))
attempt("replace", lambda: store.write("folder/old", b"x" * 5_000_000))
attempt("publish", lambda: store.publish("folder/staged", "folder/target"))
attempt("remove", lambda: store.remove("folder/staged"))
print(store.walk(""), store.read("folder/old"))
import os
print(sorted(os.listdir(sys.argv[1] + "/folder")))
"""


def mount_namespace() -> tuple[str, ...]:
    """Command that runs another where it may mount what nobody else sees, and which is gone when it ends."""
    wrapper = ("unshare", "--map-root-user", "--mount")
    if not shutil.which("unshare") or not shutil.which("mount"):
        pytest.skip("needs unshare and mount to make a small file system")
    if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user and mount namespaces to make a small file system")
    return wrapper


def test_on_a_full_disk_writes_fail_cleanly_and_the_old_stays(tmp_path: Path) -> None:
    new, replace, publish, remove, left, files = run_child(FULL, str(tmp_path), "size=1m", wrapper=mount_namespace())
    for line, name in ((new, "new"), (replace, "old")):
        assert f"could not write '{tmp_path}/folder/{name}': found no space left on the device (ENOSPC)" in line
        assert "Free some space" in line
    assert publish == "publish worked"
    assert remove == "remove worked"
    assert left == "('folder/old', 'folder/target') b'old content'"
    assert files == "['old', 'target']"


def test_on_a_read_only_disk_writes_fail_cleanly_and_reads_work(tmp_path: Path) -> None:
    lines = run_child(FULL, str(tmp_path), "size=8m", "remount,ro", wrapper=mount_namespace())
    for line, name in zip(lines, ("new", "replace", "publish", "remove"), strict=False):
        assert line.startswith(f"{name} could not ")
        assert "found a read-only file system (EROFS)" in line
    assert lines[4:] == ["('folder/old', 'folder/staged') b'old content'", "['old', 'staged']"]


LIMITED = """
import resource, sys
from hdfs_layout import open_store
from mr_ml.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
store = open_store(sys.argv[1])
store.write("file", b"x" * 1_500_000)
for data in (b"y" * 1_500_001, [b"y" * 100] * 30_000):
    try:
        store.write("file", data)
    except StorageError as error:
        print(error)
"""


def test_a_file_size_limit_is_an_error_and_the_old_file_stays(store: LocalStore) -> None:
    lines = run_child(LIMITED, store.root)
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"could not write '{store.root}/file': found a file larger than allowed (EFBIG).")
        assert "ulimit -f" in line
    assert store.read("file") == b"x" * 1_500_000
    assert os.listdir(store.root) == ["file"]


FORBIDDEN = """
import os, sys
from hdfs_layout import open_store
from mr_ml.errors import StorageError
store = open_store(sys.argv[1])
store.exists("")  # all that it takes is loaded, also where nobody else may read that
if os.geteuid() == 0:  # who may do everything, so become somebody who may not
    os.setegid(65534)
    os.seteuid(65534)
for name in ("read", "size", "list", "walk", "exists", "remove", "remove_tree"):
    try:
        print(name, "worked", getattr(store, name)("folder/file"))
    except StorageError as error:
        print(type(error).__name__, error)
for call in (lambda: store.write("folder/new", b""), lambda: store.publish("folder/file", "folder/new")):
    try:
        print("worked", call())
    except StorageError as error:
        print(type(error).__name__, error)
"""


def test_not_being_allowed_is_an_error_and_not_an_absence(store: LocalStore) -> None:
    store.write("folder/file", b"content")
    os.chmod(f"{store.root}/folder", 0)
    try:
        lines = run_child(FORBIDDEN, store.root)
    finally:
        os.chmod(f"{store.root}/folder", 0o700)
    assert len(lines) == 9
    for line in lines:
        assert line.startswith("StorageError could not ")
        assert "found permission denied (EACCES). Ask its owner" in line
    assert store.read("folder/file") == b"content"


def test_too_many_open_files_is_a_storage_error(store: LocalStore) -> None:
    store.write("file", b"content")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    files: list[BinaryIO] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 20, before[1]))
    try:
        with pytest.raises(StorageError, match="EMFILE"):
            files.extend(store.open_read("file") for _ in range(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for file in files:
            file.close()


def test_a_missing_root_is_missing_until_the_first_write(store: LocalStore) -> None:
    assert not store.exists("")
    with pytest.raises(NotFoundError, match="Check the name and `root`"):
        store.list("")
    assert publish_version(store, "models/ctr", {}) == 1
    assert store.list("") == ("models",)


def test_a_folder_that_another_process_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    mkdir, removed = os.mkdir, list[str]()

    def late(path: str) -> None:
        if not removed:
            removed.append(path)
            os.rmdir(tmp_path / "a")
        mkdir(path)

    monkeypatch.setattr(os, "mkdir", late)
    LocalStore(str(tmp_path)).make_folder("a/b")
    assert removed
    assert (tmp_path / "a" / "b").is_dir()
