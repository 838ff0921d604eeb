"""Content of files in stores, some megabytes a request; while that is used, the next one is on its way."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from hdfs_layout import Store

# A request takes some hundredths of a second however little it asks for, and one connection brings some 50 MB a second.
REQUEST_BYTES = 4 << 20


def ahead(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Yield the same; while one is used, the next one is on its way."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, chunks, None)
        while (chunk := waiting.result()) is not None:
            waiting = thread.submit(next, chunks, None)
            yield chunk


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
    with closing(ahead(_read(store, path, offset, [sum(run) for run in runs]))) as chunks:
        for run, chunk in zip(runs, chunks, strict=True):
            lines = memoryview(chunk)
            for size in run:
                yield lines[:size]
                lines = lines[size:]


def _read(store: Store, path: str, offset: int, lengths: Sequence[int]) -> Iterator[bytes]:
    for length in lengths:
        yield store.read_range(path, offset=offset, length=length)
        offset += length


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
