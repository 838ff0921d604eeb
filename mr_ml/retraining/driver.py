"""Retraining: hold the lock, find the window, and do one step after the other up to a promoted or refused candidate.

    lock -> window -> pack -> fit -> judge -> publish the candidate -> promote -> clean up -> tell

A retraining that was killed anywhere goes on when it is run again: see `mr_ml.retraining.work`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from typing import TYPE_CHECKING

from hdfs_layout import Root
from hdfs_layout.lock import hold
from mr_ml.errors import LockedError
from mr_ml.retraining.finish import finish
from mr_ml.retraining.hiding import hidden
from mr_ml.retraining.result import RetrainResult, failure
from mr_ml.session import ignore_message

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig
    from mr_ml.training.loop import Progress


def retrain(
    config: RetrainConfig,
    root: Root,
    *,
    last: date | None = None,
    force: str | None = None,
    settings_file: str | None = None,
    say: Callable[[str], None] = ignore_message,
    warn: Callable[[str], None] = ignore_message,
    watch: Callable[[Progress], None] = ignore_message,
) -> RetrainResult:
    """Retrain a model for a window of days, or go on with it.

    Parameters
    ----------
    root
        As `mr_ml.retraining.requests.root_of` opens it.
    last
        The last day of the window; None for that of today.
    force
        Why the candidate is promoted even if the gate refuses it.
    settings_file
        Path of the settings, noted so that the run can be resumed by its name.
    say, warn, watch
        As of `mr_ml.session.Session`.

    Returns
    -------
    RetrainResult
        Of which `outcome` is "published" or "refused".

    Raises
    ------
    LockedError
        At once, if another process retrains this model.
    MrMlError
        If a step failed; that is recorded, and those who wait are told.
    """
    say, warn = _without_secrets(config, say), _without_secrets(config, warn)
    with hidden(config), ExitStack() as stack:
        try:
            lock = stack.enter_context(
                hold(
                    root.store, root.layout.lock(config.model), what=f"retrain {config.model}",
                    lease_seconds=config.lock.lease_seconds,
                )
            )  # fmt: skip
        except LockedError:
            raise
        except Exception as error:
            finish(config, root, failure(error, config, {"window": last and last.isoformat()}), warn=warn)
            raise
        # takes a while to load: whoever comes second is to be told at once
        from mr_ml.retraining.night import Night

        return Night(config, root, force, settings_file, say, warn, watch).run(lock, last)


def _without_secrets(config: RetrainConfig, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: tell(config.hide(text))
