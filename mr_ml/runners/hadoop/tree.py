"""HDFS, for `mr_ml.readers.text.find`."""

from __future__ import annotations

from dataclasses import dataclass

from hdfs_layout.hdfs.http import RemoteError
from hdfs_layout.hdfs.store import HdfsStore, open_hdfs
from hdfs_layout.hdfs.webhdfs import FileStatus
from mr_ml.errors import UsageError
from mr_ml.readers.text.find import FILE, FOLDER, Listed, Status


@dataclass(frozen=True)
class HdfsTree:
    """See `mr_ml.readers.text.find.Tree`.

    Attributes
    ----------
    store
        Of the whole file system.
    """

    store: HdfsStore

    def look(self, path: str, *, follow: bool = True) -> Status | None:
        """See `Tree.look`; links are not followed, and are no files."""
        inside = path_in_store(path)
        with self.store.translator.errors("read", self.store.uri(inside)):
            try:
                return self._status(inside, self.store.client.status("/" + inside))
            except RemoteError as error:
                if error.kind in ("FileNotFoundException", "ParentNotDirectoryException"):
                    return None
                raise

    def entries(self, folder: str) -> list[Listed]:
        """See `Tree.entries`."""
        inside = path_in_store(folder)
        with self.store.translator.errors("list", self.store.uri(inside)):
            entries = sorted(self.store.client.list("/" + inside), key=lambda entry: entry.name)
        start = f"{inside}/" if inside else ""
        return [Listed(entry.name, entry.is_folder, self._status(start + entry.name, entry)) for entry in entries]

    def loops(self) -> bool:
        """See `Tree.loops`."""
        return False

    def full_name(self, path: str) -> str:
        """See `Tree.full_name`; the URI."""
        return self.store.uri(path_in_store(path))

    def as_given(self, path: str) -> str:
        """See `Tree.as_given`; a URI."""
        return f"{self.store.root.rstrip('/')}/{path_in_store(path)}"

    def check(self, name: str, status: Status) -> None:
        """See `Tree.check`."""

    def uri_by_number(self, status: Status) -> str:
        """Another name of a file, for whatever reads HDFS itself."""
        return f"{self.store.root.rstrip('/')}/.reserved/.inodes/{status.stamp[0]}"

    def _status(self, path: str, status: FileStatus) -> Status:
        kind = "a symbolic link" if status.is_link else FOLDER if status.is_folder else FILE
        # the NameNode may have another spelling, and then its files have other names but the same numbers and paths
        same = ((self.store.root, status.file_id), (path, status.file_id, status.length))
        return Status(kind, status.length, (status.file_id, status.length), same)


def tree_of(uri: str) -> tuple[HdfsTree, str]:
    """Open the file system of a URI, and the path there, which may be a pattern.

    Raises
    ------
    UsageError
        If it is not a URI of HDFS.
    """
    scheme, _, rest = uri.partition("://")
    if scheme.lower() != "hdfs":
        raise UsageError(
            f"`runner` hadoop reads files on HDFS, hdfs://..., or files of this machine; found {uri!r}. Name it as "
            "hdfs://NAMENODE/PATH, or copy it there: hadoop fs -cp, hadoop distcp"
        )
    authority, _, path = rest.partition("/")
    return HdfsTree(open_hdfs(f"hdfs://{authority}/")), f"/{path}"


def path_in_store(path: str) -> str:
    """Spell a path as the store of the whole file system takes it."""
    return "/".join(name for name in path.split("/") if name)
