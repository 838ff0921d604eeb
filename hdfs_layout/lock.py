"""A lock below a root: at most one process holds it, and whoever comes second is told at once who that is.

    with hold(store, layout.lock("ctr"), what="retrain ctr") as lock:
        ...
        lock.check()                      # still ours? asked before anything is made visible

Each holder has a number, one more than the holder before: the *fencing number*. It is that of a version in the lock's
folder, which only one process can publish, and it never falls. What a stale holder might still do is refused by that
number, or by `Lock.check`.

    locks/ctr/v000007.json       who took it as the seventh, and for what
    locks/ctr/released-000007    and that it was given back

On a local folder the kernel says who holds the lock: see `kernel_lock`. Elsewhere it is a lease: see `lease`. What
earlier holders left is removed by the next one, but for the last number.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from typing import Protocol

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import StorageError, UsageError
from hdfs_layout.kernel_lock import HeldError, KernelLock, take_kernel_lock
from hdfs_layout.lease import take_lease
from hdfs_layout.lock_folder import LockFolder, Owner, Turn
from hdfs_layout.owners import is_gone
from hdfs_layout.store import Store

_LOG = logging.getLogger(__name__)


class _Hold(Protocol):
    """How a lock is held.

    Attributes
    ----------
    turn : Turn
    """

    @property
    def turn(self) -> Turn: ...

    def check(self) -> None:
        """Raise `LockedError` if it is not held any more."""

    def release(self) -> None:
        """Give it up. Raises nothing; does nothing in a forked child."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock that this process holds, as long as it is in the ``with`` of `hold`.

    Attributes
    ----------
    number : int
        Of this holder; greater than that of every holder before.
    taken_over : bool
        Whether the holder before did not give it back: it was killed, or has been out of reach for longer than its
        lease and may even go on. What it began may be unfinished.
    """

    number: int
    taken_over: bool
    _hold: _Hold

    def check(self) -> None:
        """Make sure that this process still holds the lock: to be called before anything is made visible.

        Raises
        ------
        LockedError
            If it does not: its lease has ended, another process took over, or this is a forked child.
        StorageError
            If the store cannot be asked.
        """
        self._hold.check()


@contextlib.contextmanager
def hold(store: Store, path: str, *, what: str, lease_seconds: float = 60.0) -> Iterator[Lock]:
    """Hold a lock, or raise at once. To be used in a ``with``.

    Parameters
    ----------
    path : str
        Folder of the lock.
    what : str
        What it is held for, such as "retrain ctr", for those who come second.
    lease_seconds : float
        On stores that are no local folder: how long a holder that gives no sign of life keeps the lock.

    Raises
    ------
    LockedError
        If another holds it; the message says who, where and since when.
    StorageError
        If it cannot be held: no permission, a read-only root, a file system without locks...
    UsageError
        If `lease_seconds` is not a positive number.

    Notes
    -----
    A few milliseconds on a local disk, some 20 requests on HDFS.
    """
    if not (math.isfinite(lease_seconds) and lease_seconds > 0):
        raise UsageError(f"expected `lease_seconds` > 0; found {lease_seconds}.")
    folder, owner = LockFolder(store, path), Owner.of_this_process(what=what, lease_seconds=float(lease_seconds))
    held: _Hold
    place = store.local_path(folder.kernel_file)
    held = take_lease(folder, owner) if place is None else _take_local(folder, owner, place)
    try:
        if held.turn.taken_over:
            _LOG.warning("%s: the holder before, number %d, did not give it back", folder.uri, held.turn.number - 1)
        yield Lock(number=held.turn.number, taken_over=held.turn.taken_over, _hold=held)
    finally:
        held.release()


def holder(store: Store, path: str) -> Owner | None:
    """Say who holds a lock, to be shown; None if nobody does. Changes nothing.

    One whose process is known to be gone holds it no more; of another machine that is not known before its lease ends
    and somebody takes the lock over.

    Raises
    ------
    StorageError
        If the folder cannot be read.
    """
    folder = LockFolder(store, path)
    seen = folder.look()
    owner = None if seen.is_released else folder.owner_of(seen.latest)
    return None if owner is None or is_gone(owner.token) else owner


@dataclass(frozen=True, kw_only=True)
class _LocalHold:
    folder: LockFolder
    turn: Turn
    kernel: KernelLock

    def check(self) -> None:
        if not self.kernel.is_held():
            raise self.folder.lost("that its file was removed, or locked by another process")
        self.folder.check_latest(self.turn)

    def release(self) -> None:
        with contextlib.suppress(StorageError):
            if self.kernel.is_held():
                self.folder.give_back(self.turn)
        self.kernel.release()


def _take_local(folder: LockFolder, owner: Owner, place: str) -> _LocalHold:
    folder.store.make_folder(folder.path)
    try:
        kernel = take_kernel_lock(place, owner.encode())
    except HeldError as error:
        raise folder.held_by(Owner.decode_or_none(error.note)) from None
    try:
        with folder.staged(owner) as staged:
            turn = folder.take_turn(staged, owner, after=folder.look())
    except BaseException:
        kernel.release()
        raise
    return _LocalHold(folder=folder, turn=turn, kernel=kernel)
