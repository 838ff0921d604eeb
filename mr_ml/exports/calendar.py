"""Parts of moments by whole numbers alone, for languages whose functions for dates are missing or each another's.

By eras of 400 years, whose years begin in March (Howard Hinnant, "chrono-compatible low-level date algorithms", 2013).
"""

from __future__ import annotations

from typing import Protocol, TypeVar

DAY = 86_400
#: Days from the first one of year 1, a Monday, to that of 1970, and to the end of year 9999.
BEFORE, ALL = 719_162, 3_652_059
#: Seconds since 1970 of the first moment, and of the end.
FIRST, LAST = -BEFORE * DAY, (ALL - BEFORE) * DAY
#: Days from the first of March of year 0 to the first day of year 1.
MARCH = 306

T = TypeVar("T")


class Arithmetic(Protocol[T]):
    """Operations on whole numbers that are not negative."""

    def do(self, operation: str, a: T, b: T | int) -> T:
        """Return a + b, a - b, a * b, a / b without the rest, or that rest, a % b."""

    def reaches(self, a: T, b: int) -> T:
        """Return 1 where a >= b, else 0."""


def part_of(seconds: T, part: str, language: Arithmetic[T]) -> T:
    """Return a part, one of `mr_ml.readers.terms.PARTS` or "year", of a moment: of the seconds since year 1 began."""
    do = language.do
    if part == "hour":
        return do("/", do("%", seconds, DAY), 3600)
    days = do("/", seconds, DAY)
    if part == "weekday":
        return do("%", days, 7)
    z = do("+", days, MARCH)
    of_era = do("%", z, 146097)
    leaps = do("-", do("+", do("/", of_era, 1460), do("/", of_era, 146096)), do("/", of_era, 36524))
    year = do("/", do("-", of_era, leaps), 365)
    of_year = do("-", of_era, do("-", do("+", do("*", year, 365), do("/", year, 4)), do("/", year, 100)))
    if part == "year":
        return do("+", do("+", year, do("*", do("/", z, 146097), 400)), language.reaches(of_year, MARCH))
    month = do("/", do("+", do("*", of_year, 5), 2), 153)
    if part == "day":
        return do("-", of_year, do("/", do("+", do("*", month, 153), 2), 5))
    from_january = do("%", do("+", month, 2), 12)
    return from_january if part == "month" else do("/", from_january, 3)
