"""Where the time went: pass by pass, and step by step of a retraining."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mr_ml.catalog.pass_times import PassTimes, times_of, together
from mr_ml.catalog.run_log import PassEvent
from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Chart, Paragraph, Table
from mr_ml.reports.drawing import Axis, Plot
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import NONE, count, number, seconds, some
from mr_ml.sizes import size_text

_MOST_POINTS = 200
_MOST_ROWS = 60
# By part of a pass, the number of a series' colour.
_COLOURS = {"start": 4, "map": 0, "shuffle": 1, "reduce": 2, "job": 5, "driver": 3}
_UNKNOWN = 7
_MEANT = {
    "start": "Start: until tasks run.",
    "reduce": "Reduce: adding up by tasks, with bringing sums to them where that cannot be told apart.",
    "job": "Job: all that a cluster does, where its parts cannot be told apart.",
    "driver": "Driver: the rest.",
}
# Of a step of a retraining, what is not shown beside its name.
_NOT_SHOWN = frozenset({"event", "step", "at", "model", "window", "checks"})


def _blocks(facts: Facts) -> Iterator[Block]:
    if facts.log is None:
        return
    if facts.log.retrain:
        yield _steps(facts.log.retrain)
    n_rows = _rows_of_a_pass(facts)
    passes = facts.log.passes
    if not passes or n_rows is None:
        return
    each = [times_of(p, n_rows=n_rows) for p in passes]
    took = [times.seconds for times in each]
    known = [t for t in took if math.isfinite(t)]
    if not known:
        return
    of_all, middle = together(each), sorted(known)[len(known) // 2]
    yield Paragraph(
        text=f"{count(len(known))} passes over {count(n_rows)} rows took {seconds(of_all.seconds)} together, "
        f"{seconds(middle)} in the middle; the work of the driver between two passes is in the time of the second. "
        + _known_of(of_all)
    )
    yield _chart(passes, each)
    shown = some(list(zip(passes, each, strict=True)), _MOST_ROWS)
    yield Table(
        caption="Time of each pass" + ("" if len(shown) == len(passes) else f"; {len(passes) - len(shown)} left out"),
        header=[
            "pass", "time", *of_all.parts, *(f"{name} tasks" for name in of_all.task_seconds), *of_all.bytes,
            "rows per second",
        ],
        rows=[
            [
                count(p["number"]), seconds(times.seconds),
                *(_or_dash(times.parts, name, seconds) for name in of_all.parts),
                *(_or_dash(times.task_seconds, name, seconds) for name in of_all.task_seconds),
                *(_or_dash(times.bytes, name, size_text) for name in of_all.bytes),
                number(float(p["rows_per_second"]), 3),
            ]
            for p, times in shown
        ],
        folded=True,
    )  # fmt: skip


def _or_dash(told: Mapping[str, float], name: str, text: Callable[[float], str]) -> str:
    return text(told[name]) if name in told else NONE


def _known_of(of_all: PassTimes) -> str:
    """Say in sentences what all passes together were spent on."""
    if not of_all.parts and not of_all.bytes:
        return "The log does not say how the time of a pass was spent, or how many bytes moved."
    said = ", ".join(f"{name} {seconds(value)}" for name, value in of_all.parts.items())
    told = f"By the driver's clock: {said}. " if said else ""
    if of_all.task_seconds:
        tasks = " and ".join(f"{seconds(value)} of {name} tasks" for name, value in of_all.task_seconds.items())
        told += f"Tasks side by side add up to {tasks}. "
    if of_all.bytes:
        told += f"Moved: {', '.join(f'{size_text(value)} {name}' for name, value in of_all.bytes.items())}. "
    return told.rstrip()


def _rows_of_a_pass(facts: Facts) -> int | None:
    if facts.manifest is not None:
        return facts.manifest.n_rows
    if facts.dataset is None or facts.spec is None or facts.spec.split not in facts.dataset.splits:
        return None
    return facts.dataset.n_rows(facts.spec.split)


def _chart(passes: Sequence[PassEvent], each: Sequence[PassTimes]) -> Chart:
    chosen = some(list(zip([float(p["number"]) for p in passes], each, strict=True)), _MOST_POINTS)
    xs, ys = [x for x, _ in chosen], [times.seconds for _, times in chosen]
    known = [y for y in ys if math.isfinite(y)]
    x = Axis(label="pass", low=min(xs) - 0.6, high=max(xs) + 0.6, whole=True)
    plot = Plot(
        "times",
        title="Time of each pass",
        description=f"Seconds of each pass, from {min(known):.3g} to {max(known):.3g}",
        x=x,
        y=Axis.over(known, label="seconds", zero=True),
    )
    names = list(together([times for _, times in chosen]).parts)
    if not names:
        plot.bars(xs, ys)
        return Chart(drawing=plot.drawing(), caption="Seconds of each pass, the driver's work before it included.")
    for series, name in enumerate(names):
        upto = [_until(times, names[: series + 1]) for _, times in chosen]
        below = [_until(times, names[:series]) for _, times in chosen]
        plot.bars(xs, upto, series=_COLOURS[name], below=below)
    whole = [times.seconds if not times.parts else math.nan for _, times in chosen]
    plot.bars(xs, whole, series=_UNKNOWN)
    legend = [(_COLOURS[name], name) for name in names]
    if any(map(math.isfinite, whole)):
        legend.append((_UNKNOWN, "not known"))
    return Chart(
        drawing=plot.drawing(),
        caption=" ".join(["Seconds of each pass by what they were spent on.", *filter(None, map(_MEANT.get, names))]),
        legend=legend,
    )


def _until(times: PassTimes, names: Sequence[str]) -> float:
    return math.fsum(times.parts.get(name, 0.0) for name in names) if times.parts else math.nan


def _steps(events: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for event in events:
        told = {name: value for name, value in event.items() if name not in _NOT_SHOWN and value not in (None, [], "")}
        took = told.pop("seconds", None)
        said = "; ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in told.items())
        rows.append([str(event["at"]), event["step"], "" if took is None else seconds(float(took)), said])
    return Table(
        caption="Steps of the retraining", header=["at", "step", "took", "what it says"], rows=rows, left=(0, 1, 3)
    )


def _shown(value: object) -> str:
    """Return what a step says, which is anything that JSON holds."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(of)}" for name, of in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return number(value)


TIMES = Section(title="Where the time went", make=_blocks)
