"""The kind of runner of a Hadoop cluster; cheap to load."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hdfs_layout import Root
from mr_ml.runners.base import RunnerKind, RunnerOptions
from mr_ml.runners.hadoop.file_systems import check_root

if TYPE_CHECKING:
    from mr_ml.runners.hadoop.runner import HadoopJobRunner


def _open(root: Root, options: RunnerOptions) -> HadoopJobRunner:
    from mr_ml.runners.hadoop.runner import HadoopJobRunner
    from mr_ml.runners.hadoop.settings import load_settings

    _check(None, options)
    return HadoopJobRunner(root, load_settings(options.config))


def _check(root: str | None, options: RunnerOptions) -> None:
    options.only("config", runner="hadoop")
    if root is not None:
        check_root(root)


def _look(config: str) -> None:
    from mr_ml.runners.hadoop.settings import load_settings

    conf_dir = load_settings(config).conf_dir
    if conf_dir is not None:
        # the store and the jobs must mean the same cluster
        os.environ["HADOOP_CONF_DIR"] = conf_dir


HADOOP = RunnerKind(
    description="on the cluster that HADOOP_HOME and HADOOP_CONF_DIR name", open=_open, check=_check, look=_look
)
