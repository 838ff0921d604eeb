"""What Spark's Python workers do: the map and reduce tasks of a job, called there as on every other runner.

What a task raises is a pair of its output, see `mr_ml.runners.task_errors`: Spark, to which the task ended well, does
not try it again. Errors that another attempt could avoid are first left to Spark; the last attempt reports.

Nothing is imported with this module that needs more than Python: a worker loads it before it knows where its packages
are.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import IO, Any
from urllib.parse import unquote

import mr_ml
from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError, MrMlError
from mr_ml.runners import task_errors
from mr_ml.runners.reduce_keys import hash_of, sent_to
from mr_ml.runners.removed_modules import provide_dropped
from mr_ml.runners.task_errors import ERROR_KEY
from mr_ml.runners.variables import BLAS_VARIABLES

Pair = tuple[bytes, bytes]
# What Spark gives of a file: a line, and of text the file, and first byte and length of the piece that it is of.
Row = Sequence[Any]

_CHUNK_BYTES = 1 << 20
_HELD_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Order:
    """What all tasks of a job are told; goes to workers by Spark, with the name of this class.

    Attributes
    ----------
    module, name
        Of the job class.
    reduces
        Reduce tasks; 0 if the driver takes what map tasks yield.
    attempts
        How often Spark tries a task.
    """

    module: str
    name: str
    reduces: int
    attempts: int

    def job(self, request: bytes) -> Any:
        """Make the object whose tasks are called."""
        # mr_ml_jobs.pass_job asks for it as Hadoop tells it
        os.environ.update(mapreduce_job_reduces=str(max(self.reduces, 1)))
        found: Any = importlib.import_module(self.module)
        for part in self.name.split("."):
            found = getattr(found, part)
        return found.called(request)


@dataclass(frozen=True, kw_only=True)
class Text:
    """How text is fed.

    Attributes
    ----------
    has_header
        Whether files begin with a line that is no row.
    is_packed
        Whether some are compressed, and all fed whole and as they are.
    """

    has_header: bool
    is_packed: bool


def map_lines(order: Order, sent: Any, lines: Iterable[bytes]) -> Iterator[Pair]:
    """Run a map task over lines."""
    fed = iter(lines)
    return _reported(order, fed, lambda: order.job(sent.value).map_lines(fed), is_map=True)


def map_rows(order: Order, sent: Any, rows: Iterable[Row]) -> Iterator[Pair]:
    """Run a map task over the lines of files."""
    fed = iter(rows)
    return _reported(order, fed, lambda: order.job(sent.value).map_lines(bytes(row[0]) for row in fed), is_map=True)


def map_text(order: Order, sent: Any, how: Text, rows: Iterable[Row]) -> Iterator[Pair]:
    """Run a map task over pieces of text."""
    fed = iter(rows)

    def run() -> Iterator[Pair]:
        job = order.job(sent.value)
        for text in _pieces(fed, how):
            yield from job.map_text(text)

    return _reported(order, fed, run, is_map=True)


def leave_lines(order: Order, sent: Any, how: Text, rows: Iterable[Row]) -> Iterator[bytes]:
    """Run a map task that leaves lines: yields these, megabytes without their last line feed, then its pairs."""
    fed = iter(rows)
    return _left(
        order, sent, fed, lambda job: itertools.chain.from_iterable(map(job.map_text, _pieces(fed, how)))
    )  # fmt: skip


def leave_of_lines(order: Order, sent: Any, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Run a map task that leaves lines, see `leave_lines`, over lines that say what it reads."""
    fed = iter(lines)
    return _left(order, sent, fed, lambda job: job.map_lines(fed))


def _left(order: Order, sent: Any, fed: Iterator[Any], map_: Callable[[Any], Iterator[Pair]]) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(_HELD_BYTES) as left:

        def run() -> Iterator[Pair]:
            job = order.job(sent.value)
            job.sandbox(stdout=left)
            yield from map_(job)

        pairs = list(_reported(order, fed, run, is_map=True))
        left.seek(0)
        yield from _in_pieces(left)
    yield from map(b"\t".join, pairs)


def reduce_pairs(order: Order, sent: Any, pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Run a reduce task over pairs in the order of their keys; errors of map tasks pass through."""
    fed = iter(pairs)
    errors: list[Pair] = []

    def run() -> Iterator[Pair]:
        yield from order.job(sent.value).reduce_sorted(_without_errors(fed, errors))

    yield from _reported(order, fed, run, is_map=False)
    yield from ((ERROR_KEY, value) for _, value in errors)


def place(reduces: int, key: bytes) -> int:
    """Return the number of the reduce task of a key, as Hadoop has it: keys are made for that."""
    return hash_of(key) % reduces


def _pieces(rows: Iterator[Row], how: Text) -> Iterator[Any]:
    from mr_ml.runners.hadoop.streamed_text import StreamedText

    for (file, start, length), group in itertools.groupby(rows, itemgetter(1, 2, 3)):
        stream: Any = _Stream(bytes(row[0]) for row in group)
        # Spark spells a file as a URL, Hadoop as it is called
        yield StreamedText(unquote(file), start, stream, how.has_header, length if how.is_packed else None)


class _Stream:
    """Lines, each with a line feed behind it, as a stream."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._held = b""

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        if not self._held:
            some: list[bytes] = []
            n_bytes = 0
            for line in self._lines:
                some += line, b"\n"
                n_bytes += len(line) + 1
                if n_bytes >= min(size, _CHUNK_BYTES):
                    break
            self._held = b"".join(some)
        data, self._held = self._held[:size], self._held[size:]
        return data


def _in_pieces(lines: IO[bytes]) -> Iterator[bytes]:
    """Read a file of whole lines, megabytes of them at a time, without the line feed at the end of each piece."""
    while piece := lines.read(_CHUNK_BYTES) + lines.readline():
        yield piece.removesuffix(b"\n")


def _reported(order: Order, fed: Iterator[Any], run: Callable[[], Iterator[Pair]], *, is_map: bool) -> Iterator[Pair]:
    """Do a task; what it raises is the last that it yields."""
    try:
        _prepare()
        yield from run()
    except Exception as error:
        if not _is_final(error, order.attempts):
            raise
        # a worker that leaves its input unread is not used again
        with suppress(Exception):
            for _ in fed:
                pass
        key = sent_to(ERROR_KEY, order.reduces - 1, n_reducers=order.reduces) if is_map and order.reduces else ERROR_KEY
        yield key, _encoded(error)


def _without_errors(pairs: Iterator[Pair], errors: list[Pair]) -> Iterator[Pair]:
    for pair in pairs:
        if pair[0].startswith(ERROR_KEY):
            errors.append(pair)
        else:
            yield pair


def _prepare() -> None:
    """Replace modules that Python has removed, and find the compiled loops, which Spark puts beside the code."""
    from pyspark import SparkFiles

    os.environ.update(dict.fromkeys(BLAS_VARIABLES, "1"))
    provide_dropped()
    folder = SparkFiles.getRootDirectory()
    if folder not in mr_ml.__path__:
        mr_ml.__path__.append(folder)


def _is_final(error: Exception, attempts: int) -> bool:
    from pyspark import TaskContext

    context = TaskContext.get()
    is_last = context is None or context.attemptNumber() >= attempts - 1
    return is_last or isinstance(error, MrMlError | ImportError | SyntaxError)


def _encoded(error: Exception) -> bytes:
    from pyspark import TaskContext

    context = TaskContext.get()
    task = "a task" if context is None else f"task {context.partitionId()}"
    where = f"{task} on {os.uname().nodename}"
    if isinstance(error, ImportError):
        return task_errors.encode(
            InternalError(
                f"{where} failed: {type(error).__name__}: {error}. Expected Python 3.11 or later with numpy and scipy "
                f"on every node, found {sys.executable} {sys.version.split()[0]}; name another in the settings of "
                "`config`, as `python`, or bring this machine's packages there: `mr-ml env build`"
            )
        )
    return task_errors.encode(task_errors.as_mr_ml_error(error, where=where))
