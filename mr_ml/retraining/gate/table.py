"""A decision for people."""

from __future__ import annotations

from mr_ml.catalog.decision import Decision


def table(decision: Decision) -> str:
    """Return the checks as a table: check, found, expected, ok."""
    raise NotImplementedError
