"""Everything below the inputs is found once, or the end is an error that names what stands in the way."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from far_store import far_stores

from hdfs_layout.paths import PUBLISHING
from mr_ml.errors import BadDataError, StorageError, UsageError
from mr_ml.readers.text import source
from mr_ml.readers.text.find import find
from mr_ml.readers.text.local_tree import LOCAL_TREE
from mr_ml.readers.text.source import expand


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """in/a, in/deep/er/b, in/day -> ../other with other/c; in/.x, in/_y and in/_tmp/z are no data."""
    for name in ("in/a", "in/deep/er/b", "other/c", "in/.x", "in/_y", "in/_tmp/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"1 1:{len(name)} # {name}\n")
    (tmp_path / "in" / "day").symlink_to("../other")
    return tmp_path


def found(*inputs: object) -> list[str]:
    return [file.name for file in find([(LOCAL_TREE, str(given)) for given in inputs])]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in", ["in/a", "in/day/c", "in/deep/er/b"]),
        ("in/", ["in/a", "in/day/c", "in/deep/er/b"]),
        ("in/*", ["in/a", "in/day/c", "in/deep/er/b"]),
        ("in/**", ["in/a", "in/day/c", "in/deep/er/b"]),
        ("in/**/[bc]", ["in/day/c", "in/deep/er/b"]),
        ("**/b", ["in/deep/er/b"]),
        ("in/d*/", ["in/day/c", "in/deep/er/b"]),
        ("in/*/*/?", ["in/deep/er/b"]),
        ("in/_[!z]", ["in/_y"]),
        ("in/.x", ["in/.x"]),
        ("in/_tmp", ["in/_tmp/z"]),
        ("in/{d*,a}", ["in/a", "in/day/c", "in/deep/er/b"]),
        # what lies beside the folder that the link leads to, as whoever opens the name finds it
        ("in/day/../in/a", ["in/a"]),
    ],
)
def test_folders_links_and_globs(
    tree: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, expected: list[str]
) -> None:
    whole = [str(tree / name) for name in expected]
    assert found(f"{tree}/{pattern}") == whole
    if ".." not in pattern:
        with far_stores():
            assert [file.path for file in expand([f"far://{tree}/{pattern}"])] == [f"far://{name}" for name in whole]
    monkeypatch.chdir(tree)
    assert found(pattern) == whole
    assert found(f"./{pattern}") == whole


@pytest.mark.parametrize(
    ("make", "inputs", "says"),
    [
        (lambda t: (t / "in/deep/er/up").symlink_to("../.."), ["in"], ["in/deep/er/up", "leads back to", "/in,"]),
        (lambda t: (t / "in/deep/er/up").symlink_to("../.."), ["in/**/b"], ["up", "leads back to"]),
        (lambda t: (t / "in/self").symlink_to("."), ["in/**"], ["in/self", "leads back to"]),
        (lambda t: (t / "in/b").symlink_to("a"), ["in"], ["in/a and", "in/b are one file by two names"]),
        (lambda t: (t / "in/b").hardlink_to(t / "in/a"), ["in/*"], ["in/a and", "in/b are one file by two names"]),
        (lambda t: (t / "in/day2").symlink_to("../other"), ["in"], ["day/c and", "day2/c are one file"]),
        (lambda t: None, ["in", "other"], ["in/day/c and", "other/c are one file"]),
        (lambda t: None, ["in/a", "in/deep/../a"], ["in/a is named more than once"]),
        (lambda t: (t / "in/gone").symlink_to("nowhere"), ["in"], ["a symbolic link to nothing", "in/gone"]),
        (lambda t: os.mkfifo(t / "in/pipe"), ["in"], ["a named pipe", "in/pipe"]),
        (lambda t: (t / "in/zero").symlink_to("/dev/zero"), ["in"], ["a device", "in/zero"]),
        (lambda t: (t / "in/two\nlines").write_text("1\n"), ["in"], ["without line feeds", "two\\nlines"]),
        (lambda t: (t / "in/proc").symlink_to("/proc/self/limits"), ["in"], ["in/proc has content although"]),
        (lambda t: None, ["in/nothing*"], ["nothing that matches", "in/nothing*"]),
        (lambda t: None, ["in/a/b"], ["nothing that matches"]),
    ],
)
def test_what_stands_in_the_way_is_named(
    tree: Path, make: Callable[[Path], Any], inputs: list[str], says: list[str]
) -> None:
    make(tree)
    with pytest.raises(UsageError) as raised:
        found(*(f"{tree}/{name}" for name in inputs))
    assert all(text in str(raised.value) for text in says), raised.value


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (["far://{0}/in/a", "far://{0}/in/./a"], "in/a is named more than once"),
        (["far://{0}/in", "far://{0}/in/d*"], "in/day/c is named more than once"),
        # other schemes of one store
        (["far://{0}/in/a", "further://{0}/in/a"], "in/a are one file by two names"),
        (["far://{0}/in/nothing*"], "nothing that matches 'far://{0}/in/nothing"),
        (["far://{0}/in/a/b"], "nothing that matches"),
        (["far://{0}/in/a/"], "nothing that matches"),
        # whose folder was listed before
        (["far://{0}/in/d*", "far://{0}/in/a/"], "nothing that matches"),
        (["far://{0}/in/../in/a"], "expected an input whose path a store can have"),
        (["closer://{0}/in/a"], "expected files of this machine, or of "),
        (["far://{0}/in/{{a,b}}", "nothing"], "nothing that matches 'nothing'"),
    ],
)
def test_what_stands_in_the_way_in_a_store_is_named(
    tree: Path, inputs: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    with far_stores("far", "further"), pytest.raises(UsageError) as raised:
        expand([name.format(tree) for name in inputs])
    assert says.format(tree) in str(raised.value)


@pytest.mark.parametrize(
    ("published", "given"),
    [
        ("in/deep/er", "in"), ("in/deep/er", "in/deep/er"), ("in/deep/er", "in/deep/*/b*"),
        ("in/deep", "in/deep/er"), ("in/deep", "in/deep/er/b*"),
    ],
)  # fmt: skip
def test_a_folder_that_is_being_published_is_not_read(tree: Path, published: str, given: str) -> None:
    """Its first files would count as all; and so would those of a folder in it."""
    (tree / published / PUBLISHING).touch()
    with far_stores():
        with pytest.raises(UsageError, match=rf"expected a folder that is whole, found far://.*/{published}/\."):
            expand([f"far://{tree}/{given}"])
        assert len(expand([f"far://{tree}/in/a", f"far://{tree}/in/day"])) == 2


def test_a_socket_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "in")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises(UsageError, match=r"found a socket: .*/in/socket"):
            found(".")


@pytest.mark.parametrize("given", ["in", "in/*/*/*", "in/**/b", "in/**"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_folder_that_cannot_be_listed_is_an_error(
    tree: Path, monkeypatch: pytest.MonkeyPatch, code: int, given: str
) -> None:
    whole = os.scandir

    def scandir(folder: str) -> Any:
        if str(folder).endswith("in/deep/er"):
            raise OSError(code, os.strerror(code), folder)
        return whole(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StorageError, match=f"cannot read {tree}/in/deep/er: {os.strerror(code)}"):
        found(f"{tree}/{given}")


def test_what_cannot_be_looked_at_is_no_missing_file(tree: Path) -> None:
    (tree / "in" / "round").symlink_to("round")
    with pytest.raises(StorageError, match=r"cannot read .*in/round: Too many levels"):
        found(tree / "in")
    with pytest.raises(StorageError, match="in/round"):
        found(tree / "in" / "round" / "a")


def test_files_that_change_are_noticed(tree: Path) -> None:
    """In place, of the same size; replaced; gone. A file that is read and copied is at rest."""
    (file,) = expand([str(tree / "in" / "a")])
    source.check_rest([file])
    path = Path(file.path)
    before = path.read_bytes()
    path.write_bytes(before.replace(b"1 1", b"0 1"))
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))
    with pytest.raises(BadDataError, match=f"{path} changed while it was read"):
        source.check_rest([file])
    (file,) = expand([str(path)])
    status = os.stat(path)
    (tree / "copy").write_bytes(before)
    os.utime(tree / "copy", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tree / "copy").replace(path)
    with pytest.raises(BadDataError, match="changed while it was read"):
        source.check_rest([file])
    path.unlink()
    with pytest.raises(BadDataError, match="changed while it was read"):
        source.check_rest([file])
