"""How far the retraining of a model for a window has come: one small document, written anew after each step.

Names that a step will use (of the run, and of the request to pack) are in it before the step begins, so whoever goes on
after a kill finds what was made, or makes it once.

Each process that works on a window has a journal of its own, which nobody else writes: it begins with what the latest
one says, under the next number, and from then on that is the latest. So a process that has lost the lock and does not
know it yet writes what nobody reads.

    retrains/ctr/2026-11-26/v000003.json
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from hdfs_layout import (
    AlreadyExistsError,
    NotFoundError,
    Root,
    encode_document,
    list_versions,
    publish_version_as,
    read_latest,
)
from hdfs_layout.dataclass import dataclass
from hdfs_layout.lock import Lock
from hdfs_layout.paths import is_window
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
    seen
        Number of the latest entry in the log of promotions then.
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
    seen: stored.Count
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
    number
        Of its file; 0 if none was written.
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
    number: stored.Count = 0
    settings_file: str | None
    attempt: Attempt
    earlier: tuple[Attempt, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        attempts = {"attempt": self.attempt.to_json(), "earlier": [attempt.to_json() for attempt in self.earlier]}
        return {**vars(self), **attempts}

    def with_attempt(self, attempt: Attempt) -> Journal:
        """Return the journal with another attempt after those that there were."""
        return replace(self, attempt=attempt, earlier=(*self.earlier, self.attempt)[-KEPT_ATTEMPTS:])


@dataclass
class OwnJournal:
    """The journal of the process that works on a window.

    Attributes
    ----------
    root, lock
        Where it is kept; the lock of the model, which is held.
    journal
        The latest of the window; after the first `note`, what this process has written.
    """

    root: Root
    lock: Lock
    journal: Journal
    _is_begun: bool = field(init=False, default=False)

    def note(self, **changes: Any) -> None:
        """Write down how the attempt has changed.

        Raises
        ------
        LockedError
            If somebody else may work on the window by now.
        StorageError
            If it cannot be written.
        """
        self.lock.check()
        journal = replace(self.journal, attempt=replace(self.journal.attempt, **changes))
        if self._is_begun:
            path = self.root.layout.journal(journal.model, journal.window, journal.number)
            self.root.store.write(path, encode_document(journal.to_json()))
        else:
            journal = begin_journal(self.root, journal)
            self._is_begun = True
        self.journal = journal


def begin_journal(root: Root, journal: Journal) -> Journal:
    """Write what is to be the latest journal of a window from now on, after the one that was read.

    Raises
    ------
    LockedError
        If there is another one after that by now.
    StorageError
        If it cannot be written.
    """
    folder = root.layout.retrain(journal.model, journal.window)
    journal = replace(journal, number=journal.number + 1)
    try:
        publish_version_as(root.store, folder, journal.to_json(), journal.number)
    except AlreadyExistsError:
        raise LockedError(
            f"expected in {root.store.uri(folder)} no journal {journal.number}, as there was none; found one: another "
            "process has taken over the lock. Nothing more is published: run again"
        ) from None
    # one that cannot be removed is removed with what else is old
    with suppress(StorageError):
        for number in list_versions(root.store, folder):
            if number < journal.number:
                root.store.remove(root.layout.journal(journal.model, journal.window, number))
    return journal


def read_journal(root: Root, model: str, window: str) -> Journal | None:
    """Return the latest journal of a model and a window; None if there is none.

    Raises
    ------
    BadDataError
        If it is damaged, of another model or window, or of a newer mr_ml.
    """
    folder = root.layout.retrain(model, window)
    try:
        found = read_latest(root.store, folder)
        if found is None:
            return None
        where = root.store.uri(found.path)
        journal = stored.read(Journal, found.document, where=where)
        if (journal.model, journal.window, journal.number) != (model, window, found.number):
            raise BadDataError(
                f"{where}: expected journal {found.number} of the retraining of {model} for {window}, found number "
                f"{journal.number} of {journal.model} for {journal.window}"
            )
    except BadDataError as error:
        raise BadDataError(
            f"{error}. Nothing but how far that retraining came is lost without it: remove {root.store.uri(folder)}, "
            "and the window is retrained from its beginning"
        ) from None
    return journal


def windows_of(root: Root, model: str) -> tuple[str, ...]:
    """Return the windows of which there may be a journal, oldest first; nothing else has such a name."""
    try:
        names = root.store.list(root.layout.retrains(model))
    except NotFoundError:
        return ()
    return tuple(sorted(name for name in names if is_window(name)))


def candidate_of(root: Root, attempt: Attempt) -> int | None:
    """Find the candidate that an attempt has published, even if its journal does not say so; None if there is none.

    A process may be killed, or lose the lock, when it has published and before that is noted.
    """
    document = find_run(root, attempt.run)
    return None if document is None else published_version(root, attempt.run, document)
