"""Mini-blocks: what the shuffle of a pack moves. Rows of one chunk that belong to one partition, as a frame.

`cut` turns the mini-blocks of a partition into its blocks: rows sorted by order hash, then by a second hash of their
content, so the result does not depend on how many mini-blocks there were or in which order they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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


def split_rows(rows: Rows, plan: PackPlan) -> Iterator[tuple[int, bytes]]:
    """Yield (partition, encoded mini-block) for each partition that has rows here."""
    partition, order = plan.assign(row_hashes(rows), rows.groups if plan.by_group else None)
    ranked = np.argsort(partition, kind="stable")
    bounds = np.flatnonzero(np.diff(partition[ranked], prepend=-1))
    for chosen in np.split(ranked, bounds[1:]) if len(ranked) else ():
        yield int(partition[chosen[0]]), _encode(take(rows, chosen), order[chosen])


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


def _encode(rows: Rows, order: Hashes) -> bytes:
    arrays: dict[str, Array] = {
        "order": order,
        "labels": rows.labels,
        "counts": np.diff(rows.indptr).astype(np.int32),
        "indices": rows.indices,
        "values": rows.values,
    }
    for name, column in (("weights", rows.weights), ("offsets", rows.offsets)):
        if column is not None:
            arrays[name] = column
    return frame.encode(KIND, {}, arrays)


def cut(miniblocks: Sequence[bytes], *, block_rows: int, where: str) -> Iterator[Block]:
    """Join the mini-blocks of one partition, put the rows in order and cut blocks."""
    opened = [frame.decode(data, kind=KIND, where=where).arrays for data in miniblocks]
    if not opened:
        return
    optional = [name for name in ("weights", "offsets") if name in opened[0]]
    if any((name in arrays) != (name in optional) for arrays in opened for name in ("weights", "offsets")):
        raise BadDataError(f"{where}: some input has weights or offsets and some has not")
    joined = {name: np.concatenate([a[name] for a in opened]) for name in opened[0]}
    rows = Rows(
        labels=joined["labels"],
        indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(joined["counts"], dtype=np.int64)]),
        indices=joined["indices"],
        values=joined["values"],
        lines=np.zeros(len(joined["labels"]), np.int64),
        weights=joined.get("weights"),
        offsets=joined.get("offsets"),
    )
    rank = _rank(joined["order"], rows)
    for start in range(0, rows.n_rows, block_rows):
        part = take(rows, rank[start : start + block_rows])
        features = SparseFeatures(part.indptr, part.indices, part.values)
        yield Block(features, part.labels, part.weights, part.offsets)


def _rank(order: Hashes, rows: Rows) -> NDArray[np.int64]:
    rank = np.argsort(order, kind="stable")
    ranked = order[rank]
    if (ranked[1:] != ranked[:-1]).all():
        return rank
    return np.lexsort((row_hashes(rows, salt=Purpose.TIE), order))
