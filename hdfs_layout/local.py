"""The store of a local folder, or of a shared file system that is mounted as one.

Whole or not at all: a file is written under a temporary name in its own folder, brought to the disk (fsync), and
renamed. Publish: ``link(staged, target)`` fails in the kernel if the target exists, over NFS too, and is
therefore the commit. ``rename`` would overwrite; a lock file beside it would outlive a killed holder. File systems
without hard links (FAT, exFAT, some network mounts) are refused with a message instead of published to unsafely.

Symbolic links. The root may be one, and folders and files below it may be: they are followed when reading and writing
*through* them, so that an operator can move a big dataset to another disk. A link itself is never written to, published
or descended into by a removal: `write` replaces the link, `remove` and `remove_tree` remove the link. Who can place
links below the root can already change everything below it; what data can do (paths in manifests) is checked by
`paths.split_path`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import urllib.parse
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import BinaryIO

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import BadDataError, NotFoundError, StorageError, UsageError, taken
from hdfs_layout.faults import sentence
from hdfs_layout.paths import HIDDEN, join, split_path, writing_path
from hdfs_layout.store import Address, Entry

_WRITE_BUFFER_BYTES = 1 << 20
# to make a folder, while other processes remove empty ones above it
_MOST_TRIES = 10

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
# Some network mounts cannot sync a folder: there, nothing stronger can be had.
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF})


@dataclass(frozen=True)
class LocalStore:
    """Files below a local folder; see `hdfs_layout.store.Store` for what each method promises.

    Attributes
    ----------
    root : str
        Absolute path of the folder, so that a later change of the working directory changes nothing. Need not exist:
        the first write makes it.
    """

    root: str

    def read(self, path: str) -> bytes:
        """See `Store.read`."""
        with _os_errors("read", self._place(path)), self._open(path) as file:
            return file.read()

    def read_range(self, path: str, *, offset: int, length: int) -> bytes:
        """See `Store.read_range`."""
        if offset < 0 or length < 0:
            raise BadDataError(f"expected an offset and a length >= 0 in {path!r}; found {offset} and {length}.")
        with _os_errors("read", self._place(path)), self._open(path) as file:
            # Not more than there is: read() allocates what it is asked for, and the numbers may come from a manifest.
            available = os.fstat(file.fileno()).st_size - offset
            if available <= 0:
                return b""
            file.seek(offset)
            return file.read(min(length, available))

    def open_read(self, path: str) -> BinaryIO:
        """See `Store.open_read`."""
        with _os_errors("read", self._place(path)):
            return self._open(path)

    def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
        """See `Store.write`."""
        place, temporary = self._file_place(path), self._place(writing_path(path))
        folder = os.path.dirname(place)
        chunks = (data,) if isinstance(data, (bytes, bytearray, memoryview)) else data
        with _os_errors("write", place):
            _make_folders(folder)
            opener = _open_private if private else None
            # closed below, error by error
            file = open(temporary, "xb", buffering=_WRITE_BUFFER_BYTES, opener=opener)  # noqa: SIM115
        try:
            for chunk in chunks:  # outside the error context: an error of the chunks' source is not ours
                with _os_errors("write", place):
                    file.write(chunk)
            with _os_errors("write", place):
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.replace(temporary, place)
        except BaseException:
            with contextlib.suppress(OSError):
                file.close()  # tries once more to write out its buffer, and fails again
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        with _os_errors("write", place):
            _sync_folder(folder)

    def exists(self, path: str) -> bool:
        """See `Store.exists`."""
        place = self._place(path)
        with _os_errors("look for", place):
            try:
                os.stat(place)
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def status(self, path: str) -> Entry | None:
        """See `Store.status`. What a link leads to counts; one to nothing is missing."""
        place = self._place(path)
        with _os_errors("look for", place):
            try:
                return _entry(path.rpartition("/")[2], os.stat(place))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def size(self, path: str) -> int:
        """See `Store.size`."""
        place = self._place(path)
        with _os_errors("read", place):
            status = os.stat(place)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), place)
            return status.st_size

    def checksum(self, path: str) -> str:
        """See `Store.checksum`. ``sha256:``, after reading all of it."""
        with _os_errors("read", self._place(path)), self._open(path) as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

    def list(self, path: str) -> tuple[str, ...]:
        """See `Store.list`."""
        with _os_errors("list", self._place(path)):
            return tuple(sorted(name for name in os.listdir(self._place(path)) if not name.startswith(HIDDEN)))

    def entries(self, path: str, *, hidden: bool = False) -> tuple[Entry, ...]:
        """See `Store.entries`. What a link leads to counts; one to nothing is a file of 0 bytes, written in 1970."""
        with _os_errors("list", self._place(path)), os.scandir(self._place(path)) as entries:
            return tuple(sorted(_listed(entry) for entry in entries if hidden or not entry.name.startswith(HIDDEN)))

    def walk(self, path: str) -> tuple[str, ...]:
        """See `Store.walk`."""
        with _os_errors("list", self._place(path)):
            return tuple(sorted(self._files_below(path)))

    def make_folder(self, path: str) -> None:
        """See `Store.make_folder`."""
        with _os_errors("make the folder", self._place(path)):
            _make_folders(self._place(path))

    def publish(self, staged: str, target: str) -> None:
        """See `Store.publish`. One ``link``, then the staged name is removed."""
        source, place = self._file_place(staged), self._file_place(target)
        with _os_errors("publish", source):
            if not stat.S_ISREG(os.lstat(source).st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), source)
        with _os_errors("publish", place):
            try:
                os.link(source, place)
            except FileExistsError as error:
                if not _is_linked_as(source, place):
                    raise taken(place) from error
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                raise StorageError(
                    f"could not publish {place!r}: expected a file system with hard links, without which publishing is "
                    f"not atomic; found that it refuses one ({error.strerror}). Choose a `root` on a local disk (ext4, "
                    f"xfs, APFS, NTFS...), on NFS, or on HDFS."
                ) from error
            with contextlib.suppress(OSError):  # the target is published: a staged name left behind does no harm
                os.unlink(source)
            _sync_folder(os.path.dirname(place))

    def publish_tree(self, staged: str, target: str) -> None:
        """See `Store.publish_tree`. One ``rename`` of a folder; of a file one ``link``, where there are hard links."""
        source, place = self._file_place(staged), self._file_place(target)
        with _os_errors("publish", source):
            is_folder = stat.S_ISDIR(os.lstat(source).st_mode)
        with _os_errors("publish", place):
            try:
                if not is_folder:
                    os.link(source, place)
                    os.unlink(source)
                elif os.path.lexists(place):
                    raise taken(place)
                else:
                    # replaces an empty folder at most
                    os.rename(source, place)
            except OSError as error:
                if os.path.lexists(place):
                    raise taken(place) from error
                if is_folder or error.errno not in _NO_HARD_LINKS:
                    raise
                os.rename(source, place)
            _sync_folder(os.path.dirname(place))

    def remove(self, path: str) -> None:
        """See `Store.remove`."""
        place = self._file_place(path)
        with _os_errors("remove", place):
            try:
                # Told apart first, because unlink of a folder answers EISDIR on one system and EPERM on another.
                if stat.S_ISDIR(os.lstat(place).st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), place)
                os.unlink(place)
            except (FileNotFoundError, NotADirectoryError):
                return

    def remove_tree(self, path: str) -> None:
        """See `Store.remove_tree`."""
        place = self._file_place(path)
        with _os_errors("remove", place):
            # Several at once may remove the same tree: a name that another removed first only means to go on.
            while os.path.isdir(place) and not os.path.islink(place):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(place)
        self.remove(path)

    def local_path(self, path: str) -> str | None:
        """See `Store.local_path`."""
        return self._place(path)

    def addresses(self, path: str, *, offset: int = 0, length: int | None = None) -> tuple[Address, ...]:
        """See `Store.addresses`; a folder of this machine has none."""
        self._place(path)
        return ()

    def uri(self, path: str) -> str:
        """See `Store.uri`. An absolute path, which every tool opens; mrjob takes it as a local file on every runner."""
        return self._place(path)

    def _place(self, path: str) -> str:
        return os.path.join(self.root, *split_path(path))

    def _file_place(self, path: str) -> str:
        if not path:
            raise BadDataError("expected a path below the root; found the root itself, which is no file.")
        return self._place(path)

    def _open(self, path: str) -> BufferedReader:
        return open(self._place(path), "rb")

    def _files_below(self, path: str) -> Iterator[str]:
        # Links that lead back up end here: the system refuses a path with more than a few dozen links in it.
        with os.scandir(self._place(path)) as entries:
            for entry in entries:
                if entry.name.startswith(HIDDEN):
                    continue
                if entry.is_dir():
                    yield from self._files_below(join(path, entry.name))
                else:
                    yield join(path, entry.name)


def open_folder(folder: str) -> LocalStore:
    """Open the store of a folder by its path.

    Raises
    ------
    UsageError
        If it is a file, or no path.
    """
    if "\0" in folder or os.path.isfile(folder):
        raise UsageError(f"expected as root a folder; found {folder[:200]!a}, which is not one. Choose another `root`.")
    return LocalStore(os.path.abspath(folder))


def open_file_uri(root: str) -> LocalStore:
    """Open the store of a folder by its ``file:///...``; raises as `open_folder`."""
    host, slash, path = root[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash:
        raise UsageError(f"expected file:/// and an absolute path; found {root[:200]!a}. Write file:///that/path.")
    return open_folder(os.fsdecode(b"/" + urllib.parse.unquote_to_bytes(path)))


def _listed(entry: os.DirEntry[str]) -> Entry:
    try:
        return _entry(entry.name, entry.stat())
    except FileNotFoundError:
        # a link to nothing, or gone meanwhile
        return Entry(entry.name, False, 0, 0.0)


def _entry(name: str, status: os.stat_result) -> Entry:
    is_folder = stat.S_ISDIR(status.st_mode)
    return Entry(name, is_folder, 0 if is_folder else status.st_size, status.st_mtime)


@contextlib.contextmanager
def _os_errors(doing: str, place: str) -> Iterator[None]:
    """Turn an `OSError` into a `StorageError` that says what could not be done, where, why, and what to do."""
    try:
        yield
    except OSError as error:
        cause, remedy = sentence(error)
        kind = NotFoundError if error.errno in (errno.ENOENT, errno.ENOTDIR) else StorageError
        raise kind(f"could not {doing} {place!r}: found {cause}. {remedy}") from error


def _open_private(place: str, flags: int) -> int:
    """Open as `open` does, a new file for its owner alone."""
    return os.open(place, flags, 0o600)


def _make_folders(folder: str) -> None:
    """Make a folder and those above it, each brought to the disk before anything is put into it."""
    for _ in range(_MOST_TRIES):
        with contextlib.suppress(FileNotFoundError):  # another process has just removed one of them that was empty
            return _make_missing(folder)
    return _make_missing(folder)


def _make_missing(folder: str) -> None:
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):  # a file is in the way; else another process was quicker
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        _sync_folder(os.path.dirname(path))


def _sync_folder(folder: str) -> None:
    """Bring a folder's names to the disk: a rename or link is only durable after that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _is_linked_as(source: str, place: str) -> bool:
    """Whether `place` is a second name of the file `source`.

    Over NFS the answer to a link that was made can be lost; the repeated request is then told that the name is taken.
    """
    status = os.lstat(source)
    # One name reached by two paths has no second link: taking away `source` would take away the file.
    return source != place and status.st_nlink > 1 and os.path.samestat(status, os.lstat(place))
