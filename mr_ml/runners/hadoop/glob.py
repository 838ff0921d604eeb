"""Files on HDFS by URIs of files, folders and globs."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hdfs_layout import open_store
from hdfs_layout.hdfs.http import RemoteError
from hdfs_layout.hdfs.store import HdfsStore
from hdfs_layout.hdfs.webhdfs import FileStatus
from mr_ml.errors import UsageError

# Characters of a path that Hadoop's jobs read as something else.
INTERPRETED = frozenset("*?[]{}\\,#")
_MAGIC = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_LEFT_OUT = (".", "_")
_ANY_DEPTH = "**"
_MOST_PATTERNS = 1000


@dataclass(frozen=True)
class HdfsFile:
    """Attributes
    ----------
    store
        Of the whole file system.
    path
        In that store.
    number
        Of the file, as long as it exists.
    """

    store: HdfsStore
    path: str
    size: int
    number: int

    @property
    def uri(self) -> str:
        return self.store.uri(self.path)

    @property
    def uri_by_number(self) -> str:
        """Another name of the same file, for whatever reads HDFS itself."""
        return f"{self.store.root.rstrip('/')}/.reserved/.inodes/{self.number}"

    @property
    def stamp(self) -> tuple[int, ...]:
        """What changes when the file is replaced or grows."""
        return self.number, self.size

    def stamp_now(self) -> tuple[int, ...]:
        """The same as it is now; empty if the file is gone."""
        status = _status(self.store, self.path)
        return () if status is None else (status.file_id, status.length)


def find_on_hdfs(given: str) -> list[HdfsFile]:
    """The files that a URI names: a file, all files in a folder, or what a glob matches.

    ``* ? [a-z] [!a]`` match within a name, ``{a,b}`` stands for either, ``**`` for any number of folders. In folders,
    and for wildcards at the start of a name, those that begin with ``.`` or ``_`` are left out.

    Raises
    ------
    UsageError
        If it is not a URI of HDFS, or names nothing or a symbolic link.
    """
    scheme, _, rest = given.partition("://")
    if scheme.lower() != "hdfs":
        raise UsageError(
            f"-r hadoop reads files on HDFS, hdfs://..., or files of this machine; found {given!r}. Name it as "
            "hdfs://NAMENODE/PATH, or copy it there: hadoop fs -cp, hadoop distcp"
        )
    authority, _, path = rest.partition("/")
    store = open_store(f"hdfs://{authority}/")
    assert isinstance(store, HdfsStore)
    names = [name for name in path.split("/") if name]
    found: dict[str, FileStatus] = {}
    # a name that exists is that name, even with [ or * in it
    literal = _status(store, "/".join(names))
    if literal is not None:
        found["/".join(names)] = literal
    elif _MAGIC.search(path):
        for pattern in _alternatives(path):
            found.update(_matches(store, [name for name in pattern.split("/") if name], ""))
    files: dict[str, HdfsFile] = {}
    for name, status in found.items():
        for file, entry in _files_in(store, name) if status.is_folder else [(name, status)]:
            if entry.is_link:
                raise UsageError(f"expected files, found a symbolic link: {store.uri(file)}; name what it leads to")
            files[file] = HdfsFile(store, file, entry.length, entry.file_id)
    if not files:
        what = "none in it" if found else "nothing there"
        raise UsageError(f"expected input files, found {what}: {given!r}; check the path")
    return [files[name] for name in sorted(files)]


def _alternatives(pattern: str) -> list[str]:
    """``a{b,c}d`` -> ``abd``, ``acd``."""
    found = _BRACES.split(pattern)
    choices = [[part] if k % 2 == 0 else part.split(",") for k, part in enumerate(found)]
    patterns = ["".join(parts) for parts in itertools.islice(itertools.product(*choices), _MOST_PATTERNS + 1)]
    if len(patterns) > _MOST_PATTERNS:
        raise UsageError(f"{pattern!r} stands for more than {_MOST_PATTERNS} patterns; name a folder instead")
    return patterns


def _matches(store: HdfsStore, parts: list[str], folder: str) -> Iterator[tuple[str, FileStatus]]:
    """Path and status of what the parts of a pattern match below a folder."""
    part, *rest = parts
    if part == _ANY_DEPTH and rest:
        yield from _matches(store, rest, folder)
        for entry in _entries(store, folder):
            if entry.is_folder and not entry.name.startswith(_LEFT_OUT):
                yield from _matches(store, parts, _join(folder, entry.name))
        return
    if not _MAGIC.search(part):
        path = _join(folder, part)
        status = _status(store, path)
        found = [] if status is None else [(path, status)]
    else:
        matches = re.compile(fnmatch.translate(part)).match
        hidden = tuple(start for start in _LEFT_OUT if not part.startswith(start))
        entries = [e for e in _entries(store, folder) if matches(e.name) and not e.name.startswith(hidden)]
        found = [(_join(folder, entry.name), entry) for entry in entries]
    for path, status in found:
        if not rest:
            yield path, status
        elif status.is_folder:
            yield from _matches(store, rest, path)


def _files_in(store: HdfsStore, folder: str) -> Iterator[tuple[str, FileStatus]]:
    for entry in _entries(store, folder):
        if entry.name.startswith(_LEFT_OUT):
            continue
        path = _join(folder, entry.name)
        if entry.is_folder:
            yield from _files_in(store, path)
        else:
            yield path, entry


def _entries(store: HdfsStore, folder: str) -> list[FileStatus]:
    with store.translator.errors("list", store.uri(folder)):
        return list(store.client.list("/" + folder))


def _status(store: HdfsStore, path: str) -> FileStatus | None:
    with store.translator.errors("read", store.uri(path)):
        try:
            return store.client.status("/" + path)
        except RemoteError as error:
            if error.kind in ("FileNotFoundException", "ParentNotDirectoryException"):
                return None
            raise


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
