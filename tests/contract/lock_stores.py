"""The stores that the lock's contract runs on, and a process that holds locks as it is told.

Besides those that there are one that is a folder and does not say so, which has leases without Hadoop: `FarStore`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from hdfs_layout import LocalStore, Store, open_store
from hdfs_layout.errors import LockedError, MrMlError
from hdfs_layout.lock import hold


@dataclass
class Clock:
    """The clock of a store, which tests set."""

    now: float


@dataclass(frozen=True)
class FarStore(LocalStore):
    """A folder that no process may open but by this store."""

    clock: Clock | None = None

    def local_path(self, path: str) -> str | None:
        """See `Store.local_path`."""
        super().local_path(path)
        return None

    def write(self, path: str, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
        """See `Store.write`."""
        super().write(path, data)
        if self.clock is not None:
            os.utime(os.path.join(self.root, path), (self.clock.now, self.clock.now))


def open_for_lock(root: str) -> Store:
    """Open ``far:FOLDER`` or what `open_store` opens."""
    return FarStore(root.removeprefix("far:")) if root.startswith("far:") else open_store(root)


def obey(root: str, path: str, lease_seconds: float) -> None:
    """Hold the lock as the lines of stdin say, each of which is answered with a line."""
    store, stack = open_for_lock(root), contextlib.ExitStack()
    lock = None
    for line in sys.stdin:
        try:
            if line == "hold\n":
                lock = stack.enter_context(hold(store, path, what="a test", lease_seconds=lease_seconds))
                answer = f"held {lock.number} {lock.taken_over}"
            elif line == "check\n":
                assert lock is not None
                lock.check()
                answer = "still held"
            elif line == "release\n":
                stack.close()
                answer = "released"
            elif line == "fork\n":
                # The child leaves as a program would that knows nothing of the lock.
                assert lock is not None
                answer = _in_child(lock.check, stack)
            else:
                assert line == "fork and stay\n"
                answer = f"child {_child_that_stays()}"
        except LockedError as error:
            answer = f"locked: {error}"
        except MrMlError as error:
            answer = f"{type(error).__name__}: {error}"
        print(answer, flush=True)


def _in_child(check: object, stack: contextlib.ExitStack) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        assert callable(check)
        try:
            check()
        except LockedError:
            os.write(writer, b"refused")
        stack.close()
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        return f"the child was {pipe.read().decode() or 'not refused'}"


def _child_that_stays() -> int:
    """Fork a child that ends when its input ends, which is when everybody has closed the other end."""
    child = os.fork()
    if not child:
        sys.stdin.read()
        os._exit(0)
    return child
