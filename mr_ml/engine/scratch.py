"""Where the temporary files of local jobs go, and how they go away.

A pass writes a few kilobytes that are read once, a moment later. In shared memory (`/dev/shm`) that costs no disk
access, but a folder left behind there holds memory until the machine restarts. So every process has one scratch
folder, locked as long as the process lives, and the next process to ask for one removes those whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import weakref
from pathlib import Path

from mr_ml.errors import StorageError, UsageError

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders made in it are private and have unguessable names
PREFIX = "mr_ml-scratch-"
LOCK_NAME = "lock"
# Free space asked for, as a multiple of what a job says it writes: others use the same memory.
HEADROOM = 4
# A folder this young may not have been locked yet by the process that made it.
SETTLING_SECONDS = 60.0


class _Scratch:
    """One locked folder; removed when the process ends, or by a later process if this one is killed."""

    def __init__(self, parent: Path) -> None:
        self.owner = os.getpid()
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            self._lock = os.open(self.path / LOCK_NAME, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(
                f"cannot make a temporary folder in {parent}: {error.strerror}; free some space there, "
                "or set TMPDIR to a folder that can be written"
            ) from error
        self._finalizer = weakref.finalize(self, _remove, self.path, self._lock, self.owner)

    def remove(self) -> None:
        self._finalizer()


def _remove(path: Path, lock: int, owner: int) -> None:
    # A forked child inherits this object: the folder stays its parent's.
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)
    os.close(lock)


_current: dict[Path, _Scratch] = {}


def scratch_folder(*, needs_bytes: int | None) -> Path:
    """Give this process's folder for temporary files.

    It is in shared memory if that can be written and has `HEADROOM` times the room needed; else, and whenever the
    user has set `TMPDIR`, where `tempfile` puts things.

    Parameters
    ----------
    needs_bytes : int or None
        The most that will lie in the folder at any time, in bytes; None if that is not known, which keeps the folder
        out of memory.

    Returns
    -------
    pathlib.Path
        A folder that only this user can read; the same one on every call while it exists. It is removed when the
        process ends; after a kill, by the next process of the same user that calls this function.

    Raises
    ------
    StorageError
        If no folder can be made.
    UsageError
        If mrjob cannot handle its path.
    """
    parent = _parent(needs_bytes)
    refuse_what_mrjob_interprets(parent)
    scratch = _current.get(parent)
    if scratch is None or scratch.owner != os.getpid() or not scratch.path.is_dir():
        _sweep(parent)
        scratch = _current[parent] = _Scratch(parent)
    return scratch.path


def refuse_what_mrjob_interprets(folder: Path) -> None:
    """Raise a `UsageError` if mrjob would take characters of the path of a temporary folder for something else."""
    if found := sorted(set("*?[#") & set(str(folder))):
        raise UsageError(
            f"the folder for temporary files is {str(folder)!r}, and mrjob reads {' '.join(found)} as something else; "
            "set TMPDIR to a path without such characters"
        )


def _parent(needs_bytes: int | None) -> Path:
    if needs_bytes is not None and not os.environ.get("TMPDIR") and _has_room(SHARED_MEMORY, HEADROOM * needs_bytes):
        return SHARED_MEMORY
    return Path(tempfile.gettempdir()).absolute()


def _has_room(folder: Path, n_bytes: int) -> bool:
    try:
        stat = os.statvfs(folder)
    except OSError:
        return False
    return stat.f_bavail * stat.f_frsize >= n_bytes and os.access(folder, os.W_OK | os.X_OK)


def _sweep(parent: Path) -> None:
    """Remove the scratch folders of this user's processes that are gone."""
    for folder in parent.glob(PREFIX + "*"):
        try:
            stat = folder.lstat()
            if stat.st_uid != os.getuid() or time.time() - stat.st_mtime < SETTLING_SECONDS:
                continue
            lock = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # its owner lives
        finally:
            os.close(lock)
