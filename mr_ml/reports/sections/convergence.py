"""How the search went, pass by pass, and why it ended."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mr_ml.catalog.run_log import PassEvent
from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Chart, Charts, Paragraph, Table
from mr_ml.reports.drawing import Axis, Plot
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import count, number, sentence, some

_MOST_POINTS = 400
_MOST_ROWS = 60


def _blocks(facts: Facts) -> Iterator[Block]:
    if facts.manifest is not None:
        training = facts.manifest.training
        reached = f"The objective is {training['objective']:.10g} after {count(training['passes'])} passes."
        yield Paragraph(text=f"{sentence(training['stop'])} {reached}")
    elif facts.why is not None:
        yield Paragraph(text=sentence(facts.why))
    if facts.log is None:
        yield Paragraph(text="The run's log is not there any more, so nothing is known of single passes.")
        return
    if not facts.log.passes:
        yield Paragraph(
            text="The log has no passes" + ("." if facts.log.tuned is None else ": a tuning's are of many.")
        )
        return
    passes = some(facts.log.passes, _MOST_POINTS)
    yield Charts(charts=[_gradient(facts, passes), _objective(passes)])
    rows = some(facts.log.passes, _MOST_ROWS)
    left_out = len(facts.log.passes) - len(rows)
    yield Table(
        caption="Passes" + (f"; {count(left_out)} of them are left out" if left_out else ""),
        header=["pass", "objective", "|gradient|", "step"],
        rows=[
            [
                count(p["number"]),
                f"{float(p['objective']):.10g}",
                f"{float(p['gradient_norm']):.3e}",
                number(float(p["step"])),
            ]
            for p in rows
        ],
        folded=True,
    )


def _gradient(facts: Facts, passes: Sequence[PassEvent]) -> Chart:
    xs, ys = [float(p["number"]) for p in passes], [float(p["gradient_norm"]) for p in passes]
    tolerance = facts.settings.get("tolerance")
    level = float(tolerance) if isinstance(tolerance, int | float) and tolerance > 0 else None
    plot = Plot(
        "gradient",
        title="Gradient by pass",
        description=f"The largest component, {ys[0]:.3g} after the first pass, {ys[-1]:.3g} after the last"
        + ("" if level is None else f"; the tolerance is {level:g}"),
        x=Axis.over(xs, label="pass", whole=True),
        y=Axis.over([*ys, *([] if level is None else [level])], label="|gradient|", log=True),
    )
    plot.line(xs, ys, dots=len(xs) <= 40)
    if level is not None:
        plot.level(level, f"tolerance {level:g}")
    caption = "The largest component of the gradient, in units of the mean absolute slope of the loss."
    return Chart(drawing=plot.drawing(), caption=caption)


def _objective(passes: Sequence[PassEvent]) -> Chart:
    xs, ys = [float(p["number"]) for p in passes], [float(p["objective"]) for p in passes]
    finite = [y for y in ys if math.isfinite(y)]
    least = min(finite, default=0.0)
    # the distance to the best, as long as there is some: what is left of the way shows on no other scale
    gaps = [y - least if y > least else math.nan for y in ys]
    is_shown = sum(not math.isnan(gap) for gap in gaps) > 2
    plot = Plot(
        "objective",
        title="Objective by pass",
        description=f"The objective, from {ys[0]:.6g} after the first pass to {ys[-1]:.6g} after the last",
        x=Axis.over(xs, label="pass", whole=True),
        y=Axis.over(gaps, label="above the best", log=True) if is_shown else Axis.over(ys, label="objective"),
    )
    plot.line(xs, gaps if is_shown else ys, dots=len(xs) <= 40)
    what = f"How far the objective is above the least that was found, {least:.8g}." if is_shown else "The objective."
    return Chart(drawing=plot.drawing(), caption=what)


CONVERGENCE = Section(title="Convergence", make=_blocks)
