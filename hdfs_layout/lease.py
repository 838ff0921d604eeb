"""A lock on a store that has none: a lease, which its holder renews and which ends by itself when the holder is gone.

The holder writes a small file again every third of the lease. Whoever comes second writes a file too, and compares the
two times, both of which are of the store's clock: no clock of any machine is compared with another. If the holder's
sign of life is older than its lease, the next number is published, which only one can do.

The holder itself counts by a clock that nobody sets and that goes on while the machine sleeps. From the beginning of
the last renewal that succeeded it has one lease; then it has lost the lock for good, even if nobody else took it. The
holder begins to count before the store does, so it always gives up first.

Not excluded: the store's clock jumps by more than two thirds of a lease, say because another NameNode with another
time has taken over. Then a lock may be taken from a living holder, who finds out by `check`, and whose number is old.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import StorageError
from hdfs_layout.lock_folder import LockFolder, Owner, Seen, Turn
from hdfs_layout.owners import is_gone
from hdfs_layout.paths import beat_file, join, version_file

_LOG = logging.getLogger(__name__)
_RENEWALS_PER_LEASE = 3
# Some stores tell times in whole seconds.
_COARSE_SECONDS = 1.0


def _uptime() -> float:
    """Seconds of a clock that is never set, and that does not stop while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def take_lease(folder: LockFolder, owner: Owner) -> Lease:
    """Take the lock and begin to renew it. Never waits.

    Raises
    ------
    LockedError
        If another holds it.
    StorageError
        If the store fails.
    """
    good_until = _uptime() + owner.lease_seconds
    with folder.staged(owner) as staged:
        seen = folder.look()
        _expect_free(folder, seen, now=seen.modified(staged.rpartition("/")[2]), lease_seconds=owner.lease_seconds)
        turn = folder.take_turn(staged, owner, after=seen)
    lease = Lease(folder=folder, turn=turn, good_until=good_until)
    try:
        lease.thread.start()
    except BaseException:
        folder.give_back(turn)
        raise
    return lease


def _expect_free(folder: LockFolder, seen: Seen, *, now: float | None, lease_seconds: float) -> None:
    """Raise `LockedError` if the lock is held."""
    if seen.is_released:
        return
    owner = folder.owner_of(seen.latest)
    if owner is not None and is_gone(owner.token):
        # It was a process of this very machine: there is no need to wait.
        return
    if now is None:
        raise StorageError(f"expected in {folder.uri} the file that was just written; found that it was removed.")
    signs = (seen.modified(version_file(seen.latest)), seen.modified(beat_file(seen.latest)))
    age = now - max(sign for sign in signs if sign is not None)
    seconds = lease_seconds if owner is None else owner.lease_seconds
    if age <= seconds + _COARSE_SECONDS:
        raise folder.held_by(
            owner,
            remedy=f" Its last sign of life is {max(age, 0):.0f} s old; if it is gone, the lock is free when that is "
            f"{seconds:.0f} s old.",
        )


@dataclass(kw_only=True)
class Lease:
    """A lock that this process took.

    Attributes
    ----------
    folder : LockFolder
    turn : Turn
    good_until : float
        By `_uptime`; extended by the thread.
    thread : threading.Thread
        Renews.
    """

    folder: LockFolder
    turn: Turn
    good_until: float
    thread: threading.Thread = field(init=False)
    _end: threading.Event = field(init=False, default_factory=threading.Event)
    _pid: int = field(init=False, default_factory=os.getpid)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._renew, name=f"lock {self.folder.path}", daemon=True)

    def check(self) -> None:
        """Raise `LockedError` if it is not held any more, `StorageError` if the store cannot be asked."""
        self._expect_good()
        self.folder.check_latest(self.turn)
        self._expect_good()

    def release(self) -> None:
        """Give it up; nothing in a forked child."""
        if os.getpid() != self._pid:
            return
        self._end.set()
        self.thread.join()
        self.folder.give_back(self.turn)

    def _expect_good(self) -> None:
        if os.getpid() != self._pid:
            raise self.folder.lost("a forked child of the process that does")
        if _uptime() >= self.good_until:
            raise self.folder.lost(
                f"that it was not renewed within {self.turn.owner.lease_seconds:.0f} s, because the store was out of "
                f"reach or this process was suspended"
            )

    def _renew(self) -> None:
        seconds = self.turn.owner.lease_seconds
        path = join(self.folder.path, beat_file(self.turn.number))
        while not self._end.wait(seconds / _RENEWALS_PER_LEASE):
            start = _uptime()
            if start >= self.good_until:
                return
            try:
                self.folder.store.write(path, b"")
            except StorageError as error:
                _LOG.warning("the lock %s could not be renewed: %s", self.folder.uri, error)
                continue
            # else this process was suspended while it wrote, and has lost the lock
            if _uptime() < self.good_until:
                self.good_until = start + seconds
