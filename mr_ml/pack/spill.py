"""The shuffle of a pack on one machine: map tasks leave mini-blocks in files, pointers to them go through the job.

A file holds, for each chunk of text, the columns of its rows one after the other, the rows of a partition together, as
arrays: feature ids and values in as few bytes as hold them exactly, since memory that is written for the first time
costs more than narrowing does. What was read is proved by the rows' own hashes, which are computed anew.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from mr_ml.errors import InternalError, StorageError
from mr_ml.narrow import narrow, narrow_ids, widen
from mr_ml.pack.miniblock import Array, Columns, Stretch, check_columns
from mr_ml.pack.plan import PackPlan
from mr_ml.pack.rowhash import row_hashes

# Columns with a number per entry; all others have one per row.
_OF_ENTRIES = ("indices", "values")
_DTYPES = {"order": np.uint64, "counts": np.int32, "indices": np.int32}


class _Stored(NamedTuple):
    """Where a column begins in a file, how its numbers are stored, and their decimal places."""

    offset: int
    dtype: str
    places: int


class SpillFile:
    """The mini-blocks of one map task."""

    def __init__(self, folder: str) -> None:
        self._path = str(Path(folder) / f"spill-{uuid.uuid4().hex}")
        self._at = 0

    def __enter__(self) -> SpillFile:
        # nothing to gain from a buffer: arrays are large
        self._out = open(self._path, "wb", buffering=0)
        return self

    def __exit__(self, *exception: object) -> None:
        self._out.close()

    def append(self, columns: Columns, stretches: Iterable[Stretch]) -> Iterator[tuple[int, bytes]]:
        """Write rows; yield partition and pointer of each mini-block among them.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        stored: dict[str, _Stored] = {}
        try:
            for name, array in columns.arrays().items():
                kept, places = _narrowed(name, array)
                stored[name] = _Stored(self._at, kept.dtype.str, places)
                self._write(np.ascontiguousarray(kept).view(np.uint8).data)
        except OSError as error:
            raise StorageError(
                f"cannot write {self._path}: {error.strerror or error}; free some space there, or choose another --root"
            ) from error
        indptr = columns.rows.indptr
        for partition, first, last in stretches:
            entries = int(indptr[first]), int(indptr[last])
            yield partition, json.dumps([self._path, stored, [first, last], entries]).encode()

    def _write(self, data: memoryview) -> None:
        while data:
            written = self._out.write(data)
            self._at += written
            data = data[written:]


def gather(pointers: Iterable[bytes], *, plan: PackPlan, where: str) -> Columns:
    """The rows of all mini-blocks of one partition, of which there is at least one.

    Raises
    ------
    BadDataError
        If only some have weights or offsets.
    InternalError
        If what is there is not what was written.
    """
    found = [json.loads(pointer) for pointer in pointers]
    check_columns([stored for _, stored, _, _ in found], where=where)
    names = list(found[0][1])
    sizes = {name: sum(_range(name, *at)[1] - _range(name, *at)[0] for _, _, *at in found) for name in names}
    arrays: dict[str, Array] = {name: np.empty(sizes[name], _DTYPES.get(name, np.float64)) for name in names}
    done = dict.fromkeys(names, 0)
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for path, stored, *at in found:
            if path not in files:
                files[path] = stack.enter_context(open(path, "rb", buffering=0))
            for name in names:
                first, last = _range(name, *at)
                array = arrays[name][done[name] : done[name] + last - first]
                _read_column(files[path], _Stored(*stored[name]), first, array, where=where)
                done[name] += last - first
    columns = Columns.of_arrays(arrays)
    _, order = plan.assign(row_hashes(columns.rows), None)
    if (order != columns.order).any():
        raise InternalError(f"{where}: rows changed between the map and the reduce task; run it again")
    return columns


def _range(name: str, rows: list[int], entries: list[int]) -> tuple[int, int]:
    first, last = entries if name in _OF_ENTRIES else rows
    return first, last


def _narrowed(name: str, array: Array) -> tuple[Array, int]:
    """What most bytes are needed for, in fewer; with its decimal places."""
    if name == "indices":
        return narrow_ids(array), 0
    return narrow(array) if name == "values" else (array, 0)


def _read_column(source: BinaryIO, stored: _Stored, first: int, into: Array, *, where: str) -> None:
    dtype = np.dtype(stored.dtype)
    held = into if dtype == into.dtype else np.empty(len(into), dtype)
    _read(source, stored.offset + first * dtype.itemsize, held, where=where)
    if held is not into:
        into[:] = widen(held, stored.places) if into.dtype == np.float64 else held


def _read(source: BinaryIO, offset: int, into: Array, *, where: str) -> None:
    data = into.view(np.uint8).data
    while data:
        n = os.preadv(source.fileno(), [data], offset)
        if not n:
            raise InternalError(f"{where}: {source.name} is shorter than what was written to it; run it again")
        data, offset = data[n:], offset + n
