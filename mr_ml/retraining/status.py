"""How the retraining of a model stands, for monitoring. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from hdfs_layout.lock import holder
from mr_ml.catalog.model import read_manifest
from mr_ml.catalog.promotions import promoted_since, promoted_version
from mr_ml.errors import MrMlError, NotFoundError
from mr_ml.retraining.journal import read_journal, windows_of
from mr_ml.retraining.window import missing_days

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig


@dataclass(frozen=True, kw_only=True)
class Status:
    """How the retraining of a model stands.

    Attributes
    ----------
    promoted
        What its name means, ``ctr@7``; None if nothing.
    promoted_at, promoted_window
        When it was promoted, and the last day of its rows; None where that is not known.
    age_seconds
        Since it was promoted.
    last_success
        Window and end of the latest window whose candidate was promoted.
    last
        The latest window, its attempt, and what came of it.
    running
        Who holds the lock; None if nobody.
    window, missing_days
        The window of today, and its days without data; `input_error` says why they are not known.
    """

    model: str
    promoted: str | None
    promoted_at: str | None
    promoted_window: str | None
    age_seconds: int | None
    last_success: Mapping[str, Any] | None
    last: Mapping[str, Any] | None
    running: str | None
    window: str | None
    missing_days: tuple[str, ...]
    input_error: str | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return dict(vars(self))


def status(config: RetrainConfig, root: Root) -> Status:
    """Say how the retraining of a model stands; raises if the root or a journal cannot be read."""
    number = promoted_version(root, config.model)
    attempts = attempts_of(root, config.model)
    succeeded = next((found for found in attempts if found["outcome"] == "published"), None)
    window, missing, error = None, tuple[date, ...](), None
    try:
        window, missing = missing_days(config.input, timezone=config.timezone)
    except MrMlError as found:
        error = config.hide(str(found))
    owner = holder(root.store, root.layout.lock(config.model))
    at = promoted_since(root, config.model)
    return Status(
        model=config.model,
        promoted=None if number is None else f"{config.model}@{number}",
        promoted_at=at,
        promoted_window=None if number is None else _window_of(root, config.model, number),
        age_seconds=None if at is None else _seconds_since(at),
        last_success=succeeded,
        last=attempts[0] if attempts else None,
        running=None if owner is None else str(owner),
        window=None if window is None else window.isoformat(),
        missing_days=tuple(day.isoformat() for day in missing),
        input_error=error,
    )


def attempts_of(root: Root, model: str) -> list[dict[str, Any]]:
    """Return the attempts at the latest windows, the latest first, until one that succeeded."""
    found: list[dict[str, Any]] = []
    for window in reversed(windows_of(root, model)):
        journal = read_journal(root, model, window)
        if journal is not None:
            attempt = journal.attempt
            found.append(
                {
                    "window": window,
                    "outcome": attempt.outcome,
                    "run": attempt.run,
                    "candidate": None if attempt.version is None else f"{model}@{attempt.version}",
                    "reasons": list(attempt.reasons),
                    "forced": attempt.forced,
                    "message": attempt.message,
                    "started": attempt.started,
                    "ended": attempt.ended,
                }
            )
            if attempt.outcome == "published":
                break
    return found


def _window_of(root: Root, model: str, number: int) -> str | None:
    with suppress(NotFoundError):
        provenance = read_manifest(root, model, number)[0].provenance
        return None if provenance is None else provenance.window
    return None


def _seconds_since(at: str) -> int:
    return int((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
