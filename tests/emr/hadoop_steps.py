"""Steps that really run: on the tests' Hadoop cluster, whose s3:// means the same server as the product's.

What dies with a machine of EMR's, applications on YARN, is killed here when its cluster is gone. A cancelled step loses
its process and no more, as on EMR.
"""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import Agent, Outcome
from dev_cluster import HadoopCluster

_APPLICATION = re.compile(rb"application_[0-9]+_[0-9]+")


@dataclass(frozen=True)
class HadoopSteps:
    """Runs steps, for an agent.

    Attributes
    ----------
    s3
        A client of the server on which logs are written.
    """

    hadoop: HadoopCluster
    s3: Any

    def __call__(self, agent: Agent, cluster: Any, step: Any) -> Outcome:
        process = subprocess.Popen(
            self._command(step.args), env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        said = b""
        while process.poll() is None:
            said += process.stdout.read() or b""
            if agent.is_cancelled(cluster, step):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.05)
        said += process.stdout.read() or b""
        process.stdout.close()
        applications = [name.decode() for name in _APPLICATION.findall(said)]
        if applications and cluster.id not in agent.alive():
            subprocess.run([self._bin / "yarn", "application", "-kill", applications[-1]], env=self._environment,
                           capture_output=True, check=False)  # fmt: skip
        return self._outcome(cluster, step, process.returncode, said)

    def _command(self, words: list[str]) -> list[str]:
        program, *arguments = words
        if program == "hadoop-streaming":
            home = Path(self.hadoop.environment["HADOOP_HOME"])
            jar = next(home.glob("share/hadoop/tools/lib/hadoop-streaming*.jar"))
            return [str(self._bin / "hadoop"), "jar", str(jar), *arguments]
        return words

    @property
    def _bin(self) -> Path:
        return Path(self.hadoop.environment["HADOOP_HOME"]) / "bin"

    @property
    def _environment(self) -> Mapping[str, str]:
        found = {name: value for name, value in self.hadoop.environment.items() if not name.startswith("AWS_")}
        return {**found, "HADOOP_ROOT_LOGGER": "INFO,console", "PATH": f"{self._bin}{os.pathsep}{found['PATH']}"}

    def _outcome(self, cluster: Any, step: Any, status: int, said: bytes) -> Outcome:
        if status == 0:
            return "COMPLETED", {}
        if not cluster.log_uri:
            return "FAILED", {"Reason": "Unknown Error."}
        bucket, _, prefix = cluster.log_uri.partition("://")[2].partition("/")
        key = f"{prefix}{cluster.id}/steps/{step.id}/stderr.gz"
        self.s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(said))
        return "FAILED", {"Reason": "Unknown Error.", "LogFile": f"s3://{bucket}/{key}"}
