"""Names that say which process made a file or folder, so that others can tell when it is no longer needed.

A name holds ``-PLACE-PID-START-``: where a process id means this process (a hash of host, boot and name space), the id,
and when it started, since ids are given again. A process in the same place checks whether that process is alive.
Elsewhere, as on a folder that several machines share, that cannot be checked: only what is very old is removed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import secrets
import shutil
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

# What a process in another place made is given up after this long.
FORGOTTEN_SECONDS = 30 * 86_400.0

_TAG = re.compile(r"-([0-9a-f]{8})-([0-9]+)-([0-9]+)-", re.ASCII)


def owned(prefix: str) -> str:
    """Make a new name that begins with `prefix`, says that this process made it, and cannot be guessed."""
    pid = os.getpid()
    return f"{prefix.removesuffix('-')}-{_hash()}-{pid}-{max(start_of(pid), 0)}-{secrets.token_hex(4)}"


def is_abandoned(name: str, *, since: float) -> bool:
    """Whether what has this name is no longer needed.

    Parameters
    ----------
    since
        When it was last changed, Unix time.
    """
    tag = _TAG.search(name)
    if tag is None or tag[1] != _hash():
        return time.time() - since > FORGOTTEN_SECONDS
    return start_of(int(tag[2])) != int(tag[3])


def is_gone(name: str) -> bool:
    """Whether the process that made this name is known to be gone; False of one in another place.

    Stricter than `is_abandoned`: for what is not to be taken away from a process that cannot be seen.
    """
    tag = _TAG.search(name)
    if tag is None or tag[1] != _hash():
        return False
    pid, started = int(tag[2]), int(tag[3])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # of another user, whose processes /proc need not show (hidepid)
        return start_of(pid) not in (-1, started)
    # no start is known where there was no /proc
    return started != 0 and start_of(pid) != started


def can_be_seen(name: str) -> bool:
    """Whether the process that made this name is, or was, in this place, so that `is_gone` is the whole truth."""
    tag = _TAG.search(name)
    return tag is not None and tag[1] == _hash()


def sweep(folder: str | os.PathLike[str], *prefixes: str) -> None:
    """Remove what processes of this user left in a folder, but not below it, and that are gone.

    Parameters
    ----------
    prefixes
        Of the names of files and folders that may be removed. What cannot be removed stays.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefixes):
                with suppress(OSError):
                    _remove_abandoned(entry)


def _remove_abandoned(entry: os.DirEntry[str]) -> None:
    status = entry.stat(follow_symlinks=False)
    if status.st_uid != os.getuid() or not is_abandoned(entry.name, since=status.st_mtime):
        return
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        os.unlink(entry.path)


def user_name() -> str:
    """Return the name of this process's user, for people; the number of one whom the system does not know."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@cache
def place() -> str:
    """Host, boot and name space in which a process id means a process of this one's world."""

    def read(path: str) -> str:
        with suppress(OSError):
            return Path(path).read_bytes().decode().strip()
        return ""

    def link(path: str) -> str:
        with suppress(OSError):
            return os.readlink(path)
        return ""

    return " ".join((os.uname().nodename, read("/proc/sys/kernel/random/boot_id"), link("/proc/self/ns/pid")))


@cache
def _hash() -> str:
    return hashlib.sha256(place().encode()).hexdigest()[:8]


def start_of(pid: int) -> int:
    """Start of a process in clock ticks since boot; -1 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as source:
            fields = source.read().rpartition(b")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])
