"""Stores of the schemes ``toy`` and ``far``: folders of this machine by other names; of ``far`` without a path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from hdfs_layout import Address, Entry, LocalStore, Store


@dataclass(frozen=True)
class ToyStore:
    """Every call goes to a `LocalStore`; what it says of places has the scheme."""

    folder: LocalStore

    @property
    def root(self) -> str:
        """See `Store.root`, as all that follows."""
        return f"toy://{self.folder.root}"

    def uri(self, path: str) -> str:
        return f"toy://{self.folder.uri(path)}"

    def local_path(self, path: str) -> str | None:
        return self.folder.local_path(path)

    def addresses(self, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
        return ()

    def read(self, path: str) -> bytes:
        return self.folder.read(path)

    def read_range(self, path: str, *, offset: int, length: int) -> bytes:
        return self.folder.read_range(path, offset=offset, length=length)

    def open_read(self, path: str) -> BinaryIO:
        return self.folder.open_read(path)

    def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
        self.folder.write(path, data, private=private)

    def exists(self, path: str) -> bool:
        return self.folder.exists(path)

    def status(self, path: str) -> Entry | None:
        return self.folder.status(path)

    def size(self, path: str) -> int:
        return self.folder.size(path)

    def list(self, path: str) -> tuple[str, ...]:
        return self.folder.list(path)

    def checksum(self, path: str) -> str:
        return self.folder.checksum(path)

    def entries(self, path: str, *, hidden: bool = False) -> tuple[Entry, ...]:
        return self.folder.entries(path, hidden=hidden)

    def walk(self, path: str) -> tuple[str, ...]:
        return self.folder.walk(path)

    def make_folder(self, path: str) -> None:
        self.folder.make_folder(path)

    def publish(self, staged: str, target: str) -> None:
        self.folder.publish(staged, target)

    def publish_tree(self, staged: str, target: str) -> None:
        self.folder.publish_tree(staged, target)

    def remove(self, path: str) -> None:
        self.folder.remove(path)

    def remove_tree(self, path: str) -> None:
        self.folder.remove_tree(path)


def open_toy(root: str) -> Store:
    """Open ``toy:///folder``."""
    return ToyStore(LocalStore(root.removeprefix("toy://").rstrip("/")))


@dataclass(frozen=True)
class FarStore(ToyStore):
    """The same where no process can open a file by a path."""

    scheme: str

    @property
    def root(self) -> str:
        return f"{self.scheme}://{self.folder.root}"

    def uri(self, path: str) -> str:
        return f"{self.scheme}://{self.folder.uri(path)}"

    def local_path(self, path: str) -> str | None:
        return None


def open_far(root: str) -> Store:
    """Open ``far:///folder``."""
    scheme, _, folder = root.partition("://")
    return FarStore(LocalStore("/" + folder.strip("/")), scheme)
