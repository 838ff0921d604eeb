"""What users say of Spark: masters, settings, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hdfs_layout import open_root
from mr_ml.errors import UsageError
from mr_ml.runners.base import RUNNERS, RunnerOptions
from mr_ml.runners.spark.master import Master
from mr_ml.runners.spark.settings import SparkSettings, load_settings


@pytest.mark.parametrize(
    ("url", "threads", "attempts", "on_loopback"),
    [
        ("local", 1, 1, True), ("local[3]", 3, 1, True), ("local[2,4]", 2, 4, True), ("local[2, 4]", 2, 4, True),
        ("local-cluster[2,1,700]", None, 1, True), ("yarn", None, 1, False), ("spark://a:7077,b:7077", None, 1, False),
    ],
)  # fmt: skip
def test_masters(url: str, threads: int | None, attempts: int, on_loopback: bool) -> None:
    master = Master.of(url)
    assert (master.url, master.threads, master.attempts) == (url, threads, attempts)
    assert (master.is_here, master.is_on_loopback) == (threads is not None, on_loopback)


@pytest.mark.parametrize(
    "url", [None, "", "local[0]", "local[2,0]", "local[x]", "k8s://host", "yarn ", "spark://", "a"]
)
def test_what_is_no_master(url: str | None) -> None:
    with pytest.raises(UsageError, match=r"`master`.*yarn.*local\[N\]|`master`: expected numbers"):
        Master.of(url)


def written(folder: Path, text: str) -> SparkSettings:
    path = folder / "spark.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(str(path))


def test_settings_become_properties_of_executors(tmp_path: Path) -> None:
    settings = written(
        tmp_path,
        "executors: 5\nexecutor_memory_mb: 2048\nqueue: night\ncache_mb: 100\nconf:\n  spark.speculation: true",
    )
    assert settings.executor_properties() == {
        "spark.executor.cores": "1", "spark.executor.instances": "5", "spark.executor.memory": "2048m",
        "spark.yarn.queue": "night", "spark.executor.memoryOverhead": "484m",
    }  # fmt: skip
    assert dict(settings.conf) == {"spark.speculation": "true"}
    large = written(tmp_path, "executor_memory_mb: 8192\ncache_mb: 100").executor_properties()
    assert large["spark.executor.memoryOverhead"] == "919m"
    assert load_settings(None).executor_properties() == {"spark.executor.cores": "1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("executor: 3", "expected keys of spark_home"), ("executors: 0", "whole number from 1 on, found 0"),
        ("cache_mb: -1", "from 0 on"), ("pack_in_driver_mb: no", "from 0 on"),
        ("conf: [a]", "expected lines"), ("conf: {hadoop.x: 1}", "of Spark's"),
        ("conf: {spark.master: yarn}", "other than spark.master"), ('conf: {spark.x: "a\\nb"}', "expected a text"),
        ("python: env python3", "one word"), ("cache_mb: 5\nexecutor_cores: 2", "executor_cores 1 beside cache_mb"),
        ("python_archive: a.zip", "URI of an archive"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        written(tmp_path, text)


@pytest.mark.parametrize(
    ("options", "root", "said"),
    [
        ({}, "folder", "give `master`"), ({"master": "local[2]", "workers": 2}, "folder", "`workers`"),
        ({"master": "yarn", "memory": "1G"}, "hdfs://h/x", "`memory`"), ({"master": "yarn"}, "folder", "hdfs://"),
        ({"master": "spark://h:1"}, "folder", "hdfs://"),
        ({"master": "yarn", "cluster_id": "j-1"}, "hdfs://h/x", "`cluster_id`"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(tmp_path: Path, options: dict[str, Any], root: str, said: str) -> None:
    place = str(tmp_path) if root == "folder" else root
    with pytest.raises(UsageError, match=said):
        RUNNERS.get("spark").open(open_root(place), RunnerOptions(**options))
