"""A file that tasks read at its addresses, at any place, of which each byte comes at most once.

What has come is kept in a temporary file of the task, so columns that lie one behind the other, and are read by turns,
cost no more than what is read of them.
"""

from __future__ import annotations

import io
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

PART_BYTES = 1 << 20
# More are asked for at once, where so much is wanted.
_MOST_PARTS = 8
_WORD_SECONDS = 30.0


class FetchedFile(io.RawIOBase):
    """A stream over a file of so many bytes.

    Attributes
    ----------
    n_fetched
        Bytes that have come so far.
    """

    def __init__(self, name: str, size: int, addresses: Sequence[Address], *, folder: str | None = None) -> None:
        self._name, self._size, self._addresses = name, size, tuple(addresses)
        self._position = 0
        self.n_fetched = 0
        self._there = bytearray(-(-size // PART_BYTES))
        self._folder = os.getcwd() if folder is None else folder
        try:
            self._kept = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise storage_error(error, doing="keep parts of the input in", place=self._folder) from error
        self._said = time.monotonic()

    def readable(self) -> bool:
        """Return True: see `io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """Return True: see `io.IOBase`."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; see `io.IOBase`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the place."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is content and return the number of bytes.

        Raises
        ------
        MrMlError
            See `mr_ml.data.over_http.read`.
        StorageError
            What has come cannot be kept.
        """
        length = min(len(buffer), max(self._size - self._position, 0))
        if not length:
            return 0
        self._fetch(self._position // PART_BYTES, -(-(self._position + length) // PART_BYTES))
        data = self._on_disk(lambda kept: os.pread(kept, length, self._position))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

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
