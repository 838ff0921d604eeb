"""Slices: parts with a column for each of very many features, held for `FEATURE_BLOCK` features at a time.

A slice keeps the columns that its rows have, until they are so many that all of them take less; the numbers are the
same, to the bit. Slices travel and are added separately, so that several reduce tasks share a wide statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.sums.parts import ColumnPart

Array = NDArray[Any]

# Belongs to the format of the sums, not to a cluster's size: slices are the same whatever the number of reduce tasks.
FEATURE_BLOCK = 1 << 18
_FEW = 1 / 4
# With ids up to 2^31 slices are larger instead of more.
_MOST_SLICES = 128
# An id takes half of what a number takes; with more columns than this, all take hardly more and add faster.
_DENSE_FROM = 1 / 2
# With fewer columns than this it costs less to merge ids than to mark them.
_MERGED_BELOW = 1 / 64


def is_wide(n_features: int) -> bool:
    """Whether sums over so many features are held in slices."""
    return n_features >= FEATURE_BLOCK


def are_few(n: int, n_features: int) -> bool:
    """Whether n of so many features are so few that work and files are in these alone."""
    return is_wide(n_features) and n <= _FEW * n_features


def _slice_width(width: int) -> int:
    """Columns of a slice of so many."""
    step = FEATURE_BLOCK
    while width > _MOST_SLICES * step:
        step *= 2
    return step


def _each(part: ColumnPart, change: Callable[[Array], Array]) -> ColumnPart:
    """Return the part with every array that has columns changed."""
    changed: dict[str, Any] = {name: change(getattr(part, name)) for name in part.by_column}
    return replace(part, **changed)


@dataclass(frozen=True, eq=False)
class Slice:
    """Columns [first, last) of parts that have `width` columns, on the last axis of their arrays.

    Attributes
    ----------
    ids
        Which columns the arrays hold, ascending and counted from `first`; the others are as in a part of no rows.
        None for all.
    """

    first: int
    last: int
    width: int
    ids: Array | None
    parts: Mapping[str, ColumnPart]

    def __add__(self, other: Slice) -> Slice:
        if (self.first, self.last, self.width) != (other.first, other.last, other.width):
            raise ValueError(f"slices of different columns: from {self.first} and from {other.first}")
        ids = None
        if self.ids is not None and other.ids is not None:
            ids = _union(self.ids, other.ids, self.last - self.first)
            if len(ids) >= _DENSE_FROM * (self.last - self.first):
                ids = None
        # the very additions of whole parts, but for those of empty columns to empty ones, which change nothing
        ours, theirs = self._spread(ids), other._spread(ids)
        parts = {name: part + theirs[name] for name, part in ours.items()}  # type: ignore[operator]
        return Slice(self.first, self.last, self.width, ids, parts)

    def _spread(self, ids: Array | None) -> Mapping[str, ColumnPart]:
        """Return the parts with other columns too."""
        if self.ids is None or (ids is not None and len(ids) == len(self.ids)):
            return self.parts
        at = self.ids if ids is None else np.searchsorted(ids, self.ids)
        n = self.last - self.first if ids is None else len(ids)
        return {
            name: _each(part, lambda array, empty=part.empty: _scattered([(at, array)], n, empty))  # type: ignore[misc]
            for name, part in self.parts.items()
        }


def _union(ids: Array, others: Array, n: int) -> Array:
    """Ids below n that one or the other holds, ascending."""
    if len(ids) + len(others) < _MERGED_BELOW * n:
        return np.union1d(ids, others)
    # in a third of the time
    held = np.zeros(n, bool)
    held[ids] = held[others] = True
    return np.flatnonzero(held).astype("<i4")


def _scattered(given: Sequence[tuple[Array | slice, Array]], n: int, empty: float) -> Array:
    """Return an array of n columns, some of which are given; the others are empty."""
    like = given[0][1]
    shape = (*like.shape[:-1], n)
    # untouched zeros take no memory
    whole = np.full(shape, empty, like.dtype) if empty else np.zeros(shape, like.dtype)
    for at, array in given:
        whole[..., at] = array
    return whole


def slices(parts: Mapping[str, ColumnPart], *, width: int, ids: Array | None = None) -> tuple[Slice, ...]:
    """Cut parts with columns `ids` (ascending; None for all) of `width` into slices."""
    pieces = []
    step = _slice_width(width)
    for first in range(0, width, step):
        last = min(first + step, width)
        low, high = (first, last) if ids is None else np.searchsorted(ids, [first, last]).tolist()
        mine = {
            name: _each(part, lambda array, low=low, high=high: array[..., low:high])  # type: ignore[misc]
            for name, part in parts.items()
        }
        pieces.append(Slice(first, last, width, None if ids is None else (ids[low:high] - first).astype("<i4"), mine))
    return tuple(pieces)


def spread_columns(part: ColumnPart, columns: Array, wanted: Array) -> ColumnPart:
    """Return the part over the columns `wanted`, among which are all that it holds, `columns`; the others are empty."""
    if len(columns) == len(wanted):
        return part
    at, empty = np.searchsorted(wanted, columns), part.empty
    return _each(part, lambda array: _scattered([(at, array)], len(wanted), empty))


def first_columns(given: Slice, width: int, parts: Mapping[str, ColumnPart]) -> Slice:
    """Return the slice with some of its parts, of which there are but `width` columns."""
    last = min(given.last, width)
    n = last - given.first if given.ids is None else int(np.searchsorted(given.ids, last - given.first))
    ids = None if given.ids is None else given.ids[:n]
    kept = {name: _each(part, lambda array: array[..., :n]) for name, part in parts.items()}
    return Slice(given.first, last, width, ids, kept)


def held_columns(given: Sequence[Slice]) -> Array:
    """Which columns the slices hold, ascending; the others are as in parts of no rows."""
    places = [np.arange(s.first, s.last) if s.ids is None else s.first + s.ids.astype(np.int64) for s in given]
    return np.concatenate(places)


def held_part(given: Sequence[Slice], name: str) -> ColumnPart:
    """Return the part of that name over the `held_columns` alone, from slices that tile all of them."""
    first = given[0].parts[name]
    arrays: dict[str, Any] = {
        key: np.concatenate([getattr(s.parts[name], key) for s in given], axis=-1) for key in first.by_column
    }
    return replace(first, **arrays)


def whole_part(given: Sequence[Slice], name: str) -> ColumnPart:
    """Return the part of that name with all columns, from slices that tile them."""
    first, width = given[0].parts[name], given[0].width
    places = [slice(s.first, s.last) if s.ids is None else s.first + s.ids.astype(np.int64) for s in given]
    arrays: dict[str, Any] = {}
    for key in first.by_column:
        columns = [(at, getattr(s.parts[name], key)) for at, s in zip(places, given, strict=True)]
        arrays[key] = _scattered(columns, width, first.empty)
    return replace(first, **arrays)
