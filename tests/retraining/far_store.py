"""A store of the scheme ``far``: a folder of this machine whose files no process here can open by a path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hdfs_layout import STORES, LocalStore


@dataclass(frozen=True)
class FarStore:
    """Every call goes to a `LocalStore` but those that say where files are."""

    folder: LocalStore

    @property
    def root(self) -> str:
        return f"far://{self.folder.root}"

    def uri(self, path: str) -> str:
        return f"far://{self.folder.uri(path)}"

    def local_path(self, path: str) -> str | None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.folder, name)


@contextmanager
def far_stores() -> Iterator[None]:
    """Within the block ``far://`` and a folder's path is a root."""

    def opened(root: str) -> Any:
        return FarStore(LocalStore("/" + root.removeprefix("far://").strip("/")))

    STORES.register("far", opened)
    try:
        yield
    finally:
        STORES.unregister("far")
