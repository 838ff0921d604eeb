"""Errors that a user can act on, each with its exit code.

Every message says what was expected, what was found, where, and what to do. The command line prints the message
of a `MrMlError` and exits with its code; any other exception is a defect of ours and exits with 70.
Codes follow sysexits.h where it has one.
"""

from __future__ import annotations


class MrMlError(Exception):
    """Base of every error that mr_ml raises on purpose."""

    exit_code = 70


class UsageError(MrMlError):
    """An option, a name or a combination of options cannot be used."""

    exit_code = 2


class BadDataError(MrMlError):
    """Input rows, a packed dataset or a model are not what they should be."""

    exit_code = 65


class UnavailableError(MrMlError):
    """A cluster or service did not answer."""

    exit_code = 69


class StorageError(MrMlError):
    """A file could not be read or written: missing, permission, disk full."""

    exit_code = 74


class LockedError(MrMlError):
    """Another process holds the lock; try later."""

    exit_code = 75


class NotFoundError(StorageError):
    """There is no such file or folder."""


class AlreadyExistsError(StorageError):
    """The target of a publish exists already; it was not changed."""


class StoreUnavailableError(UnavailableError, StorageError):
    """The store did not answer, or cannot be changed just now: the same call may work later."""


class PerhapsPublishedError(StorageError):
    """Publishing failed and the version may be visible nonetheless: the store could not be asked."""


def taken(place: str) -> AlreadyExistsError:
    """Say that a name, given as path or URI, is taken already: what every store raises in `Store.publish`."""
    return AlreadyExistsError(
        f"could not publish {place!r}: expected a name that is not published yet; found it there. It was not changed: "
        f"take the next version."
    )
