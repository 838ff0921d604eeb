"""How input becomes map tasks on a cluster: small files together, long lists as patterns that match nothing else."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.runners.hadoop.settings import HadoopSettings
from mr_ml.runners.hadoop.splits import COMBINING, dealt, input_format, shortened
from mr_ml.runners.job_input import TaskLines, Told

MB = 1 << 20
FEW = 16


def files(n: int, size: int) -> TaskLines:
    return TaskLines((), n * size, n)


def test_many_small_files_share_map_tasks() -> None:
    name, properties = input_format(files(784, MB), HadoopSettings(), few_files=FEW)
    assert name == COMBINING
    assert properties["mapreduce.input.fileinputformat.split.maxsize"] == str(128 * MB)
    # else the mapper would see offset TAB line
    assert properties["stream.map.input.ignoreKey"] == "true"
    _, properties = input_format(files(784, MB), HadoopSettings(split_mb=16), few_files=FEW)
    assert properties["mapreduce.input.fileinputformat.split.maxsize"] == str(16 * MB)


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        (files(FEW, MB), HadoopSettings()),
        (files(784, 65 * MB), HadoopSettings()),
        (files(784, 9 * MB), HadoopSettings(split_mb=16)),
        (TaskLines((), 784 * MB), HadoopSettings()),
        (files(784, MB), HadoopSettings(jobconf={"mapreduce.job.maps": "9"})),
    ],
    ids=["few", "large", "large for the split asked for", "each for itself", "a number asked for"],
)
def test_other_files_are_left_as_they_are(given: TaskLines, settings: HadoopSettings) -> None:
    assert input_format(given, settings, few_files=FEW) == (None, {})


@given(numbers=st.sets(st.integers(0, 1200) | st.integers(99_900, 99_999), max_size=40), run=st.integers(0, 500))
def test_patterns_match_these_files_alone(numbers: set[int], run: int) -> None:
    chosen = sorted({*numbers, *range(300, 300 + run)})
    uris = [f"hdfs://host:8020/root/part-{number:05d}" for number in chosen]
    patterns = shortened(uris)
    matched = [number for number in (*range(1300), *range(99_800, 100_000)) for pattern in patterns
               if fnmatchcase(f"hdfs://host:8020/root/part-{number:05d}", pattern)]  # fmt: skip
    assert sorted(matched) == chosen


def test_a_hundred_thousand_files_fit_a_command_line() -> None:
    uris = [f"hdfs://host/{folder}/part-{number:05d}" for folder in "ab" for number in range(7, 99_995)]
    patterns = shortened(uris)
    assert len(patterns) < 100
    assert {pattern.rpartition("/")[0] for pattern in patterns} == {"hdfs://host/a", "hdfs://host/b"}


def test_names_without_numbers_stay() -> None:
    assert shortened(["hdfs://host/b", "hdfs://host/a"]) == ["hdfs://host/b", "hdfs://host/a"]


@given(
    sizes=st.lists(st.integers(0, 300), max_size=60),
    split_mb=st.none() | st.integers(1, 200),
    few=st.integers(0, 20),
)
def test_pieces_that_tasks_are_told_of(sizes: list[int], split_mb: int | None, few: int) -> None:
    """Each once; a task for each of a few, and else none with much more than its bytes."""
    told = [Told(size * MB, b"%d\n" % k) for k, size in enumerate(sizes)]
    lines, n_together = dealt(told, HadoopSettings(split_mb=split_mb), few=few)
    assert sorted(lines) == sorted(piece.line for piece in told)
    tasks = [lines[first : first + n_together] for first in range(0, len(lines), n_together)]
    if len(sizes) <= few:
        assert n_together == 1
    target = split_mb or 128
    loads = [sum(sizes[int(line)] for line in task) for task in tasks]
    assert len(tasks) <= max(-(-sum(sizes) // target), 1) or len(sizes) <= few
    # of the largest pieces two at most
    assert max(loads, default=0) <= 2 * target + 2 * max(sizes, default=0)
