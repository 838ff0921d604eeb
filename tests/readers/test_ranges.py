"""Files are cut so that each task gets about as many bytes, in ranges that are worth its while."""

from __future__ import annotations

import pytest

from mr_ml.readers.text import source
from mr_ml.readers.text.source import TextFile, ranges

MB = 1 << 20


def dealt(sizes: list[int], n_tasks: int) -> list[int]:
    """Return the bytes of each task; the ranges must tile the files."""
    files = [TextFile(f"/file{k}", size, header_bytes=min(k, size)) for k, size in enumerate(sizes)]
    tasks = ranges(files, n_tasks=n_tasks)
    for file in files:
        mine = sorted((piece.start, piece.stop) for task in tasks for piece in task if piece.file == file.path)
        bounds = [file.header_bytes, *(stop for _, stop in mine)]
        assert [start for start, _ in mine] == bounds[:-1]
        assert bounds[-1] == file.size
    return [sum(piece.stop - piece.start for piece in task) for task in tasks]


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("size", [65 * MB, 219 * MB, 730 * MB, 3000 * MB])
def test_tasks_get_equal_shares_of_a_file(size: int, n_tasks: int) -> None:
    shares = dealt([size], n_tasks)
    assert len(shares) == n_tasks
    assert max(shares) <= 1.13 * min(shares)


def test_short_files_are_not_cut() -> None:
    assert dealt([7 * MB], 2) == [7 * MB]
    assert len(dealt([9 * MB], 2)) == 2
    assert dealt([20 * MB], 16) == [20 * MB]
    assert dealt([0, 1], 4) == []


def test_of_many_files_each_is_a_range() -> None:
    files = [TextFile(f"/file{k:03d}", 10 * MB) for k in range(40)]
    assert sum(map(len, ranges(files, n_tasks=2))) == 40


def test_no_range_is_longer_than_one_may_be() -> None:
    files = [TextFile("/one", 500 * MB)]
    assert max(p.stop - p.start for task in ranges(files, n_tasks=3) for p in task) <= source.RANGE_BYTES
