"""The kind of runner of a Hadoop cluster; cheap to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdfs_layout import Root
from hdfs_layout.open import scheme_of
from mr_ml.errors import UsageError
from mr_ml.runners.base import RunnerKind, RunnerOptions

if TYPE_CHECKING:
    from mr_ml.runners.hadoop.runner import HadoopJobRunner


def _open(root: Root, options: RunnerOptions) -> HadoopJobRunner:
    from mr_ml.runners.hadoop.runner import HadoopJobRunner
    from mr_ml.runners.hadoop.settings import load_settings

    _check(None, options)
    return HadoopJobRunner(root, load_settings(options.config))


def _check(root: str | None, options: RunnerOptions) -> None:
    for name in ("workers", "memory"):
        if getattr(options, name) is not None:
            raise UsageError(f"`{name}` is for this machine; set the resources of tasks on a cluster in `config`")
    if root is not None and scheme_of(root) != "hdfs":
        raise UsageError(f"`runner` hadoop needs a root on HDFS, hdfs://..., found {root}")


HADOOP = RunnerKind(description="on the cluster that HADOOP_HOME and HADOOP_CONF_DIR name", open=_open, check=_check)
