"""A lock that the kernel keeps on a local file, and gives up in the instant in which its process ends.

It is a POSIX record lock (``fcntl``), not ``flock``: that belongs to the open file, so that a child process which was
forked meanwhile would keep it when the holder is killed. A record lock belongs to one process and is not inherited.
Two of its properties are made good here. Threads of one process do not exclude each other: a table says what this
process holds. And it is lost when the process closes *any* descriptor of the file: nothing else opens the file (its
name is hidden), the table is asked before it is opened, and `KernelLock.is_held` would notice.

The file stays when the lock is released. To remove it would take it away from whoever has opened it and is about to
lock it. It holds the holder's note, and nothing while nobody holds the lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import StorageError
from hdfs_layout.faults import storage_error

_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_HELD_BY_ANOTHER = frozenset({errno.EAGAIN, errno.EACCES})
_MOST_NOTE_BYTES = 64 << 10


class HeldError(Exception):
    """Somebody holds the lock.

    Attributes
    ----------
    note : bytes
        What the holder wrote into it; nothing, or an earlier holder's, if that has taken it this very moment.
    """

    def __init__(self, note: bytes) -> None:
        super().__init__("held")
        self.note = note


class _Table:
    """What this process holds: device and inode of the file -> note."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.notes: dict[tuple[int, int], bytes] = {}


_table = _Table()


def _forget() -> None:
    """Forget everything in a forked child: it holds none of its parent's locks, and a thread may have had the mutex."""
    global _table
    _table = _Table()


os.register_at_fork(after_in_child=_forget)


@dataclass(frozen=True, kw_only=True)
class KernelLock:
    """A lock that this process took.

    Attributes
    ----------
    place : str
        Path of the file.
    descriptor : int
    pid : int
        Of this process: a forked child that has this object holds nothing.
    """

    place: str
    descriptor: int
    pid: int

    def is_held(self) -> bool:
        """Whether this process holds it still.

        Raises
        ------
        StorageError
            If the system does not say.
        """
        if os.getpid() != self.pid:
            return False
        with _errors(self.place):
            try:
                # If it was lost and nobody took it meanwhile, it is had again.
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return os.path.samestat(os.stat(self.place), os.fstat(self.descriptor))
            except FileNotFoundError:
                return False
            except OSError as error:
                if error.errno in _HELD_BY_ANOTHER:
                    return False
                raise

    def release(self) -> None:
        """Give it up; nothing in a forked child."""
        if os.getpid() != self.pid:
            return
        with _table.mutex:
            _table.notes.pop(_identity(os.fstat(self.descriptor)), None)
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, 0)
            os.close(self.descriptor)


def take_kernel_lock(place: str, note: bytes) -> KernelLock:
    """Lock the file, which is made if it is missing, and write the note into it. Never waits.

    Raises
    ------
    HeldError
        If another process, or another thread of this one, holds it.
    StorageError
        If it cannot be locked at all.
    """
    with _table.mutex, _errors(place):
        while True:
            _look_up(place)
            # Not inherited by programs that this one starts.
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                _lock(descriptor)
                status = os.fstat(descriptor)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.stat(place), status):
                        os.pwrite(descriptor, note, 0)
                        os.ftruncate(descriptor, len(note))
                        _table.notes[_identity(status)] = note
                        return KernelLock(place=place, descriptor=descriptor, pid=os.getpid())
            except BaseException:
                os.close(descriptor)
                raise
            # It was removed by hand between the opening and the locking.
            os.close(descriptor)


def _look_up(place: str) -> None:
    """Raise `HeldError` if this process holds it. To find that out by opening and closing the file would unlock it."""
    with contextlib.suppress(FileNotFoundError):
        note = _table.notes.get(_identity(os.stat(place)))
        if note is not None:
            raise HeldError(note)


def _lock(descriptor: int) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD_BY_ANOTHER:
            raise
        raise HeldError(os.pread(descriptor, _MOST_NOTE_BYTES, 0)) from None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _errors(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise StorageError(
                f"could not lock {place!r}: expected a file system with locks; found that it refuses one "
                f"({error.strerror}). Mount it with locks (NFS: without nolock, and with rpc.statd running for version "
                f"3), or choose a `root` on a local disk or on HDFS."
            ) from error
        raise storage_error(error, doing="lock", place=repr(place)) from error
