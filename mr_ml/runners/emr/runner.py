"""Jobs on a cluster of Amazon EMR, see `mr_ml.runners.hadoop.runner`: what they need and leave lies on S3."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from hdfs_layout.dataclass import dataclass
from mr_ml.runners.emr.kind import RUNNER, check_root
from mr_ml.runners.emr.settings import EmrSettings
from mr_ml.runners.emr.steps import EmrClient
from mr_ml.runners.emr.use import ClusterInUse
from mr_ml.runners.hadoop.client import JobClient
from mr_ml.runners.hadoop.runner import HadoopJobRunner


@dataclass(frozen=True, kw_only=True)
class EmrJobRunner(HadoopJobRunner):
    """Runs jobs as steps of a cluster, which it may start for its first job.

    Attributes
    ----------
    cluster
        Shared by what `of_work` makes of it.
    """

    settings: EmrSettings
    cluster: ClusterInUse

    def __post_init__(self) -> None:
        check_root(self.root.store.root)

    @property
    def name(self) -> str:
        """See `Runner.name`."""
        return RUNNER

    def environment(self) -> Mapping[str, Any]:
        """See `Runner.environment`; the release of a cluster of others is not in the settings."""
        release = self.settings.release if self.cluster.is_own else None
        return {**super().environment(), "release": release, "cluster_id": self.cluster.known}

    @property
    def _seats(self) -> None:
        """None: the machines of a rented cluster seldom reach the driver's."""
        return None

    def close(self) -> None:
        """See `Runner.close`; ends the cluster if it was started for this."""
        self.cluster.close()

    @cached_property
    def _client(self) -> JobClient:
        return EmrClient(self.cluster)
