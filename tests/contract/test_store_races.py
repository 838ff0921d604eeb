"""What every store promises when several write and publish at once, or are killed. The stores are in conftest.py."""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from store_kinds import Kind

from hdfs_layout import AlreadyExistsError, Store

MEBIBYTE = 1 << 20


# --- publish ----------------------------------------------------------------------------------------------------------


def test_publish_gives_the_staged_file_its_name(store: Store) -> None:
    store.write("folder/.staged", b"content")
    store.publish("folder/.staged", "folder/v000001.json")
    assert store.read("folder/v000001.json") == b"content"
    assert not store.exists("folder/.staged")


def test_publish_never_overwrites(store: Store) -> None:
    store.write("folder/target", b"first")
    store.write("folder/.staged", b"second")
    with pytest.raises(AlreadyExistsError, match="target"):
        store.publish("folder/.staged", "folder/target")
    assert store.read("folder/target") == b"first"
    assert store.read("folder/.staged") == b"second"
    store.publish("folder/.staged", "folder/other")
    assert store.read("folder/other") == b"second"


def test_publish_of_a_file_onto_itself_does_not_lose_it(store: Store) -> None:
    store.write("folder/file", b"content")
    with pytest.raises(AlreadyExistsError):
        store.publish("folder/file", "folder/file")
    assert store.read("folder/file") == b"content"


def test_publish_does_not_move_into_a_folder_of_that_name(store_with_folders: Store) -> None:
    store = store_with_folders
    store.write("folder/target/file", b"")
    store.make_folder("folder/empty")
    store.write("folder/.staged", b"content")
    for target in ("folder/target", "folder/empty"):
        with pytest.raises(AlreadyExistsError):
            store.publish("folder/.staged", target)
    assert store.walk("folder") == ("folder/target/file",)
    assert store.read("folder/.staged") == b"content"


@pytest.mark.parametrize("name", ["", "/deep/er"])
def test_publish_tree_gives_what_is_staged_its_name(store: Store, name: str) -> None:
    """A folder or a file; what has the name already stays as it is, and so does what was staged."""
    for target in ("folder/target", "folder/target/of/another"):
        store.remove_tree("folder")
        store.write(f"folder/.staged{name}", b"ours")
        store.write(target, b"theirs")
        with pytest.raises(AlreadyExistsError, match="target"):
            store.publish_tree("folder/.staged", "folder/target")
        assert store.walk("folder") == (target,)
        assert (store.read(target), store.read(f"folder/.staged{name}")) == (b"theirs", b"ours")
    store.publish_tree("folder/.staged", "folder/new")
    assert store.read(f"folder/new{name}") == b"ours"
    assert not store.exists("folder/.staged")


def test_publish_tree_does_not_replace_an_empty_folder(store_with_folders: Store) -> None:
    store_with_folders.make_folder("target")
    store_with_folders.write(".staged/file", b"")
    with pytest.raises(AlreadyExistsError):
        store_with_folders.publish_tree(".staged", "target")
    assert store_with_folders.list("target") == ()


def test_of_threads_that_publish_trees_at_once_one_wins(store: Store) -> None:
    barrier = threading.Barrier(8)

    def publish(publisher: int) -> bool:
        store.write(f".staged-{publisher}/file", b"%d" % publisher)
        barrier.wait()
        try:
            store.publish_tree(f".staged-{publisher}", "target")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(publish, range(8)))
    assert sum(won) == 1
    assert store.read("target/file") == b"%d" % won.index(True)
    assert store.walk("") == ("target/file",)


def test_what_was_published_can_be_published_again_after_its_removal(store: Store) -> None:
    for content in (b"first", b"second"):
        store.write("staged", content)
        store.publish("staged", "target")
        assert store.read("target") == content
        store.remove("target")


TARGETS = 60


def _publish_everywhere(store: Store, publisher: int, targets: int) -> list[int]:
    """Try to publish to every target in turn, and return those won.

    Whoever wins has more to do than who loses, so the losers catch up and all stay close together.
    """
    won = []
    staged = f"folder/.staged-{publisher}"
    for target in range(targets):
        try:
            store.publish(staged, f"folder/target-{target}")
        except AlreadyExistsError:
            continue
        won.append(target)
        store.write(staged, b"by %d" % publisher)
    return won


def _assert_one_winner_each(store: Store, won: list[list[int]], targets: int) -> None:
    assert sorted(target for one in won for target in one) == list(range(targets))
    for publisher, one in enumerate(won):
        assert store.read(f"folder/.staged-{publisher}") == b"by %d" % publisher
        for target in one:
            assert store.read(f"folder/target-{target}") == b"by %d" % publisher


@pytest.mark.parametrize("publishers", [16, 50])
def test_of_threads_that_publish_at_once_one_wins(store_kind: Kind, store: Store, publishers: int) -> None:
    barrier = threading.Barrier(publishers)
    targets = store_kind.of(TARGETS, at_least=1)

    def publish(publisher: int) -> list[int]:
        store.write(f"folder/.staged-{publisher}", b"by %d" % publisher)
        barrier.wait()
        return _publish_everywhere(store, publisher, targets)

    with ThreadPoolExecutor(publishers) as pool:
        won = list(pool.map(publish, range(publishers)))
    _assert_one_winner_each(store, won, targets)


PUBLISHER = f"""
import sys
from hdfs_layout import AlreadyExistsError, Store, open_store
{inspect.getsource(_publish_everywhere)}
store, publisher, targets = open_store(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store.write(f"folder/.staged-{{publisher}}", b"by %d" % publisher)
print("ready", flush=True)
sys.stdin.readline()
print(*_publish_everywhere(store, publisher, targets), flush=True)
"""


def test_of_processes_that_publish_at_once_one_wins(
    store_kind: Kind, store: Store, other_process: Callable[..., Any]
) -> None:
    targets, publishers = store_kind.of(TARGETS, at_least=1), range(store_kind.of(16, at_least=4))
    processes = [other_process(PUBLISHER, store.root, str(publisher), str(targets)) for publisher in publishers]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [[int(target) for target in process.communicate()[0].split()] for process in processes]
    _assert_one_winner_each(store, won, targets)


# --- visible means whole ----------------------------------------------------------------------------------------------


def test_readers_see_one_of_the_writers_files_whole(store: Store) -> None:
    contents = {bytes([65 + writer]) * (MEBIBYTE + writer) for writer in range(4)}
    store.write("file", min(contents))
    done = threading.Event()

    def read() -> int:
        torn = 0
        while not done.is_set():
            torn += store.read("file") not in contents
            torn += store.list("") != ("file",)
        return torn

    def write(content: bytes) -> None:
        for _ in range(15):
            store.write("file", [content[: MEBIBYTE // 2], content[MEBIBYTE // 2 :]])

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(write, content) for content in contents]
        try:
            for writer in writers:
                writer.result()
        finally:
            done.set()
        assert [reader.result() for reader in readers] == [0, 0]
    assert store.read("file") in contents


WRITER = """
import sys
from hdfs_layout import open_store
def chunks():
    for number in range(3):
        print("before", number, flush=True)
        sys.stdin.readline()
        yield b"%d" % number * 2_000_000
    print("before 3", flush=True)
    sys.stdin.readline()
open_store(sys.argv[1]).write("folder/file", chunks())
print("written", flush=True)
"""


@pytest.mark.parametrize("killed_before", [0, 1, 2, 3])
@pytest.mark.parametrize("old", [None, b"old content"], ids=["new file", "replacing"])
def test_a_writer_killed_in_the_middle_leaves_nothing_half(
    store: Store, other_process: Callable[..., Any], killed_before: int, old: bytes | None
) -> None:
    store.write("folder/beside", b"beside")
    if old is not None:
        store.write("folder/file", old)
    with other_process(WRITER, store.root) as process:
        for number in range(killed_before + 1):
            assert process.stdout.readline() == f"before {number}\n"
            if number < killed_before:
                process.stdin.write("go\n")
                process.stdin.flush()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert store.exists("folder/file") is (old is not None)
    assert store.list("folder") == (("beside", "file") if old is not None else ("beside",))
    if old is not None:
        assert store.read("folder/file") == old
    store.write("folder/file", b"new content")
    assert store.read("folder/file") == b"new content"
    assert store.walk("") == ("folder/beside", "folder/file")


def test_the_writer_of_that_test_writes_all_when_it_is_let(store: Store, other_process: Callable[..., Any]) -> None:
    with other_process(WRITER, store.root) as process:
        output, _ = process.communicate("go\n" * 4)
    assert output.endswith("written\n")
    assert store.read("folder/file") == b"0" * 2_000_000 + b"1" * 2_000_000 + b"2" * 2_000_000
