"""What a retraining would do. Nothing is written, no folder either."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.promotions import promoted_version
from mr_ml.catalog.retention import Removal, plan
from mr_ml.retraining.journal import Attempt, read_journal
from mr_ml.retraining.requests import pack_choices
from mr_ml.retraining.resume import why_anew
from mr_ml.retraining.window import Window, find_window

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a retraining would do.

    Attributes
    ----------
    window
        Days and files.
    splits
        Files of each split; empty if rows are dealt by their content.
    promoted
        What the name of the model means now, ``ctr@7``; None if nothing.
    warm_start
        Whether training would start from that.
    warm_start_from
        The file from which it would start otherwise, if there is one.
    would
        In a sentence: begin, go on, or do nothing.
    removals
        What retention would remove now, before there is a new version.
    """

    window: Window
    splits: Mapping[str, int]
    promoted: str | None
    warm_start: bool
    warm_start_from: str | None
    would: str
    removals: tuple[Removal, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        window = self.window
        return {
            "window": window.label,
            "first_day": window.first.isoformat(),
            "timezone": window.timezone,
            "days": [
                {"date": day.date.isoformat(), "bytes": day.n_bytes, "files": [file.path for file in day.files]}
                for day in window.days
            ],
            "missing_days": [day.isoformat() for day in window.missing],
            "splits": dict(self.splits),
            "promoted": self.promoted,
            "warm_start": self.promoted if self.warm_start else None,
            "warm_start_from": None if self.warm_start else self.warm_start_from,
            "would": self.would,
            "would_remove": [{"what": one.what, "reason": one.reason, "bytes": one.bytes} for one in self.removals],
        }


def preview(config: RetrainConfig, root: Root, *, last: date | None = None, warn: Say) -> Preview:
    """Find out what `mr_ml.retraining.driver.retrain` would do; raises as `find_window`."""
    window = find_window(config.input, timezone=config.timezone, last=last)
    _, choices = pack_choices(config, window)
    number = promoted_version(root, config.model)
    journal = read_journal(root, config.model, window.label)
    why = None if journal is None else why_anew(config, root, journal, window)
    # by this machine's clock: to ask the store's something would have to be written
    removals = plan(root, config.retention, model=config.model, dataset=config.dataset_name, now=time.time(), say=warn)
    return Preview(
        window=window,
        splits={split: len(paths) for split, paths in choices.split_inputs.items()},
        promoted=None if number is None else f"{config.model}@{number}",
        warm_start=config.warm_start and number is not None,
        warm_start_from=config.warm_start_from,
        would=_would(None if journal is None else journal.attempt, why),
        removals=removals,
    )


def _would(attempt: Attempt | None, why: str | None) -> str:
    if attempt is None:
        return "begin"
    if why is not None:
        return f"begin anew: {why}"
    if attempt.is_decided:
        return f"do nothing: the window is done, its candidate was {attempt.outcome}"
    return f"go on with run {attempt.run}, which began at {attempt.started}"
