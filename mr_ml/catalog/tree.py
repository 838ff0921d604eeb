"""What is below a folder of the root at one time: files and folders, also hidden ones, with sizes and times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import field

from hdfs_layout import Entry, NotFoundError, Store, check_name
from hdfs_layout.dataclass import dataclass
from hdfs_layout.paths import join, split_path
from mr_ml.errors import BadDataError, UsageError


@dataclass(frozen=True)
class Folder:
    """A folder and everything below it.

    Attributes
    ----------
    path
        From the root.
    modified
        By the store's clock; of use only if it is empty.
    files, folders
        By name, but those of names that no store takes. Where a link leads is not looked at: it may be outside the
        root.
    links
        Paths of links to folders: those in it, or its own if it is one.
    """

    path: str
    modified: float
    files: dict[str, Entry] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of all files below."""
        return sum(entry.size for _, entry in self.walk())

    @property
    def newest(self) -> float:
        """When a file below was last written."""
        return max((entry.modified for _, entry in self.walk()), default=self.modified)

    def walk(self) -> Iterator[tuple[str, Entry]]:
        """Paths of all files below, hidden ones too, with what is known of them."""
        for name, entry in self.files.items():
            yield join(self.path, name), entry
        for folder in self.folders.values():
            yield from folder.walk()

    def at(self, *names: str) -> Folder | None:
        """Return a folder below; None if there is none."""
        found: Folder | None = self
        for name in names:
            found = found and found.folders.get(name)
        return found


def look(store: Store, path: str, *, modified: float = 0.0) -> Folder:
    """Look at all that is below a folder; what is removed meanwhile may be missing, a missing folder is empty."""
    folder = Folder(path, modified)
    if _is_link(store, path):
        folder.links.append(path)
        return folder
    try:
        entries = store.entries(path, hidden=True)
    except NotFoundError:
        return folder
    for entry in entries:
        below = join(path, entry.name)
        if not _can_be_named(below):
            continue
        if not entry.is_folder:
            folder.files[entry.name] = entry
        elif _is_link(store, below):
            folder.links.append(below)
        else:
            folder.folders[entry.name] = look(store, below, modified=entry.modified)
    return folder


def _can_be_named(path: str) -> bool:
    """Whether a store takes the path: others may have put anything there."""
    try:
        split_path(path)
    except BadDataError:
        return False
    return True


def is_name(name: str) -> bool:
    """Whether something of ours can be called so: copies, notes and the like of other people are not looked into."""
    try:
        check_name(name)
    except UsageError:
        return False
    return True


def leaves_root(store: Store, path: str) -> bool:
    """Whether a link lies on the way to what has this path."""
    folder = store.local_path(path.rpartition("/")[0])
    top = store.local_path("")
    if folder is None or top is None:
        return False
    return os.path.realpath(folder) != os.path.normpath(
        os.path.join(os.path.realpath(top), os.path.relpath(folder, top))
    )


def _is_link(store: Store, path: str) -> bool:
    place = store.local_path(path)
    return place is not None and os.path.islink(place)
