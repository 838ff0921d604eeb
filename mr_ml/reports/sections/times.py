"""Where the time went: pass by pass, and step by step of a retraining."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mr_ml.catalog.run_log import PassEvent
from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Chart, Paragraph, Table
from mr_ml.reports.drawing import Axis, Plot
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import count, number, seconds, some

_MOST_POINTS = 200
_MOST_ROWS = 60
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
    took = [n_rows / rate if (rate := float(p["rows_per_second"])) > 0 else math.nan for p in passes]
    known = [t for t in took if math.isfinite(t)]
    if not known:
        return
    total, middle = math.fsum(known), sorted(known)[len(known) // 2]
    yield Paragraph(
        text=f"{count(len(known))} passes over {count(n_rows)} rows took {seconds(total)} together, {seconds(middle)} "
        "in the middle; the work of the driver between two passes is in the time of the second. The log does not keep "
        "how the time of a pass was spent by map, shuffle and reduce, or how many bytes moved."
    )
    yield _chart(passes, took)
    shown = some(list(zip(passes, took, strict=True)), _MOST_ROWS)
    yield Table(
        caption="Time of each pass" + ("" if len(shown) == len(passes) else f"; {len(passes) - len(shown)} left out"),
        header=["pass", "time", "rows per second"],
        rows=[[count(p["number"]), seconds(t), number(float(p["rows_per_second"]), 3)] for p, t in shown],
        folded=True,
    )


def _rows_of_a_pass(facts: Facts) -> int | None:
    if facts.manifest is not None:
        return facts.manifest.n_rows
    if facts.dataset is None or facts.spec is None or facts.spec.split not in facts.dataset.splits:
        return None
    return facts.dataset.n_rows(facts.spec.split)


def _chart(passes: Sequence[PassEvent], took: Sequence[float]) -> Chart:
    chosen = some(list(zip([float(p["number"]) for p in passes], took, strict=True)), _MOST_POINTS)
    xs, ys = [x for x, _ in chosen], [y for _, y in chosen]
    known = [y for y in ys if math.isfinite(y)]
    x = Axis(label="pass", low=min(xs) - 0.6, high=max(xs) + 0.6, whole=True)
    plot = Plot(
        "times",
        title="Time of each pass",
        description=f"Seconds of each pass, from {min(known):.3g} to {max(known):.3g}",
        x=x,
        y=Axis.over(known, label="seconds", zero=True),
    )
    plot.bars(xs, ys)
    return Chart(drawing=plot.drawing(), caption="Seconds of each pass, the driver's work before it included.")


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
