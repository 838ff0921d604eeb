"""Where the time of passes went, and what they moved, as far as a run's log says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.run_log import PassEvent
from mr_ml.spent import BYTES, DRIVER, SECONDS, TASK_SECONDS


@dataclass(frozen=True)
class PassTimes:
    """What one pass took, or several together.

    Attributes
    ----------
    seconds
        In all; NaN where it is not known.
    parts
        Seconds by part, the driver's among them, in the order of a pass; empty where nothing is known of them.
    task_seconds
        Of all tasks together, by kind.
    bytes
        By what they were moved for.
    """

    seconds: float
    parts: Mapping[str, float]
    task_seconds: Mapping[str, float]
    bytes: Mapping[str, float]


def times_of(event: PassEvent, *, n_rows: int | None = None) -> PassTimes:
    """Return what a pass took.

    Parameters
    ----------
    n_rows
        That it read, from which the logs of early releases tell its time.
    """
    seconds, rate = float(event.get("seconds", math.nan)), float(event["rows_per_second"])
    if not math.isfinite(seconds) and n_rows is not None and rate > 0:
        seconds = n_rows / rate
    told = event.get("spent", {})
    parts = _in_order(told.get("seconds", {}), SECONDS)
    if parts and math.isfinite(seconds):
        parts[DRIVER] = max(seconds - math.fsum(parts.values()), 0.0)
    tasks, moved = _in_order(told.get("task_seconds", {}), TASK_SECONDS), _in_order(told.get("bytes", {}), BYTES)
    return PassTimes(seconds, parts, tasks, moved)


def together(passes: Sequence[PassTimes]) -> PassTimes:
    """Add up passes; those of which something is not known are left out of that."""
    return PassTimes(
        math.fsum(p.seconds for p in passes if math.isfinite(p.seconds)),
        _sums([p.parts for p in passes], (*SECONDS, DRIVER)),
        _sums([p.task_seconds for p in passes], TASK_SECONDS),
        _sums([p.bytes for p in passes], BYTES),
    )


def _in_order(told: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    return {name: float(told[name]) for name in names if name in told}


def _sums(each: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    return {name: math.fsum(one.get(name, 0.0) for one in each) for name in names if any(name in one for one in each)}
