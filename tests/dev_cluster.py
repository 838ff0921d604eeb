"""A development cluster as tests see it: real Hadoop on loopback, started for the tests and stopped after them.

`hadoop_cluster` is one for the whole session, with MR_ML_TEST_HADOOP_WORKERS (default 2) workers, or the one that runs
in the folder MR_ML_TEST_HADOOP_DIR, which is left running. A test that breaks daemons, or needs another size, starts
its own with `start_hadoop_cluster`. MR_ML_TEST_HADOOP_VERSION says of which Hadoop those are that are started, see
`dev_hadoop.sh up --hadoop`. MR_ML_SKIP_HADOOP=1 skips all of them, visibly.

For the session's cluster s3:// and s3a:// mean a server that moto plays. The cluster of MR_ML_TEST_HADOOP_DIR has one
if it was started with `--s3` and the keys of s3_servers.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from s3_servers import S3Server

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "dev_hadoop.sh"


@dataclass(frozen=True, kw_only=True)
class HadoopCluster:
    """A running cluster.

    Attributes
    ----------
    directory : Path
        Its folder: conf/, logs/, logs/userlogs/.
    workers : int
        DataNodes, and as many NodeManagers.
    environment : mapping
        The caller's environment with HADOOP_HOME, HADOOP_CONF_DIR, HADOOP_LOG_DIR, JAVA_HOME and PATH for this cluster.
    hdfs_uri : str
        hdfs://127.0.0.1:PORT, also fs.defaultFS.
    webhdfs_url : str
        http://127.0.0.1:PORT; the REST paths begin with /webhdfs/v1.
    s3 : S3Server or None
        What s3:// and s3a:// mean for it.
    """

    directory: Path
    workers: int
    environment: Mapping[str, str]
    hdfs_uri: str
    webhdfs_url: str
    s3: S3Server | None = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `dev_hadoop.sh` on this cluster, whatever its exit code."""
        return _script(*arguments, "--dir", str(self.directory))

    def status(self) -> dict[str, Any]:
        """What `status --json` says: daemons' process ids, live workers, processes in containers."""
        found: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return found

    def kill(self, name: str, *, signal: str = "KILL") -> None:
        """Signal one daemon, such as datanode-1."""
        done = self.command("kill", name, "--signal", signal)
        assert done.returncode == 0, done.stderr

    def start(self, name: str) -> None:
        """Start one daemon again."""
        done = self.command("start", name)
        assert done.returncode == 0, done.stderr

    def hadoop(self, *arguments: str, user: str | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run the `hadoop` command against this cluster, whatever its exit code."""
        environment = {**self.environment, **({"HADOOP_USER_NAME": user} if user else {})}
        launcher = Path(self.environment["HADOOP_HOME"]) / "bin" / "hadoop"
        return subprocess.run([launcher, *arguments], env=environment, capture_output=True, check=False)


def _script(*arguments: str, s3: S3Server | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, **(s3.environment if s3 else {})}
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def running_cluster(
    directory: Path, *, workers: int, options: tuple[str, ...] = (), s3: S3Server | None = None
) -> Iterator[HadoopCluster]:
    """A cluster in `directory` with further options of `dev_hadoop.sh up`; gone at the end, however the block ends."""
    if s3 is not None:
        options = (*options, "--s3", s3.endpoint)
    if version := os.environ.get("MR_ML_TEST_HADOOP_VERSION"):
        options = (*options, "--hadoop", version)
    place = ("--dir", str(directory))
    watched = ("--stop-with", str(os.getpid()))  # should the test process be killed outright
    try:
        done = _script("up", "--json", "--workers", str(workers), *watched, *place, *options, s3=s3)
        if done.returncode != 0:
            pytest.fail(f"dev_hadoop.sh up ended with {done.returncode}:\n{done.stderr}", pytrace=False)
        yield _cluster(directory, json.loads(done.stdout), workers=workers, s3=s3)
    finally:
        _script("down", *place)


def _cluster(directory: Path, exports: dict[str, str], *, workers: int, s3: S3Server | None) -> HadoopCluster:
    return HadoopCluster(
        directory=directory,
        workers=workers,
        environment={**os.environ, **exports},
        hdfs_uri=exports["MR_ML_TEST_HDFS"],
        webhdfs_url=exports["MR_ML_TEST_WEBHDFS"],
        s3=s3,
    )


def _present_cluster(directory: Path) -> HadoopCluster:
    """The cluster that runs in a folder already."""
    done = _script("env", "--json", "--dir", str(directory))
    if done.returncode != 0:
        pytest.fail(f"MR_ML_TEST_HADOOP_DIR={directory}: {done.stderr}", pytrace=False)
    workers = json.loads(_script("status", "--json", "--dir", str(directory)).stdout)["workers"]
    exports = json.loads(done.stdout)
    endpoint = exports.get("AWS_ENDPOINT_URL_S3")
    s3 = None if endpoint is None else S3Server(name="the cluster's", endpoint=endpoint, pid=0)
    return _cluster(directory, exports, workers=workers, s3=s3)


def skip_if_unwanted() -> None:
    """Skip, visibly, where the caller asked to leave Hadoop out."""
    if os.environ.get("MR_ML_SKIP_HADOOP") == "1":
        pytest.skip("MR_ML_SKIP_HADOOP=1: tests on a real Hadoop cluster are left out")


@pytest.fixture(scope="session")
def hadoop_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """The session's cluster. Do not stop its daemons; write under a folder of your own."""
    skip_if_unwanted()
    present = os.environ.get("MR_ML_TEST_HADOOP_DIR")
    if present:
        yield _present_cluster(Path(present))
        return
    workers = int(os.environ.get("MR_ML_TEST_HADOOP_WORKERS", "2"))
    s3: S3Server = request.getfixturevalue("moto_server")
    with running_cluster(tmp_path_factory.mktemp("hadoop"), workers=workers, s3=s3) as cluster:
        yield cluster


@pytest.fixture
def start_hadoop_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., HadoopCluster]]:
    """A function (workers, *options of `up`) -> cluster of the test's own, stopped at the end of the test."""
    skip_if_unwanted()
    with contextlib.ExitStack() as stack:

        def start(workers: int, *options: str) -> HadoopCluster:
            directory = tmp_path_factory.mktemp("hadoop")
            return stack.enter_context(running_cluster(directory, workers=workers, options=options))

        yield start
