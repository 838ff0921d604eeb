"""Faults of the machine: what the system refuses, of files, memory and processes, as errors with an exit code.

Such an error is no defect of the program, wherever it comes up; so it has a sentence and no traceback.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterable

from hdfs_layout.errors import MrMlError, StorageError, UnavailableError

_INTACT = "Nothing half-written is visible; published versions are intact."
_PLACES = "`root`, `to` or TMPDIR"
# What was found, and what to do about it.
_SENTENCES: dict[int, tuple[str, str]] = {
    errno.ENOENT: ("no such file or folder", "Check the name and `root`, and whether it was removed."),
    errno.ENOTDIR: ("a file where a folder is needed", "Rename or remove that file, or choose another name."),
    errno.EISDIR: ("a folder where a file is needed", "Rename or remove that folder, or choose another name."),
    errno.EACCES: ("permission denied", f"Ask its owner for access, or choose another place ({_PLACES})."),
    errno.EPERM: ("operation not permitted", f"Ask its owner for access, or choose another place ({_PLACES})."),
    errno.EROFS: ("a read-only file system", f"Choose another place ({_PLACES}), or have it remounted."),
    errno.ENOSPC: (
        "no space left on the device",
        f"Free some space or choose another place, then run again. {_INTACT}",
    ),
    errno.EDQUOT: ("disk quota exceeded", f"Free some space or have the quota raised, then run again. {_INTACT}"),
    errno.EFBIG: ("a file larger than allowed", f"Raise the limit (ulimit -f), then run again. {_INTACT}"),
    errno.ENAMETOOLONG: ("a name that is too long", "Choose a shorter name or a `root` with a shorter path."),
    errno.ELOOP: ("symbolic links that form a loop", "Fix or remove those links."),
    errno.EMFILE: ("too many open files", "Raise the limit (ulimit -n), then run again."),
    errno.ENFILE: ("too many open files on this machine", "Wait until other programs have ended, then run again."),
    errno.EIO: ("an input/output error", "The disk or mount is failing: see the system's log."),
    errno.ESTALE: ("a stale network mount", "Have it mounted again, then run again."),
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Less free space than this is none.
_FULL_BYTES = 1 << 20
_MEMORY = (
    "give a smaller `memory` or fewer `workers`, let other programs end, or raise the limit that is set (ulimit -v, "
    f"the job's or container's). {_INTACT}"
)
# What Python, numpy and scipy take before there is any data. With less, OpenBLAS ends the process or waits for ever.
LEAST_ADDRESS_SPACE = 384 << 20
# What the loader of libraries says; it has no error numbers.
_OF_THE_LOADER = ("cannot open shared object file: Error 24", os.strerror(errno.EMFILE))
_OF_MEMORY = (os.strerror(errno.ENOMEM), "failed to map segment", "cannot create shared object descriptor")


def check_address_space() -> None:
    """Look whether this process may have the memory that the libraries alone need.

    Raises
    ------
    UnavailableError
        If a limit forbids it.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < LEAST_ADDRESS_SPACE:
        raise UnavailableError(
            f"expected that a process may have {LEAST_ADDRESS_SPACE >> 20} MB of address space, for libraries alone, "
            f"found a limit of {soft >> 20} MB; raise it (ulimit -v)"
        )


def sentence(error: OSError) -> tuple[str, str]:
    """Say what the system found, and what to do about it."""
    number = error.errno or 0
    cause, remedy = _SENTENCES.get(number, (error.strerror or str(error), "See the system's log."))
    return f"{cause} ({errno.errorcode.get(number, 'no code')})", remedy


def storage_error(error: OSError, *, doing: str, place: str = "") -> StorageError:
    """Make an error that says what could not be done, where, why, and what to do.

    Parameters
    ----------
    doing
        Such as "read partition 3".
    place
        The file or folder; by default the one that the error itself names.
    """
    where = place or _names(error) or _full_places(error)
    return StorageError(f"cannot {doing}{f' {where}' if where else ''}: {_in_words(error)}")


def of_machine(error: BaseException, *, what: str = "") -> MrMlError | None:
    """Return the fault of the machine behind an exception; None if it is none.

    Parameters
    ----------
    what
        What came of it, such as "task 3 failed".
    """
    start = f"{what}: " if what else ""
    text = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return UnavailableError(f"{start}memory is full ({text or 'none was to be had'}); {_MEMORY}")
    if isinstance(error, ImportError):
        if any(words in text for words in _OF_THE_LOADER):
            return StorageError(f"{start}{text}: {' '.join(_SENTENCES[errno.EMFILE])}")
        if any(words in text for words in _OF_MEMORY):
            return UnavailableError(f"{start}memory is full ({text}); {_MEMORY}")
    if isinstance(error, OSError):
        place = _names(error) or _full_places(error)
        return StorageError(f"{start}{f'{place}: ' if place else ''}{_in_words(error)}")
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return UnavailableError(f"{start}no thread could be started: too many processes (ulimit -u), or {_MEMORY}")
    return None


def _in_words(error: OSError) -> str:
    # libraries use the class for words of their own
    words = f"{error.strerror} ({errno.errorcode.get(error.errno, error.errno)})" if error.errno else str(error)
    return f"{words}. {sentence(error)[1]}"


def _names(error: OSError) -> str:
    return " and ".join(repr(os.fspath(name)) for name in (error.filename, error.filename2) if isinstance(name, str))


def _full_places(error: OSError) -> str:
    """Which of the folders that this program writes to are full, if that is what is wrong: the system does not say."""
    if error.errno not in _FULL:
        return ""
    import tempfile

    return " or ".join(map(repr, full_folders(("/dev/shm", tempfile.gettempdir(), os.curdir))))  # noqa: S108


def full_folders(folders: Iterable[str]) -> list[str]:
    """Those that have no room left, each once."""
    full = []
    for folder in dict.fromkeys(map(os.path.abspath, folders)):
        try:
            stat = os.statvfs(folder)
        except OSError:
            continue
        if stat.f_bavail * stat.f_frsize < _FULL_BYTES or (stat.f_files and not stat.f_favail):
            full.append(folder)
    return full
