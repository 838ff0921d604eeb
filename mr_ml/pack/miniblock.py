"""Mini-blocks: what the shuffle of a pack moves. Rows of one chunk that belong to one partition, as columns.

On a cluster a mini-block travels as a frame; on one machine `mr_ml.pack.spill` keeps it in a file. `cut` turns the
joined mini-blocks of a partition into its blocks: rows sorted by order hash, then by a second hash of their content, so
the result does not depend on how many mini-blocks there were or in which order they came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


def arrange(rows: Rows, plan: PackPlan) -> tuple[Columns, list[Stretch]]:
    """Put the rows of each partition together, and say where they are."""
    partition, order = plan.assign(row_hashes(rows), rows.groups if plan.by_group else None)
    ranked = np.argsort(partition, kind="stable")
    columns = Columns(take(rows, ranked), order[ranked])
    sorted_partition = partition[ranked]
    firsts = np.flatnonzero(np.diff(sorted_partition, prepend=-1))
    lasts = [*firsts[1:].tolist(), len(ranked)]
    found = zip(sorted_partition[firsts].tolist(), firsts.tolist(), lasts, strict=False)
    return columns, [Stretch(*item) for item in found]


def split_rows(rows: Rows, plan: PackPlan) -> Iterator[tuple[int, bytes]]:
    """Yield (partition, encoded mini-block) for each partition that has rows here."""
    columns, stretches = arrange(rows, plan)
    for partition, first, last in stretches:
        yield partition, frame.encode(KIND, {}, columns.slice(first, last).arrays())


def take(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    """The chosen rows, in that order; groups and line numbers are not carried on."""
    indptr, indices, values = kernels.take_rows(chosen, rows.indptr, rows.indices, rows.values) or _take(rows, chosen)
    return Rows(
        labels=rows.labels[chosen],
        indptr=indptr,
        indices=indices,
        values=values,
        lines=np.zeros(len(chosen), np.int64),
        weights=None if rows.weights is None else rows.weights[chosen],
        offsets=None if rows.offsets is None else rows.offsets[chosen],
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


def cut(columns: Columns, *, block_rows: int) -> Iterator[Block]:
    """Put the rows of one partition in order and cut blocks."""
    rank = _rank(columns.order, columns.rows)
    for start in range(0, columns.rows.n_rows, block_rows):
        part = take(columns.rows, rank[start : start + block_rows])
        features = SparseFeatures(part.indptr, part.indices, part.values)
        yield Block(features, part.labels, part.weights, part.offsets)


def _rank(order: Hashes, rows: Rows) -> NDArray[np.int64]:
    rank = np.argsort(order, kind="stable")
    ranked = order[rank]
    if (ranked[1:] != ranked[:-1]).all():
        return rank
    return np.lexsort((row_hashes(rows, salt=Purpose.TIE), order))
