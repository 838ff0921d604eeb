"""Candidates: all combinations of what was asked for, or some that are drawn."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.data.limits import MOST_CANDIDATES
from mr_ml.errors import UsageError

# Digits of the numbers of a grid: all that anybody reads, and the same on every machine.
_DIGITS = 6


@dataclass(frozen=True)
class Span:
    """Positive numbers between two, even in their logarithms; so many of them in a grid, if that was said."""

    low: float
    high: float
    count: int | None = None

    def grid(self, name: str) -> tuple[float, ...]:
        """Return the numbers of a grid, both ends among them.

        Raises
        ------
        UsageError
            If it was not said how many there are.
        """
        if self.count is None:
            raise UsageError(
                f"`{name}`: expected LOW:HIGH:NUMBER, found {self.low:g}:{self.high:g}, of which numbers can only be "
                "drawn; say how many, or `draws`"
            )
        if self.count == 1:
            return (self.low,)
        step = math.log(self.high / self.low) / (self.count - 1)
        return tuple(_rounded(self.low * math.exp(k * step)) for k in range(self.count))


Choices = Span | tuple[Any, ...]


def numbers(name: str, given: float | str | Sequence[float]) -> Choices:
    """Return the numbers that were given: one, several, as text ``1e-6,1e-4``, or a span ``1e-6:1e-1:8``.

    Raises
    ------
    UsageError
        If they are not numbers of at least 0, or a span is none.
    """
    if not isinstance(given, str):
        found = [given] if isinstance(given, int | float) else list(given)
        return tuple(_number(name, one) for one in found)
    if ":" in given:
        return _span(name, given)
    return tuple(_number(name, one) for one in given.split(","))


def _number(name: str, given: Any) -> float:
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not (value >= 0 and math.isfinite(value)):
        raise UsageError(f"`{name}`: expected numbers >= 0, or LOW:HIGH:NUMBER, found {str(given)[:80]!r}")
    return value


def _span(name: str, text: str) -> Span:
    parts = text.split(":")
    try:
        low, high = float(parts[0]), float(parts[1])
        count = int(parts[2]) if len(parts) == 3 else None
    except ValueError:
        low = high = math.nan
        count = None
    if len(parts) > 3 or not 0 < low <= high < math.inf or not (count is None or 1 <= count <= MOST_CANDIDATES):
        raise UsageError(
            f"`{name}`: expected LOW:HIGH:NUMBER with 0 < LOW <= HIGH, such as 1e-6:1e-1:8, found {text[:80]!r}"
        )
    return Span(low, high, count)


def grid(choices: Mapping[str, Choices]) -> tuple[dict[str, Any], ...]:
    """Return all combinations, each once.

    Raises
    ------
    UsageError
        If there are none, or too many.
    """
    axes = {name: _axis(name, of) for name, of in choices.items()}
    if math.prod(map(len, axes.values())) > MOST_CANDIDATES:
        raise UsageError(f"expected at most {MOST_CANDIDATES} candidates, found more; draw some of them: `draws`")
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def _axis(name: str, choices: Choices) -> tuple[Any, ...]:
    values = choices.grid(name) if isinstance(choices, Span) else choices
    if not values:
        raise UsageError(f"`{name}`: expected something to try, found nothing")
    return tuple(dict.fromkeys(values))


def drawn(choices: Mapping[str, Choices], *, n: int, seed: int) -> tuple[dict[str, Any], ...]:
    """Return candidates that are drawn, each once: at most n, fewer where there are not so many."""
    # of the standard library: its numbers are promised to stay the same
    rng = random.Random(seed)  # noqa: S311
    found: dict[tuple[Any, ...], None] = {}
    for _ in range(20 * n):
        if len(found) == n:
            break
        found[tuple(_one(name, of, rng) for name, of in choices.items())] = None
    return tuple(dict(zip(choices, values, strict=True)) for values in found)


def _one(name: str, choices: Choices, rng: random.Random) -> Any:
    at = rng.random()
    if isinstance(choices, Span):
        return _rounded(choices.low * math.exp(at * math.log(choices.high / choices.low)))
    values = _axis(name, choices)
    return values[int(at * len(values))]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
