"""Versions are published whole, once, and under a number of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hdfs_layout import (
    LocalStore,
    NotFoundError,
    encode_document,
    find_version,
    latest_version,
    list_versions,
    mark_removed,
    publish_version,
    publish_version_once,
    read_version,
    unmark_removed,
)
from mr_ml.errors import BadDataError, StorageError

FOLDER = "models/ctr"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "root"))


def test_versions_count_from_1(store: LocalStore) -> None:
    assert list_versions(store, FOLDER) == ()
    assert latest_version(store, FOLDER) is None
    for number in (1, 2, 3):
        assert publish_version(store, FOLDER, {"n": number}) == number
    assert list_versions(store, FOLDER) == (1, 2, 3)
    assert latest_version(store, FOLDER) == 3
    assert store.walk("") == tuple(f"models/ctr/v00000{number}.json" for number in (1, 2, 3))
    assert read_version(store, FOLDER).number == 3
    assert read_version(store, FOLDER).document == {"n": 3}
    assert read_version(store, FOLDER, 1).document == {"n": 1}
    assert read_version(store, FOLDER, 1).path == "models/ctr/v000001.json"


def test_a_version_is_a_document_on_disk(store: LocalStore) -> None:
    publish_version(store, FOLDER, {"a": [1, 2]})
    assert store.read("models/ctr/v000001.json") == encode_document({"a": [1, 2]})


def test_other_files_are_no_versions_and_gaps_stay_gaps(store: LocalStore) -> None:
    for name in ("v2.json", "v000009.json.bak", ".staged-1", "notes.txt", "v000000.json", "data/v000099.json"):
        store.write(f"{FOLDER}/{name}", b"")
    for number in (2, 3, 7, 999):
        store.write(f"{FOLDER}/v{number:06d}.json", encode_document({"n": number}))
    assert list_versions(store, FOLDER) == (2, 3, 7, 999)
    assert publish_version(store, FOLDER, {}) == 1000
    with pytest.raises(NotFoundError, match=r"expected version 5 in .*/models/ctr; found versions 2-3, 7, 999-1000\."):
        read_version(store, FOLDER, 5)


def test_nothing_published_says_so(store: LocalStore) -> None:
    for version in (None, 1):
        with pytest.raises(NotFoundError, match=r"/models/ctr; found none\."):
            read_version(store, FOLDER, version)


def test_a_damaged_version_names_its_file(store: LocalStore) -> None:
    publish_version(store, FOLDER, {"a": 1})
    store.write(f"{FOLDER}/v000001.json", store.read(f"{FOLDER}/v000001.json").replace(b"1", b"2", 1))
    with pytest.raises(BadDataError, match=r"/root/models/ctr/v000001\.json"):
        read_version(store, FOLDER)


def test_a_damaged_version_does_not_keep_others_from_being_published(store: LocalStore) -> None:
    """Whichever it is; one that is damaged is of no use, were it the same run's."""
    for run in ("a", "b", "c"):
        publish_version(store, FOLDER, {"run": run})
    store.write(f"{FOLDER}/v000003.json", b"")
    store.write(f"{FOLDER}/v000001.json", b"{")
    assert publish_version_once(store, FOLDER, {"run": "b"}) == 2
    assert publish_version_once(store, FOLDER, {"run": "c"}) == 4
    assert find_version(store, FOLDER, key="run", value="c") == 4
    assert find_version(store, FOLDER, key="run", value="b", after=2) is None


def test_the_highest_number_is_the_last(store: LocalStore) -> None:
    store.write(f"{FOLDER}/v999999.json", encode_document({}))
    for publish in (publish_version, publish_version_once):
        with pytest.raises(StorageError, match="999999 versions"):
            publish(store, FOLDER, {"run": "r"})
    assert os.listdir(store.local_path(FOLDER)) == ["v999999.json"]


def test_the_same_run_is_published_once(store: LocalStore) -> None:
    assert publish_version_once(store, FOLDER, {"run": "a", "n": 1}) == 1
    assert publish_version_once(store, FOLDER, {"run": "b"}) == 2
    assert publish_version(store, FOLDER, {"no run": "a"}) == 3
    assert publish_version_once(store, FOLDER, {"run": "a", "n": 2}) == 1
    assert read_version(store, FOLDER, 1).document == {"run": "a", "n": 1}
    assert publish_version_once(store, FOLDER, {"run": "a", "id": "x"}, key="id") == 4
    assert publish_version_once(store, FOLDER, {"id": "x"}, key="id") == 4
    assert list_versions(store, FOLDER) == (1, 2, 3, 4)


@pytest.mark.parametrize("document", [{}, {"run": ""}, {"run": None}, {"run": 3}])
def test_publishing_once_needs_a_key(store: LocalStore, document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="non-empty string"):
        publish_version_once(store, FOLDER, document)
    assert not store.exists(FOLDER)


@dataclass(frozen=True)
class OvertakenStore(LocalStore):
    """A store on which rivals publish just before this one does."""

    rivals: list[Callable[[LocalStore], object]] = field(default_factory=list)

    def publish(self, staged: str, target: str) -> None:
        if self.rivals:
            self.rivals.pop(0)(LocalStore(self.root))
        super().publish(staged, target)


def test_an_overtaken_publisher_takes_the_next_number(store: LocalStore) -> None:
    def rival(n: int) -> Callable[[LocalStore], object]:
        return lambda quick: publish_version(quick, FOLDER, {"rival": n})

    rivals = [rival(n) for n in range(3)]
    assert publish_version(OvertakenStore(store.root, rivals), FOLDER, {"run": "slow"}) == 4
    assert [read_version(store, FOLDER, n).document for n in (1, 2, 3, 4)] == [
        {"rival": 0},
        {"rival": 1},
        {"rival": 2},
        {"run": "slow"},
    ]
    assert sorted(os.listdir(store.local_path(FOLDER))) == [f"v00000{n}.json" for n in (1, 2, 3, 4)]


def test_a_publisher_overtaken_by_its_own_run_takes_that_version(store: LocalStore) -> None:
    rivals: list[Callable[[LocalStore], object]] = [
        lambda quick: publish_version_once(quick, FOLDER, {"run": "other"}),
        lambda quick: publish_version_once(quick, FOLDER, {"run": "same", "by": "rival"}),
    ]
    assert publish_version_once(OvertakenStore(store.root, rivals), FOLDER, {"run": "same", "by": "me"}) == 2
    assert read_version(store, FOLDER).document == {"run": "same", "by": "rival"}
    assert sorted(os.listdir(store.local_path(FOLDER))) == ["v000001.json", "v000002.json"]


def test_40_publishers_at_once_get_40_versions(store: LocalStore) -> None:
    barrier = threading.Barrier(40)

    def publish(number: int) -> int:
        barrier.wait()
        return publish_version(store, FOLDER, {"n": number})

    with ThreadPoolExecutor(40) as pool:
        numbers = list(pool.map(publish, range(40)))
    assert sorted(numbers) == list(range(1, 41))
    assert [read_version(store, FOLDER, number).document["n"] for number in numbers] == list(range(40))


def test_40_publishers_of_4_runs_at_once_make_4_versions(store: LocalStore) -> None:
    barrier = threading.Barrier(40)

    def publish(number: int) -> tuple[str, int]:
        run = f"run-{number % 4}"
        barrier.wait()
        return run, publish_version_once(store, FOLDER, {"run": run})

    with ThreadPoolExecutor(40) as pool:
        published = set(pool.map(publish, range(40)))
    assert sorted(number for _, number in published) == [1, 2, 3, 4]
    assert {(read_version(store, FOLDER, number).document["run"], number) for number in (1, 2, 3, 4)} == published
    assert sorted(os.listdir(store.local_path(FOLDER))) == [f"v00000{n}.json" for n in (1, 2, 3, 4)]


def test_a_failed_publish_leaves_nothing_behind(store: LocalStore) -> None:
    def fail(_: LocalStore) -> None:
        raise StorageError("the disk is gone")

    for publish in (publish_version, publish_version_once):
        with pytest.raises(StorageError, match="the disk is gone"):
            publish(OvertakenStore(store.root, [fail]), FOLDER, {"run": "r"})
        assert os.listdir(store.local_path(FOLDER)) == []


# Stops before and after every call that changes the disk, so that the parent can kill it exactly there.
PUBLISHER = """
import os, sys
from hdfs_layout import open_store, publish_version_once

def stopping(name):
    call = getattr(os, name)
    def stop_around(*arguments, **options):
        for when in ("before", "after"):
            print(when, name, flush=True)
            sys.stdin.readline()
            if when == "before":
                result = call(*arguments, **options)
        return result
    setattr(os, name, stop_around)

for name in ("mkdir", "fsync", "replace", "link", "unlink"):
    stopping(name)
print("published", publish_version_once(open_store(sys.argv[1]), "models/ctr", {"run": "mine"}), flush=True)
"""


def _publish_until(root: str, stop: int) -> str:
    """Run PUBLISHER, kill -9 it at its stop number `stop`, and return the last line that it wrote."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(stop):
            process.stdout.readline()
            process.stdin.write("go\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line.startswith("published"):
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        return line


@pytest.mark.parametrize("before", [0, 2], ids=["first version", "third version"])
def test_a_publisher_killed_at_any_point_publishes_once(tmp_path: Path, before: int) -> None:
    lines = [""]
    while not lines[-1].startswith("published"):
        stop = len(lines) - 1
        store = LocalStore(str(tmp_path / f"root-{stop}"))
        runs = [f"other {number}" for number in range(before)]
        for run in runs:
            publish_version(store, FOLDER, {"run": run})
        lines.append(_publish_until(store.root, stop).strip())

        seen = [read_version(store, FOLDER, number).document["run"] for number in list_versions(store, FOLDER)]
        assert seen in (runs, [*runs, "mine"])
        assert publish_version_once(store, FOLDER, {"run": "mine"}) == before + 1
        assert len(list_versions(store, FOLDER)) == before + 1
        assert read_version(store, FOLDER).document == {"run": "mine"}
    assert lines[-1] == f"published {before + 1}"
    calls = ["fsync", "replace", "link", "unlink"] + (["mkdir"] if before == 0 else [])
    assert set(lines[1:-1]) == {f"{when} {call}" for when in ("before", "after") for call in calls}


def test_numbers_of_removed_versions_are_not_given_again(store: LocalStore) -> None:
    """Of the latest one neither, nor after another publisher listed the folder too early."""
    for run in ("a", "b"):
        publish_version(store, "models/ctr", {"run": run})
    mark_removed(store, "models/ctr", 2, {"at": "2026-11-28T00:00:00Z"})
    store.remove("models/ctr/v000002.json")
    assert latest_version(store, "models/ctr") == 1
    assert publish_version(store, "models/ctr", {"run": "c"}) == 3
    mark_removed(store, "models/ctr", 3, {"at": "2026-11-28T00:00:01Z"})
    store.remove("models/ctr/v000003.json")
    assert publish_version_once(store, "models/ctr", {"run": "d"}) == 4
    with pytest.raises(NotFoundError, match=r"versions 1, 4 \(version 3 was removed at 2026-11-28T00:00:01Z\)"):
        read_version(store, "models/ctr", 3)


def test_a_name_without_versions_is_not_taken_for_another(store: LocalStore) -> None:
    publish_version(store, "models/ctr", {"run": "a"})
    publish_version(store, "models/cta", {"run": "a"})
    mark_removed(store, "models/ctr", 1, {"at": "2026-11-28T00:00:00Z"})
    store.remove("models/ctr/v000001.json")
    with pytest.raises(NotFoundError) as found:
        read_version(store, "models/ctr")
    assert "did you mean" not in str(found.value)
    with pytest.raises(NotFoundError, match=r"did you mean 'ctr'"):
        read_version(store, "models/ctrr")


def test_a_number_that_is_removed_while_the_folder_is_listed_is_not_given(store: LocalStore) -> None:
    """A listing may miss both the manifest that goes and the note that came before it."""

    class Late(LocalStore):
        def list(self, path: str) -> tuple[str, ...]:
            return tuple(name for name in super().list(path) if "000002" not in name)

    publish_version(store, "models/ctr", {"run": "a"})
    mark_removed(store, "models/ctr", 2, {"at": "2026-11-28T00:00:00Z"})
    assert publish_version(Late(store.root), "models/ctr", {"run": "b"}) == 3


def test_a_removal_that_is_taken_back_leaves_the_number_free(store: LocalStore) -> None:
    mark_removed(store, "models/ctr", 1, {"at": "2026-11-28T00:00:00Z"})
    unmark_removed(store, "models/ctr", 1)
    assert publish_version(store, "models/ctr", {"run": "a"}) == 1
