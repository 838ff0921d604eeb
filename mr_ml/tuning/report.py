"""The table of a tuning, and its plot in plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mr_ml.catalog.tuning import Tried, Tuned

_WIDTH = 40


def header() -> list[str]:
    """Return the names of the columns."""
    return ["candidate", "mean", "std. error", "passes", "", ""]


def lines(tuned: Tuned) -> list[list[str]]:
    """Return a line for each candidate: with a star where the mean is, and a bar one standard error to either side."""
    low, high = _range(tuned.tried)
    return [
        [
            words(one.options),
            "-" if one.mean is None else f"{one.mean:.6g}",
            "-" if one.standard_error is None else f"{one.standard_error:.2g}",
            str(one.passes),
            _bar(one, low, high),
            _remark(tuned, k),
        ]
        for k, one in enumerate(tuned.tried)
    ]


def candidates(number: int) -> str:
    """Return how many there are, in words."""
    return "1 candidate" if number == 1 else f"{number} candidates"


def words(options: dict[str, Any]) -> str:
    """Return what a candidate is, in words."""
    return " ".join(f"{name} {_shown(value)}" for name, value in options.items()) or "as given"


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _remark(tuned: Tuned, k: int) -> str:
    one = tuned.tried[k]
    remarks = ["<- chosen"] if k == tuned.chosen else []
    if one.dropped is not None:
        remarks.append(f"dropped at cut {one.dropped + 1}")
    if not one.converged:
        remarks.append("some did not converge")
    return ", ".join(remarks)


def _range(tried: Sequence[Tried]) -> tuple[float, float]:
    ends = [one.mean + sign * (one.standard_error or 0.0) for one in tried if one.mean is not None for sign in (-1, 1)]
    return (min(ends), max(ends)) if ends else (0.0, 0.0)


def _bar(one: Tried, low: float, high: float) -> str:
    if one.mean is None:
        return " " * _WIDTH
    error = one.standard_error or 0.0

    def at(value: float) -> int:
        return round((value - low) / (high - low) * (_WIDTH - 1)) if high > low else 0

    bar = ["."] * _WIDTH
    for k in range(at(one.mean - error), at(one.mean + error) + 1):
        bar[k] = "-"
    bar[at(one.mean)] = "*"
    return "".join(bar)
