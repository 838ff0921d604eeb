"""How features follow from columns, in words that the languages of other programs have too: see `mr_ml.exports`.

    Measured:  its feature is a number that the column holds, or `fill` where there is none
    Chosen:    the row has a code, 0..n-1, n for no value or n + 1 for a text that is none of those known;
               features[code] is 1, all others are 0

A transform says its features so by `mr_ml.readers.transforms.base.Transform.told`; an export says each of these words
in its own language (`Words`). What is no number, not finite or no date refuses the row. Nothing here loads numpy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Protocol, TypeVar

from hdfs_layout.dataclass import dataclass

#: In place of a feature: the row has none of them, or it is refused.
NOTHING, REFUSED = -1, -2

T_co = TypeVar("T_co", covariant=True)


class Words(Protocol[T_co]):
    """What an export says of each kind of code and number."""

    def number(self, said: Number) -> T_co:
        """Say a number."""

    def days(self, said: Days) -> T_co:
        """Say a number that the calendar gives."""

    def category(self, said: Category) -> T_co:
        """Say the code of a text."""

    def interval(self, said: Interval) -> T_co:
        """Say the code of a number."""

    def combination(self, said: Combination) -> T_co:
        """Say the code of several numbers."""

    def calendar(self, said: Calendar) -> T_co:
        """Say the code of a moment."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in a column, and how it is written where that holds text."""

    column: str
    decimal: str = "."
    thousands: str = ""
    percent: bool = False

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return {self.column: True}

    def said_by(self, words: Words[T_co]) -> T_co:
        """Return what an export says."""
        return words.number(self)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A moment in a column, to the second.

    Attributes
    ----------
    formats
        Ways of writing it, of %Y %m %d %H %M %S %f and other characters, of which the first that fits is taken.
    in_second
        Instead: how many of the numbers that the column holds there are in a second; they count from 1970.
    """

    column: str
    formats: tuple[str, ...] = ()
    in_second: int | None = None


@dataclass(frozen=True, kw_only=True)
class Days:
    """A number of a moment: "year", or "days", with fractions, since a day that is itself `since` days after 1970."""

    of: Moment
    part: str
    since: int = 0

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return {self.of.column: self.of.in_second is not None}

    def said_by(self, words: Words[T_co]) -> T_co:
        """Return what an export says."""
        return words.days(self)


@dataclass(frozen=True, kw_only=True)
class Category:
    """The place of a text among those known; of whole numbers each spelling is one if `whole`: 1, +1 and 1.0."""

    column: str
    known: tuple[str, ...]
    whole: bool = False

    @property
    def n(self) -> int:
        """Number of codes."""
        return len(self.known)

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return {self.column: False}

    def said_by(self, words: Words[T_co]) -> T_co:
        """Return what an export says."""
        return words.category(self)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """How many of some edges, which ascend, are at most the number."""

    of: Number
    edges: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of codes."""
        return len(self.edges) + 1

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return self.of.reads

    def said_by(self, words: Words[T_co]) -> T_co:
        """Return what an export says."""
        return words.interval(self)


@dataclass(frozen=True, kw_only=True)
class Combination:
    """The codes of several intervals, no value among them, as one number: the last counts ones."""

    of: tuple[Interval, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each, with that of no value."""
        return tuple(one.n + 1 for one in self.of)

    @property
    def strides(self) -> tuple[int, ...]:
        """By what the code of each is multiplied."""
        return tuple(math.prod(self.sizes[k + 1 :]) for k in range(len(self.of)))

    @property
    def n(self) -> int:
        """Number of codes."""
        return math.prod(self.sizes)

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return {name: True for one in self.of for name in one.reads}

    def said_by(self, words: Words[T_co]) -> T_co:
        """Return what an export says."""
        return words.combination(self)


#: How many codes parts of the calendar have, all from 0: Monday, the first of a month, January, ...
PARTS = {"weekday": 7, "day": 31, "month": 12, "quarter": 4, "hour": 24}


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """A part of a moment, one of `PARTS`."""

    of: Moment
    part: str

    @property
    def n(self) -> int:
        """Number of codes."""
        return PARTS[self.part]

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return {self.of.column: self.of.in_second is not None}

    def said_by(self, words: Words[T_co]) -> T_co:
        """Return what an export says."""
        return words.calendar(self)


class Adder(Protocol[T_co]):
    """What an export makes of terms."""

    def measured(self, term: Measured) -> T_co:
        """Say what a number adds to the margins."""

    def chosen(self, term: Chosen) -> T_co:
        """Say what a code adds to the margins."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A feature that is a number.

    Attributes
    ----------
    fill
        What it is where there is no value; None: such a row is refused.
    """

    number: Number | Days
    feature: int
    fill: float | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The features that are numbers, of which something may be taken off."""
        return (self.feature,)

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return self.number.reads

    def added_by(self, adder: Adder[T_co]) -> T_co:
        """Return what an export makes of it."""
        return adder.measured(self)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Features of which a row has at most one.

    Attributes
    ----------
    features
        Of each code, of no value, and of another text: a feature, `NOTHING` or `REFUSED`.
    """

    code: Category | Interval | Combination | Calendar
    features: tuple[int, ...] = field(repr=False)

    @property
    def missing(self) -> int:
        """What a row without a value has."""
        return self.features[-2]

    @property
    def unseen(self) -> int:
        """What a row with another text has."""
        return self.features[-1]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The features that are numbers, of which something may be taken off."""
        return ()

    @property
    def reads(self) -> dict[str, bool]:
        """Columns, and whether each is read as a number."""
        return self.code.reads

    def added_by(self, adder: Adder[T_co]) -> T_co:
        """Return what an export makes of it."""
        return adder.chosen(self)


Term = Measured | Chosen


def chosen(code: Any, first: int, *, missing: int, unseen: int = NOTHING) -> Chosen:
    """Return the choice of a feature for each code, from the first on."""
    return Chosen(code=code, features=(*range(first, first + code.n), missing, unseen))


def of_missing(said: Any, own: int) -> int:
    """Return what a row without a value has, by what a schema file says of it; its own feature where it says so."""
    return {"category": own, "none": NOTHING}.get(said, REFUSED)


def reads(terms: Sequence[Term]) -> dict[str, set[bool]]:
    """Return the columns, and as what they are read, as numbers or texts or both."""
    found: dict[str, set[bool]] = {}
    for term in terms:
        for name, is_number in term.reads.items():
            found.setdefault(name, set()).add(is_number)
    return found
