"""A file that tasks read at its addresses, at any place, of which each byte comes at most once.

What has come is kept in a temporary file of the task, so columns that lie one behind the other, and are read by turns,
cost no more than what is read of them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hdfs_layout import Address
from hdfs_layout.faults import storage_error
from mr_ml.data.over_http import read
from mr_ml.data.random_access import RandomAccess

PART_BYTES = 1 << 20
# More are asked for at once, where so much is wanted.
_MOST_PARTS = 8
_WORD_SECONDS = 30.0


class FetchedFile(RandomAccess):
    """A stream over a file of so many bytes.

    Attributes
    ----------
    n_fetched
        Bytes that have come so far.
    """

    def __init__(self, name: str, size: int, addresses: Sequence[Address], *, folder: str | None = None) -> None:
        super().__init__(size)
        self._name, self._addresses = name, tuple(addresses)
        self.n_fetched = 0
        self._there = bytearray(-(-size // PART_BYTES))
        self._folder = os.getcwd() if folder is None else folder
        try:
            self._kept = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise storage_error(error, doing="keep parts of the input in", place=self._folder) from error
        self._said = time.monotonic()

    def _bytes_at(self, offset: int, length: int) -> bytes:
        """See `RandomAccess`.

        Raises
        ------
        MrMlError
            See `mr_ml.data.over_http.read`.
        StorageError
            What has come cannot be kept.
        """
        self._fetch(offset // PART_BYTES, -(-(offset + length) // PART_BYTES))
        data: bytes = self._on_disk(lambda kept: os.pread(kept, length, offset))
        return data

    def close(self) -> None:
        """Remove what was kept."""
        if not self.closed:
            self._kept.close()
        super().close()

    def _fetch(self, first: int, last: int) -> None:
        """Have the parts [first, last) here."""
        while (first := self._there.find(0, first, last)) >= 0:
            known = self._there.find(1, first, last)
            end = min(known if known >= 0 else last, first + _MOST_PARTS)
            offset = first * PART_BYTES
            length = min(end * PART_BYTES, self._size) - offset
            data = read([one.part(offset=offset, length=length) for one in self._addresses], length, where=self._name)
            self._on_disk(partial(_write, data=data, offset=offset))
            self._there[first:end] = b"\1" * (end - first)
            self.n_fetched += length
            self._say()
            first = end

    def _on_disk(self, do: Callable[[int], Any]) -> Any:
        try:
            return do(self._kept.fileno())
        except OSError as error:
            raise storage_error(error, doing="keep parts of the input in", place=self._folder) from error

    def _say(self) -> None:
        """Tell Hadoop, which ends a task that says nothing for minutes, that this one is at work."""
        now = time.monotonic()
        if now - self._said >= _WORD_SECONDS and "mapreduce_task_attempt_id" in os.environ:
            self._said = now
            print(f"reporter:status:{self.n_fetched >> 20} MB read", file=sys.stderr, flush=True)


def _write(kept: int, *, data: bytearray, offset: int) -> None:
    view = memoryview(data)
    while view:
        n_bytes = os.pwrite(kept, view, offset)
        view, offset = view[n_bytes:], offset + n_bytes
