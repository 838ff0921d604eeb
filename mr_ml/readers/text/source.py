"""Where text rows come from: files, folders and globs, here and in stores, cut into ranges for map tasks.

A plain file is cut into ranges of about equal size; a range owns the lines that *start* in it (Hadoop's rule for input
splits), so every line is read once however the file is cut. A compressed file is one range.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, field
from functools import partial
from typing import Any, BinaryIO, Protocol, TypeVar

from hdfs_layout import Address, NotFoundError, open_store, scheme_of, split_uri
from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import storage_error
from mr_ml.errors import BadDataError
from mr_ml.readers.text import chunks as text
from mr_ml.readers.text.find import Found, find
from mr_ml.readers.text.store_tree import trees_of
from mr_ml.ticks import count

RANGE_BYTES = 32 << 20
# Shorter ranges are not worth a task's while; and with so many for each task, tasks get about the same of any length.
_SHORT_BYTES = 4 << 20
_MANY_RANGES = 8
# For a first line.
_FIRST_REQUEST_BYTES = 1 << 16
# Of one folder; fewer are looked at one by one.
_LISTED_FILES = 16
_PIECE_BYTES = 1 << 20
_THREADS = 8


@dataclass(frozen=True, order=True)
class TextFile:
    """One input file.

    Attributes
    ----------
    path
        Absolute, of a file of this machine, or a URI.
    header_bytes
        Length of the header line, which is no row; 0 without one. For a compressed file, after decompression.
    stamp
        What changes when the file does.
    input
        Number of the input that names it, from 0.
    at
        Where tasks read it that have no store; see `mr_ml.readers.base.Format.reads_addresses`.
    """

    path: str
    size: int
    header_bytes: int = 0
    stamp: tuple[Hashable, ...] = ()
    input: int = 0
    at: tuple[Address, ...] = field(default=(), compare=False, repr=False)

    @property
    def compression(self) -> text.Compression:
        """How it is compressed, by its name."""
        return text.compression_of(self.path)


@dataclass(frozen=True, order=True)
class TextRange:
    """The lines of a file that start in bytes [start, stop); of a compressed file, all lines.

    A line that is longer than `longest_line` is refused.
    """

    file: str
    start: int
    stop: int
    compression: text.Compression
    header_bytes: int
    longest_line: int = text.MAX_LINE_BYTES

    def chunks(self) -> Iterator[bytes]:
        """Whole lines, some megabytes at a time, without the file's header.

        Raises
        ------
        BadDataError
            If a compressed file is damaged or a line is too long.
        StorageError
            If the file cannot be read.
        """
        header, is_plain = self.header_bytes, self.compression == "none"
        for chunk in self._lines():
            yield chunk[header:]
            header = 0
            # when its reader comes for the next one
            count(len(chunk) if is_plain else 0)
        count(0 if is_plain else self.stop)

    def first_line(self) -> bytes:
        """Read the first line, newline included, which may be the file's header; empty if there is none."""
        for chunk in self._lines(only_first=True):
            return chunk[: chunk.find(b"\n") + 1] or chunk
        return b""

    def _lines(self, *, only_first: bool = False) -> Iterator[bytes]:
        """Whole lines, the header too; in chunks as small as may be if it is for the first one only."""
        sizes = {"max_line_bytes": self.longest_line, **({"chunk_bytes": 1} if only_first else {})}
        if scheme_of(self.file):
            from mr_ml.readers.text.fetch import StoredText

            requests = {"request_bytes": _FIRST_REQUEST_BYTES, "at_once": 1} if only_first else {}
            stored = StoredText(name=self.file, **sizes, **requests)
            yield from stored.chunks(self.start, self.stop, self.compression)
            return
        try:
            if self.compression == "none":
                yield from text.read_range(self.file, self.start, self.stop, **sizes)
                return
            with open(self.file, "rb") as stream:
                yield from text.open_chunks(stream, self.compression, name=self.file, **sizes)
        except OSError as error:
            raise storage_error(error, doing="read", place=self.file) from error

    def key(self) -> bytes:
        """JSON of file and start, for putting ranges back in order."""
        return json.dumps([self.file, self.start]).encode()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types: the arguments of the class."""
        return asdict(self)


def expand(inputs: Sequence[str]) -> list[TextFile]:
    """Find the files that inputs name, sorted; see `mr_ml.readers.text.find`.

    Raises
    ------
    UsageError
        If an input names nothing or what is no file, or a file is named twice.
    StorageError
        If something cannot be read.
    """
    return [of_found(file) for file in find(trees_of(inputs))]


def of_found(file: Found) -> TextFile:
    """Return what was found as a file of text."""
    return TextFile(file.name, file.status.size, stamp=file.status.stamp, input=file.input)


def _open(name: str) -> BinaryIO:
    if not scheme_of(name):
        return open(name, "rb")
    root, path = split_uri(name)
    return open_store(root).open_read(path)


def check_content(files: Sequence[TextFile]) -> None:
    """Refuse files of which nothing is there and one should at least be compressed.

    Among files with content, an empty one is a part without rows, as jobs write them.
    """
    packed = [file for file in files if file.compression != "none"]
    if packed and not any(file.size for file in files):
        raise BadDataError(
            f"{packed[0].path}: expected {packed[0].compression} data as the name says, found an empty file; copy it "
            "again"
        )


def check_rest(files: Sequence[TextFile]) -> None:
    """Raise BadDataError if a file is not as `expand` found it."""
    folders = Counter(file.path.rpartition("/")[0] for file in files if scheme_of(file.path))
    for file, (tree, path) in zip(files, trees_of([file.path for file in files]), strict=True):
        folder = file.path.rpartition("/")[0]
        if folders[folder] > _LISTED_FILES:
            # remembered by the tree; of a folder that is gone, each file is
            with suppress(NotFoundError):
                tree.entries(path.rpartition("/")[0])
        status = tree.look(path)
        now = () if status is None else status.stamp
        if now != file.stamp:
            raise BadDataError(f"{file.path} changed while it was read; run it again when nothing writes to it")


def first_line(file: TextFile, *, longest_line: int = text.MAX_LINE_BYTES) -> bytes:
    """Read the first line, newline included; empty for an empty file."""
    if not file.size:
        return b""
    return TextRange(file.path, 0, file.size, file.compression, 0, longest_line).first_line()


def first_lines(files: Sequence[TextFile], *, longest_line: int = text.MAX_LINE_BYTES) -> Iterator[bytes]:
    """Read the first line of each; several at once, for each takes a request or two where files are in a store."""
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(partial(first_line, longest_line=longest_line), files)


def content(file: TextFile) -> Iterator[bytes]:
    """Read a file as it is, some megabytes at a time.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    try:
        with _open(file.path) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
    except OSError as error:
        raise storage_error(error, doing="read", place=file.path) from error


def ranges(
    files: Sequence[TextFile], *, n_tasks: int, longest_line: int = text.MAX_LINE_BYTES
) -> list[list[TextRange]]:
    """Cut the files into ranges and deal them to at most as many tasks as are useful, about equal bytes each."""
    pieces: list[TextRange] = []
    for file, n_ranges in zip(files, _range_counts(files, n_tasks), strict=True):
        if not file.size:
            continue
        if file.compression != "none":
            pieces.append(TextRange(file.path, 0, file.size, file.compression, file.header_bytes, longest_line))
            continue
        step = -(-file.size // n_ranges)
        cuts = [*range(file.header_bytes, file.size, step), max(file.size, file.header_bytes)]
        for start, stop in itertools.pairwise(cuts):
            pieces.append(TextRange(file.path, start, stop, "none", 0, longest_line))
    return dealt(pieces, n_tasks=n_tasks)


def _range_counts(files: Sequence[TextFile], n_tasks: int) -> list[int]:
    """In how many ranges to cut each file: if there are few in all, as many for each task."""
    counts = [-(-file.size // RANGE_BYTES) for file in files]
    if sum(counts) >= _MANY_RANGES * n_tasks:
        return counts
    fair = [-(-n // n_tasks) * n_tasks for n in counts]
    shortest = min(_SHORT_BYTES, RANGE_BYTES)
    return [more if file.size >= more * shortest else n for file, n, more in zip(files, counts, fair, strict=True)]


class _Extent(Protocol):
    """Bytes [start, stop) of a file."""

    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    def __lt__(self, other: Any, /) -> bool: ...


E = TypeVar("E", bound=_Extent)


def dealt(pieces: Sequence[E], *, n_tasks: int) -> list[list[E]]:
    """Give pieces of files to at most as many tasks as are useful, about equal bytes each."""
    loads = [0] * max(n_tasks, 1)
    tasks: list[list[E]] = [[] for _ in loads]
    for piece in sorted(pieces, key=lambda p: (p.start - p.stop, p)):
        lightest = loads.index(min(loads))
        loads[lightest] += piece.stop - piece.start
        tasks[lightest].append(piece)
    return [sorted(task) for task in tasks if task]
