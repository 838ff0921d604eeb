"""Mini-blocks: what the shuffle of a pack moves. Rows of one chunk that belong to one partition, as columns.

A mini-block is a frame: on a cluster it goes through the shuffle as text, on one machine through a file (see
`mr_ml.packing.spill`). `cut` turns the rows of a partition into its blocks: rows sorted by order hash, then by a second
hash of their content, so the result does not depend on how many mini-blocks there were or in which order they came.
Equal rows meet in one partition, where `ranked` counts them: see `mr_ml.packing.equal_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import frame, kernels
from mr_ml.data.block import Block, is_dense
from mr_ml.data.features import DenseFeatures, SparseFeatures
from mr_ml.data.narrow import narrow, narrow_ids, shared_ids, widen
from mr_ml.data.rowhash import Hashes, Purpose, again, matrix_hashes, row_hashes
from mr_ml.errors import BadDataError
from mr_ml.packing.plan import PackPlan
from mr_ml.readers.rows import Rows

KIND = "miniblock"
# In which features travel: as entries, or as a matrix.
_FEATURES = frozenset({"ends", "indices", "values", "matrix"})

Array = NDArray[Any]


class Part(NamedTuple):
    """What a mini-block holds: an array by name, and the decimal places of values or matrix."""

    arrays: Mapping[str, Array]
    places: int

    @property
    def matrix_kind(self) -> tuple[object, ...] | None:
        """What matrices have in common that can stand one below the other; None where rows came as entries."""
        matrix = self.arrays.get("matrix")
        return None if matrix is None else (matrix.shape[1], matrix.dtype.kind, self.places)

    @property
    def entries(self) -> kernels.Entries:
        """The features of all rows."""
        if "matrix" in self.arrays:
            return _entries_of(self.arrays["matrix"], self.places)
        return kernels.Entries(self.arrays["ends"], self.arrays["indices"], self.arrays["values"], self.places)


class Stretch(NamedTuple):
    """Rows first to last - 1 belong to one partition."""

    partition: int
    first: int
    last: int


class Met(NamedTuple):
    """Rows that met equal ones in partition `home`, so many of them before each: int64, (n_rows,), from 1 on."""

    home: int
    numbers: NDArray[np.int64]


MiniBlock = tuple[int, bytes]


def assigned(rows: Rows, plan: PackPlan, met: Met | None = None) -> tuple[NDArray[np.int64], Hashes]:
    """Return the partition and the order hash of each row."""
    hashes = row_hashes(rows) if rows.matrix is None else matrix_hashes(rows, *rows.matrix)
    if met is None:
        return plan.assign(hashes, rows.groups if plan.by_group else None)
    return plan.assign_again(again(hashes, met.numbers), home=met.home)


def sorted_by_partition(partition: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[Stretch]]:
    """Sort rows by partition: their indices, and the stretch of each partition."""
    # numbers of two bytes are sorted by counting
    small = partition.max(initial=0) < 1 << 16
    ranks = np.argsort(partition.astype(np.uint16) if small else partition, kind="stable")
    sorted_partition = partition[ranks]
    firsts = np.flatnonzero(np.diff(sorted_partition, prepend=-1))
    lasts = [*firsts[1:].tolist(), len(ranks)]
    bounds = zip(sorted_partition[firsts].tolist(), firsts.tolist(), lasts, strict=False)
    return ranks, [Stretch(*item) for item in bounds]


def split_rows(rows: Rows, plan: PackPlan, met: Met | None = None) -> Iterator[MiniBlock]:
    """Yield (partition, encoded mini-block) for each partition that has rows here."""
    partition, order = assigned(rows, plan, met)
    ranks, stretches = sorted_by_partition(partition)
    if rows.matrix is None:
        yield from encoded_rows(take(rows, ranks), order[ranks], stretches)
        return
    array, places = rows.matrix
    columns = {"order": order[ranks], **by_row(rows, ranks)}
    yield from encoded_matrix((array.take(ranks, axis=0), places), columns, stretches)


def encoded_matrix(
    matrix: tuple[Array, int], columns: Mapping[str, Array], stretches: Sequence[Stretch]
) -> Iterator[MiniBlock]:
    """Yield a mini-block for each stretch of rows whose features are a matrix, with what else there is of them."""
    array, places = matrix
    for partition, first, last in stretches:
        arrays = {name: column[first:last] for name, column in columns.items()}
        yield partition, frame.encode(KIND, {"places": places}, {**arrays, "matrix": array[first:last]})


def encoded(rows: Rows, order: Hashes) -> bytes:
    """One mini-block of rows with these order hashes, uint64 (n,); lines and groups are left out."""
    ((_, data),) = encoded_rows(rows, order, [Stretch(0, 0, rows.n_rows)])
    return data


def encoded_rows(rows: Rows, order: Hashes, stretches: Sequence[Stretch]) -> Iterator[MiniBlock]:
    """Yield a mini-block for each stretch of rows with these order hashes."""
    # Memory that is written for the first time costs more than narrowing does.
    shared = shared_ids(rows.indptr, rows.indices)
    ids = narrow_ids(rows.indices if shared is None else shared)
    values, places = narrow(rows.values)
    columns = {"order": order, **by_row(rows, slice(None))}
    for partition, first, last in stretches:
        arrays = {name: column[first:last] for name, column in columns.items()}
        start, stop = rows.indptr[first], rows.indptr[last]
        arrays["ends"] = (rows.indptr[first + 1 : last + 1] - start).astype(np.int32)
        arrays["indices"] = ids[start:stop] if shared is None else ids
        arrays["values"] = values[start:stop]
        yield partition, frame.encode(KIND, {"places": places}, arrays)


def take(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    """Return the chosen rows, in that order, without groups and line numbers."""
    whole = kernels.Entries(rows.indptr[1:].astype(np.int32), rows.indices, rows.values, 0)
    return _with_entries(rows, chosen, _gathered([whole], np.zeros(len(chosen), np.int32), chosen.astype(np.int32)))


def by_row(rows: _ByRow, chosen: NDArray[np.int64] | slice) -> dict[str, Any]:
    """Return what there is of the chosen rows beside their entries."""
    columns = {"labels": rows.labels, "weights": rows.weights, "offsets": rows.offsets}
    return {name: column[chosen] for name, column in columns.items() if column is not None}


class _ByRow(Protocol):
    """What there is of each row beside its entries."""

    @property
    def labels(self) -> NDArray[np.float64]: ...
    @property
    def weights(self) -> NDArray[np.float64] | None: ...
    @property
    def offsets(self) -> NDArray[np.float64] | None: ...


def _with_entries(source: _ByRow, chosen: NDArray[np.int64], entries: tuple[Array, Array, Array]) -> Rows:
    """Return the chosen rows, of which `entries` are indptr, indices and values."""
    indptr, indices, values = entries
    lines = np.zeros(len(chosen), np.int64)
    return Rows(indptr=indptr, indices=indices, values=values, lines=lines, **by_row(source, chosen))


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """The rows of several mini-blocks, whose entries stay in them, narrow, until rows are taken.

    Attributes
    ----------
    pieces
        Entries of each mini-block.
    piece, row : int32, shape (n,)
        Where the entries of each row are.
    order : uint64, shape (n,)
    labels : float64, shape (n,)
    weights, offsets : float64, shape (n,), or None
    """

    pieces: Sequence[kernels.Entries]
    piece: NDArray[np.int32]
    row: NDArray[np.int32]
    order: Hashes
    labels: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    offsets: NDArray[np.float64] | None

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """Return the chosen rows, in that order."""
        return _with_entries(self, chosen, _gathered(self.pieces, self.piece[chosen], self.row[chosen]))

    def block(self, chosen: NDArray[np.int64]) -> Block:
        """Return the chosen rows as a block, in that order."""
        part = self.take(chosen)
        return Block(SparseFeatures(part.indptr, part.indices, part.values), part.labels, part.weights, part.offsets)

    def mini_blocks(self, chosen: NDArray[np.int64], stretches: Sequence[Stretch]) -> Iterator[MiniBlock]:
        """Yield a mini-block for each stretch of the chosen rows."""
        return encoded_rows(self.take(chosen), self.order[chosen], stretches)


@dataclass(frozen=True, eq=False)
class JoinedMatrix:
    """The rows of several mini-blocks that all came as matrices.

    Attributes
    ----------
    array, places
        Features as `narrow` gives them, shape (n, n_features); what is zero is no entry.
    order, labels, weights, offsets
        As of `JoinedRows`.
    """

    array: Array
    places: int
    order: Hashes
    labels: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    offsets: NDArray[np.float64] | None

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """Return the chosen rows, in that order."""
        array = self.array.take(chosen, axis=0)
        entries = _entries_of(array, self.places)
        indptr = np.concatenate([np.zeros(1, np.int64), entries.ends])
        values = widen(entries.values, self.places)
        return _with_entries(self, chosen, (indptr, entries.indices, values))

    def block(self, chosen: NDArray[np.int64]) -> Block:
        """Return the chosen rows as a block, in that order."""
        array = self.array.take(chosen, axis=0)
        if not is_dense(int(np.count_nonzero(array)), *array.shape) or not array[:, -1:].any():
            part = self.take(chosen)
            return Block(
                SparseFeatures(part.indptr, part.indices, part.values), part.labels, part.weights, part.offsets
            )
        return Block(DenseFeatures(array, self.places), **by_row(self, chosen))

    def mini_blocks(self, chosen: NDArray[np.int64], stretches: Sequence[Stretch]) -> Iterator[MiniBlock]:
        """Yield a mini-block for each stretch of the chosen rows."""
        matrix = self.array.take(chosen, axis=0), self.places
        return encoded_matrix(matrix, {"order": self.order[chosen], **by_row(self, chosen)}, stretches)


def _entries_of(array: Array, places: int) -> kernels.Entries:
    """Return what is not zero in a matrix."""
    rows, columns = np.nonzero(array)
    ends = np.cumsum(np.bincount(rows, minlength=len(array))).astype(np.int32)
    return kernels.Entries(ends, columns.astype(np.int32), array[rows, columns], places)


def joined(miniblocks: Sequence[bytes], *, where: str) -> RowSource:
    """Join the rows of all encoded mini-blocks of one partition; there must be at least one.

    Raises
    ------
    BadDataError
        If one is damaged, or only some have weights or offsets.
    """
    parts = [
        Part(opened.arrays, opened.meta["places"])
        for opened in (frame.decode(data, kind=KIND, where=where) for data in miniblocks)
    ]
    if any((part.arrays.keys() ^ parts[0].arrays.keys()) - _FEATURES for part in parts):
        raise BadDataError(f"{where}: some input has weights or offsets and some has not")
    return put_together(parts)


def put_together(parts: Sequence[Part]) -> JoinedRows | JoinedMatrix:
    """Join rows, of which all have weights and offsets or none has; at least one part."""
    columns: dict[str, Any] = {
        name: np.concatenate([part.arrays[name] for part in parts]) if name in parts[0].arrays else None
        for name in ("order", "labels", "weights", "offsets")
    }
    matrices = {part.matrix_kind for part in parts}
    if len(matrices) == 1 and None not in matrices:
        return JoinedMatrix(np.concatenate([part.arrays["matrix"] for part in parts]), parts[0].places, **columns)
    sizes = [len(part.arrays["labels"]) for part in parts]
    return JoinedRows(
        pieces=[part.entries for part in parts],
        piece=np.repeat(np.arange(len(parts), dtype=np.int32), sizes),
        row=np.concatenate([np.arange(n, dtype=np.int32) for n in sizes]),
        **columns,
    )


def _gathered(pieces: Sequence[kernels.Entries], piece: Array, row: Array) -> tuple[Array, Array, Array]:
    """As `kernels.gather_rows`, compiled or not."""
    compiled = kernels.gather_rows(pieces, piece, row)
    if compiled is not None:
        return compiled
    first, counts = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    mine = [np.flatnonzero(piece == k) for k in range(len(pieces))]
    for at, entries in zip(mine, pieces, strict=True):
        rows = row[at]
        first[at] = np.where(rows > 0, entries.ends[rows - 1], 0)
        counts[at] = entries.ends[rows] - first[at]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1])
    for at, entries in zip(mine, pieces, strict=True):
        n = counts[at]
        within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        source, target = np.repeat(first[at], n) + within, np.repeat(indptr[at], n) + within
        indices[target] = entries.indices[source if len(entries.indices) == len(entries.values) else within]
        values[target] = widen(entries.values[source], entries.places)
    return indptr, indices, values


class RowSource(Protocol):
    """The rows of one partition, in any order."""

    @property
    def order(self) -> Hashes:
        """Order hash of each row, uint64 of shape (n,)."""

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """Return the chosen rows, in that order."""

    def block(self, chosen: NDArray[np.int64]) -> Block:
        """Return the chosen rows as a block, in that order."""


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
        """Yield the rows that `firsts` leaves out, at most `at_most` at a time."""
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
        yield source.block(rank[start : start + block_rows])
