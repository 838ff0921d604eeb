"""The shuffle of a pack on one machine: map tasks leave rows in files, pointers to them go through the job.

A file holds, for each chunk of text, the columns of its rows one after the other: feature ids and values in as few
bytes as hold them exactly, since memory that is written for the first time costs more than narrowing does. In memory
the rows stay as they came, their features even where the scan kept them, and beside them lies which of them belong to
which partition; on a disk, where rows far apart are slow to read, those of a partition lie together. What was read is
proved by the rows' own hashes, which are computed anew.
"""

from __future__ import annotations

import json
import mmap
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.faults import storage_error
from mr_ml.data import kernels
from mr_ml.data.narrow import narrow, narrow_ids, shared_ids, widen
from mr_ml.errors import InternalError
from mr_ml.pack.miniblock import Array, Met, check_columns, deal, take, with_entries
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.rowhash import Hashes, again, row_hashes
from mr_ml.readers.rows import NarrowRows, Rows

# The numbers of these belong to the places of rows in the order of partitions, of others to rows as they lie.
_OF_PLACES = ("order", "ranks", "numbers")
_ALIGN = 8


class _Stored(NamedTuple):
    """Where a column begins in a file, how many numbers it has, how they are stored, and their decimal places."""

    offset: int
    n: int
    dtype: str
    places: int


class _ColumnFile:
    """A file to which columns are written, one behind the other."""

    def __init__(self, folder: str) -> None:
        self.path = str(Path(folder) / f"spill-{uuid.uuid4().hex}")
        self._at = 0

    def __enter__(self) -> Self:
        # nothing to gain from a buffer: arrays are large
        self.file = open(self.path, "w+b", buffering=0)
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def write(self, array: Array, places: int = 0) -> _Stored:
        stored = _Stored(self._at, len(array), array.dtype.str, places)
        self._write(np.ascontiguousarray(array).view(np.uint8).data)
        self.fill(_ALIGN)
        return stored

    def fill(self, unit: int) -> int:
        """Go on at the next multiple; returns where that is."""
        self._write(memoryview(bytes(-self._at % unit)))
        return self._at

    def _write(self, data: memoryview) -> None:
        while data:
            written = self.file.write(data)
            self._at += written
            data = data[written:]


class KeptFile(_ColumnFile):
    """Features of rows that the scan read, in a file from which reduce tasks copy them."""

    def put(self, rows: NarrowRows) -> NarrowRows:
        """The same rows, their features in the file; unchanged if it cannot be written."""
        if not len(rows.values):
            return rows
        try:
            start = self.fill(mmap.ALLOCATIONGRANULARITY)
            stored = {"indices": self.write(rows.indices), "values": self.write(rows.values, rows.places)}
            stop = self.fill(mmap.ALLOCATIONGRANULARITY)
            mapped = mmap.mmap(self.file.fileno(), stop - start, access=mmap.ACCESS_READ, offset=start)
        except OSError:
            return rows
        indices, values = (_view(mapped, column, -start) for column in stored.values())
        return replace(rows, indices=indices, values=values, where=(self.path, stored))

    def drop(self) -> None:
        """Give back the room; of what was put nothing may be used any more."""
        self.file.truncate(0)


class SpillFile(_ColumnFile):
    """The rows of one map task.

    Parameters
    ----------
    together
        Whether the rows of a partition lie together.
    """

    def __init__(self, folder: str, *, together: bool) -> None:
        super().__init__(folder)
        self._together = together

    def append(
        self, rows: Rows, plan: PackPlan, *, where: Any = None, met: Met | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Write rows; yield each partition that has some of them, and a pointer to these.

        Parameters
        ----------
        where
            Of their features, if a `KeptFile` has them.
        met
            Of rows that met equal ones.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        ranks, order, stretches = deal(rows, plan, met)
        columns: dict[str, Array] = {"order": order}
        if met is not None:
            columns["numbers"] = met.numbers[ranks]
        if self._together:
            rows = take(rows, ranks)
        else:
            columns["ranks"] = ranks.astype(np.int32)
        columns.update(labels=rows.labels, ends=rows.indptr[1:].astype(np.int32))
        for name, column in (("weights", rows.weights), ("offsets", rows.offsets)):
            if column is not None:
                columns[name] = column
        try:
            stored = {name: self.write(column) for name, column in columns.items()}
            kept = None if self._together else where
            if kept is None:
                shared = shared_ids(rows.indptr, rows.indices)
                ids = narrow_ids(rows.indices if shared is None else shared)
                kept = self.path, {"indices": self.write(ids), "values": self.write(*narrow(rows.values))}
        except OSError as error:
            raise storage_error(error, doing="write rows to", place=self.path) from error
        for partition, first, last in stretches:
            entries = [int(rows.indptr[first]), int(rows.indptr[last])] if self._together else [0, len(rows.indices)]
            yield partition, json.dumps([self.path, stored, *kept, [first, last], rows.n_rows, entries]).encode()


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
        StorageError
            If it cannot be read.
        """
        found = [json.loads(pointer) for pointer in pointers]
        check_columns([stored for _, stored, *_ in found], where=where)
        paths = {path for rows, _, features, *_ in found for path in (rows, features)}
        try:
            with ExitStack() as stack:
                files = {path: stack.enter_context(open(path, "rb", buffering=0)) for path in paths}
                pieces = [
                    self._piece(files[path], stored, files[features], *rest) for path, stored, features, *rest in found
                ]
        except (ValueError, FileNotFoundError) as error:
            raise InternalError(
                f"{where}: what was written to {Path(found[0][0]).parent} is not there any more ({error}); run it again"
            ) from error
        except OSError as error:
            raise storage_error(error, doing="read rows from", place=found[0][0]) from error

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
            numbers=joined("numbers") if "numbers" in pieces[0].by_row else None,
        )

    def _piece(
        self, row_file: BinaryIO, by_row: Mapping[str, Sequence[Any]], feature_file: BinaryIO,
        by_entry: Mapping[str, Sequence[Any]], places: list[int], n_rows: int, entries: list[int],
    ) -> _Piece:  # fmt: skip
        scattered = "ranks" in by_row
        read = self._mapped if scattered else _copied
        lie = [0, n_rows] if scattered else places
        found = {
            name: read(row_file, _Stored(*stored), *(places if name in _OF_PLACES else lie))
            for name, stored in by_row.items()
        }
        indices, values = _Stored(*by_entry["indices"]), _Stored(*by_entry["values"])
        # of one row only where all rows have the same
        ids = read(feature_file, indices, *(entries if indices.n == values.n else [0, indices.n]))
        ends = found.pop("ends")
        if not scattered:
            ends = ends - np.int32(entries[0])
        row = found.pop("ranks") if scattered else np.arange(len(ends), dtype=np.int32)
        if len(row) and not 0 <= row.min() <= row.max() < len(ends):
            raise ValueError(f"rows {row.min()} to {row.max()} of {len(ends)}")
        of_places: dict[str, Array] = {name: found.pop(name) for name in ("order", "numbers") if name in found}
        of_rows = {"row": row, **of_places, **{name: column[row] for name, column in found.items()}}
        return _Piece(of_rows, kernels.Entries(ends, ids, read(feature_file, values, *entries), values.places))

    def _mapped(self, file: BinaryIO, stored: _Stored, first: int, last: int) -> Array:
        """Some of a column, where it lies."""
        if file.name not in self._maps:
            self._maps[file.name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _view(self._maps[file.name], stored, 0)[first:last]


def _view(data: mmap.mmap, stored: _Stored, moved: int) -> Array:
    """A column where it lies in memory, so much behind or before where it lies in the file."""
    return np.frombuffer(data, stored.dtype, stored.n, stored.offset + moved) if stored.n else np.empty(0, stored.dtype)


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
    numbers : int64, shape (n,), or None
        Of rows that met equal ones, as in `Met`.
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
    numbers: NDArray[np.int64] | None = None

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
            entries = kernels.gather_rows(self.pieces, piece, row) or _gathered(self.pieces, piece, row)
        except (ValueError, IndexError) as error:
            raise InternalError(changed) from error
        rows = with_entries(self, chosen, entries)
        hashes = row_hashes(rows)
        if self.numbers is not None:
            hashes = again(hashes, self.numbers[chosen])
        if (self.plan.order(hashes) != self.order[chosen]).any():
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
