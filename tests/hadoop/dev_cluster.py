"""A development cluster as tests see it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "dev_hadoop.sh"


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
    """

    directory: Path
    workers: int
    environment: Mapping[str, str]
    hdfs_uri: str
    webhdfs_url: str

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


def _script(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def running_cluster(directory: Path, *, workers: int, options: tuple[str, ...] = ()) -> Iterator[HadoopCluster]:
    """A cluster in `directory` with further options of `dev_hadoop.sh up`; gone at the end, however the block ends."""
    place = ("--dir", str(directory))
    watched = ("--stop-with", str(os.getpid()))  # should the test process be killed outright
    try:
        done = _script("up", "--json", "--workers", str(workers), *watched, *place, *options)
        if done.returncode != 0:
            pytest.fail(f"dev_hadoop.sh up ended with {done.returncode}:\n{done.stderr}", pytrace=False)
        exports = json.loads(done.stdout)
        yield HadoopCluster(
            directory=directory,
            workers=workers,
            environment={**os.environ, **exports},
            hdfs_uri=exports["MR_ML_TEST_HDFS"],
            webhdfs_url=exports["MR_ML_TEST_WEBHDFS"],
        )
    finally:
        _script("down", *place)
