"""All errors that mr_ml raises on purpose: those of the layout below it, and its own."""

from __future__ import annotations

from hdfs_layout.errors import (
    AlreadyExistsError,
    BadDataError,
    LockedError,
    MrMlError,
    NotFoundError,
    PerhapsPublishedError,
    StorageError,
    StoreUnavailableError,
    UnavailableError,
    UsageError,
)

__all__ = [
    "AlreadyExistsError",
    "BadDataError",
    "GateRefusedError",
    "InternalError",
    "LockedError",
    "MissingPackageError",
    "MrMlError",
    "NoModelError",
    "NotFoundError",
    "PerhapsPublishedError",
    "StorageError",
    "StoreUnavailableError",
    "UnavailableError",
    "UsageError",
]


class GateRefusedError(MrMlError):
    """The quality gate refused to publish a model; the published version stays."""

    exit_code = 3


class MissingPackageError(UsageError, ImportError):
    """A module cannot be imported, for want of a package that is not installed with mr_ml by itself."""


class NoModelError(BadDataError):
    """Data and options of which no model comes, however often it is tried."""


class InternalError(MrMlError):
    """A pass failed for a reason that is not the data's: a dead worker, a lost task, an incomplete sum."""

    exit_code = 70
