"""The kind of runner of a Hadoop cluster; cheap to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdfs_layout import Root
from mr_ml.errors import UsageError
from mr_ml.runners.base import RunnerKind, RunnerOptions

if TYPE_CHECKING:
    from mr_ml.runners.hadoop.runner import HadoopJobRunner


def _open(root: Root, options: RunnerOptions) -> HadoopJobRunner:
    from mr_ml.runners.hadoop.runner import HadoopJobRunner
    from mr_ml.runners.hadoop.settings import load_settings

    for name in ("workers", "memory"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} is for this machine; set the resources of tasks on a cluster in `config`")
    return HadoopJobRunner(root, load_settings(options.config))


HADOOP = RunnerKind(description="on the cluster that HADOOP_HOME and HADOOP_CONF_DIR name", open=_open)
