"""The coefficients that move predictions most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mr_ml.models.strength import Strength
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
    found = facts.model.strongest(facts.moments, _MOST)
    if not found:
        header, parameters, below = facts.model.parameters(_MOST)
        yield Table(caption="Parameters", header=header, rows=parameters)
        yield from (Paragraph(text=text) for text in below)
        return
    inference = facts.inference
    sure = {} if inference is None else {(row["output"], row["feature"]): row for row in inference.rows(_LEVEL)}
    of_many = len({strength.output for strength in found}) > 1
    scaled = facts.moments is not None
    intervals = [_interval(of, sure) for of in found]
    most = max(abs(end) for of, ends in zip(found, intervals, strict=True) for end in (_size(of), *(ends or ())))
    header = ["feature", *(["label"] if of_many else []), "", *(["standardised"] if scaled else []), "coefficient"]
    if inference is not None:
        header += ["std. error", f"{100 * _LEVEL:g} % interval", "p"]
    rows: list[list[Cell]] = []
    for of, ends in zip(found, intervals, strict=True):
        cells: list[Cell] = [of.feature, *([of.output] if of_many else []), bar(_size(of), most=most, interval=ends)]
        cells += [*([fixed(_size(of))] if scaled else []), number(of.coefficient, 6)]
        if inference is not None:
            row = sure.get((of.output, of.feature), {})
            cells += [number(row.get("std_error")), _ends(row), _p(row.get("p"))]
        rows.append(cells)
    yield Paragraph(text=_said(scaled, len(found)))
    yield Table(caption="The strongest coefficients", header=header, rows=rows, left=(0, 1) if of_many else (0,))
    if inference is None:
        yield from _no_inference(facts)


def _size(of: Strength) -> float:
    return of.coefficient if of.standardised is None else of.standardised


def _interval(of: Strength, sure: Mapping[tuple[str, str], Mapping[str, Any]]) -> tuple[float, float] | None:
    """Return the interval in the unit of the bar; None where it is not known."""
    row = sure.get((of.output, of.feature))
    if row is None or row["low"] != row["low"]:
        return None
    unit = 1.0 if of.deviation is None else of.deviation
    return row["low"] * unit, row["high"] * unit


def _ends(row: Mapping[str, Any]) -> str:
    return f"{number(row['low'])} to {number(row['high'])}" if row and row["low"] == row["low"] else NONE


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
