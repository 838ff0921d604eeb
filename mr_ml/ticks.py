"""How many bytes of text the tasks on this machine have read, told to their driver while they read.

Each process of theirs writes its sum into a file of its own, in a folder that an environment variable names; the driver
adds them up when it is asked. Where the variable is not set, as on a cluster, nothing is counted.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VARIABLE = "MR_ML_TICKS"
_SIZE = 8


class _Counter:
    """The file of this process in one folder."""

    def __init__(self, folder: str) -> None:
        self.folder, self.pid, self.sum = folder, os.getpid(), 0
        self.descriptor = os.open(os.path.join(folder, str(self.pid)), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)

    def add(self, n_bytes: int) -> None:
        self.sum += n_bytes
        os.pwrite(self.descriptor, self.sum.to_bytes(_SIZE, "little"), 0)


class _State:
    counter: _Counter | None = None


def count(n_bytes: int) -> None:
    """Count bytes that were read, if somebody wants to know; what cannot be written is not worth an error."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return
    with suppress(OSError):
        counter = _State.counter
        if counter is None or (counter.folder, counter.pid) != (folder, os.getpid()):
            if counter is not None:
                os.close(counter.descriptor)
            _State.counter = None
            counter = _State.counter = _Counter(folder)
        counter.add(n_bytes)


@contextmanager
def counted(folder: str) -> Iterator[Callable[[], int]]:
    """Within the block tasks of this machine count; yields what says how many bytes they have read.

    Parameters
    ----------
    folder
        An empty one, which the caller removes.
    """
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = folder
    try:
        yield lambda: _sum(folder)
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def _sum(folder: str) -> int:
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError), open(entry.path, "rb") as source:
                total += int.from_bytes(source.read(_SIZE), "little")
    return total
