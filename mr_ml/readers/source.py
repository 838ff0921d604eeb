"""Where text rows come from: files, folders and globs, cut into ranges for map tasks.

A plain file is cut into ranges of about equal size; a range owns the lines that *start* in it (Hadoop's rule for input
splits), so every line is read once however the file is cut. A compressed file is one range.
"""

from __future__ import annotations

import glob
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from mr_ml.errors import StorageError, UsageError
from mr_ml.readers import text

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
    """

    path: str
    size: int
    header_bytes: int = 0

    @property
    def compression(self) -> text.Compression:
        return text.compression_of(self.path)


@dataclass(frozen=True, order=True)
class TextRange:
    """The lines of a file that start in bytes [start, stop); of a compressed file, all lines."""

    file: str
    start: int
    stop: int
    compression: text.Compression
    header_bytes: int

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
                yield from text.read_range(self.file, self.start, self.stop)
                return
            with open(self.file, "rb") as stream:
                header = self.header_bytes
                for chunk in text.open_chunks(stream, self.compression, name=self.file):
                    yield chunk[header:]
                    header = 0
        except OSError as error:
            raise StorageError(
                f"cannot read {self.file}: {error.strerror or error}; check that it exists and is readable"
            ) from error

    def key(self) -> bytes:
        """JSON of file and start, for putting ranges back in order."""
        return json.dumps([self.file, self.start]).encode()

    @staticmethod
    def listing(ranges: Sequence[TextRange]) -> bytes:
        """The one line of a task's input file."""
        return json.dumps([asdict(r) for r in ranges], separators=(",", ":")).encode() + b"\n"

    @staticmethod
    def listed(line: bytes) -> list[TextRange]:
        """Undo `listing`."""
        return [TextRange(**item) for item in json.loads(line)]


def expand(inputs: Sequence[str]) -> list[TextFile]:
    """The files that inputs name: files, folders and globs (hidden and _-names left out of these two); sorted.

    Raises
    ------
    UsageError
        If an input names nothing, or a file is named twice.
    StorageError
        If something cannot be read.
    """
    paths: list[str] = []
    for given in inputs:
        if "://" in given:
            raise UsageError(f"expected files of this machine, found {given!r}; files on HDFS are for -r hadoop")
        # a name that exists is that name, even with [ or * in it
        found = [given] if os.path.lexists(given) else _glob(given)
        files = [path for name in found for path in (_files_in(name) if os.path.isdir(name) else [name])]
        if not files:
            raise UsageError(f"expected input files, found nothing that matches {given!r}; check the path")
        paths.extend(os.path.abspath(path) for path in files)
    twice = {path for path in paths if paths.count(path) > 1} if len(set(paths)) < len(paths) else set()
    if twice:
        raise UsageError(f"{sorted(twice)[0]} is named more than once; its rows would count double")
    for path in paths:
        if "\n" in path or not os.path.isfile(path):
            raise UsageError(f"expected a regular file, found {path!r}")
    try:
        return [TextFile(path, os.path.getsize(path)) for path in sorted(paths)]
    except OSError as error:
        raise StorageError(f"cannot read {error.filename}: {error.strerror}") from error


def first_line(file: TextFile) -> bytes:
    """The first line, newline included; empty for an empty file."""
    whole = TextRange(file.path, 0, file.size, file.compression, 0)
    for chunk in whole.chunks():
        return chunk[: chunk.find(b"\n") + 1] or chunk
    return b""


def ranges(files: Sequence[TextFile], *, n_tasks: int) -> list[list[TextRange]]:
    """Cut the files into ranges and deal them to at most as many tasks as are useful, about equal bytes each."""
    pieces: list[TextRange] = []
    for file in files:
        if file.compression != "none":
            pieces.append(TextRange(file.path, 0, file.size, file.compression, file.header_bytes))
            continue
        step = max(-(-file.size // max(-(-file.size // RANGE_BYTES), 1)), 1)
        cuts = [*range(file.header_bytes, file.size, step), max(file.size, file.header_bytes)]
        for start, stop in itertools.pairwise(cuts):
            pieces.append(TextRange(file.path, start, stop, "none", 0))
    loads = [0] * max(n_tasks, 1)
    tasks: list[list[TextRange]] = [[] for _ in loads]
    for piece in sorted(pieces, key=lambda p: (p.start - p.stop, p)):
        lightest = loads.index(min(loads))
        loads[lightest] += piece.stop - piece.start
        tasks[lightest].append(piece)
    return [sorted(task) for task in tasks if task]


def _glob(pattern: str) -> list[str]:
    """What matches; a name that begins with _, as one with a dot, is matched by a pattern that begins so only."""
    found = sorted(glob.glob(pattern, recursive=True))
    if os.path.basename(pattern).startswith("_"):
        return found
    return [name for name in found if not os.path.basename(name).startswith("_")]


def _files_in(folder: str) -> list[str]:
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        found.extend(os.path.join(parent, name) for name in sorted(files) if not name.startswith((".", "_")))
    return found
