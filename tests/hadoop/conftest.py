"""Real Hadoop clusters on loopback, started for the tests and stopped after them.

`hadoop_cluster` is one for the whole session, with MR_ML_TEST_HADOOP_WORKERS (default 2) workers; a test that breaks
daemons, or needs another size, starts its own with `start_hadoop_cluster`. MR_ML_SKIP_HADOOP=1 skips all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from dev_cluster import HadoopCluster, running_cluster


def skip_if_unwanted() -> None:
    """Skip, visibly, where the caller asked to leave Hadoop out."""
    if os.environ.get("MR_ML_SKIP_HADOOP") == "1":
        pytest.skip("MR_ML_SKIP_HADOOP=1: tests on a real Hadoop cluster are left out")


@pytest.fixture(scope="session")
def hadoop_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """The session's cluster. Do not stop its daemons; write under a folder of your own."""
    skip_if_unwanted()
    workers = int(os.environ.get("MR_ML_TEST_HADOOP_WORKERS", "2"))
    with running_cluster(tmp_path_factory.mktemp("hadoop"), workers=workers) as cluster:
        yield cluster


@pytest.fixture
def start_hadoop_cluster(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., HadoopCluster]]:
    """A function (workers, *options of `up`) -> cluster of the test's own, stopped at the end of the test."""
    skip_if_unwanted()
    with ExitStack() as stack:

        def start(workers: int, *options: str) -> HadoopCluster:
            directory = tmp_path_factory.mktemp("hadoop")
            return stack.enter_context(running_cluster(directory, workers=workers, options=options))

        yield start
