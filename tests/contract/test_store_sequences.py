"""Any sequence of calls on a store does what it does to a dict of paths. The stores are in conftest.py."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from store_kinds import Kind

from hdfs_layout import AlreadyExistsError, NotFoundError, Store
from mr_ml.errors import StorageError

FOLDERS = st.sampled_from(["", "d", "d/d", "d/da", "da"])
FILES = st.builds(
    lambda folder, name: f"{folder}/{name}".lstrip("/"), FOLDERS, st.sampled_from(["f", "f1", "f.2", ".f"])
)


class StoreAgainstDict(RuleBasedStateMachine):
    def __init__(self, store: Store, base: str) -> None:
        super().__init__()
        self.store, self.base, self.files = store, base, dict[str, bytes]()

    def at(self, path: str) -> str:
        return f"{self.base}/{path}" if path else self.base

    def below(self, folder: str) -> list[str]:
        return [path for path in self.files if path.startswith(f"{folder}/" if folder else "")]

    @initialize()
    def begin(self) -> None:
        self.write("f", b"")

    @rule(path=FILES, data=st.binary(max_size=20))
    def write(self, path: str, data: bytes) -> None:
        self.store.write(self.at(path), data)
        self.files[path] = data

    @rule(staged=FILES, final=FILES)
    def publish(self, staged: str, final: str) -> None:
        error: type[StorageError] | None = None
        if staged not in self.files:
            error = NotFoundError
        elif final in self.files:
            error = AlreadyExistsError
        elif "/" in final and not self.below(final.rpartition("/")[0]):
            return  # publishing into a missing folder is not promised
        if error:
            with pytest.raises(error):
                self.store.publish(self.at(staged), self.at(final))
        else:
            self.store.publish(self.at(staged), self.at(final))
            self.files[final] = self.files.pop(staged)

    @rule(path=FILES)
    def remove(self, path: str) -> None:
        self.store.remove(self.at(path))
        self.files.pop(path, None)

    @rule(folder=FOLDERS.filter(bool))
    def remove_tree(self, folder: str) -> None:
        self.store.remove_tree(self.at(folder))
        for path in self.below(folder):
            del self.files[path]

    @rule(path=FILES)
    def read(self, path: str) -> None:
        assert self.store.exists(self.at(path)) is (path in self.files)
        if path in self.files:
            assert self.store.read(self.at(path)) == self.files[path]
            assert self.store.size(self.at(path)) == len(self.files[path])
        else:
            with pytest.raises(NotFoundError):
                self.store.read(self.at(path))

    @rule(folder=FOLDERS)
    def look(self, folder: str) -> None:
        paths = [path for path in self.below(folder) if "/." not in f"/{path}"]
        names = {path.removeprefix(f"{folder}/" if folder else "").split("/")[0] for path in paths}
        try:
            listed, walked = self.store.list(self.at(folder)), self.store.walk(self.at(folder))
        except NotFoundError:
            assert not self.below(folder)
        else:
            assert walked == tuple(sorted(map(self.at, paths)))
            # An empty folder may be listed by those that have folders.
            assert names <= set(listed) <= names | {"d", "da"}
            assert listed == tuple(sorted(listed))

    @invariant()
    def all_there(self) -> None:
        seen = [path for path in self.files if "/." not in f"/{path}"]
        if seen:
            assert self.store.walk(self.base) == tuple(sorted(map(self.at, seen)))


def test_any_sequence_of_calls(store_kind: Kind, store: Store) -> None:
    numbers = itertools.count()
    run_state_machine_as_test(
        lambda: StoreAgainstDict(store, f"machine-{next(numbers)}"),  # type: ignore[arg-type]  # it only calls it
        settings=settings(max_examples=store_kind.of(40, at_least=10), stateful_step_count=25, deadline=None),
    )
