"""A folder of this machine on which locks are leases, as on HDFS; everything else is as on any folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hdfs_layout import STORES, LocalStore, Store

SCHEME = "lease"


@dataclass(frozen=True)
class LeaseStore:
    """Every call goes to a `LocalStore`, but files of locks have no paths on this machine."""

    folder: LocalStore

    @property
    def root(self) -> str:
        return f"{SCHEME}://{self.folder.root}"

    def local_path(self, path: str) -> str | None:
        return None if path.startswith("locks/") else self.folder.local_path(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.folder, name)


@contextmanager
def lease_stores() -> Iterator[None]:
    """Within the block ``lease://`` and a folder's path is a root."""

    def opened(root: str) -> Store:
        store: Any = LeaseStore(LocalStore("/" + root.removeprefix(f"{SCHEME}://").strip("/")))
        return store  # type: ignore[no-any-return]

    STORES.register(SCHEME, opened)
    try:
        yield
    finally:
        STORES.unregister(SCHEME)
