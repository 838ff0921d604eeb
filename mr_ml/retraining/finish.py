"""Tell those who wait for the outcome of a retraining: at one place, when everything else is done.

Nothing that fails here changes the outcome or the exit code. It is a warning, and an event of the run's log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root
from mr_ml.errors import MrMlError

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig
    from mr_ml.retraining.result import RetrainResult


def finish(
    config: RetrainConfig, root: Root, result: RetrainResult, *, warn: Callable[[str], None]
) -> RetrainResult:  # fmt: skip
    """Write the metrics file and the report, and tell of an outcome unless that was done before.

    Returns
    -------
    RetrainResult
        The same with the place of its report, if it has one.
    """
    if config.metrics_file is not None:
        # what only few settings ask for is loaded by those
        from mr_ml.retraining.metrics_file import write_metrics

        event = write_metrics(config, root, result, warn=warn)
        if not result.repeated:
            _log(root, result, [{"step": "metrics", **event}], warn)
    if config.report:
        result = _with_report(config, root, result, warn=warn)
    if not result.repeated:
        tell(config, root, result, warn=warn)
    return result


def _with_report(
    config: RetrainConfig, root: Root, result: RetrainResult, *, warn: Callable[[str], None]
) -> RetrainResult:  # fmt: skip
    """Write the report, unless that of a night that is told again is there."""
    from mr_ml.retraining.night_report import find_report, write_report

    if result.run is None:
        return result
    place = find_report(root, result.run) if result.repeated else None
    if place is None:
        event = {name: config.hide(text) for name, text in write_report(root, result.run).items()}
        if "failed" in event:
            warn(f"the report of run {result.run} was not written: {event['failed']}")
        _log(root, result, [{"step": "report", **event}], warn)
        place = event.get("file")
    return replace(result, report=None if place is None else config.hide(place))


def tell(config: RetrainConfig, root: Root, result: RetrainResult, *, warn: Callable[[str], None]) -> None:
    """Send the notifications of an outcome."""
    if config.notify:
        from mr_ml.retraining.notify import notify

        _log(root, result, [{"step": "notified", **event} for event in notify(config, result, warn=warn)], warn)


def _log(root: Root, result: RetrainResult, events: list[dict[str, Any]], warn: Callable[[str], None]) -> None:
    """Add events to the log of the run, if it came so far that there is one."""
    if result.run is None or not events:
        return
    from mr_ml.retraining.work import add_events

    try:
        add_events(root, result.run, events)
    except (MrMlError, OSError) as error:
        warn(f"the log of run {result.run} lacks that somebody was told: {error}")
