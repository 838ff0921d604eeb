"""Where trainings run, in the suite of trainings: the table of all kinds, and how each is opened.

A new kind joins by an entry in KINDS: how its root and its inputs are got, and what the command line says of it.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from commands import Commands
from dev_cluster import HadoopCluster
from s3_servers import use_aws
from spark_contexts import CLUSTER as EXECUTORS
from spark_contexts import QUICK_JAVA, SparkContexts

from hdfs_layout import Store, open_store

# Where a job takes seconds; `scripts/runner_matrix.py` has all kinds show everything.
ON_SPARK = frozenset({"pack", "newton", "lbfgs", "losses", "evaluate", "predict", "damaged"})
# `lbfgs` there is in tests/runners/spark, while an executor is killed; for sums it is as Spark here.
ON_EXECUTORS = ON_SPARK - {"lbfgs", "losses"}
# Where a job takes half a minute of all processors: fewer jobs show the rest in tests/hadoop and tests/emr.
ON_HADOOP = frozenset({"losses"})
# The same jobs by way of another store, or one job a pass: in tests/s3 and tests/emr.
ON_S3: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Ground:
    """A root, the runner that works on it, and a place beside it for text.

    Attributes
    ----------
    root
        A folder, or an address of one.
    runner
        Options of the command line.
    beside
        Where text lies that is packed and predicted, as this kind's users would have it.
    here
        A folder of this machine.
    """

    root: str
    runner: tuple[str, ...]
    beside: str
    here: Path

    @property
    def commands(self) -> Commands:
        """`mr-ml` on this root, with this runner."""
        return Commands(cast(Path, self.root), runner=self.runner)

    @property
    def store(self) -> Store:
        """The root's."""
        return open_store(self.root)

    @property
    def texts(self) -> Store:
        """That of the place beside it."""
        return open_store(self.beside)


Open = Callable[[pytest.FixtureRequest, pytest.MonkeyPatch, Path], AbstractContextManager[Ground]]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to run trainings.

    Attributes
    ----------
    name, title
        The title heads its column in the README; it is the name, unless that says too little.
    open
        Opens a ground of its own, empty; called with the request of a fixture of a module, an environment that lasts as
        long, and an empty folder.
    marks
        Of its tests.
    always
        The features that are tested each time; None for all. The others wait for MR_ML_ALL_FEATURES=1.
    """

    name: str
    open: Open
    title: str = ""
    marks: tuple[pytest.MarkDecorator, ...] = ()
    always: frozenset[str] | None = None


def _on_this_machine(*runner: str) -> Open:
    @contextmanager
    def open(request: pytest.FixtureRequest, patch: pytest.MonkeyPatch, here: Path) -> Iterator[Ground]:
        (here / "beside").mkdir()
        yield Ground(str(here / "root"), runner, str(here / "beside"), here)

    return open


def _on_hadoop(place: Callable[[HadoopCluster, pytest.MonkeyPatch], str]) -> Open:
    @contextmanager
    def open(request: pytest.FixtureRequest, patch: pytest.MonkeyPatch, here: Path) -> Iterator[Ground]:
        cluster: HadoopCluster = request.getfixturevalue("hadoop_cluster")
        for name in ("HADOOP_HOME", "HADOOP_CONF_DIR", "HADOOP_LOG_DIR", "JAVA_HOME", "PATH"):
            if name in cluster.environment:
                patch.setenv(name, cluster.environment[name])
        config = here / "cluster.yaml"
        config.write_text(f"python: {sys.executable}\npack_in_driver_mb: 0\n", encoding="utf-8")
        folder = place(cluster, patch)
        yield Ground(f"{folder}/root", ("-r", "hadoop", "--config", str(config)), f"{folder}/beside", here)

    return open


def _hdfs(cluster: HadoopCluster, patch: pytest.MonkeyPatch) -> str:
    return f"{cluster.hdfs_uri}/user/tests/trainings-{uuid.uuid4().hex}"


def _bucket(cluster: HadoopCluster, patch: pytest.MonkeyPatch) -> str:
    if cluster.s3 is None:
        pytest.skip("this cluster has no S3; the tests' own has")
    cluster.s3.use(patch)
    return f"s3://{cluster.s3.bucket()}/trainings"


EMR = """\
python: {python}
pack_in_driver_mb: 0
log_uri: s3://{bucket}/logs
service_role: Service
instance_profile: Profile
groups: [{{role: master, type: m6i.xlarge}}]
"""


@contextmanager
def _emr(request: pytest.FixtureRequest, patch: pytest.MonkeyPatch, here: Path) -> Iterator[Ground]:
    """A cluster of a stand-in for EMR, whose steps run on the tests' Hadoop cluster."""
    hadoop: HadoopCluster = request.getfixturevalue("hadoop_cluster")
    if hadoop.s3 is None:
        pytest.skip("this cluster has no S3; the tests' own has")
    patch.syspath_prepend(str(Path(__file__).parents[1] / "emr"))
    from agent import running_agent
    from hadoop_steps import HadoopSteps

    with running_agent() as agent:
        use_aws(patch, {**hadoop.s3.environment, "AWS_ENDPOINT_URL_EMR": agent.endpoint})
        agent.reset(HadoopSteps(hadoop, hadoop.s3.client()))
        bucket = hadoop.s3.bucket()
        config = here / "emr.yaml"
        config.write_text(EMR.format(python=sys.executable, bucket=bucket), encoding="utf-8")
        place = f"s3://{bucket}/trainings"
        commands = Commands(cast(Path, f"{place}/root"))
        created = commands("cluster", "create", "--config", config)["cluster_id"]
        runner = ("-r", "emr", "--cluster-id", created, "--config", str(config))
        yield Ground(f"{place}/root", runner, f"{place}/beside", here)
        commands("cluster", "terminate", created)
        assert agent.alive() == []


def _on_spark(master: str) -> Open:
    @contextmanager
    def open(request: pytest.FixtureRequest, patch: pytest.MonkeyPatch, here: Path) -> Iterator[Ground]:
        contexts: SparkContexts = request.getfixturevalue("spark_contexts")
        from mr_ml.runners.spark.runner import SparkJobRunner

        for name, value in QUICK_JAVA.items():
            patch.setenv(name, value)
        # each command would open a SparkContext of its own, which takes seconds
        patch.setattr(SparkJobRunner, "of", lambda root, given, settings: contexts.runner(root, master))
        patch.setattr(SparkJobRunner, "close", lambda runner: None)
        (here / "beside").mkdir()
        yield Ground(str(here / "root"), ("-r", "spark", "--master", master), str(here / "beside"), here)

    return open


CLUSTER = (pytest.mark.hadoop, pytest.mark.slow)
SPARK = (pytest.mark.slow,)
KINDS = (
    Kind(name="inline", open=_on_this_machine("-r", "inline")),
    Kind(name="local", open=_on_this_machine("-r", "local", "--workers", "2")),
    Kind(name="hadoop", open=_on_hadoop(_hdfs), marks=CLUSTER, always=ON_HADOOP),
    Kind(name="hadoop-s3", title="`hadoop`, root on S3", open=_on_hadoop(_bucket), marks=CLUSTER, always=ON_S3),
    Kind(name="emr", open=_emr, marks=CLUSTER, always=ON_S3),
    Kind(name="spark", title="`spark` here", open=_on_spark("local[2]"), marks=SPARK, always=ON_SPARK),
    Kind(name="spark-cluster", title="`spark`", open=_on_spark(EXECUTORS), marks=SPARK, always=ON_EXECUTORS),
)
