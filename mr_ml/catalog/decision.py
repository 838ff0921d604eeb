"""What a quality gate decided about a model, as its manifest keeps it: every check with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of a gate.

    Attributes
    ----------
    name
        Such as "days", "mean shift" or "log_loss against the published model".
    passed
        Whether the candidate may be promoted as far as this check goes.
    found
        What was found, in words and numbers.
    expected
        What is asked for, likewise.
    numbers
        Everything that was compared, by name; those that are finite.
    """

    name: str
    passed: bool
    found: str
    expected: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**vars(self), "numbers": dict(self.numbers)}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision of a gate.

    Attributes
    ----------
    accepted
        Whether all checks have passed.
    against
        The published model with which the candidate was compared, ``ctr@6``; None if there was none.
    checks
        In the order in which they are shown.
    metrics, published_metrics
        Of the candidate, and of the published model on the same rows; the latter empty if there was none.
    """

    accepted: bool
    against: stored.Versioned | None
    checks: tuple[Check, ...]
    metrics: Mapping[str, Any]
    published_metrics: Mapping[str, Any]

    @property
    def reasons(self) -> list[str]:
        """What each check that did not pass found and expected, in a sentence."""
        return [f"{c.name}: expected {c.expected}, found {c.found}" for c in self.checks if not c.passed]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        metrics = {"metrics": dict(self.metrics), "published_metrics": dict(self.published_metrics)}
        return {**vars(self), **metrics, "checks": [check.to_json() for check in self.checks]}
