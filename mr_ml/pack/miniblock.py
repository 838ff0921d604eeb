"""Mini-blocks: what the shuffle of a pack moves. Rows of one chunk that belong to one partition, as columns.

On a cluster a mini-block travels as a frame; on one machine `mr_ml.pack.spill` keeps rows in files. `cut` turns the
rows of a partition into its blocks: rows sorted by order hash, then by a second hash of their content, so the result
does not depend on how many mini-blocks there were or in which order they came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml import frame, kernels
from mr_ml.block import Block
from mr_ml.errors import BadDataError
from mr_ml.features import SparseFeatures
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.rowhash import Hashes, Purpose, row_hashes
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


def deal(rows: Rows, plan: PackPlan) -> tuple[NDArray[np.int64], Hashes, list[Stretch]]:
    """The rows by partition, the order hashes of rows so sorted, and where each partition begins and ends there."""
    partition, order = plan.assign(row_hashes(rows), rows.groups if plan.by_group else None)
    ranks = np.argsort(partition, kind="stable")
    sorted_partition = partition[ranks]
    firsts = np.flatnonzero(np.diff(sorted_partition, prepend=-1))
    lasts = [*firsts[1:].tolist(), len(ranks)]
    found = zip(sorted_partition[firsts].tolist(), firsts.tolist(), lasts, strict=False)
    return ranks, order[ranks], [Stretch(*item) for item in found]


def split_rows(rows: Rows, plan: PackPlan) -> Iterator[tuple[int, bytes]]:
    """Yield (partition, encoded mini-block) for each partition that has rows here."""
    ranks, order, stretches = deal(rows, plan)
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


def cut(source: RowSource, *, block_rows: int) -> Iterator[Block]:
    """Put the rows of one partition in order and cut blocks."""
    rank = _rank(source)
    for start in range(0, len(rank), block_rows):
        part = source.take(rank[start : start + block_rows])
        features = SparseFeatures(part.indptr, part.indices, part.values)
        yield Block(features, part.labels, part.weights, part.offsets)


def _rank(source: RowSource) -> NDArray[np.int64]:
    order = source.order
    rank = np.argsort(order, kind="stable")
    ranked = order[rank]
    like_next = ranked[1:] == ranked[:-1]
    if like_next.any():
        tied = np.zeros(len(rank), bool)
        tied[1:] = like_next
        tied[:-1] |= like_next
        rows = rank[tied]
        rank[tied] = rows[np.lexsort((row_hashes(source.take(rows), salt=Purpose.TIE), order[rows]))]
    return rank
