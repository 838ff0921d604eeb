"""A decision for people."""

from __future__ import annotations

from mr_ml.catalog.decision import Decision


def table(decision: Decision) -> str:
    """Return the checks as a table: check, whether it passed, what was found and what is expected."""
    checks = decision.checks
    widest = max((len(check.name) for check in checks), default=0)
    return "\n".join(
        f"{'ok' if check.passed else 'NO'}  {check.name.ljust(widest)}  {check.found} (expected: {check.expected})"
        for check in checks
    )
