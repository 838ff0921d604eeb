"""The coefficients that move predictions most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mr_ml.models.inference import INTERCEPT
from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Cell, Paragraph, Table
from mr_ml.reports.drawing import bar
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import NONE, fixed, number

_MOST = 30
_LEVEL = 0.95


def _blocks(facts: Facts) -> Iterator[Block]:
    if facts.model is None:
        return
    parameters = facts.model.parameters(facts.moments, facts.inference)
    rows = [row for row in parameters.rows(most=_MOST) if row["feature"] != INTERCEPT and row["coef"]]
    found = sorted(rows, key=lambda row: -abs(_size(row)))[:_MOST]
    if not found:
        return
    tests = parameters.tests
    sure = {} if tests is None else tests.intervals(_LEVEL)
    of_many = len(parameters.outputs) > 1
    scaled = parameters.deviations is not None
    intervals = [_interval(row, sure) for row in found]
    most = max(abs(end) for row, ends in zip(found, intervals, strict=True) for end in (_size(row), *(ends or ())))
    header = ["feature", *(["label"] if of_many else []), "", *(["standardised"] if scaled else []), "coefficient"]
    if tests is not None:
        header += ["std. error", f"{100 * _LEVEL:g} % interval", "p"]
    lines: list[list[Cell]] = []
    for row, ends in zip(found, intervals, strict=True):
        cells: list[Cell] = [row["feature"], *([row["output"]] if of_many else [])]
        cells += [bar(_size(row), most=most, interval=ends), *([fixed(_size(row))] if scaled else [])]
        cells.append(number(row["coef"], 6))
        if tests is not None:
            known = sure.get((row["output"], row["feature"]))
            cells += [number(row["std_error"]), NONE if known is None else _ends(*known), _p(row["p"])]
        lines.append(cells)
    yield Paragraph(text=_said(scaled, len(found)))
    yield Table(caption="The strongest coefficients", header=header, rows=lines, left=(0, 1) if of_many else (0,))
    if facts.inference is None:
        yield from _no_inference(facts)
    elif tests is None:
        yield Paragraph(
            text="Standard errors of such a model are those of differences between labels:",
            command=f"mr-ml models show {facts.model.reference} --table",
        )
    elif any(row["std_error"] is None for row in found):
        yield Paragraph(
            text="Of categories, the difference from a base category is determined, not each coefficient alone:",
            command=f"mr-ml models show {facts.model.reference} --table",
        )


def _size(row: Mapping[str, Any]) -> float:
    return float(row["coef"] if row["standardized"] is None else row["standardized"])


def _interval(
    row: Mapping[str, Any], sure: Mapping[tuple[str, str], tuple[float, float]]
) -> tuple[float, float] | None:
    """Return the interval in the unit of the bar; None where it is not known."""
    low, high = sure.get((row["output"], row["feature"]), (math.nan, math.nan))
    if math.isnan(low):
        return None
    unit = _size(row) / row["coef"]
    return low * unit, high * unit


def _ends(low: float, high: float) -> str:
    return NONE if math.isnan(low) else f"{number(low)} to {number(high)}"


def _p(value: float | None) -> str:
    if value is None or value != value:
        return NONE
    return "< 2e-16" if value < 2e-16 else f"{value:.2g}"


def _said(scaled: bool, n: int) -> str:
    first = f"The {n} coefficients that move predictions most"
    if scaled:
        return f"{first}: standardised means what one standard deviation of the feature changes in the margin."
    return f"{first}, by their size: the rows are not there any more, so it is not known how much their features vary."


def _no_inference(facts: Facts) -> Iterator[Block]:
    assert facts.model is not None
    why = None if facts.spec is None else facts.spec.no_inference
    if why is None:
        command = f"mr-ml models infer {facts.model.reference}"
        yield Paragraph(text="Nobody has asked yet how sure they are. One pass finds standard errors:", command=command)
    else:
        yield Paragraph(text=f"There are no standard errors: {why}.")


COEFFICIENTS = Section(title="Strongest coefficients", make=_blocks)
