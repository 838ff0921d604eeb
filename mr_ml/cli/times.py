"""Where the time of a run's passes went, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mr_ml.catalog.pass_times import PassTimes, times_of, together
from mr_ml.catalog.run_log import PassEvent
from mr_ml.cli.common import table
from mr_ml.sizes import size_text

_DASH = "-"


def summary(passes: Sequence[PassEvent]) -> str:
    """Return a line on all passes together; empty if the log says too little."""
    all_of_them = together([times_of(p) for p in passes])
    if not all_of_them.parts and not all_of_them.bytes:
        return ""
    parts = ", ".join(f"{name} {_seconds(value)}" for name, value in all_of_them.parts.items())
    moved = ", ".join(f"{size_text(value)} {name}" for name, value in all_of_them.bytes.items())
    n = f"{len(passes)} pass{'es' if len(passes) != 1 else ''}"
    return "; ".join(filter(None, (f"{n} took {_seconds(all_of_them.seconds)}", parts, moved)))


def by_pass(passes: Sequence[PassEvent]) -> str:
    """Return a table with what each pass took; columns of what no pass tells are left out."""
    each = [times_of(p) for p in passes]
    known = together(each)
    header = ["pass", "took", *known.parts, *(f"{name} tasks" for name in known.task_seconds), *known.bytes]
    return table(header, [_row(p, times, known) for p, times in zip(passes, each, strict=True)])


def _row(event: PassEvent, times: PassTimes, known: PassTimes) -> list[str]:
    return [
        str(event["number"]), _seconds(times.seconds),
        *(_seconds(times.parts.get(name)) for name in known.parts),
        *(_seconds(times.task_seconds.get(name)) for name in known.task_seconds),
        *(_moved(times.bytes, name) for name in known.bytes),
    ]  # fmt: skip


def _moved(told: Mapping[str, float], name: str) -> str:
    return size_text(told[name]) if name in told else _DASH


def _seconds(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return _DASH
    return f"{value:.3f} s" if value < 10 else f"{value:.1f} s"
