"""The files of any store, for `mr_ml.readers.text.find`, and the tree of whatever a user names."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import field

from hdfs_layout import STORES, Entry, NotFoundError, Store, open_store, scheme_of, split_uri
from hdfs_layout.dataclass import dataclass
from hdfs_layout.paths import PUBLISHING
from mr_ml.errors import BadDataError, StorageError, UnavailableError, UsageError
from mr_ml.readers.text.find import FILE, FOLDER, Listed, Status, Tree
from mr_ml.readers.text.local_tree import LOCAL_TREE


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
    _listed: dict[str, dict[str, Listed]] = field(default_factory=dict, compare=False)
    _whole: set[str] = field(default_factory=set, compare=False)

    def look(self, path: str, *, follow: bool = True) -> Status | None:
        """See `Tree.look`."""
        plain = _plain(path)
        if not plain:
            return Status(FOLDER)
        folder, name = posixpath.split(plain)
        if folder in self._listed:
            listed = self._listed[folder].get(name)
            status = None if listed is None else listed.status
        else:
            entry = self.store.status(plain)
            status = None if entry is None else self._status(plain, entry)
        is_file = status is not None and status.kind != FOLDER
        return None if is_file and path.endswith("/") else status

    def entries(self, folder: str) -> list[Listed]:
        """See `Tree.entries`; of a root that is missing, nothing."""
        inside = _plain(folder)
        if inside not in self._listed:
            self._check_whole_above(inside)
            try:
                entries = self.store.entries(inside, hidden=True)
            except NotFoundError:
                if inside:
                    raise
                entries = ()
            listed: dict[str, Listed] = {}
            for entry in entries:
                path = posixpath.join(inside, entry.name)
                if entry.name == PUBLISHING:
                    raise self._not_whole(path)
                if entry.name in listed:
                    raise UsageError(
                        f"{self.full_name(path)} is a file, and the beginning of the names of others, which no folder "
                        "can hold; rename the file"
                    )
                listed[entry.name] = Listed(entry.name, entry.is_folder, self._status(path, entry))
            self._listed[inside] = listed
        return list(self._listed[inside].values())

    def _check_whole_above(self, folder: str) -> None:
        """Raise `UsageError` if a folder is below one that is not whole, and none of those was looked at yet."""
        above = posixpath.dirname(folder)
        while above and above not in self._whole and above not in self._listed:
            mark = posixpath.join(above, PUBLISHING)
            # who may read a folder need not be allowed to look above it
            with suppress(StorageError, UnavailableError):
                if self.store.exists(mark):
                    raise self._not_whole(mark)
            self._whole.add(above)
            above = posixpath.dirname(above)

    def _not_whole(self, mark: str) -> UsageError:
        return UsageError(
            f"expected a folder that is whole, found {self.full_name(mark)}: its files are being copied there, or "
            "whoever did so was killed; wait until that file is gone, or remove the folder"
        )

    def loops(self) -> bool:
        """See `Tree.loops`."""
        return False

    def full_name(self, path: str) -> str:
        """See `Tree.full_name`; the URI."""
        return self.store.uri(_plain(path))

    def as_given(self, path: str) -> str:
        """See `Tree.as_given`; a URI."""
        root = self.store.root
        return f"{root}{'' if root.endswith('/') else '/'}{_plain(path)}"

    def check(self, name: str, status: Status) -> None:
        """See `Tree.check`."""

    def _status(self, path: str, entry: Entry) -> Status:
        if entry.is_folder:
            return Status(FOLDER)
        # without the scheme: some file systems have several. A host may have several names too, and then its files have
        # other addresses but the same path and alias
        names = [(self.store.uri(path).partition("://")[2],)]
        aliases = [(path, split_uri(entry.alias)[1], entry.size)] if entry.alias else []
        stamp = entry.alias, entry.size, entry.modified
        return Status(FILE, entry.size, stamp, (*names, *aliases), entry.alias)


def trees_of(inputs: Sequence[str]) -> list[tuple[Tree, str]]:
    """Return the tree of each input, and the path or pattern there, for `mr_ml.readers.text.find.find`.

    Raises
    ------
    UsageError
        If there is no store for one, or none can have such a path.
    """
    trees: dict[str, Tree] = {}
    return [_tree_of(given, trees) for given in inputs]


def _tree_of(given: str, known: dict[str, Tree]) -> tuple[Tree, str]:
    scheme = scheme_of(given)
    if not scheme:
        return LOCAL_TREE, given
    if scheme not in STORES:
        raise UsageError(
            f"expected files of this machine, or of {', '.join(f'{name}://' for name in STORES)}; found "
            f"{given[:200]!r}, for which there is no store in this release"
        )
    root, path = split_uri(given)
    if root in known:
        return known[root], path
    store = open_store(root)
    here = store.local_path("")
    if here is not None:
        return LOCAL_TREE, f"{here.rstrip('/')}/{path}"
    try:
        store.uri(_plain(path))
    except BadDataError as error:
        raise UsageError(f"expected an input whose path a store can have, found {given[:200]!r}: {error}") from error
    return known.setdefault(root, StoreTree(store)), path


def _plain(path: str) -> str:
    return "/".join(name for name in path.split("/") if name not in ("", "."))
