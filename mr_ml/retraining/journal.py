"""How far the retraining of a model for a window has come: one small document, written anew after each step.

Names that a step will use (of the run, and of the request to pack) are in it before the step begins, so whoever goes on
after a kill finds what was made, or makes it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from hdfs_layout import AlreadyExistsError, NotFoundError, Root, decode_document, encode_document
from hdfs_layout.paths import staged_path, window_of
from mr_ml.catalog.promotions import VersionNumber
from mr_ml.catalog.run import find_run
from mr_ml.catalog.run_log import published_version
from mr_ml.data import stored
from mr_ml.errors import BadDataError, LockedError, StorageError

# Of earlier attempts at the same window.
KEPT_ATTEMPTS = 5

Outcome = Literal["running", "published", "refused", "failed", "superseded"]


def now() -> str:
    """Return the time in UTC, such as 2026-11-26T02:15:00Z."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a window: from certain inputs, with certain settings, against a certain published model.

    Attributes
    ----------
    run, request
        Names of its training run, and of the request by which what it packs is found again.
    inputs, settings
        Fingerprints of the input files and of the settings that a model depends on.
    base
        Version that was promoted when it began: what the candidate starts from and is compared with; None if none was.
    forced
        Why the candidate is promoted whatever the gate says; None if the gate decides.
    started, ended
        When, in UTC.
    by
        Who began it, see `mr_ml.whoami`.
    starts
        How many processes have worked on it.
    dataset, version
        What was packed, and the candidate that was published; None if it has not come so far.
    accepted, reasons
        The decision of the gate, and what was wrong.
    promotion
        Number of the entry in the log of promotions that it made.
    cleaned, notified
        Whether old versions were removed; whether somebody was told of the outcome.
    outcome
        "running" until it has ended; an attempt that was killed stays so.
    message
        Why it failed, or was given up.
    exit_code
        Of the command, if it failed.
    """

    run: stored.Name
    request: stored.Name
    inputs: stored.Sha256
    settings: stored.Sha256
    base: VersionNumber | None
    forced: str | None = None
    started: str
    ended: str | None = None
    by: Mapping[str, Any]
    starts: stored.Positive = 1
    dataset: stored.Versioned | None = None
    version: VersionNumber | None = None
    accepted: bool | None = None
    reasons: tuple[str, ...] = ()
    promotion: VersionNumber | None = None
    cleaned: bool = False
    notified: bool = False
    outcome: Outcome = "running"
    message: str | None = None
    exit_code: int = 0

    def check_stored(self) -> None:
        """Raise ValueError if it says what came of a candidate, and not of which."""
        if self.is_decided and self.version is None:
            raise ValueError(f"outcome {self.outcome}, and no version")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**vars(self), "by": dict(self.by)}

    @property
    def is_decided(self) -> bool:
        """Whether nothing is left to do but to tell of it."""
        return self.outcome in ("published", "refused")


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The journal of a model and a window.

    Attributes
    ----------
    model, window
        Of which; a window is named by its last day.
    settings_file
        Absolute path of the settings, for `mr-ml runs resume`; None if they came from a program.
    attempt
        The latest attempt.
    earlier
        Those before it, the latest last; only a few are kept.
    """

    kind: Literal["retrain"] = "retrain"
    model: stored.Name
    window: stored.Name
    settings_file: str | None
    attempt: Attempt
    earlier: tuple[Attempt, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        attempts = {"attempt": self.attempt.to_json(), "earlier": [attempt.to_json() for attempt in self.earlier]}
        return {**vars(self), **attempts}

    def write(self, root: Root) -> None:
        """Write it whole, in place of what was there."""
        root.store.write(root.layout.retrain(self.model, self.window), encode_document(self.to_json()))

    def create(self, root: Root) -> None:
        """Write the first one of a window.

        Raises
        ------
        LockedError
            If there is one by now: somebody else holds the lock.
        """
        path = root.layout.retrain(self.model, self.window)
        staged = staged_path(root.layout.retrains(self.model))
        try:
            root.store.write(staged, encode_document(self.to_json()))
            root.store.publish(staged, path)
        except AlreadyExistsError:
            raise LockedError(
                f"expected no journal {root.store.uri(path)}, as there was none; found one: another process has taken "
                "over the lock. Nothing more is published: run again"
            ) from None
        finally:
            with suppress(StorageError):
                root.store.remove(staged)

    def with_attempt(self, attempt: Attempt) -> Journal:
        """Return the journal with another attempt after those that there were."""
        return replace(self, attempt=attempt, earlier=(*self.earlier, self.attempt)[-KEPT_ATTEMPTS:])


def read_journal(root: Root, model: str, window: str) -> Journal | None:
    """Return the journal of a model and a window; None if there is none.

    Raises
    ------
    BadDataError
        If it is damaged, of another model or window, or of a newer mr_ml.
    """
    path = root.layout.retrain(model, window)
    try:
        data = root.store.read(path)
    except NotFoundError:
        return None
    where = root.store.uri(path)
    try:
        journal = stored.read(Journal, decode_document(data, where=where), where=where)
        if (journal.model, journal.window) != (model, window):
            raise BadDataError(
                f"{where}: expected the retraining of {model} for {window}, found that of {journal.model} for "
                f"{journal.window}"
            )
    except BadDataError as error:
        raise BadDataError(
            f"{error}. Nothing but how far that retraining came is lost without it: remove {where}, and the window is "
            "retrained from its beginning"
        ) from None
    return journal


def windows_of(root: Root, model: str) -> tuple[str, ...]:
    """Return the windows of which there is a journal, oldest first; other files are none."""
    try:
        names = root.store.list(root.layout.retrains(model))
    except NotFoundError:
        return ()
    return tuple(sorted(window for name in names if (window := window_of(name)) is not None))


def candidate_of(root: Root, attempt: Attempt) -> int | None:
    """Find the candidate that an attempt has published, even if its journal does not say so; None if there is none.

    A journal may be older than what was done: whoever lost the lock just then may have written it over a newer one.
    """
    document = find_run(root, attempt.run)
    return None if document is None else published_version(root, attempt.run, document)
