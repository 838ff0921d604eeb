"""The kind of runner of Spark; cheap to load."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hdfs_layout import Root
from mr_ml.runners.base import RunnerKind, RunnerOptions
from mr_ml.runners.hadoop.file_systems import check_root
from mr_ml.runners.spark.master import Master

if TYPE_CHECKING:
    from mr_ml.runners.spark.runner import SparkJobRunner


def _open(root: Root, options: RunnerOptions) -> SparkJobRunner:
    from mr_ml.runners.spark.runner import SparkJobRunner
    from mr_ml.runners.spark.settings import load_settings

    _check(None, options)
    return SparkJobRunner.of(root, Master.of(options.master), load_settings(options.config))


def _check(root: str | None, options: RunnerOptions) -> None:
    master = Master.of(options.master)
    if master.is_here:
        options.only("master", "config", "memory", runner=f"spark with `master` {master.url}")
    else:
        options.only("master", "config", runner=f"spark with `master` {master.url}")
    if root is not None and not master.is_on_loopback:
        check_root(root, runner=f"spark with `master` {master.url}")


def _look(config: str) -> None:
    from mr_ml.runners.spark.settings import load_settings

    conf_dir = load_settings(config).conf_dir
    if conf_dir is not None:
        # the store and the jobs must mean the same cluster
        os.environ["HADOOP_CONF_DIR"] = conf_dir


SPARK = RunnerKind(description="on Spark, with pyspark", open=_open, check=_check, look=_look)
