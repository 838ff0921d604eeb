"""The file system of this machine, for `mr_ml.readers.text.find`."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mr_ml.errors import StorageError, UsageError
from mr_ml.readers.text.find import FILE, FOLDER, Listed, Status

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISREG, FILE),
    (stat.S_ISDIR, FOLDER),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class LocalTree:
    """See `mr_ml.readers.text.find.Tree`. Paths that do not begin with ``/`` count from the current folder."""

    def look(self, path: str, *, follow: bool = True) -> Status | None:
        """See `Tree.look`."""
        with _reading(path):
            try:
                status = os.stat(path, follow_symlinks=follow)
            except OSError as error:
                if error.errno in _NOTHING_THERE:
                    return None
                raise
            except ValueError:
                # a NUL
                return None
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
        place = status.st_dev, status.st_ino
        # numbers of files are not unique everywhere
        identity = place if kind == FOLDER else (*place, status.st_size, status.st_mtime_ns)
        return Status(kind, status.st_size, (status.st_ino, status.st_size, status.st_mtime_ns), (identity,))

    def entries(self, folder: str) -> list[Listed]:
        """See `Tree.entries`."""
        listed = []
        with _reading(folder or "."), os.scandir(folder or ".") as entries:
            for entry in entries:
                with _reading(entry.path):
                    listed.append(Listed(entry.name, entry.is_dir()))
        return sorted(listed, key=lambda entry: entry.name)

    def loops(self) -> bool:
        """See `Tree.loops`."""
        return True

    def as_given(self, path: str) -> str:
        """See `Tree.as_given`."""
        return path

    def full_name(self, path: str) -> str:
        """Give the path without ``.`` and ``..``, which behind a link to a folder mean what they mean there."""
        plain = os.path.abspath(path)
        if ".." in path.split("/"):
            folder = os.path.realpath(os.path.dirname(path))
            if folder != os.path.realpath(os.path.dirname(plain)):
                return os.path.join(folder, os.path.basename(path))
        return plain

    def check(self, name: str, status: Status) -> None:
        """See `Tree.check`."""
        if not status.size:
            with _reading(name), open(name, "rb", buffering=0) as file:
                if file.read(1):
                    raise UsageError(
                        f"{name} has content although the system says that it is empty, as of files in /proc; copy "
                        "it, and name the copy"
                    )


LOCAL_TREE = LocalTree()


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror or error}; see that it is there and that you may read it"
        ) from error
