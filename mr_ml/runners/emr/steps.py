"""Jobs as steps of a cluster on EMR: hand one in, wait for it, stop it, say why it failed.

A step is Hadoop Streaming with the arguments that `hadoop jar` has on a cluster of one's own. Its name is the tag of
whose work it is, so that a later command finds what an earlier one left. What is asked, and how often, is little: EMR
allows few requests a second to all of an account together.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any, BinaryIO

from hdfs_layout import open_store
from hdfs_layout.dataclass import dataclass
from mr_ml.errors import InternalError, MrMlError, NotFoundError, UnavailableError, UsageError
from mr_ml.progress import Stage, stage
from mr_ml.runners.emr.cluster import Cluster, ClusterLostError, look, ours
from mr_ml.runners.emr.cost import GO_ON
from mr_ml.runners.emr.service import DeniedError, ExpiredError, LostAnswerError
from mr_ml.runners.emr.use import ClusterInUse
from mr_ml.runners.hadoop.client import KEPT_LINES, Submission, signals_interrupt
from mr_ml.runners.hadoop.said import explained, refusal, refused_by_s3

_JAR = "command-runner.jar"
_WAITS = ("PENDING", "RUNNING")
_OVER = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")
FIRST_SECONDS, MOST_SECONDS, _GROWTH = 2.0, 10.0, 1.25
CLUSTER_SECONDS = 30.0
STOP_SECONDS = 60.0
# EMR copies logs to S3 some minutes after a step; what it knows of the failure at once is in the step's status.
LOG_SECONDS, _LOG_PAUSE_SECONDS = 60.0, 5.0
_LOGS = ("stderr", "syslog")
# Decompressed.
_MOST_LOG_BYTES, _MOST_LINE_BYTES = 1 << 28, 1 << 16
_APPLICATION = re.compile(r"\bapplication_[0-9]+_[0-9]+\b", re.ASCII)
# EMR ends the process of a cancelled step, and what that has started on YARN runs on. The tag is an argument.
_STOP = """\
set -e
listed=$(yarn application -list -appTags "$1")
ids=$(grep -o '^application_[0-9]*_[0-9]*' <<< "$listed") || exit 0
yarn application -kill $ids
"""


@dataclass(frozen=True)
class EmrClient:
    """Hands jobs to the cluster that a command uses, see `mr_ml.runners.hadoop.client.JobClient`."""

    cluster: ClusterInUse

    def run(self, arguments: Sequence[str], submission: Submission) -> None:
        """See `JobClient.run`; the first job of a command may start a cluster, and then waits for it."""
        words = ["hadoop-streaming", *arguments]
        with signals_interrupt(), stage("job on the cluster", unit="steps") as job:
            cluster_id = self.cluster.ready()
            submission.ended = False
            try:
                step_id = self._add(cluster_id, submission.tag, words)
                status = self._wait(cluster_id, step_id, job)
            except ClusterLostError as error:
                submission.ended = error.is_over
                raise
            except ExpiredError as error:
                raise ExpiredError(f"{error}. {self._left_running(cluster_id)}. {GO_ON}") from error
            except BaseException:
                submission.ended = self.stop(submission.tag)
                raise
            submission.ended = True
        if status["State"] != "COMPLETED":
            raise self._failure(cluster_id, step_id, status)

    def stop(self, tag: str) -> bool:
        """See `JobClient.stop`; on whatever cluster of mr_ml it runs, and on the one that was named."""
        try:
            # each of them, whatever comes of the others
            stopped = [self._stop(cluster_id, tag) for cluster_id in self._clusters()]
        except MrMlError:
            return False
        return all(stopped)

    def _clusters(self) -> list[str]:
        # whose driver is gone, ends with all that runs on it
        self.cluster.sweep()
        known = self.cluster.known
        try:
            found = [cluster.id for cluster in ours(self.cluster.emr)]
        except DeniedError:
            if known is None:
                raise
            found = []
        if known is not None and known not in found and look(self.cluster.emr, known).is_alive:
            found.append(known)
        return found

    def _stop(self, cluster_id: str, tag: str) -> bool:
        """Cancel the steps of a tag on a cluster; whether none of them runs any more."""
        emr = self.cluster.emr
        listed = emr.pages("list_steps", "Steps", ClusterId=cluster_id, StepStates=list(_WAITS))
        steps = [step for step in listed if step["Name"] == tag]
        if not steps:
            return True
        ids = [step["Id"] for step in steps]
        emr.ask("cancel_steps", ClusterId=cluster_id, StepIds=ids, StepCancellationOption="TERMINATE_PROCESS")
        has_begun = any(step["Status"]["State"] != "PENDING" for step in steps)
        if has_begun and cluster_id == self.cluster.known and self.cluster.is_own:
            # what it has started on YARN ends with the cluster, and that very soon
            return False
        cancelled = [self._end_soon(cluster_id, step_id) is not None for step_id in ids]
        if has_begun:
            killer = self._add(cluster_id, f"{tag} stop", ["bash", "-c", _STOP, "stop", tag])
            cancelled.append(self._end_soon(cluster_id, killer) == "COMPLETED")
        return all(cancelled)

    def _end_soon(self, cluster_id: str, step_id: str) -> str | None:
        """Wait a little for the end of a step; in which state it is then, None if it has not ended."""
        emr = self.cluster.emr
        until = emr.clock() + STOP_SECONDS
        while True:
            state = str(self._status(cluster_id, step_id)["State"])
            if state in _OVER:
                return state
            if emr.clock() >= until:
                return None
            emr.pause(FIRST_SECONDS)

    def _add(self, cluster_id: str, name: str, words: list[str]) -> str:
        """Add a step; its id."""
        emr = self.cluster.emr
        step = {"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": _JAR, "Args": words}}
        try:
            return str(emr.ask("add_job_flow_steps", JobFlowId=cluster_id, Steps=[step])["StepIds"][0])
        except UsageError:
            # as of a cluster that has ended
            self.cluster.check_alive(look(emr, cluster_id))
            raise
        except LostAnswerError:
            # every job has an output folder of its own among its arguments
            for found in emr.pages("list_steps", "Steps", ClusterId=cluster_id):
                if found["Name"] == name and found.get("Config", {}).get("Args") == words:
                    return str(found["Id"])
            raise

    def _status(self, cluster_id: str, step_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.emr.ask("describe_step", ClusterId=cluster_id, StepId=step_id)
        status: dict[str, Any] = found["Step"]["Status"]
        return status

    def _wait(self, cluster_id: str, step_id: str, job: Stage) -> dict[str, Any]:
        """Wait for the end of a step, and tell of it.

        Raises
        ------
        ClusterLostError
            If its cluster ended meanwhile.
        """
        emr = self.cluster.emr
        pause, looked = FIRST_SECONDS, emr.clock()
        while True:
            status = self._status(cluster_id, step_id)
            job.tell(f"step {step_id} of {cluster_id}, {status['State'].lower()}")
            if status["State"] == "COMPLETED":
                return status
            is_over = status["State"] in _OVER
            if is_over or emr.clock() - looked >= CLUSTER_SECONDS:
                looked = emr.clock()
                self.cluster.check_alive(look(emr, cluster_id))
            if is_over:
                return status
            emr.pause(pause)
            pause = min(pause * _GROWTH, MOST_SECONDS)

    def _left_running(self, cluster_id: str) -> str:
        ends = "it ends by itself when it is idle" if self.cluster.is_own else "its step runs on"
        return f"Cluster {cluster_id} cannot be reached without them; {ends}"

    def _failure(self, cluster_id: str, step_id: str, status: dict[str, Any]) -> MrMlError:
        """Say why a step failed: what EMR knows of it, what the client on the cluster said, and where the logs are."""
        what = f"the job (step {step_id} of cluster {cluster_id})"
        if status["State"] in ("CANCELLED", "INTERRUPTED"):
            return UnavailableError(f"{what} was cancelled by somebody. {GO_ON}")
        details = status.get("FailureDetails", {})
        told = [details.get("Reason"), details.get("Message"), status.get("StateChangeReason", {}).get("Message")]
        cause = "; ".join(dict.fromkeys(str(text).strip().rstrip(".") for text in told if text))
        cause = f": {cause}" if cause else ""
        found = look(self.cluster.emr, cluster_id)
        if found.log_uri is None:
            return InternalError(f"{what} failed{cause}. No logs are kept: set log_uri in the settings of `config`")
        address = details.get("LogFile") or f"{found.log_uri}{cluster_id}/steps/{step_id}/"
        log = self._log(found, step_id)
        if log is None:
            return InternalError(f"{what} failed{cause}. Its logs are not there yet; look in some minutes: {address}")
        if log.application is not None:
            address += f", and of its tasks: {found.log_uri}{cluster_id}/containers/{log.application}/"
        error = refused_by_s3(log.lines)
        if error is None:
            refused = refusal(log.lines)
            error = InternalError(refused or f"{what} failed{cause}. {explained(log.lines)}")
        return type(error)(f"{error}\nIts logs: {address}")

    def _log(self, cluster: Cluster, step_id: str) -> _Log | None:
        """Return what the client said on the cluster, if that is on S3 soon."""
        assert cluster.log_uri is not None
        emr = self.cluster.emr
        until = emr.clock() + LOG_SECONDS
        log = _Log()
        while True:
            for name in _LOGS:
                try:
                    with open_store(cluster.log_uri).open_read(f"{cluster.id}/steps/{step_id}/{name}.gz") as packed:
                        log.read(packed)
                except NotFoundError:
                    continue
                except MrMlError:
                    # whoever runs jobs need not be allowed to read logs
                    return None
            if log.lines:
                return log
            if emr.clock() >= until:
                return None
            emr.pause(_LOG_PAUSE_SECONDS)


@dataclass
class _Log:
    """What the client said: the last of its lines, where causes are, and which application it began last."""

    lines: list[str] = field(default_factory=list)
    application: str | None = None

    def read(self, packed: BinaryIO) -> None:
        """Add a compressed file; of one that is damaged what comes before."""
        last = deque[str](maxlen=KEPT_LINES)
        left = _MOST_LOG_BYTES
        with suppress(OSError, EOFError, zlib.error), gzip.GzipFile(fileobj=packed) as file:
            while left > 0 and (line := file.readline(_MOST_LINE_BYTES)):
                left -= len(line)
                last.append(line.decode(errors="replace").rstrip("\r\n"))
                for name in _APPLICATION.findall(last[-1]):
                    self.application = name
        self.lines += last
