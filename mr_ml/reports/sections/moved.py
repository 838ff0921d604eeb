"""How the rows differ from those of the model that is in use, or was before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Notice, Paragraph, Table
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import count, number, percent
from mr_ml.retraining.gate.facts import Drift, Move, SchemaChange


def _blocks(facts: Facts) -> Iterator[Block]:
    moved = facts.moved
    if moved is None:
        return
    which = "the promoted version" if moved.is_promoted else "the version before"
    yield Paragraph(
        text=f"The rows that this model was trained on, held against those of {moved.against}, {which}. Only moves "
        "that are more than chance are shown."
    )
    yield from _changes(moved.schema)
    if moved.rows is None:
        yield Paragraph(text=f"What the rows of {moved.against} were like is not kept any more.")
        return
    rows = list(_rows(moved.rows))
    if not rows:
        yield Notice(text=f"Nothing has moved, of {count(moved.rows.n_features)} features.", tone="good")
        return
    yield Table(
        caption=f"What has moved farthest, of {count(moved.rows.n_features)} features",
        header=["what", "in which way", "before", "now", "by"],
        rows=rows,
        left=(0, 1),
    )
    yield Paragraph(
        text="By: of means and labels that are numbers, standard deviations before; of shares the population stability "
        "index, of which 0.1 is little and 0.25 much."
    )


def _changes(schema: SchemaChange) -> Iterator[Block]:
    for change in schema.settings:
        yield Notice(text=f"The input has changed: {change}", tone="caution")
    for names, n, said in (
        (schema.appeared, schema.n_appeared, "are new"),
        (schema.vanished, schema.n_vanished, "are gone"),
    ):
        if n:
            yield Paragraph(text=f"{count(n)} features {said}, such as {', '.join(names[:5])}.")


def _rows(rows: Drift) -> Iterator[list[str]]:
    if rows.classes is not None and rows.classes.by > 0:
        yield _row(rows.classes, "share of a label", shares=True)
    if rows.label is not None and rows.label.by > 0:
        yield _row(rows.label, "mean of the labels", shares=False)
    each: Sequence[tuple[str, tuple[Move, ...] | None, bool]] = (
        ("mean", rows.means, False),
        ("share of rows that have it", rows.presence, True),
        ("share of rows without a value", rows.missing, True),
        ("distribution of values", rows.values, True),
    )
    for said, moves, shares in each:
        for move in moves or ():
            yield _row(move, said, shares=shares)


def _row(move: Move, said: str, *, shares: bool) -> list[str]:
    ends = [percent(end) if shares else number(end) for end in (move.before, move.now)]
    return [move.what, said, *ends, f"{move.by:.3g}"]


MOVED = Section(title="Drift", make=_blocks)
