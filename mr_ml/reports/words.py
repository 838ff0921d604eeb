"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

#: Where there is no number.
NONE = "\u2013"


def number(value: object, digits: int = 4) -> str:
    """Return a number with so many significant digits; a dash where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NONE if value is None else str(value)
    if isinstance(value, int):
        return count(value)
    if math.isnan(value):
        return NONE
    if value.is_integer() and abs(value) < 1e15:
        return count(value)
    return f"{value:.{digits}g}"


def fixed(value: object, digits: int = 4) -> str:
    """Return a number between -1000 and 1000 with so many decimals, so that columns line up; others as `number`."""
    if isinstance(value, float) and math.isfinite(value) and 10.0**-digits <= abs(value) < 1000:
        return f"{value:.{digits}f}"
    return number(value, digits)


def count(value: float) -> str:
    """Return a whole number, its digits in threes."""
    return f"{value:,.0f}".replace(",", "\u202f")


def percent(share: float | None) -> str:
    """Return a share in percent."""
    return NONE if share is None else f"{100 * share:.3g} %"


def metrics_in(told: Mapping[str, Any]) -> list[str]:
    """Return the names of what a measurement tells that are metrics: not counts, nor how exact others are."""
    beside = {"weight_sum", *(f"{name}_error" for name in told)}
    return [name for name, value in told.items() if isinstance(value, float) and name not in beside]


def sentence(text: str) -> str:
    """Return a reason or a warning as a sentence: those of mr_ml begin small, and end without a stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?', ':')) else '.'}"


def seconds(value: float) -> str:
    """Return how long something took."""
    if not math.isfinite(value):
        return NONE
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def some(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]
