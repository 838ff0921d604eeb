"""Folders for the temporary files of local jobs, and their removal.

A pass writes a few kilobytes that are read once, a moment later. In shared memory (`/dev/shm`) that costs no disk
access, but a folder left behind there holds memory until the machine restarts. So every process has one scratch
folder, whose name says whose it is, and the next process to ask for one removes those of processes that are gone.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path

from hdfs_layout.faults import storage_error
from hdfs_layout.owners import owned, sweep
from mr_ml.errors import StorageError, UsageError
from mr_ml.interrupts import uninterrupted

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders made in it are private and have unguessable names
PREFIX = "mr_ml-tmp-"
# Free space asked for, as a multiple of what a job says it writes: others use the same memory.
HEADROOM = 4
# The longest path of a socket, without the zero at its end, and what the name of one in a folder of ours takes.
_SOCKET_PATH = 107
_SOCKET_NAME = len("/listener-12345678")


class _Scratch:
    """One folder; removed when the process ends, or by a later process if this one is killed."""

    def __init__(self, parent: Path) -> None:
        self.owner = os.getpid()
        self.path = parent / owned(PREFIX)
        try:
            with uninterrupted():
                self.path.mkdir(0o700)
                self._finalizer = weakref.finalize(self, _remove, self.path, self.owner)
        except OSError as error:
            described = storage_error(error, doing="make a temporary folder in", place=str(parent))
            raise StorageError(f"{described} Or set TMPDIR to a folder that can be written.") from error

    def remove(self) -> None:
        self._finalizer()


def _remove(path: Path, owner: int) -> None:
    # A forked child inherits this object: the folder stays its parent's.
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)


_current: dict[Path, _Scratch] = {}


def scratch_folder(*, needs_bytes: int | None) -> Path:
    """Give this process's folder for temporary files.

    It is in shared memory if that can be written and has `HEADROOM` times the room needed; else, and whenever the
    user has set `TMPDIR`, where `tempfile` puts things.

    Parameters
    ----------
    needs_bytes : int or None
        The most that will be stored in the folder at any time, in bytes; None if that is not known, which keeps the
        folder out of memory.

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
    if not _current:
        # first: old files take up the room that is needed
        _sweep()
    parent = _parent(needs_bytes)
    refuse_what_mrjob_interprets(parent)
    return _folder(parent)


def socket_folder() -> Path:
    """Give a folder like `scratch_folder`, in which the path of a socket is short enough for the system.

    Raises
    ------
    StorageError
        If there is none.
    """
    if not _current:
        _sweep()
    usual = _parent(0)
    taken = _SOCKET_NAME + 1 + len(owned(PREFIX))
    short = [folder for folder in (usual, *_short_folders()) if len(os.fsencode(folder)) + taken <= _SOCKET_PATH]
    for folder in short:
        if _has_room(folder, 0):
            return _folder(folder)
    raise StorageError(
        f"cannot make a socket: the path of the folder for temporary files, {str(usual)!r}, is too long for one, and "
        f"none of {', '.join(map(str, _short_folders()))} can be written; set TMPDIR to a shorter path"
    )


def _short_folders() -> Iterable[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [*([Path(runtime)] if runtime else []), SHARED_MEMORY, Path("/tmp"), Path("/var/tmp")]  # noqa: S108


def _folder(parent: Path) -> Path:
    scratch = _current.get(parent)
    if scratch is None or scratch.owner != os.getpid() or not scratch.path.is_dir():
        scratch = _current[parent] = _Scratch(parent)
    return scratch.path


def refuse_what_mrjob_interprets(folder: Path) -> None:
    """Raise a `UsageError` if mrjob would take characters of the path of a temporary folder for something else."""
    if interpreted := sorted(set("*?[#") & set(str(folder))):
        raise UsageError(
            f"the folder for temporary files is {str(folder)!r}, and mrjob reads {' '.join(interpreted)} as something "
            "else; set TMPDIR to a path without such characters"
        )


def _parent(needs_bytes: int | None) -> Path:
    if needs_bytes is not None and not os.environ.get("TMPDIR") and _has_room(SHARED_MEMORY, HEADROOM * needs_bytes):
        return SHARED_MEMORY
    return _temporary()


def _temporary() -> Path:
    return Path(tempfile.gettempdir()).absolute()


def _has_room(folder: Path, n_bytes: int) -> bool:
    try:
        stat = os.statvfs(folder)
    except OSError:
        return False
    return stat.f_bavail * stat.f_frsize >= n_bytes and os.access(folder, os.W_OK | os.X_OK)


def _sweep() -> None:
    """Remove what this user's processes that are gone have left, also where this one will not put anything."""
    for parent in dict.fromkeys((SHARED_MEMORY, _temporary(), *_short_folders())):
        sweep(parent, PREFIX)
