"""What is known of a retrained model, for people: where it comes from, what its gate decided, how it was promoted.

Reasons, paths and names come from others, so each stays within its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mr_ml.catalog.decision import Decision
from mr_ml.catalog.promotions import Promotion
from mr_ml.catalog.provenance import Provenance
from mr_ml.cli.common import one_line, table
from mr_ml.retraining.gate.table import table as decision_table
from mr_ml.whoami import described

# Entries of a log of promotions that are shown.
_MOST_ENTRIES = 20


def decision_lines(decision: Decision) -> Iterator[str]:
    """Say what the gate decided, every check with its numbers."""
    against = f"compared with {decision.against}" if decision.against else "with no published model to compare it with"
    yield f"gate: {'accepted' if decision.accepted else 'REFUSED'}, {against}"
    checks = [
        replace(c, name=one_line(c.name), found=one_line(c.found), expected=one_line(c.expected))
        for c in decision.checks
    ]
    yield decision_table(replace(decision, checks=tuple(checks)))


def provenance_lines(provenance: Provenance) -> Iterator[str]:
    """Say which rows and which code a model was made of, and by whom."""
    p = provenance
    days, files, size = f"{p.first_day} to {p.window}", len(p.inputs), sum(file.size for file in p.inputs)
    lacking = f"; no data for {', '.join(p.missing_days)}" if p.missing_days else ""
    yield one_line(f"data: {days} ({p.timezone}), {files} files of {size} bytes{lacking}")
    code = ", ".join(f"{name} {value}" for name, value in p.code.items())
    packages = ", ".join(f"{name} {version}" for name, version in p.packages.items())
    yield one_line(f"code: {code}; Python {p.python}; {packages}")
    command = p.by.get("command", ())
    words = " ".join(map(str, command)) if isinstance(command, Sequence) else "?"
    yield one_line(f"made by {described(p.by)}: {words}")


def described_entry(entry: Promotion) -> str:
    """Say who promoted what, when and why."""
    parts = [f"{entry.action} {entry.number} at {entry.at} by {described(entry.by)}"]
    parts += ["forced although the gate refused it"] if entry.forced else []
    parts += [f"retraining {entry.retrain}"] if entry.retrain is not None else []
    parts += [entry.reason] if entry.reason is not None else []
    return one_line("; ".join(parts))


def history_lines(name: str, promotions: Sequence[Promotion]) -> Iterator[str]:
    """Show what a name has meant, the last first."""
    told = [entry for entry in reversed(promotions) if entry.action != "fence"]
    yield f"what {name} has meant:"
    rows = []
    for entry in told[:_MOST_ENTRIES]:
        meant = "nothing" if entry.version is None else f"{name}@{entry.version}"
        why = "; ".join(filter(None, ["forced" if entry.forced else None, entry.retrain, entry.reason]))
        rows.append([entry.at, one_line(entry.action), meant, one_line(described(entry.by)), one_line(why)])
    yield table(["since", "by", "version", "who", "why"], rows)
    if len(told) > _MOST_ENTRIES:
        yield f"... and {len(told) - _MOST_ENTRIES} before (--json)"


def without_kind(entry: Promotion) -> dict[str, Any]:
    """Return an entry for --json."""
    data = entry.to_json()
    del data["kind"]
    return data
