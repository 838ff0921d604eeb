"""Files that are read at any place, here and in stores, and the pieces of them that tasks get."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, field
from typing import Any, BinaryIO, Self, cast

from hdfs_layout import Address, open_store, scheme_of, split_uri
from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import storage_error
from mr_ml.data.random_access import RandomAccess
from mr_ml.errors import BadDataError, MrMlError
from mr_ml.readers.rows import excerpt
from mr_ml.readers.tables.columns import FileColumns
from mr_ml.readers.text import source
from mr_ml.readers.text.source import TextFile

_BUFFER_BYTES = 1 << 16


@dataclass(frozen=True)
class Layout:
    """What a file says of itself.

    Attributes
    ----------
    starts
        Where the parts begin that can be read by themselves; the first at 0.
    """

    columns: FileColumns
    starts: tuple[int, ...]


@dataclass(frozen=True, order=True)
class TablePiece:
    """Parts of a file, first to last - 1 of those that its `Layout` has, which lie in bytes [start, stop).

    Attributes
    ----------
    size
        Of the file.
    at
        Where a task reads it that has no store; else it opens it by its name.
    """

    file: str
    start: int
    stop: int
    first: int
    last: int
    size: int = 0
    at: tuple[Address, ...] = field(default=(), compare=False, repr=False)

    @property
    def is_sent(self) -> bool:
        """Whether a task on another machine reads it."""
        return bool(self.at)

    def chunks(self) -> Iterator[Any]:
        """See `Piece.chunks`: only the format can read it."""
        raise NotImplementedError

    def key(self) -> bytes:
        """See `Piece.key`."""
        return json.dumps([self.file, self.start]).encode()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types: the arguments of the class."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Undo `to_json`."""
        return cls(**{**document, "at": tuple(Address(**one) for one in document["at"])})


def pieces(
    files: Sequence[TextFile], starts_of: Callable[[TextFile], Sequence[int]], *, n_tasks: int
) -> list[list[TablePiece]]:
    """Join parts of files to pieces of some megabytes and give these to at most so many tasks."""
    found: list[TablePiece] = []
    for file in files:
        starts = starts_of(file) if file.size else ()
        ends = (*starts[1:], file.size)
        first = 0
        for k, end in enumerate(ends[: len(starts)]):
            if end - starts[first] >= source.RANGE_BYTES or k == len(starts) - 1:
                found.append(TablePiece(file.path, starts[first], end, first, k + 1, file.size, file.at))
                first = k + 1
    return source.dealt(found, n_tasks=n_tasks)


@contextmanager
def reading(
    name: str, *, what: str, errors: tuple[type[Exception], ...] = (), piece: TablePiece | None = None
) -> Iterator[BinaryIO]:
    """Open a file to be read at any place; what a library then finds wrong with it is said as such.

    Parameters
    ----------
    what
        Name of the format, for messages.
    errors
        That its library raises for damaged files, besides `OSError` without a number.
    piece
        Of the file, of which a task reads it where that is said.

    Raises
    ------
    BadDataError
        The file is damaged.
    StorageError
        It cannot be read.
    """
    try:
        with _opened(name) if piece is None or not piece.is_sent else _fetched(piece) as stream:
            yield stream
    except MrMlError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise storage_error(error, doing="read", place=name) from error
        raise _damaged(name, what, error) from error
    except errors as error:
        raise _damaged(name, what, error) from error


def _damaged(name: str, what: str, error: Exception) -> BadDataError:
    said = excerpt(" ".join(str(error).split()).encode())
    return BadDataError(f"{name}: expected {what}, found a file that is damaged or of another format ({said})")


def _opened(name: str) -> BinaryIO:
    if not scheme_of(name):
        return open(name, "rb")
    return cast("BinaryIO", io.BufferedReader(_StoredFile(name), _BUFFER_BYTES))


def _fetched(piece: TablePiece) -> BinaryIO:
    from mr_ml.data.fetched import FetchedFile

    return cast("BinaryIO", io.BufferedReader(FetchedFile(piece.file, piece.size, piece.at)))


class _StoredFile(RandomAccess):
    """A file in a store, of which only what is asked for is brought here."""

    def __init__(self, name: str) -> None:
        root, self._path = split_uri(name)
        self._store = open_store(root)
        super().__init__(self._store.size(self._path))

    def _bytes_at(self, offset: int, length: int) -> bytes:
        return self._store.read_range(self._path, offset=offset, length=length)
