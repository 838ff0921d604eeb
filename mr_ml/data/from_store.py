"""Content of files in stores, some megabytes a request; while that is used, the next requests are under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from hdfs_layout import Store

# A request takes some hundredths of a second however little it asks for, and one connection brings some 50 MB a second.
REQUEST_BYTES = 4 << 20


def fetched(
    store: Store, path: str, *, offset: int, lengths: Iterable[int], at_once: int = 2
) -> Generator[bytes, None, None]:
    """Yield what stands one behind the other in a file, by lengths; what is beyond its end is too short.

    Parameters
    ----------
    at_once
        Answers that are there or on their way, of which one is used.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError
        If it cannot be read.
    """
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(at_once) as threads:
        try:
            for length in lengths:
                waiting.append(threads.submit(store.read_range, path, offset=offset, length=length))
                offset += length
                if len(waiting) == at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for answer in waiting:
                answer.cancel()


def read_lines(store: Store, path: str, *, offset: int, sizes: Sequence[int]) -> Generator[memoryview, None, None]:
    """Yield lines that stand one behind the other, by their sizes; those beyond the end of the file are too short.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError
        If it cannot be read.
    """
    runs = _runs(sizes)
    with closing(fetched(store, path, offset=offset, lengths=map(sum, runs))) as chunks:
        for run, chunk in zip(runs, chunks, strict=True):
            lines = memoryview(chunk)
            for size in run:
                yield lines[:size]
                lines = lines[size:]


def _runs(sizes: Sequence[int]) -> list[list[int]]:
    """Cut sizes of lines into runs of at most `REQUEST_BYTES`, or one line."""
    runs: list[list[int]] = []
    room = 0
    for size in sizes:
        if size > room:
            runs.append([])
            room = REQUEST_BYTES
        runs[-1].append(size)
        room -= size
    return runs
