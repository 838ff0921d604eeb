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

from hdfs_layout import Store, open_store

# Where a cluster costs seconds a job; `scripts/runner_matrix.py` has them show everything.
ON_CLUSTERS = frozenset({"pack", "newton", "evaluate", "predict", "damaged"})


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
        config.write_text(f"python: {sys.executable}\n", encoding="utf-8")
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


CLUSTER = (pytest.mark.hadoop, pytest.mark.slow)
KINDS = (
    Kind(name="inline", open=_on_this_machine("-r", "inline")),
    Kind(name="local", open=_on_this_machine("-r", "local", "--workers", "2")),
    Kind(name="hadoop", open=_on_hadoop(_hdfs), marks=CLUSTER, always=ON_CLUSTERS),
    Kind(name="hadoop-s3", title="`hadoop`, root on S3", open=_on_hadoop(_bucket), marks=CLUSTER, always=ON_CLUSTERS),
)
