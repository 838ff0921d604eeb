"""The store of a folder on HDFS, over WebHDFS.

Whole or not at all: a file is written under a temporary name in its own folder and then renamed over the one that has
its name, in one operation of the NameNode (RENAME with ``OVERWRITE``). Publish: RENAME with ``NONE``, which refuses a
name that is taken. The plain RENAME, and ``hadoop fs -mv``, would move a file *into* a folder of that name
(HADOOP-11452); deleting first and renaming then would leave a moment without the file.

Lost answers. A rename whose answer is lost may have happened, or may happen yet. A file keeps its number (``fileId``)
when it is renamed, so the store looks who has the target's name: the file itself, then it is done; somebody else, then
it was refused; nobody, then it asks once more, which does no harm, because a file that is gone is not renamed twice.

Durability. A file counts as written when every DataNode of its pipeline has it (normally three), in memory at least;
``dfs.datanode.synconclose`` brings it to their disks. Names are on the NameNode's disk before it answers.
"""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import BadDataError, NotFoundError, UsageError, taken
from hdfs_layout.hdfs.config import HadoopConfig, find_namenodes, load_hadoop_config
from hdfs_layout.hdfs.errors import Translator
from hdfs_layout.hdfs.http import NoAnswerError, RemoteError, authorities
from hdfs_layout.hdfs.webhdfs import FileStatus, WebHdfs
from hdfs_layout.job_tokens import services_of
from hdfs_layout.open import split_uri
from hdfs_layout.paths import HIDDEN, join, split_path, writing_path
from hdfs_layout.store import Address, Entry

_RENAME_ATTEMPTS = 4
_READ_BUFFER_BYTES = 1 << 20
# What the parts of a file that is opened are asked for by.
_PART = "&offset={offset}&length={length}"


def open_hdfs(root: str) -> HdfsStore:
    """Open ``hdfs://``, ``webhdfs://`` or ``swebhdfs://`` + host or name service + path; see `find_namenodes`.

    The path is taken as it stands, as ``hadoop fs`` does: ``%20`` is not a blank. Reads Hadoop's configuration and
    touches nothing else. HADOOP_USER_NAME, or else the name of the process's user, is who asks.

    Raises
    ------
    UsageError
        If the root or Hadoop's configuration is not understood, or a package that this needs is not installed.
    """
    scheme, _, rest = root.partition("://")
    authority, _, folder = rest.partition("/")
    names = [name for name in folder.split("/") if name]
    try:
        split_path("/".join(names)), "/".join(names).encode("utf-8")
    except (BadDataError, UnicodeEncodeError):
        raise UsageError(
            f"expected as root a folder on HDFS without '.', '..' and control characters; found {root[:200]!a}. "
            f"Choose another `root`."
        ) from None
    config = load_hadoop_config(os.environ)
    nodes = find_namenodes(config, scheme=scheme.lower(), authority=authority)
    kerberos = config.get("hadoop.security.authentication").lower() == "kerberos"
    user = None if kerberos else os.environ.get("HADOOP_USER_NAME") or _system_user()
    return HdfsStore(
        root=f"{scheme.lower()}://{nodes.authority}/" + "/".join(names),
        client=WebHdfs(urls=nodes.urls, user=user, umask=_umask(config)),
        translator=Translator(user=user, source=nodes.source),
    )


def _system_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise UsageError(
            f"expected that user {os.geteuid()} has a name, as whom to ask HDFS; found none. Set HADOOP_USER_NAME."
        ) from None


def _umask(config: HadoopConfig) -> int:
    text = config.get("fs.permissions.umask-mode") or "022"
    if not re.fullmatch("0*[0-7]{1,3}", text, re.ASCII):
        raise UsageError(
            f"expected in {config.folder} an octal fs.permissions.umask-mode, such as 022; found {text[:100]!a}. "
            f"Write it so, or set HADOOP_CONF_DIR to another configuration."
        )
    return int(text, 8)


@dataclass(frozen=True, kw_only=True)
class HdfsStore:
    """Files below a folder on HDFS; see `hdfs_layout.store.Store` for what each method promises.

    Attributes
    ----------
    root : str
        ``hdfs://host:port/folder``. The folder need not exist: the first write makes it.
    client : WebHdfs
    translator : Translator
    """

    root: str
    client: WebHdfs
    translator: Translator

    def read(self, path: str) -> bytes:
        """See `Store.read`."""
        place = self._place(path)
        with self._errors("read", path), self._told_from_folder(place):
            return self.client.read(place)

    def read_range(self, path: str, *, offset: int, length: int) -> bytes:
        """See `Store.read_range`."""
        if offset < 0 or length < 0:
            raise BadDataError(f"expected an offset and a length >= 0 in {path!r}; found {offset} and {length}.")
        place = self._place(path)
        with self._errors("read", path):
            # Looked at first: HDFS refuses an offset at the end or beyond it, and numbers that Java does not hold.
            status = self.client.status(place)
            _expect_file(status)
            length = min(length, status.length - offset)
            if length <= 0:
                return b""
            return self.client.read(place, offset=offset, length=length)

    def open_read(self, path: str) -> BinaryIO:
        """See `Store.open_read`. Cannot seek."""
        place = self._place(path)
        with self._errors("read", path), self._told_from_folder(place):
            return io.BufferedReader(self.client.open(place), _READ_BUFFER_BYTES)

    def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
        """See `Store.write`. Chunks that can be read only once are not sent again when a DataNode fails."""
        place, temporary = self._file_place(path), self._place(writing_path(path))
        with self._errors("write", path):
            try:
                self.client.make_folder(place.rpartition("/")[0] or "/")
                self.client.create(temporary, data, mode=0o600 if private else 0o666)
                written = self.client.status(temporary)
                self._rename(temporary, place, option="OVERWRITE", file_id=written.file_id)
            except BaseException as error:
                with contextlib.suppress(RemoteError, NoAnswerError):
                    if isinstance(error, RemoteError):
                        self.client.delete(temporary, recursive=False, patient=False)
                    else:
                        self.client.delete_when_it_appears(temporary)
                if isinstance(error, RemoteError) and error.kind == "IOException":
                    _expect_file(self._status_or_none(place))
                raise

    def exists(self, path: str) -> bool:
        """See `Store.exists`."""
        with contextlib.suppress(NotFoundError), self._errors("look for", path):
            self.client.status(self._place(path))
            return True
        return False

    def status(self, path: str) -> Entry | None:
        """See `Store.status`."""
        with contextlib.suppress(NotFoundError), self._errors("look for", path):
            return self._entry(path.rpartition("/")[2], self.client.status(self._place(path)))
        return None

    def size(self, path: str) -> int:
        """See `Store.size`."""
        with self._errors("read", path):
            status = self.client.status(self._place(path))
            _expect_file(status)
            return status.length

    def checksum(self, path: str) -> str:
        """See `Store.checksum`. Made by the DataNodes of the checksums that they keep: no content is sent here."""
        place = self._place(path)
        with self._errors("read", path), self._told_from_folder(place):
            return self.client.checksum(place)

    def list(self, path: str) -> tuple[str, ...]:
        """See `Store.list`."""
        return tuple(sorted(entry.name for entry in self._entries(path)))

    def entries(self, path: str, *, hidden: bool = False) -> tuple[Entry, ...]:
        """See `Store.entries`."""
        return tuple(sorted(self._entry(found.name, found) for found in self._entries(path, hidden=hidden)))

    def walk(self, path: str) -> tuple[str, ...]:
        """See `Store.walk`."""
        return tuple(sorted(self._files_below(path)))

    def make_folder(self, path: str) -> None:
        """See `Store.make_folder`."""
        with self._errors("make the folder", path):
            self.client.make_folder(self._place(path))

    def publish(self, staged: str, target: str) -> None:
        """See `Store.publish`. One RENAME, after a look at the staged file."""
        self._publish(staged, target, file_only=True)

    def publish_tree(self, staged: str, target: str) -> None:
        """See `Store.publish_tree`. One RENAME, as in `publish`."""
        self._publish(staged, target, file_only=False)

    def _publish(self, staged: str, target: str, *, file_only: bool) -> None:
        source, place = self._file_place(staged), self._file_place(target)
        with self._errors("publish", staged):
            status = self.client.status(source)
            if file_only:
                _expect_file(status)
        with self._errors("publish", target):
            try:
                self._rename(source, place, option="NONE", file_id=status.file_id)
            except RemoteError as error:
                # Of a folder that has the name HDFS says no more than that it is one.
                is_taken = error.kind == "FileAlreadyExistsException" or (
                    error.kind == "IOException" and self._status_or_none(place) is not None
                )
                if not is_taken:
                    raise
                raise taken(self.uri(target)) from error

    def remove(self, path: str) -> None:
        """See `Store.remove`."""
        place = self._file_place(path)
        with contextlib.suppress(NotFoundError), self._errors("remove", path):
            _expect_file(self.client.status(place))
            self.client.delete(place, recursive=False)

    def remove_tree(self, path: str) -> None:
        """See `Store.remove_tree`."""
        place = self._file_place(path)
        with contextlib.suppress(NotFoundError), self._errors("remove", path):
            self.client.delete(place, recursive=True)

    def local_path(self, path: str) -> str | None:
        """See `Store.local_path`."""
        self._place(path)
        return None

    def addresses(self, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
        """See `Store.addresses`; one for each NameNode, which sends the reader to a DataNode near it.

        With Kerberos they are of use to tasks of a job of Hadoop alone, which have its token.
        """
        urls = self.client.urls_to_read(self._place(path))
        services = services_of(self.root) if self.client.user is None else ()
        trusted = authorities() if any(url.startswith("https:") for url in urls) else ""
        wholes = [Address(url=url, authorities=trusted, services=services, part_query=_PART) for url in urls]
        return tuple(wholes if length is None else (whole.part(offset=offset, length=length) for whole in wholes))

    def uri(self, path: str) -> str:
        """See `Store.uri`. Spelled as ``hadoop fs`` takes it, with nothing escaped."""
        self._place(path)
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    def _place(self, path: str) -> str:
        """Path on HDFS."""
        names = "/".join(split_path(path))
        try:
            names.encode("utf-8")
        except UnicodeEncodeError:
            raise BadDataError(f"expected a path below the root that is UTF-8; found {path[:200]!a}.") from None
        folder = "/" + self.root.partition("://")[2].partition("/")[2]
        return f"{folder.rstrip('/')}/{names}" if names else folder

    def _file_place(self, path: str) -> str:
        if not path:
            raise BadDataError("expected a path below the root; found the root itself, which is no file.")
        return self._place(path)

    def _errors(self, doing: str, path: str) -> contextlib.AbstractContextManager[None]:
        return self.translator.errors(doing, self.uri(path))

    def _status_or_none(self, place: str) -> FileStatus | None:
        try:
            return self.client.status(place)
        except RemoteError as error:
            if error.kind != "FileNotFoundException":
                raise
            return None

    @contextlib.contextmanager
    def _told_from_folder(self, place: str) -> Iterator[None]:
        """To read a folder is answered as if it were missing."""
        try:
            yield
        except RemoteError as error:
            if error.kind == "FileNotFoundException":
                _expect_file(self._status_or_none(place))
            raise

    def _rename(self, source: str, place: str, *, option: str, file_id: int) -> None:
        lost: NoAnswerError | None = None
        for _ in range(_RENAME_ATTEMPTS):
            refusal: RemoteError | None = None
            try:
                return self.client.rename(source, place, option=option)
            except NoAnswerError as error:
                lost = error
            except RemoteError as error:
                if lost is None:
                    raise
                refusal = error
            try:
                status = self._status_or_none(place)
            except NoAnswerError as error:
                raise NoAnswerError(f"{error}. Whether it was done before is not known") from error
            if status is not None and status.file_id == file_id and place != source:
                return None
            if refusal is not None:
                raise refusal
        raise lost or AssertionError("unreachable")

    def _entries(self, path: str, *, hidden: bool = False) -> Iterator[FileStatus]:
        with self._errors("list", path):
            for entry in self.client.list(self._place(path)):
                if not entry.name:
                    raise RemoteError("ParentNotDirectoryException", "a folder was asked for")
                if hidden or not entry.name.startswith(HIDDEN):
                    yield entry

    def _entry(self, name: str, found: FileStatus) -> Entry:
        if found.is_folder:
            return Entry(name, True, 0, found.modified)
        alias = f"{split_uri(self.root)[0]}.reserved/.inodes/{found.file_id}"
        return Entry(name, False, found.length, found.modified, alias)

    def _files_below(self, path: str) -> Iterator[str]:
        for entry in self._entries(path):
            below = join(path, entry.name)
            if entry.is_folder:
                yield from self._files_below(below)
            else:
                yield below


def _expect_file(status: FileStatus | None) -> None:
    if status is not None and status.is_folder:
        raise RemoteError("PathIsDirectoryException", "a file was asked for")
