"""Progress in words: how much of a stage is done, how fast, what is left; a pass."""

from __future__ import annotations

from mr_ml.progress import PassEnded, Stage
from mr_ml.sizes import size_text


def seconds_text(seconds: float) -> str:
    """Return a duration as a clock shows it: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def share_of(stage: Stage) -> float | None:
    """Return which share of a stage is done; None if that is not known."""
    return None if not stage.total else stage.done / stage.total


def amount_text(stage: Stage) -> str:
    """Return how much is done, of how much: "540 MB of 1.2 GB"; nothing of a stage in which nothing is counted."""
    done, total = stage.done, stage.total
    if not total and not done:
        return ""
    if stage.unit == "bytes":
        return size_text(done) if total is None else f"{size_text(done)} of {size_text(total)}"
    return f"{done} {stage.unit}" if total is None else f"{done} of {total} {stage.unit}"


def rate_text(stage: Stage) -> str:
    """Return how fast it goes, where bytes are counted."""
    if stage.unit != "bytes" or not stage.done or not stage.seconds:
        return ""
    return f"{size_text(int(stage.done / stage.seconds))}/s"


def left_text(stage: Stage) -> str:
    """Return how long it may still take, at the same speed."""
    share = share_of(stage)
    if not share or share >= 1:
        return ""
    return f"{seconds_text(stage.seconds * (1 - share) / share)} left"


def stage_text(stage: Stage) -> str:
    """Return all of that in a line, with the time since the stage began."""
    share = share_of(stage)
    percent = "" if share is None else f"{100 * share:.0f} %"
    parts = (percent, amount_text(stage), rate_text(stage), left_text(stage), stage.detail)
    return f"{stage.name}: {', '.join(filter(None, (*parts, f'{seconds_text(stage.seconds)} so far')))}"


def pass_text(ended: PassEnded) -> str:
    """Return what a pass has come to."""
    towards = "" if ended.tolerance is None else f" (to {ended.tolerance:.0e})"
    return (
        f"pass {ended.number:3d}  objective {ended.objective:.10g}  |gradient| {ended.gradient_norm:.2e}{towards}  "
        f"step {ended.step:<9.4g} {ended.seconds:.3g} s, {ended.rows_per_second:.3g} rows/s"
    )
