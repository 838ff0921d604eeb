"""A sample of values that does not depend on how the input was cut: for medians and quantiles.

Of up to `SIZE` different values all are counted, and quantiles are exact. Of more, those of the rows are kept whose
hash is among the `SIZE` least: a random sample, since the hash of a row says nothing of its value, and the same one in
whatever order parts are added up (Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches"). Rows that are
equal in all columns that are used are kept together, with their number.

With p the share of rows below a quantile that is found, the standard deviation of p is about sqrt(p (1 - p) / SIZE),
0.0055 at most, if rows are not equal.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass

SIZE = 8192

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Values and how often each occurs; ``a + b`` is the sample of both inputs.

    Attributes
    ----------
    values, counts
        All different values, ascending, and their numbers; None if there are more than `SIZE`.
    keys, drawn, times
        Of rows with the least hashes: the hash, the value, and the number of rows that are equal; by hash, then value.
    """

    values: tuple[float, ...] | None = ()
    counts: tuple[int, ...] | None = ()
    keys: tuple[int, ...] = ()
    drawn: tuple[float, ...] = ()
    times: tuple[int, ...] = ()

    @classmethod
    def of(cls, keys: NDArray[np.uint64], values: F64) -> Sample:
        """Make one of the hashes of rows, (n,), and their values."""
        # JSON's whole numbers have 63 bits; -0.0 is 0.0
        return cls._made((keys >> np.uint64(1)).astype(np.int64), values + 0.0, np.ones(len(values), np.int64), True)

    @classmethod
    def _made(cls, keys: I64, values: F64, times: I64, is_all: bool) -> Sample:
        distinct, number = np.unique(values, return_inverse=True)
        known = is_all and len(distinct) <= SIZE
        counts = np.zeros(len(distinct), np.int64)
        np.add.at(counts, number, times)
        keys, drawn, times = _least(keys, values, times)
        return cls(
            tuple(distinct.tolist()) if known else None, tuple(counts.tolist()) if known else None,
            tuple(keys.tolist()), tuple(drawn.tolist()), tuple(times.tolist()),
        )  # fmt: skip

    def __add__(self, other: Sample) -> Sample:
        """Return the sample of both inputs."""
        keys, drawn, times = _least(
            np.array(self.keys + other.keys, np.int64), np.array(self.drawn + other.drawn, np.float64),
            np.array(self.times + other.times, np.int64),
        )  # fmt: skip
        values = counts = None
        if self.values is not None and other.values is not None:
            distinct, number = np.unique(np.array(self.values + other.values, np.float64), return_inverse=True)
            if len(distinct) <= SIZE:
                total = np.zeros(len(distinct), np.int64)
                np.add.at(total, number, np.array((self.counts or ()) + (other.counts or ()), np.int64))
                values, counts = tuple(distinct.tolist()), tuple(total.tolist())
        return Sample(values, counts, tuple(keys.tolist()), tuple(drawn.tolist()), tuple(times.tolist()))

    def quantiles(self, parts: Iterable[int], of: int) -> list[float]:
        """Return the values below which parts / of of the rows are; where two values are at that place, their mean.

        This is the averaged inverse of the distribution: numpy's `averaged_inverted_cdf`; of 1 / 2 it is the median.
        """
        values = np.array(self.drawn if self.values is None else self.values, np.float64)
        counts = np.array(self.times if self.counts is None else self.counts, np.int64)
        order = np.argsort(values, kind="stable")
        values, below = values[order], np.cumsum(counts[order])
        found = []
        for part in parts:
            # the first value with below * of >= part * total, in whole numbers
            target = part * int(below[-1])
            at = int(np.searchsorted(below * of, target))
            low, high = float(values[at]), float(values[min(at + 1, len(values) - 1)])
            found.append(low / 2 + high / 2 if int(below[at]) * of == target else low)
        return found


def _least(keys: I64, values: F64, times: I64) -> tuple[I64, F64, I64]:
    """Add up what is equal, and keep the first `SIZE` by hash and value."""
    order = np.lexsort((values, keys))
    keys, values, times = keys[order], values[order], times[order]
    is_new = np.ones(len(keys), np.bool_)
    is_new[1:] = (keys[1:] != keys[:-1]) | (values[1:] != values[:-1])
    first = np.flatnonzero(is_new)
    sums = np.add.reduceat(times, first) if len(first) else times
    return keys[first[:SIZE]], values[first[:SIZE]], sums[:SIZE]
