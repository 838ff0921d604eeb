"""Whether a retraining goes on with what was begun, or begins anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from hdfs_layout import Root, parse_reference
from mr_ml.catalog.promotions import Promotion, promoted_version
from mr_ml.errors import BadDataError
from mr_ml.ids import unique_id
from mr_ml.retraining.journal import Attempt, Journal, OwnJournal, now, read_journal, windows_of
from mr_ml.retraining.requests import pack_request, settings_digest
from mr_ml.retraining.window import Window
from mr_ml.retraining.work import add_event
from mr_ml.session import ignore_message
from mr_ml.whoami import whoami

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig

# Processes that may work on a window; an unfinished one is then given up for a later one.
MOST_STARTS = 3
# Earlier windows that are looked at.
_LOOK_BACK = 10


def unfinished(root: Root, model: str, label: str, *, warn: Callable[[str], None]) -> list[Journal]:
    """Return the unfinished journals of earlier windows, oldest first; of damaged ones a warning says what to do."""
    earlier = [window for window in windows_of(root, model) if window < label]
    return [found for found in _latest(root, model, earlier, warn) if found.attempt.outcome == "running"]


def untold(root: Root, model: str) -> list[Journal]:
    """Return the journals of windows that have ended, and nobody was told: the process was killed just then."""
    found = _latest(root, model, windows_of(root, model), ignore_message)
    return [journal for journal in found if journal.attempt.outcome != "running" and not journal.attempt.notified]


def _latest(root: Root, model: str, windows: Sequence[str], warn: Callable[[str], None]) -> Iterator[Journal]:
    for window in windows[-_LOOK_BACK:]:
        try:
            journal = read_journal(root, model, window)
        except BadDataError as error:
            warn(str(error))
            continue
        if journal is not None:
            yield journal


def give_up(own: OwnJournal, why: str) -> None:
    """Note that an unfinished window will not be finished."""
    own.note(outcome="superseded", message=why, ended=now())
    add_event(own.root, own.journal.attempt.run, "superseded", message=why)


def why_anew(config: RetrainConfig, root: Root, journal: Journal, window: Window) -> str | None:
    """Say why the latest attempt at a window cannot be gone on with; None if it can."""
    attempt = journal.attempt
    if attempt.inputs != window.fingerprint:
        return "the files of its days have changed"
    if attempt.settings != settings_digest(config):
        return "the settings have changed"
    if attempt.is_decided or attempt.promotion is not None:
        return None
    if promoted_version(root, config.model) not in (attempt.base, attempt.version):
        return f"{config.model} means another version since"
    if attempt.version is None and attempt.dataset is not None and not _is_there(root, attempt.dataset):
        return f"{attempt.dataset} is gone"
    return None


def _is_there(root: Root, dataset: str) -> bool:
    reference = parse_reference(dataset)
    assert reference.version is not None
    return root.store.exists(root.layout.dataset_version(reference.name, reference.version))


def new_attempt(config: RetrainConfig, window: Window, *, entry: Promotion, force: str | None) -> Attempt:
    """Return an attempt that begins now, with names of its own; `entry` is the latest of the log of promotions."""
    return Attempt(
        run=unique_id(), request=pack_request(config, window), inputs=window.fingerprint,
        settings=settings_digest(config), base=entry.version, seen=entry.number, forced=force, started=now(),
        by=whoami(),
    )  # fmt: skip
