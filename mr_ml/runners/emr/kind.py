"""The kind of runner of Amazon EMR; cheap to load."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hdfs_layout import Root
from mr_ml.errors import UsageError
from mr_ml.runners.base import RunnerKind, RunnerOptions
from mr_ml.runners.hadoop import file_systems

if TYPE_CHECKING:
    from mr_ml.runners.emr.runner import EmrJobRunner

RUNNER = "emr"
# As every release of EMR reads S3; the other name is of Hadoop's own connector.
_FILES, _OTHER_NAME = "s3://", "s3a://"
_CLUSTER_ID = re.compile(r"j-[A-Z0-9]{1,32}", re.ASCII)
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


def _open(root: Root, options: RunnerOptions) -> EmrJobRunner:
    _check(root.store.root, options)
    from mr_ml.runners.emr.cost import Limits
    from mr_ml.runners.emr.runner import EmrJobRunner
    from mr_ml.runners.emr.service import Emr
    from mr_ml.runners.emr.settings import load_settings
    from mr_ml.runners.emr.use import ClusterInUse

    settings = load_settings(options.config)
    if options.cluster_id is None:
        settings.check_startable()
    limits = Limits(
        max_hours=settings.max_hours if options.max_hours is None else options.max_hours,
        max_cost=settings.max_cost if options.max_cost is None else options.max_cost,
    )
    cluster = ClusterInUse(Emr.connect(settings.region), settings, options.cluster_id, limits, options.say)
    return EmrJobRunner(root=root, settings=settings, cluster=cluster)


def _check(root: str | None, options: RunnerOptions) -> None:
    options.only("config", "cluster_id", "max_hours", "max_cost", runner=RUNNER)
    for name in ("max_hours", "max_cost"):
        if getattr(options, name) == 0:
            raise UsageError(f"`{name}`: expected a number above 0, found 0, with which no job would begin")
    if options.cluster_id is not None:
        check_cluster_id(options.cluster_id)
    elif options.config is None:
        raise UsageError(
            "`runner` emr needs a cluster: name one that runs with `cluster_id`, or give the settings of a new one "
            "with `config`; see docs/emr.md"
        )
    if root is not None:
        check_root(root)


def check_root(root: str) -> None:
    """Raise `UsageError` if a root is not where EMR's jobs read and write."""
    if root.lower().startswith(_OTHER_NAME):
        raise UsageError(
            f"`runner` emr needs the root as s3://..., which means the same; found {root}. Give "
            f"{_FILES}{root[len(_OTHER_NAME) :]}"
        )
    if not root.lower().startswith(_FILES):
        raise UsageError(f"`runner` emr needs a root on S3, {_FILES}BUCKET/..., found {root}")
    file_systems.check_root(root)


def check_cluster_id(cluster_id: str) -> None:
    """Raise `UsageError` if something cannot be the id of a cluster."""
    if not _CLUSTER_ID.fullmatch(cluster_id):
        raise UsageError(f"`cluster_id`: expected an id of EMR's such as j-1A2B3C4D5E6F7, found {cluster_id!r}")


def _look(config: str) -> None:
    from mr_ml.runners.emr.settings import load_settings

    region = load_settings(config).region
    if region is not None and not any(os.environ.get(name) for name in _REGION_VARIABLES):
        # the root's bucket is looked for there too
        os.environ.update(dict.fromkeys(_REGION_VARIABLES, region))


EMR = RunnerKind(
    description="on a cluster of Amazon EMR, rented for the command or named by its id", open=_open, check=_check,
    look=_look,
)  # fmt: skip
