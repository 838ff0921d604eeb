"""The shuffle of a pack on one machine: map tasks leave rows in files, pointers to them go through the job.

A file holds, for each chunk of text, the columns of its rows one after the other: feature ids and values in as few
bytes as hold them exactly, since memory that is written for the first time costs more than narrowing does. In memory
the rows stay as they came, and beside them lies which of them belong to which partition; on a disk, where rows far
apart are slow to read, those of a partition lie together. What was read is proved by the rows' own hashes, which are
computed anew.
"""

from __future__ import annotations

import json
import mmap
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mr_ml import kernels
from mr_ml.errors import InternalError, StorageError
from mr_ml.narrow import narrow, narrow_ids, shared_ids, widen
from mr_ml.pack.miniblock import Array, check_columns, deal, take
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.rowhash import Hashes, row_hashes
from mr_ml.readers.rows import Rows

# Columns with a number per entry; all others have one per row.
_OF_ENTRIES = ("indices", "values")
# The numbers of these belong to the places of rows in the order of partitions, of the others to rows as they lie.
_OF_PLACES = ("order", "ranks")
_ALIGN = 8


class _Stored(NamedTuple):
    """Where a column begins in a file, how many numbers it has, how they are stored, and their decimal places."""

    offset: int
    n: int
    dtype: str
    places: int


class SpillFile:
    """The rows of one map task.

    Parameters
    ----------
    together
        Whether the rows of a partition lie together.
    """

    def __init__(self, folder: str, *, together: bool) -> None:
        self._path = str(Path(folder) / f"spill-{uuid.uuid4().hex}")
        self._together = together
        self._at = 0

    def __enter__(self) -> SpillFile:
        # nothing to gain from a buffer: arrays are large
        self._out = open(self._path, "wb", buffering=0)
        return self

    def __exit__(self, *exception: object) -> None:
        self._out.close()

    def append(self, rows: Rows, plan: PackPlan) -> Iterator[tuple[int, bytes]]:
        """Write rows; yield each partition that has some of them, and a pointer to these.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        ranks, order, stretches = deal(rows, plan)
        columns: dict[str, Array] = {"order": order}
        if self._together:
            rows = take(rows, ranks)
        else:
            columns["ranks"] = ranks.astype(np.int32)
        columns.update(labels=rows.labels, ends=rows.indptr[1:].astype(np.int32))
        for name, column in (("weights", rows.weights), ("offsets", rows.offsets)):
            if column is not None:
                columns[name] = column
        shared = shared_ids(rows.indptr, rows.indices)
        columns.update(indices=rows.indices if shared is None else shared, values=rows.values)
        stored: dict[str, _Stored] = {}
        try:
            for name, column in columns.items():
                kept, places = _narrowed(name, column)
                stored[name] = _Stored(self._at, len(kept), kept.dtype.str, places)
                self._write(np.ascontiguousarray(kept).view(np.uint8).data)
                self._write(memoryview(bytes(-self._at % _ALIGN)))
        except OSError as error:
            raise StorageError(
                f"cannot write {self._path}: {error.strerror or error}; free some space there, or choose another --root"
            ) from error
        for partition, first, last in stretches:
            entries = [int(rows.indptr[first]), int(rows.indptr[last])] if self._together else [0, len(rows.indices)]
            yield partition, json.dumps([self._path, stored, [first, last], rows.n_rows, entries]).encode()

    def _write(self, data: memoryview) -> None:
        while data:
            written = self._out.write(data)
            self._at += written
            data = data[written:]


class SpillReader:
    """Maps the files in which rows stay as they came, each once, until it is closed."""

    def __init__(self) -> None:
        self._maps: dict[str, mmap.mmap] = {}

    def close(self) -> None:
        """Forget the files; rows that are not taken yet keep theirs."""
        self._maps.clear()

    def rows(self, pointers: Iterable[bytes], *, plan: PackPlan, where: str) -> SpilledRows:
        """The rows of one partition, to which there is at least one pointer.

        Raises
        ------
        BadDataError
            If only some have weights or offsets.
        InternalError
            If what is there is not what was written.
        """
        found = [json.loads(pointer) for pointer in pointers]
        check_columns([stored for _, stored, *_ in found], where=where)
        try:
            with ExitStack() as stack:
                files = {
                    path: stack.enter_context(open(path, "rb", buffering=0)) for path in {path for path, *_ in found}
                }
                pieces = [self._piece(files[path], *pointer) for path, *pointer in found]
        except ValueError as error:
            raise InternalError(
                f"{where}: what was written to {Path(found[0][0]).parent} is not there any more ({error}); run it again"
            ) from error

        def joined(name: str) -> Array:
            return np.concatenate([piece.by_row[name] for piece in pieces])

        sizes = [len(piece.by_row["order"]) for piece in pieces]
        return SpilledRows(
            plan=plan,
            where=where,
            pieces=[piece.entries for piece in pieces],
            piece=np.repeat(np.arange(len(pieces), dtype=np.int32), sizes),
            row=joined("row"),
            order=joined("order"),
            labels=joined("labels"),
            weights=joined("weights") if "weights" in pieces[0].by_row else None,
            offsets=joined("offsets") if "offsets" in pieces[0].by_row else None,
        )

    def _piece(
        self, file: BinaryIO, stored: dict[str, list[int | str]], places: list[int], n_rows: int, entries: list[int]
    ) -> _Piece:
        columns = {name: _Stored(*column) for name, column in stored.items()}  # type: ignore[arg-type]
        scattered = "ranks" in columns
        lie = [0, n_rows] if scattered else places
        read = self._mapped if scattered else _copied

        def column(name: str) -> Array:
            first, last = places if name in _OF_PLACES else entries if name in _OF_ENTRIES else lie
            if name == "indices" and columns[name].n != columns["values"].n:
                # one row's, which are those of all
                first, last = 0, columns[name].n
            return read(file, columns[name], first, last)

        ends = column("ends")
        if not scattered:
            ends = ends - np.int32(entries[0])
        row = column("ranks") if scattered else np.arange(places[1] - places[0], dtype=np.int32)
        if len(row) and not 0 <= row.min() <= row.max() < len(ends):
            raise ValueError(f"rows {row.min()} to {row.max()} of {len(ends)}")
        by_row = {"row": row, "order": column("order")}
        by_row.update({name: column(name)[row] for name in ("labels", "weights", "offsets") if name in columns})
        return _Piece(by_row, kernels.Entries(ends, column("indices"), column("values"), columns["values"].places))

    def _mapped(self, file: BinaryIO, stored: _Stored, first: int, last: int) -> Array:
        """Some of a column, where it lies."""
        if file.name not in self._maps:
            self._maps[file.name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        dtype = np.dtype(stored.dtype)
        if first == last:
            return np.empty(0, dtype)
        return np.frombuffer(self._maps[file.name], dtype, last - first, stored.offset + first * dtype.itemsize)


def _copied(file: BinaryIO, stored: _Stored, first: int, last: int) -> Array:
    """As `SpillReader._mapped`."""
    array = np.empty(last - first, stored.dtype)
    data, at = array.view(np.uint8).data, stored.offset + first * array.itemsize
    while data:
        n = os.preadv(file.fileno(), [data], at)
        if not n:
            raise ValueError(f"{file.name} ends at byte {at}")
        data, at = data[n:], at + n
    return array


class _Piece(NamedTuple):
    """What a pointer points to: columns of the partition's rows, and entries of these and perhaps of others."""

    by_row: dict[str, Array]
    entries: kernels.Entries


@dataclass(frozen=True, eq=False)
class SpilledRows:
    """The rows of one partition, whose entries are left in the files until they are asked for.

    Attributes
    ----------
    pieces
        Entries of rows of this partition, and perhaps of others.
    piece, row : int32, shape (n,)
        Where the entries of each row are.
    order : uint64, shape (n,)
    labels, weights, offsets : float64, shape (n,)
    """

    plan: PackPlan
    where: str
    pieces: Sequence[kernels.Entries]
    piece: NDArray[np.int32]
    row: NDArray[np.int32]
    order: Hashes
    labels: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    offsets: NDArray[np.float64] | None

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """The chosen rows, in that order.

        Raises
        ------
        InternalError
            If they are not what was written.
        """
        piece, row = self.piece[chosen], self.row[chosen]
        changed = f"{self.where}: rows changed between the map and the reduce task; run it again"
        try:
            indptr, indices, values = kernels.gather_rows(self.pieces, piece, row) or _gathered(self.pieces, piece, row)
        except (ValueError, IndexError) as error:
            raise InternalError(changed) from error
        rows = Rows(
            labels=self.labels[chosen],
            indptr=indptr,
            indices=indices,
            values=values,
            lines=np.zeros(len(chosen), np.int64),
            weights=None if self.weights is None else self.weights[chosen],
            offsets=None if self.offsets is None else self.offsets[chosen],
        )
        if (self.plan.order(row_hashes(rows)) != self.order[chosen]).any():
            raise InternalError(changed)
        return rows


def _gathered(pieces: Sequence[kernels.Entries], piece: Array, row: Array) -> tuple[Array, Array, Array]:
    """As `kernels.gather_rows`."""
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


def _narrowed(name: str, array: Array) -> tuple[Array, int]:
    """What most bytes are needed for, in fewer; with its decimal places."""
    if name == "indices":
        return narrow_ids(array), 0
    return narrow(array) if name == "values" else (array, 0)
