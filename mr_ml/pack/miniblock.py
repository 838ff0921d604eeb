"""Mini-blocks: what the shuffle of a pack moves. Rows of one chunk that belong to one partition, as columns.

On a cluster a mini-block travels as a frame; on one machine `mr_ml.pack.spill` keeps rows in files. `cut` turns the
rows of a partition into its blocks: rows sorted by order hash, then by a second hash of their content, so the result
does not depend on how many mini-blocks there were or in which order they came. Equal rows meet in one partition, where
`ranked` counts them: see `mr_ml.pack.equal_rows`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml.data import frame, kernels
from mr_ml.data.block import Block
from mr_ml.data.features import SparseFeatures
from mr_ml.errors import BadDataError
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.rowhash import Hashes, Purpose, again, row_hashes
from mr_ml.readers.rows import Rows

KIND = "miniblock"

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Columns:
    """Rows with their order hashes, in the form in which they are shuffled.

    Attributes
    ----------
    rows
        Of which lines and groups are not shuffled.
    order : uint64, shape (n,)
    """

    rows: Rows
    order: Hashes

    def arrays(self) -> dict[str, Array]:
        """By name; `counts` int32 (n,) instead of indptr; weights and offsets only where there are any."""
        rows = self.rows
        found: dict[str, Array] = {
            "order": self.order,
            "labels": rows.labels,
            "counts": np.diff(rows.indptr).astype(np.int32),
        }
        for name, column in (("weights", rows.weights), ("offsets", rows.offsets)):
            if column is not None:
                found[name] = column
        return {**found, "indices": rows.indices, "values": rows.values}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array]) -> Columns:
        """Undo `arrays`."""
        rows = Rows(
            labels=arrays["labels"],
            indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(arrays["counts"], dtype=np.int64)]),
            indices=arrays["indices"],
            values=arrays["values"],
            lines=np.zeros(len(arrays["labels"]), np.int64),
            weights=arrays.get("weights"),
            offsets=arrays.get("offsets"),
        )
        return cls(rows, arrays["order"])

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """The chosen rows, in that order."""
        return take(self.rows, chosen)

    def slice(self, first: int, last: int) -> Columns:
        """Rows first to last - 1."""
        rows = self.rows
        start, stop = rows.indptr[first], rows.indptr[last]
        part = Rows(
            labels=rows.labels[first:last],
            indptr=rows.indptr[first : last + 1] - start,
            indices=rows.indices[start:stop],
            values=rows.values[start:stop],
            lines=rows.lines[first:last],
            weights=None if rows.weights is None else rows.weights[first:last],
            offsets=None if rows.offsets is None else rows.offsets[first:last],
        )
        return Columns(part, self.order[first:last])


class Stretch(NamedTuple):
    """Rows first to last - 1 belong to one partition."""

    partition: int
    first: int
    last: int


class Met(NamedTuple):
    """Rows that met equal ones in partition `home`, so many of them before each: int64, (n_rows,), from 1 on."""

    home: int
    numbers: NDArray[np.int64]


def deal(rows: Rows, plan: PackPlan, met: Met | None = None) -> tuple[NDArray[np.int64], Hashes, list[Stretch]]:
    """The rows by partition, the order hashes of rows so sorted, and where each partition begins and ends there."""
    hashes = row_hashes(rows)
    if met is None:
        partition, order = plan.assign(hashes, rows.groups if plan.by_group else None)
    else:
        partition, order = plan.assign_again(again(hashes, met.numbers), home=met.home)
    ranks = np.argsort(partition, kind="stable")
    sorted_partition = partition[ranks]
    firsts = np.flatnonzero(np.diff(sorted_partition, prepend=-1))
    lasts = [*firsts[1:].tolist(), len(ranks)]
    found = zip(sorted_partition[firsts].tolist(), firsts.tolist(), lasts, strict=False)
    return ranks, order[ranks], [Stretch(*item) for item in found]


def split_rows(rows: Rows, plan: PackPlan, met: Met | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (partition, encoded mini-block) for each partition that has rows here."""
    ranks, order, stretches = deal(rows, plan, met)
    columns = Columns(take(rows, ranks), order)
    for partition, first, last in stretches:
        yield partition, frame.encode(KIND, {}, columns.slice(first, last).arrays())


def take(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    """The chosen rows, in that order; groups and line numbers are not carried on."""
    entries = kernels.take_rows(chosen, rows.indptr, rows.indices, rows.values) or _take(rows, chosen)
    return with_entries(rows, chosen, entries)


class _ByRow(Protocol):
    """What there is of each row beside its entries."""

    @property
    def labels(self) -> NDArray[np.float64]: ...
    @property
    def weights(self) -> NDArray[np.float64] | None: ...
    @property
    def offsets(self) -> NDArray[np.float64] | None: ...


def with_entries(source: _ByRow, chosen: NDArray[np.int64], entries: tuple[Array, Array, Array]) -> Rows:
    """The chosen rows, of which `entries` are indptr, indices and values."""
    indptr, indices, values = entries
    return Rows(
        labels=source.labels[chosen],
        indptr=indptr,
        indices=indices,
        values=values,
        lines=np.zeros(len(chosen), np.int64),
        weights=None if source.weights is None else source.weights[chosen],
        offsets=None if source.offsets is None else source.offsets[chosen],
    )


def _take(rows: Rows, chosen: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    counts = np.diff(rows.indptr)[chosen]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    at = np.repeat(rows.indptr[:-1][chosen] - indptr[:-1], counts) + np.arange(indptr[-1])
    return indptr, rows.indices[at], rows.values[at]


def joined(miniblocks: Sequence[bytes], *, where: str) -> Columns:
    """The rows of all encoded mini-blocks of one partition, of which there is at least one.

    Raises
    ------
    BadDataError
        If one is damaged, or only some have weights or offsets.
    """
    opened = [frame.decode(data, kind=KIND, where=where).arrays for data in miniblocks]
    check_columns(opened, where=where)
    return Columns.of_arrays({name: np.concatenate([a[name] for a in opened]) for name in opened[0]})


def check_columns(parts: Sequence[Collection[str]], *, where: str) -> None:
    """Raise `BadDataError` unless all parts have the same columns."""
    if any(set(part) != set(parts[0]) for part in parts):
        raise BadDataError(f"{where}: some input has weights or offsets and some has not")


class RowSource(Protocol):
    """The rows of one partition, in any order."""

    @property
    def order(self) -> Hashes: ...

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """The chosen rows, in that order."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """The rows of a partition in order.

    Attributes
    ----------
    rows : int64, shape (n,)
    numbers : int64, shape (n,), or None
        How many equal ones stand before each of them; None if no two are equal.
    """

    rows: NDArray[np.int64]
    numbers: NDArray[np.int64] | None

    @property
    def firsts(self) -> NDArray[np.int64]:
        """One row of each kind."""
        return self.rows if self.numbers is None else self.rows[self.numbers == 0]

    def others(self, *, home: int, at_most: int) -> Iterator[tuple[NDArray[np.int64], Met]]:
        """The rows that `firsts` leaves out, so many at a time."""
        if self.numbers is None:
            return
        left = self.numbers > 0
        rows, numbers = self.rows[left], self.numbers[left]
        for start in range(0, len(rows), at_most):
            yield rows[start : start + at_most], Met(home, numbers[start : start + at_most])


def ranked(source: RowSource) -> Ranked:
    """Put the rows of one partition in order."""
    order = source.order
    rank = np.argsort(order, kind="stable")
    sorted_order = order[rank]
    like_next = sorted_order[1:] == sorted_order[:-1]
    if not like_next.any():
        return Ranked(rank, None)
    tied = np.zeros(len(rank), bool)
    tied[1:] = like_next
    tied[:-1] |= like_next
    rows = rank[tied]
    content = row_hashes(source.take(rows), salt=Purpose.TIE)
    by_content = np.lexsort((content, order[rows]))
    rank[tied] = rows = rows[by_content]
    content = content[by_content]
    begins = np.ones(len(rows), bool)
    begins[1:] = (content[1:] != content[:-1]) | (order[rows[1:]] != order[rows[:-1]])
    starts = np.flatnonzero(begins)
    numbers = np.zeros(len(rank), np.int64)
    numbers[tied] = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    return Ranked(rank, numbers if numbers.any() else None)


def cut(source: RowSource, rank: NDArray[np.int64], *, block_rows: int) -> Iterator[Block]:
    """Cut blocks of rows of one partition, which are in order."""
    for start in range(0, len(rank), block_rows):
        part = source.take(rank[start : start + block_rows])
        features = SparseFeatures(part.indptr, part.indices, part.values)
        yield Block(features, part.labels, part.weights, part.offsets)
