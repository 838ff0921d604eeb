"""Where text rows come from: files, folders and globs, cut into ranges for map tasks.

A plain file is cut into ranges of about equal size; a range owns the lines that *start* in it (Hadoop's rule for input
splits), so every line is read once however the file is cut. A compressed file is one range.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hdfs_layout.faults import storage_error
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.text import chunks as text
from mr_ml.readers.text.find import find
from mr_ml.readers.text.local_tree import LOCAL_TREE

RANGE_BYTES = 32 << 20


@dataclass(frozen=True, order=True)
class TextFile:
    """One input file.

    Attributes
    ----------
    path
        Absolute, of a file that this machine can open.
    header_bytes
        Length of the header line, which is no row; 0 without one. For a compressed file, after decompression.
    stamp
        What changes when a file of this machine does.
    input
        Number of the input that names it, from 0.
    """

    path: str
    size: int
    header_bytes: int = 0
    stamp: tuple[int, ...] = ()
    input: int = 0

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
        try:
            if self.compression == "none":
                yield from text.read_range(self.file, self.start, self.stop, max_line_bytes=self.longest_line)
                return
            with open(self.file, "rb") as stream:
                header = self.header_bytes
                chunks = text.open_chunks(stream, self.compression, name=self.file, max_line_bytes=self.longest_line)
                for chunk in chunks:
                    yield chunk[header:]
                    header = 0
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
    for given in inputs:
        if "://" in given:
            raise UsageError(f"expected files of this machine, found {given!r}; files on HDFS are for `runner` hadoop")
    files = find([(LOCAL_TREE, given) for given in inputs])
    return [TextFile(file.name, file.status.size, stamp=file.status.stamp, input=file.input) for file in files]


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
    """Raise BadDataError if a file of this machine is not as `expand` found it."""
    for file in files:
        status = LOCAL_TREE.look(file.path)
        now = () if status is None else status.stamp
        if now != file.stamp:
            raise BadDataError(f"{file.path} changed while it was read; run it again when nothing writes to it")


def first_line(file: TextFile, *, longest_line: int = text.MAX_LINE_BYTES) -> bytes:
    """Read the first line, newline included; empty for an empty file."""
    if not file.size:
        return b""
    whole = TextRange(file.path, 0, file.size, file.compression, 0, longest_line)
    for chunk in whole.chunks():
        return chunk[: chunk.find(b"\n") + 1] or chunk
    return b""


def ranges(
    files: Sequence[TextFile], *, n_tasks: int, longest_line: int = text.MAX_LINE_BYTES
) -> list[list[TextRange]]:
    """Cut the files into ranges and deal them to at most as many tasks as are useful, about equal bytes each."""
    pieces: list[TextRange] = []
    for file in files:
        if not file.size:
            continue
        if file.compression != "none":
            pieces.append(TextRange(file.path, 0, file.size, file.compression, file.header_bytes, longest_line))
            continue
        step = max(-(-file.size // max(-(-file.size // RANGE_BYTES), 1)), 1)
        cuts = [*range(file.header_bytes, file.size, step), max(file.size, file.header_bytes)]
        for start, stop in itertools.pairwise(cuts):
            pieces.append(TextRange(file.path, start, stop, "none", 0, longest_line))
    loads = [0] * max(n_tasks, 1)
    tasks: list[list[TextRange]] = [[] for _ in loads]
    for piece in sorted(pieces, key=lambda p: (p.start - p.stop, p)):
        lightest = loads.index(min(loads))
        loads[lightest] += piece.stop - piece.start
        tasks[lightest].append(piece)
    return [sorted(task) for task in tasks if task]
