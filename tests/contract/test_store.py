"""What every store does with files, names and folders. The stores are in conftest.py."""

from __future__ import annotations

import hashlib
import itertools
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hdfs_layout import Entry, NotFoundError, Store, check_store, open_store
from mr_ml.errors import BadDataError, StorageError

MEBIBYTE = 1 << 20
EVERY_BYTE = bytes(range(256))


# --- read and write ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", EVERY_BYTE, b"no newline at the end", b"a\r\nb\rc\n", EVERY_BYTE * (12 * 1024) + b"odd"],
    ids=["empty", "newline", "every byte", "no newline", "line ends", "3 MiB and 3 bytes"],
)
def test_a_file_reads_as_it_was_written(store: Store, content: bytes) -> None:
    store.write("folder/file", content)
    assert store.read("folder/file") == content
    assert store.size("folder/file") == len(content)
    with store.open_read("folder/file") as file:
        assert file.read() == content


@pytest.mark.parametrize(
    "chunks",
    [[], [b""], [b"", b"a", b"", b"bc", b""], [EVERY_BYTE] * 1000, [b"x" * 3 * MEBIBYTE, b"y"]],
    ids=["none", "one empty", "some empty", "many", "big and small"],
)
def test_a_file_can_be_written_in_chunks(store: Store, chunks: list[bytes]) -> None:
    store.write("a", chunks)
    store.write("b", (chunk for chunk in chunks))
    assert store.read("a") == store.read("b") == b"".join(chunks)


def test_write_replaces_the_whole_file(store: Store) -> None:
    store.write("file", b"a long first content")
    store.write("file", b"short")
    assert store.read("file") == b"short"
    assert store.list("") == ("file",)


class _SourceError(Exception):
    pass


@pytest.mark.parametrize("before", [0, 1, 5 * MEBIBYTE])
@pytest.mark.parametrize("old", [None, b"old content"])
def test_nothing_has_happened_when_the_source_of_the_data_fails(store: Store, before: int, old: bytes | None) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * before
        raise _SourceError

    if old is not None:
        store.write("folder/file", old)
    store.write("folder/other", b"")
    with pytest.raises(_SourceError):
        store.write("folder/file", chunks())
    assert store.exists("folder/file") is (old is not None)
    assert store.walk("") == (("folder/file", "folder/other") if old is not None else ("folder/other",))
    if old is not None:
        assert store.read("folder/file") == old


def test_an_os_error_of_the_source_stays_what_it_is(store: Store) -> None:
    def chunks() -> Iterator[bytes]:
        raise FileNotFoundError("the source's own file")
        yield b""

    with pytest.raises(FileNotFoundError, match="the source's own file"):
        store.write("file", chunks())


def test_read_range_is_a_slice(store: Store) -> None:
    content = EVERY_BYTE * 3
    store.write("file", content)
    edges = [0, 1, 255, 256, len(content) - 1, len(content), len(content) + 1, 2**40]
    for offset, length in itertools.product(edges, [*edges, 2**62]):
        assert store.read_range("file", offset=offset, length=length) == content[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1)])
def test_a_negative_range_is_refused(store: Store, offset: int, length: int) -> None:
    store.write("file", b"content")
    with pytest.raises(BadDataError, match=">= 0"):
        store.read_range("file", offset=offset, length=length)


def test_an_open_file_never_reads_as_a_mixture(store: Store) -> None:
    old, new = b"a" * 3 * MEBIBYTE, b"b" * 3 * MEBIBYTE
    store.write("file", old)
    with store.open_read("file") as file:
        read = file.read(10)
        store.write("file", new)
        try:
            read += file.read()
        except (OSError, StorageError):
            return
    assert read == old


@pytest.mark.parametrize("path", ["missing", "folder/missing", "missing/missing", "folder/file/missing"])
def test_what_is_missing_is_said_to_be_missing(store: Store, path: str) -> None:
    store.write("folder/file", b"")
    assert not store.exists(path)
    for call in (
        lambda: store.read(path),
        lambda: store.read_range(path, offset=0, length=1),
        lambda: store.open_read(path),
        lambda: store.size(path),
        lambda: store.checksum(path),
        lambda: store.list(path),
        lambda: store.entries(path),
        lambda: store.walk(path),
        lambda: store.publish(path, "target"),
        lambda: store.publish_tree(path, "target"),
    ):
        with pytest.raises(NotFoundError, match="missing"):
            call()
    store.remove(path)
    store.remove_tree(path)
    assert store.walk("") == ("folder/file",)


def test_a_folder_is_not_a_file(store_with_folders: Store) -> None:
    store = store_with_folders
    store.write("folder/file", b"content")
    store.write("staged", b"")
    for call in (
        lambda: store.read("folder"),
        lambda: store.read_range("folder", offset=0, length=1),
        lambda: store.open_read("folder"),
        lambda: store.size("folder"),
        lambda: store.checksum("folder"),
        lambda: store.write("folder", b""),
        lambda: store.write("folder", [b""]),
        lambda: store.write("folder/file/below", b""),
        lambda: store.make_folder("folder/file"),
        lambda: store.list("folder/file"),
        lambda: store.entries("folder/file"),
        lambda: store.publish("folder", "target"),
    ):
        with pytest.raises(StorageError):
            call()
    assert store.walk("") == ("folder/file", "staged")
    assert store.read("folder/file") == b"content"


# --- names ------------------------------------------------------------------------------------------------------------


def test_list_gives_the_direct_children_in_order(store: Store) -> None:
    for path in ("b/2", "b/10", "b/deep/er/file", "b/B", "ba/file", "a"):
        store.write(path, b"")
    assert store.list("b") == ("10", "2", "B", "deep")
    assert store.list("b/deep") == ("er",)
    assert store.list("") == ("a", "b", "ba")


def test_entries_are_what_list_names_with_kind_and_size(store: Store) -> None:
    for path, data in {"b/2": b"two", "b/10": b"", "b/deep/er/file": b"x", "b/.hidden": b"xx", "a": b"a"}.items():
        store.write(path, data)
    seen = [("10", False, 0), ("2", False, 3), ("deep", True, 0)]
    assert _without_times(store.entries("b")) == seen
    assert _without_times(store.entries("")) == [("a", False, 1), ("b", True, 0)]
    assert tuple(entry.name for entry in store.entries("b")) == store.list("b")
    assert _without_times(store.entries("b", hidden=True)) == [(".hidden", False, 2), *seen]


def _without_times(entries: tuple[Entry, ...]) -> list[tuple[str, bool, int]]:
    return [(entry.name, entry.is_folder, entry.size) for entry in entries]


def test_the_status_of_a_name_is_what_its_folder_says_of_it(store: Store) -> None:
    for path in ("b/file", "b/deep/er/file", "b/.hidden", "ab"):
        store.write(path, path.encode())
    for folder in ("", "b", "b/deep"):
        for entry in store.entries(folder, hidden=True):
            found = store.status(f"{folder}/{entry.name}".lstrip("/"))
            assert found is not None
            assert (found.name, found.is_folder) == (entry.name, entry.is_folder)
            assert entry.is_folder or found == entry
    root = store.status("")
    assert root is not None
    assert (root.name, root.is_folder) == ("", True)
    for path in ("a", "b/fil", "b/file/below", "c/file", "b/deep/e"):
        assert store.status(path) is None


def test_an_alias_reads_as_the_file_and_stays_with_it(store: Store) -> None:
    """Where there is one: it begins at the root of the file system."""
    store.write(".staged", b"content")
    (staged,) = store.entries("", hidden=True)
    if not staged.alias:
        return
    store.publish(".staged", "published,{1}.gz")
    (published,) = store.entries("")
    assert published.alias == staged.alias
    folder, _, name = published.alias.rpartition("/")
    assert open_store(folder).read(name) == b"content"
    assert "," not in name


def test_entries_say_when_files_were_written(store: Store) -> None:
    """All stores of the suite are on this machine, and so is their clock."""

    def modified(name: str) -> float:
        return next(entry.modified for entry in store.entries("", hidden=True) if entry.name == name)

    start = time.time()
    for name in ("first", ".staged", "first"):
        store.write(name, b"content")
    assert start - 1 < modified(".staged") <= modified("first") < time.time() + 1
    staged = modified(".staged")
    store.publish(".staged", "published")
    assert modified("published") >= staged


@pytest.mark.parametrize("content", [b"", EVERY_BYTE, b"x" * 3 * MEBIBYTE], ids=["empty", "small", "3 MiB"])
def test_a_checksum_is_that_of_the_content(store: Store, content: bytes) -> None:
    for name, data in {"a": content, "b/other": content, "c": content[:-1] + b"y"}.items():
        store.write(name, data)
    checksum = store.checksum("a")
    algorithm, _, digest = checksum.partition(":")
    assert algorithm
    assert int(digest, 16) >= 0
    assert store.checksum("b/other") == checksum != store.checksum("c")
    if store.local_path("a") is not None:
        assert checksum == f"sha256:{hashlib.sha256(content).hexdigest()}"
    store.write("a", content + b"1")
    assert store.checksum("a") != checksum


def test_walk_gives_all_files_in_the_order_of_their_paths(store: Store) -> None:
    paths = ("a/b/c", "a-b", "a/b-c", "a.b", "a/b/a", "ab/c", "a0")
    for path in paths:
        store.write(path, b"")
    assert store.walk("") == tuple(sorted(paths))
    assert store.walk("a") == ("a/b-c", "a/b/a", "a/b/c")
    assert store.walk("a/b") == ("a/b/a", "a/b/c")


def test_names_that_begin_with_a_dot_are_there_but_not_listed(store: Store) -> None:
    for path in ("folder/.staged-1", "folder/.hidden/file", "folder/seen"):
        store.write(path, path.encode())
    assert store.list("folder") == ("seen",)
    assert store.walk("") == ("folder/seen",)
    assert store.read("folder/.staged-1") == b"folder/.staged-1"
    assert store.exists("folder/.hidden/file")


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        " a",
        "a ",
        "ünï-çødé-名",
        "100%25",
        "a#b?c",
        "a+b&c=d;e",
        "~x",
        "$HOME",
        "*",
        "[x]{y}",
        "'q\"",
        "..a",
        "-rf",
    ],
)
def test_any_printable_name_works(store: Store, name: str) -> None:
    path = f"folder {name}/{name}"
    store.write(path, name.encode())
    assert store.read(path) == name.encode()
    assert store.list("") == (f"folder {name}",)
    assert store.walk("") == (() if name.startswith(".") else (path,))
    store.publish(path, f"{path}2")
    assert store.size(f"{path}2") == len(name.encode())
    store.remove(f"{path}2")
    assert not store.exists(f"{path}2")


HOSTILE_PATHS = [
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "/",
    "/etc/passwd",
    "//x",
    "a//b",
    "a/",
    ".",
    "./a",
    "a/./b",
    "a\0b",
    "a\nb",
]


@pytest.mark.parametrize("path", [*HOSTILE_PATHS, "\x1b[31m", "\ud800"])
def test_no_path_leads_out_of_the_root(store: Store, path: str) -> None:
    store.write("a/file", b"content")
    for call in (
        lambda: store.read(path),
        lambda: store.read_range(path, offset=0, length=1),
        lambda: store.open_read(path),
        lambda: store.write(path, b"x"),
        lambda: store.exists(path),
        lambda: store.size(path),
        lambda: store.checksum(path),
        lambda: store.list(path),
        lambda: store.entries(path, hidden=True),
        lambda: store.walk(path),
        lambda: store.make_folder(path),
        lambda: store.publish(path, "target"),
        lambda: store.publish("a/file", path),
        lambda: store.publish_tree(path, "target"),
        lambda: store.publish_tree("a/file", path),
        lambda: store.remove(path),
        lambda: store.remove_tree(path),
        lambda: store.local_path(path),
        lambda: store.uri(path),
    ):
        with pytest.raises(BadDataError, match="below the root"):
            call()
    assert store.walk("") == ("a/file",)


def test_addresses(store: Store) -> None:
    store.write("folder/file", b"content")
    assert store.uri("folder/file").endswith("/folder/file")
    assert store.uri("folder/file") != store.uri("folder/other")
    local = store.local_path("folder/file")
    assert local is None or Path(local).read_bytes() == b"content"


def test_a_store_opens_again_by_its_root_and_travels_to_other_processes(
    store: Store, other_process: Callable[..., Any]
) -> None:
    store.write("file", b"content")
    assert open_store(store.root).read("file") == b"content"
    assert pickle.loads(pickle.dumps(store)).read("file") == b"content"
    with other_process(
        "import sys, hdfs_layout as h; print(h.open_store(sys.argv[1]).read('file'))", store.root
    ) as process:
        assert process.communicate()[0] == "b'content'\n"


# --- folders and removal ----------------------------------------------------------------------------------------------


def test_make_folder_makes_those_above_and_harms_nothing(store: Store) -> None:
    store.make_folder("a/b/c")
    store.write("a/b/file", b"content")
    store.make_folder("a/b")
    store.make_folder("a/b/c")
    store.make_folder("")
    assert store.read("a/b/file") == b"content"
    assert store.walk("") == ("a/b/file",)


def test_a_folder_that_was_made_exists(store_with_folders: Store) -> None:
    store_with_folders.make_folder("a/b")
    assert store_with_folders.exists("a/b")
    assert store_with_folders.list("a/b") == ()
    assert store_with_folders.walk("a") == ()


def test_exists(store: Store) -> None:
    store.write("a/b/file", b"")
    assert store.exists("a/b/file")
    assert store.exists("a/b")
    assert store.exists("a")
    assert store.exists("")
    assert not store.exists("a/b/fil")
    assert not store.exists("a/c")


def test_remove_takes_one_file(store: Store) -> None:
    store.write("a/file", b"")
    store.write("a/file2", b"")
    store.remove("a/file")
    store.remove("a/file")
    assert store.list("a") == ("file2",)


def test_remove_never_takes_what_is_in_a_folder(store_with_folders: Store) -> None:
    store_with_folders.write("a/file", b"content")
    store_with_folders.make_folder("empty")
    for folder in ("a", "empty"):
        with pytest.raises(StorageError, match="folder"):
            store_with_folders.remove(folder)
    assert store_with_folders.read("a/file") == b"content"


def test_remove_tree_takes_all_below_and_nothing_beside(store: Store) -> None:
    for path in (
        "runs/1/spec",
        "runs/1/deep/er/file",
        "runs/1/.staged-x",
        "runs/10/spec",
        "runs/1-a",
        "runs/2/spec",
        "file",
    ):
        store.write(path, b"")
    store.remove_tree("runs/1")
    assert not store.exists("runs/1")
    assert not store.exists("runs/1/.staged-x")
    assert store.walk("") == ("file", "runs/1-a", "runs/10/spec", "runs/2/spec")
    store.remove_tree("runs/1")
    store.remove_tree("file")
    assert store.walk("") == ("runs/1-a", "runs/10/spec", "runs/2/spec")


def test_the_root_itself_is_not_removed_nor_written(store: Store) -> None:
    store.write("file", b"content")
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.remove(""),
        lambda: store.remove_tree(""),
        lambda: store.write("", b"x"),
        lambda: store.publish("file", ""),
        lambda: store.publish("", "target"),
        lambda: store.publish_tree("file", ""),
        lambda: store.publish_tree("", "target"),
    )
    for call in calls:
        with pytest.raises(BadDataError, match="root itself"):
            call()
    assert store.read("file") == b"content"


def test_check_store_passes_and_leaves_nothing(store: Store) -> None:
    store.write("file", b"content")
    check_store(store)
    assert store.walk("") == ("file",)
