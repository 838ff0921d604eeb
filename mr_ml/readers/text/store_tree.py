"""The files of any store, for `mr_ml.readers.text.find`."""

from __future__ import annotations

from dataclasses import dataclass, field

from hdfs_layout import NotFoundError, Store
from mr_ml.readers.text.find import FILE, FOLDER, Listed, Status


@dataclass(frozen=True)
class StoreTree:
    """See `mr_ml.readers.text.find.Tree`. Paths are the store's, and each folder is as it was when first listed.

    Whether a name is a link, no store says. So files of this machine are better looked at by `LocalTree`.

    Attributes
    ----------
    store
        Whose root is the root of the tree.
    """

    store: Store
    _listed: dict[str, list[Listed]] = field(default_factory=dict, compare=False)

    def look(self, path: str, *, follow: bool = True) -> Status | None:
        """See `Tree.look`."""
        folder, _, name = _plain(path).rpartition("/")
        if not name:
            return Status(FOLDER)
        above = self.look(folder)
        if above is None or above.kind != FOLDER:
            return None
        return next((entry.status for entry in self.entries(folder) if entry.name == name), None)

    def entries(self, folder: str) -> list[Listed]:
        """See `Tree.entries`; names that begin with a dot are left out, and a folder that is missing is empty."""
        inside = _plain(folder)
        if inside not in self._listed:
            try:
                entries = self.store.entries(inside)
            except NotFoundError:
                entries = ()
            start = f"{inside}/" if inside else ""
            self._listed[inside] = [
                Listed(entry.name, entry.is_folder, self._status(start + entry.name, entry.is_folder, entry.size))
                for entry in entries
            ]
        return self._listed[inside]

    def loops(self) -> bool:
        """See `Tree.loops`."""
        return False

    def full_name(self, path: str) -> str:
        """See `Tree.full_name`; the URI."""
        return self.store.uri(_plain(path))

    def as_given(self, path: str) -> str:
        """See `Tree.as_given`; a URI."""
        return f"{self.store.root.rstrip('/')}/{_plain(path)}"

    def check(self, name: str, status: Status) -> None:
        """See `Tree.check`."""

    def _status(self, path: str, is_folder: bool, size: int) -> Status:
        return Status(FOLDER if is_folder else FILE, size, (size,), ((self.store.root, path),))


def _plain(path: str) -> str:
    return "/".join(name for name in path.split("/") if name not in ("", "."))
