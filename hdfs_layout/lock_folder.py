"""The folder of a lock: numbers of its holders, and who they are."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import os
from collections.abc import Iterator
from typing import Any

from hdfs_layout.dataclass import dataclass
from hdfs_layout.document import decode_document, encode_document
from hdfs_layout.errors import AlreadyExistsError, BadDataError, LockedError, NotFoundError, StorageError
from hdfs_layout.owners import is_gone, owned, user_name
from hdfs_layout.paths import (
    HIDDEN,
    STAGED_PREFIX,
    WRITING_PREFIX,
    beat_file,
    join,
    released_file,
    staged_path,
    turn_of,
    version_file,
    version_of,
)
from hdfs_layout.store import Entry, Store

_LOG = logging.getLogger(__name__)
_MOST_LETTERS = 200
# What a killed process staged is removed when nobody can be about to publish it.
_FORGOTTEN_SECONDS = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who holds a lock, or held it.

    Attributes
    ----------
    user, host : str
    pid : int
    since : str
        UTC, ISO 8601, by the clock of that machine: for people.
    what : str
        What for.
    lease_seconds : float
    token : str
        No two have the same; see `owners`, which tells by it whether the process is gone.
    """

    user: str
    host: str
    pid: int
    since: str
    what: str
    lease_seconds: float
    token: str

    @classmethod
    def of_this_process(cls, *, what: str, lease_seconds: float) -> Owner:
        """Make one with a new token."""
        return cls(
            user=user_name(),
            host=os.uname().nodename,
            pid=os.getpid(),
            since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            what=what,
            lease_seconds=lease_seconds,
            token=owned("holder-"),
        )

    def encode(self) -> bytes:
        """Bytes of a document."""
        return encode_document(dataclasses.asdict(self))

    @classmethod
    def decode_or_none(cls, data: bytes) -> Owner | None:
        """Read what `encode` wrote; None if it is something else."""
        try:
            document = decode_document(data, where="a lock")
            return cls(**{name: _typed(document[name], kind) for name, kind in _KINDS.items()})
        except (BadDataError, KeyError, TypeError):
            return None

    def __str__(self) -> str:
        user, host, since, what = map(_printable, (self.user, self.host, self.since, self.what))
        return f"{what} by user {user} on host {host}, process {self.pid}, since {since}"


_KINDS: dict[str, type] = {
    "user": str, "host": str, "pid": int, "since": str, "what": str, "lease_seconds": float, "token": str,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Turn:
    """That a process holds the lock as its holder number so and so.

    Attributes
    ----------
    number : int
    owner : Owner
    taken_over : bool
        The holder before did not give it back.
    """

    number: int
    owner: Owner
    taken_over: bool


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was found in the folder at one look.

    Attributes
    ----------
    entries : tuple of Entry
        Hidden ones too.
    latest : int
        Number of the last holder; 0 if there never was one.
    is_released : bool
        Nobody holds it, or the last holder has given it back.
    """

    entries: tuple[Entry, ...]
    latest: int
    is_released: bool

    def modified(self, name: str) -> float | None:
        """When the file of that name was written, by the store's clock; None if it is not there."""
        return next((entry.modified for entry in self.entries if entry.name == name), None)


@dataclass(frozen=True)
class LockFolder:
    """The folder of a lock."""

    store: Store
    path: str

    @property
    def uri(self) -> str:
        """For messages."""
        return self.store.uri(self.path)

    @property
    def kernel_file(self) -> str:
        """Path of the file that the kernel locks, on a local folder."""
        return join(self.path, f"{HIDDEN}lock")

    def look(self) -> Seen:
        """See what is there."""
        try:
            entries = self.store.entries(self.path, hidden=True)
        except NotFoundError:
            entries = ()
        names = {entry.name for entry in entries}
        latest = max((number for name in names if (number := version_of(name)) is not None), default=0)
        return Seen(entries=entries, latest=latest, is_released=not latest or released_file(latest) in names)

    def owner_of(self, number: int) -> Owner | None:
        """Read who a holder is; None if there is no such holder, or none any more, or the document is damaged."""
        with contextlib.suppress(NotFoundError):
            return Owner.decode_or_none(self.store.read(self._document(number))) if number else None
        return None

    @contextlib.contextmanager
    def staged(self, owner: Owner) -> Iterator[str]:
        """Write a holder's document under a temporary name, which is always removed at the end; that name's path."""
        path = staged_path(self.path)
        try:
            self.store.write(path, owner.encode())
            yield path
        finally:
            with contextlib.suppress(StorageError):
                self.store.remove(path)

    def take_turn(self, staged: str, owner: Owner, *, after: Seen) -> Turn:
        """Become the holder after the latest that was seen, and remove what is left of those before.

        Raises
        ------
        LockedError
            If another was quicker.
        StorageError
            If it cannot be published, or whether it was is not known: then nobody has the lock, and it is free again
            after the lease.
        """
        number = after.latest + 1
        try:
            self.store.publish(staged, self._document(number))
        except StorageError as error:
            if not self._was_published(staged, number, owner):
                if isinstance(error, AlreadyExistsError):
                    raise self.held_by(self.owner_of(number)) from None
                raise
        # Who looked long ago may publish a number whose holder has come, gone and been removed meanwhile.
        latest = self.look().latest
        if latest != number:
            self.store.remove(self._document(number))
            raise self.held_by(self.owner_of(latest))
        self._clean(after, before=number, now=after.modified(staged.rpartition("/")[2]) or 0.0)
        return Turn(number=number, owner=owner, taken_over=not after.is_released)

    def _was_published(self, staged: str, number: int, owner: Owner) -> bool:
        """Find out after an error, which may be no more than an answer that was lost."""
        # without it nothing can be published any more
        self.store.remove(staged)
        found = self.owner_of(number)
        return found is not None and found.token == owner.token

    def _clean(self, seen: Seen, *, before: int, now: float) -> None:
        for entry in seen.entries:
            number = turn_of(entry.name)
            if number is None:
                is_old = entry.name.startswith((STAGED_PREFIX, WRITING_PREFIX)) and (
                    is_gone(entry.name) or now - entry.modified > _FORGOTTEN_SECONDS
                )
            else:
                is_old = number < before
            if is_old:
                with contextlib.suppress(StorageError):
                    self.store.remove(join(self.path, entry.name))

    def check_latest(self, turn: Turn) -> None:
        """Raise `LockedError` if there is a later holder, or none at all."""
        latest = self.look().latest
        if latest != turn.number:
            later = self.owner_of(latest) if latest > turn.number else None
            raise self.lost("that it was removed" if later is None else f"that it was taken over ({later})")

    def give_back(self, turn: Turn) -> None:
        """Note that the holder gave it back; if that cannot be noted, a warning says so."""
        try:
            if self.look().latest == turn.number:
                self.store.write(join(self.path, released_file(turn.number)), b"")
            self.store.remove(join(self.path, beat_file(turn.number)))
        except StorageError as error:
            _LOG.warning("the lock %s could not be given back: %s", self.uri, error)

    def held_by(self, owner: Owner | None, *, remedy: str = "") -> LockedError:
        """Say that somebody else holds it."""
        if owner is None or is_gone(owner.token):
            found = "it held by a process that has taken it at this moment, or whose note is damaged"
        else:
            found = f"it held for {owner}"
        return LockedError(
            f"expected that no other process holds the lock {self.uri}; found {found}. Wait for the end of that "
            f"process, or stop it, then run again.{remedy}"
        )

    def lost(self, why: str) -> LockedError:
        """Say that this process does not hold it any more."""
        return LockedError(
            f"expected that this process still holds the lock {self.uri}; found {why}. Nothing more is published: run "
            f"again."
        )

    def _document(self, number: int) -> str:
        return join(self.path, version_file(number))


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_MOST_LETTERS])
