"""The Python API of retraining: use it as ``mr_ml.retrain``."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

from hdfs_layout import Root
from mr_ml.retraining.config import RetrainConfig, load_config
from mr_ml.retraining.driver import retrain as retrain_for
from mr_ml.retraining.requests import day_of, reason_of, root_of
from mr_ml.retraining.result import RefusedError, RetrainResult
from mr_ml.session import ignore_message

if TYPE_CHECKING:
    from mr_ml.training.loop import Progress


def retrain(
    settings: str | os.PathLike[str] | RetrainConfig,
    *,
    root: Root | str | os.PathLike[str] | None = None,
    last: date | str | None = None,
    force: str | None = None,
    say: Callable[[str], None] = ignore_message,
    warn: Callable[[str], None] = ignore_message,
    watch: Callable[[Progress], None] = ignore_message,
) -> RetrainResult:
    """Train a model on its newest days, compare it with the published one, and promote it if it is good enough.

    Parameters
    ----------
    settings
        Path of a `retrain.yaml`, or what `mr_ml.retraining.config.load_config` returned.
    root
        Where datasets, models and runs are kept, if the settings do not say it.
    last
        The last day of the window, a date or ``2026-11-26``; None for that of today.
    force
        Why the candidate is promoted even if the gate refuses it; recorded.
    say, warn, watch
        As of `mr_ml.train`.

    Returns
    -------
    RetrainResult
        `candidate`, which is promoted, `decision`, which has every number of the gate, and so on.

    Raises
    ------
    GateRefusedError
        If the gate refused the candidate; its attribute `result` is the `RetrainResult`.
    LockedError
        If another process retrains this model.
    UsageError, BadDataError, StorageError
        If the settings are wrong, or a step failed. Called again, it goes on where it stopped.

    Examples
    --------
    >>> result = mr_ml.retrain("retrain.yaml")
    >>> result.candidate, result.outcome
    ('ctr@7', 'published')
    """
    file = os.path.abspath(settings) if isinstance(settings, str | os.PathLike) else None
    config = load_config(settings) if isinstance(settings, str | os.PathLike) else settings
    result = retrain_for(
        config, root_of(config, root), last=day_of(last, "last"), force=reason_of(force),
        settings_file=file, say=say, warn=warn, watch=watch,
    )  # fmt: skip
    if result.outcome == "refused":
        raise RefusedError(result)
    return result
