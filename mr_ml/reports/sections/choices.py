"""Everything that was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mr_ml.reports.base import Section
from mr_ml.reports.blocks import Block, Table
from mr_ml.reports.facts import Facts
from mr_ml.reports.words import NONE, count

_MOST = 200
_MOST_CHARACTERS = 400


def _blocks(facts: Facts) -> Iterator[Block]:
    if facts.settings:
        yield _table("The spec", facts.settings)
    if facts.document is not None and facts.document.tuning is not None:
        plan = facts.document.tuning.to_json()
        yield _table("The tuning", {name: value for name, value in plan.items() if name != "candidates"})
    if facts.manifest is not None and facts.manifest.provenance is not None:
        yield _table("retrain.yaml, as it was understood", dict(_flat(facts.manifest.provenance.settings)), folded=True)


def _table(caption: str, settings: Mapping[str, Any], *, folded: bool = False) -> Table:
    rows = [[name, _shown(value)] for name, value in settings.items()][:_MOST]
    more = len(settings) - len(rows)
    return Table(
        caption=caption + (f"; {count(more)} more are left out" if more else ""),
        header=["setting", "value"],
        rows=rows,
        left=(0, 1),
        folded=folded,
    )


def _flat(settings: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", value


def _shown(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


CHOICES = Section(title="Settings", make=_blocks)
