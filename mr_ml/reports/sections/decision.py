"""What the gate of a retraining decided, and what the model's name has meant."""

from __future__ import annotations

from collections.abc import Iterator

from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Heading, Notice, Table
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import fixed, metrics_in
from mr_ml.whoami import described

_MOST_ENTRIES = 20


def _blocks(facts: Facts) -> Iterator[Block]:
    decision = None if facts.manifest is None else facts.manifest.decision
    if decision is not None:
        against = decision.against or "no published model"
        said = "The gate accepted this model" if decision.accepted else "The gate refused this model"
        yield Notice(text=f"{said}, compared with {against}.", tone="good" if decision.accepted else "bad")
        yield Table(
            caption="Checks",
            header=["", "check", "found", "expected"],
            rows=[["✓" if c.passed else "✗", c.name, c.found, c.expected] for c in decision.checks],
            left=(0, 1, 2, 3),
            heavy=[k for k, c in enumerate(decision.checks) if not c.passed],
        )
        ours, theirs = decision.metrics, decision.published_metrics
        names = metrics_in(ours)
        if names:
            yield Table(
                caption="Measured on the test rows",
                header=["metric", "this model", *([against] if theirs else [])],
                rows=[
                    [name.replace("_", " "), fixed(ours[name]), *([fixed(theirs.get(name))] if theirs else [])]
                    for name in names
                ],
            )
    told = [entry for entry in reversed(facts.promotions) if entry.action != "fence"]
    if told:
        name = "" if facts.model is None else facts.model.name
        if decision is not None:
            yield Heading(text=f"What {name} has meant")
        yield Table(
            caption="The latest first"
            + (f"; {len(told) - _MOST_ENTRIES} left out" if len(told) > _MOST_ENTRIES else ""),
            header=["since", "by", "version", "who", "why"],
            rows=[
                [
                    entry.at,
                    entry.action,
                    "nothing" if entry.version is None else f"{name}@{entry.version}",
                    described(entry.by),
                    "; ".join(filter(None, ["forced" if entry.forced else None, entry.retrain, entry.reason])),
                ]
                for entry in told[:_MOST_ENTRIES]
            ],
            left=(0, 1, 2, 3, 4),
        )


DECISION = Section(title="Gate and promotions", make=_blocks)
