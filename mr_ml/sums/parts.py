"""The parts that statistics are made of: small algebras with an associative `+`.

    Sum       plain sums (loss, gradient, curvature, counts)
    Minimum   element-wise minimum
    Moments   count, mean and squared deviations, joined without cancellation (Chan, Golub & LeVeque 1983, eq. 2.1)
    WeightedMoments   the same of weighted rows: sum of weights, weighted mean and variance
    Keyed     sums by integer key, for tables whose keys are not known ahead
    Triangle  a matrix of many rows up to a rotation of these, joined by orthogonal reduction

Those with a column for each feature say which of their arrays have columns, and what one of no rows holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass

# So many rows of few columns are factored at a time, which stay in a cache: half of the time of all at once.
_FEW_ROWS = 512

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sum:
    """A plain sum."""

    value: Array
    rule: ClassVar[str] = "sum"
    empty: ClassVar[float] = 0.0
    by_column: ClassVar[tuple[str, ...]] = ("value",)

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.value + other.value)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name, as they travel."""
        return {"value": self.value}


@dataclass(frozen=True, eq=False)
class Minimum:
    """An element-wise minimum."""

    value: Array
    rule: ClassVar[str] = "minimum"
    empty: ClassVar[float] = np.inf
    by_column: ClassVar[tuple[str, ...]] = ("value",)

    def __add__(self, other: Minimum) -> Minimum:
        return Minimum(np.minimum(self.value, other.value))

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name, as they travel."""
        return {"value": self.value}


@dataclass(frozen=True, eq=False)
class Moments:
    """count (), mean and m2 = sum of squared deviations from the mean, both (n,)."""

    count: Array
    mean: Floats
    m2: Floats
    rule: ClassVar[str] = "moments"
    empty: ClassVar[float] = 0.0
    by_column: ClassVar[tuple[str, ...]] = ("mean", "m2")

    def __add__(self, other: Moments) -> Moments:
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        delta = other.mean - self.mean
        share = other.count / count
        return Moments(count, self.mean + delta * share, self.m2 + other.m2 + delta * delta * (self.count * share))

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name, as they travel."""
        return {"count": self.count, "mean": self.mean, "m2": self.m2}


@dataclass(frozen=True, eq=False)
class WeightedMoments:
    """weight () = sum of the rows' weights u, mean = sum u x / weight and variance = sum u (x - mean)^2 / weight, (n,).

    Means, not sums: weights of 1e300 would carry sums of squares out of the range of numbers.
    """

    weight: Array
    mean: Floats
    variance: Floats
    rule: ClassVar[str] = "weighted_moments"
    empty: ClassVar[float] = 0.0
    by_column: ClassVar[tuple[str, ...]] = ("mean", "variance")

    def __add__(self, other: WeightedMoments) -> WeightedMoments:
        if not self.weight or not other.weight:
            return self if self.weight else other
        weight = self.weight + other.weight
        mine, theirs = self.weight / weight, other.weight / weight
        delta = other.mean - self.mean
        variance = self.variance * mine + other.variance * theirs + delta * delta * (mine * theirs)
        return WeightedMoments(weight, self.mean + delta * theirs, variance)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name, as they travel."""
        return {"weight": self.weight, "mean": self.mean, "variance": self.variance}


@dataclass(frozen=True, eq=False)
class Keyed:
    """keys int64 (n,) strictly ascending, values float64 (n, m); at most `limit` keys.

    Beyond the limit keys are halved (shifted right) until they fit and equal ones are summed; `shift` says by how
    many bits in all. The tree fixes the order of additions, so the outcome is as deterministic as any other sum.
    """

    keys: Array
    values: Floats
    limit: int
    shift: int = 0
    rule: ClassVar[str] = "keyed"

    @classmethod
    def of(cls, keys: Array, values: Floats, *, limit: int, shift: int = 0) -> Keyed:
        """Sum the values of equal keys, in the order given."""
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        while True:
            starts = np.flatnonzero(np.concatenate([[len(keys) > 0], keys[1:] != keys[:-1]]))
            keys, values = keys[starts], np.add.reduceat(values, starts, axis=0) if len(starts) else values[:0]
            if len(keys) <= limit:
                return cls(keys, values, limit, shift)
            keys, shift = keys >> 1, shift + 1

    def __add__(self, other: Keyed) -> Keyed:
        shift = max(self.shift, other.shift)
        keys = np.concatenate([self.keys >> (shift - self.shift), other.keys >> (shift - other.shift)])
        return Keyed.of(keys, np.concatenate([self.values, other.values]), limit=self.limit, shift=shift)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name, as they travel."""
        return {"keys": self.keys, "values": self.values, "bounds": np.array([self.limit, self.shift])}

    @classmethod
    def from_arrays(cls, keys: Array, values: Floats, bounds: Array) -> Keyed:
        """Undo `arrays`."""
        limit, shift = bounds.tolist()
        return cls(keys, values, limit, shift)


@dataclass(frozen=True, eq=False)
class Triangle:
    """What R of a QR factorisation keeps of the rows of a matrix (n_rows, n): R'R is their Gram matrix.

    R (k, n) is upper triangular, k <= n, with no negative number on its diagonal. Two are joined by factoring the rows
    of both (TSQR: Demmel, Grigori, Hoemmen & Langou 2012), so that R is as right as if it were found of all rows at
    once, where a sum of Gram matrices has lost half of the digits.
    """

    r: Floats
    rule: ClassVar[str] = "triangle"

    @classmethod
    def of(cls, rows: Floats) -> Triangle:
        """Factor rows (n_rows, n)."""
        n_rows, n = rows.shape
        whole = n_rows // _FEW_ROWS * _FEW_ROWS
        if n_rows >= 2 * _FEW_ROWS >= 8 * n:
            few = _r(rows[:whole].reshape(-1, _FEW_ROWS, n))
            rows = np.concatenate([few.reshape(-1, n), rows[whole:]])
        r = _r(rows) if rows.size else rows[:0]
        return cls(np.where(np.diagonal(r) < 0, -1.0, 1.0)[:, None] * r)

    def __add__(self, other: Triangle) -> Triangle:
        return Triangle.of(np.concatenate([self.r, other.r]))

    def arrays(self) -> dict[str, Array]:
        """Return the array by name, as it travels."""
        return {"r": self.r}


def _r(rows: Floats) -> Floats:
    """R of rows (..., n_rows, n), (..., min(n_rows, n), n)."""
    return np.asarray(np.linalg.qr(rows, mode="r"))


Part = Sum | Minimum | Moments | WeightedMoments | Keyed | Triangle
PARTS: dict[str, Callable[..., Part]] = {
    Sum.rule: Sum,
    Minimum.rule: Minimum,
    Moments.rule: Moments,
    WeightedMoments.rule: WeightedMoments,
    Keyed.rule: Keyed.from_arrays,
    Triangle.rule: Triangle,
}
ColumnPart = Sum | Minimum | Moments | WeightedMoments


def absorbed(mine: Part, theirs: Part) -> Part:
    """`mine + theirs`; sums are added in the memory of mine, if that may be written to."""
    if isinstance(mine, Sum) and isinstance(theirs, Sum) and mine.value.flags.writeable:
        np.add(mine.value, theirs.value, out=mine.value)
        return mine
    added: Part = mine + theirs  # type: ignore[operator]
    return added
