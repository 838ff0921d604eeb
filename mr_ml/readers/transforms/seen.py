"""What is learnt of rows: counts, exact sums, and sets up to a size, which add up exactly in any order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError
from mr_ml.readers.transforms.sample import Sample

#: Characters of all distinct texts of a column together; more is free text.
MAX_CHARACTERS = 1 << 24

# Each double is a whole number of these: 2**-1074.
_UNIT = 1074
_HALF = 26


@dataclass(frozen=True)
class ExactSum:
    """The sum of doubles without any rounding: a whole number of 2^-1074.

    Attributes
    ----------
    units
        In hexadecimal digits, since JSON has no such numbers.
    """

    units: str = "0x0"

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> ExactSum:
        """Add up finite numbers, (n,).

        A double is a 53-bit integer m = h 2^26 + l times 2^e. The halves of those with one e are added up as 64-bit
        integers, which hold 2^36 of them.
        """
        mantissas, exponents = np.frexp(values)
        whole = np.ldexp(mantissas, 53).astype(np.int64)
        high, low = whole >> _HALF, whole & ((1 << _HALF) - 1)
        total = 0
        for exponent in np.unique(exponents).tolist():
            chosen = exponents == exponent
            part = (int(high[chosen].sum()) << _HALF) + int(low[chosen].sum())
            shift = exponent - 53 + _UNIT
            # of subnormal numbers the last bits are 0
            total += part << shift if shift >= 0 else part >> -shift
        return cls(hex(total))

    def __add__(self, other: ExactSum) -> ExactSum:
        """Return the sum of both."""
        return ExactSum(hex(int(self.units, 16) + int(other.units, 16)))

    def mean(self, n: int) -> float:
        """Return the sum divided by a number, rounded once to the nearest double."""
        return int(self.units, 16) / (n << _UNIT)

    def check_stored(self) -> None:
        """Raise ValueError if it is no number."""
        int(self.units, 16)


@dataclass(frozen=True)
class Texts:
    """Distinct texts, sorted; None if there are more than `most`, or more than `MAX_CHARACTERS` in them together."""

    most: int
    known: tuple[str, ...] | None

    @classmethod
    def of(cls, texts: Iterable[str], most: int) -> Texts:
        """Make one."""
        known = tuple(sorted(texts))
        return cls(most, None if len(known) > most or sum(map(len, known)) > MAX_CHARACTERS else known)

    def __add__(self, other: Texts) -> Texts:
        """Return the union."""
        most = min(self.most, other.most)
        if self.known is None or other.known is None:
            return Texts(most, None)
        # dict.fromkeys keeps the order; sorting two sorted lists is a merge
        return Texts.of(dict.fromkeys(sorted(self.known + other.known)), most)


@dataclass(frozen=True)
class Counts:
    """How often each of some ids occurs, by id."""

    ids: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, ids: NDArray[np.int64]) -> Counts:
        """Count ids, (n,)."""
        known, counts = np.unique(ids, return_counts=True)
        return cls(tuple(known.tolist()), tuple(counts.tolist()))

    def __add__(self, other: Counts) -> Counts:
        """Return what is in both."""
        known, number = np.unique(np.array(self.ids + other.ids, np.int64), return_inverse=True)
        total = np.zeros(len(known), np.int64)
        np.add.at(total, number, np.array(self.counts + other.counts, np.int64))
        return Counts(tuple(known.tolist()), tuple(total.tolist()))


@dataclass(frozen=True, kw_only=True)
class Alone:
    """What there is to be learnt of one column; see `Seen`."""

    n_rows: int = 0
    n_missing: int = 0
    total: ExactSum | None = None
    texts: Texts | None = None
    sample: Sample | None = None
    rows_with: Counts | None = None

    def added(self, other: Alone) -> dict[str, Any]:
        """Return the sums of the fields of both."""
        names = [item.name for item in fields(Alone)]
        return {name: _added(getattr(self, name), getattr(other, name)) for name in names}

    def alone(self) -> Alone:
        """Return the same without what is learnt by others."""
        return Alone(**{item.name: getattr(self, item.name) for item in fields(Alone)})

    @property
    def n_values(self) -> int:
        """Number of rows with a value."""
        return self.n_rows - self.n_missing

    def mean(self, column: str) -> float:
        """Return the mean of the values of a column.

        Raises
        ------
        BadDataError
            There is no value.
        """
        if self.total is None or not self.n_values:
            raise no_values(column, "mean")
        return self.total.mean(self.n_values)

    def quantiles(self, column: str, parts: Iterable[int], n: int, *, of: str) -> list[float]:
        """Return the values below which parts / n of those of a column are: see `Sample.quantiles`; `of`, for messages.

        Raises
        ------
        BadDataError
            There is no value.
        """
        if self.sample is None or not self.n_values:
            raise no_values(column, of)
        return self.sample.quantiles(parts, n)


@dataclass(frozen=True, kw_only=True)
class Seen(Alone):
    """What a transform saw in rows that are neither bad nor left out; ``a + b`` is what is in both inputs.

    Associative, commutative and exact, so that what is learnt does not depend on how the input was cut. What a
    transform does not ask is None.

    Attributes
    ----------
    n_rows, n_missing
        Rows, and those of them without a value.
    total
        Sum of the values.
    texts
        Distinct values.
    sample
        Of the values, for quantiles.
    rows_with
        Of each feature the number of rows that have it.
    inner
        What the transforms learn that this one is made of.
    """

    inner: tuple[Alone, ...] = ()

    def __add__(self, other: Seen) -> Seen:
        """Return what is in both inputs."""
        inner = self.inner or other.inner
        if self.inner and other.inner:
            inner = tuple(Alone(**a.added(b)) for a, b in zip(self.inner, other.inner, strict=True))
        return Seen(**self.added(other), inner=inner)


def no_values(column: str, of: str) -> BadDataError:
    """Return the error of a column that has no value of which something could be learnt."""
    return BadDataError(
        f"expected numbers in column {column!r}, to learn their {of}, found none; check the column, or say another "
        "`missing` for it in the schema file"
    )


def _added(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return a + b
