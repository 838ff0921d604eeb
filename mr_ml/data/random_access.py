"""Streams over files of which parts are brought here when they are read."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import Any


class RandomAccess(io.RawIOBase):
    """A stream over a file of `size` bytes, at any place."""

    def __init__(self, size: int) -> None:
        self._size, self._position = size, 0

    @abstractmethod
    def _bytes_at(self, offset: int, length: int) -> bytes:
        """Return these bytes of the file, at least one; all of them are within it."""

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
        """Fill the buffer as far as there is content and return the number of bytes; raises as `_bytes_at`."""
        length = min(len(buffer), max(self._size - self._position, 0))
        data = self._bytes_at(self._position, length) if length else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
