"""Jobs as steps: what EMR is asked for, and what becomes of jobs that fail, hang, or lose their cluster."""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from agent import SMALL, Agent, Clock, Fault, Steps

from mr_ml.errors import InternalError, StorageError, UnavailableError
from mr_ml.runners.emr.cluster import KEPT, look, start, terminate
from mr_ml.runners.emr.cost import Limits
from mr_ml.runners.emr.service import Emr
from mr_ml.runners.emr.settings import EmrSettings, load_settings
from mr_ml.runners.emr.steps import _STOP, EmrClient
from mr_ml.runners.emr.use import ClusterInUse
from mr_ml.runners.hadoop.client import Submission
from mr_ml.runners.hadoop.said import failure

ARGUMENTS = ["-D", "a=b", "-output", "s3://bucket/root/tmp/run/output-1"]
TAG = "mr_ml:run"
FAILED_LOG = """\
2026-11-28 01:02:03,004 INFO org.apache.hadoop.mapreduce.Job (main): Running job: job_1_0004
2026-11-28 01:02:04,004 INFO org.apache.hadoop.yarn.client.api.impl.YarnClientImpl (main): Submitted application \
application_1_0004
2026-11-28 01:02:05,004 INFO org.apache.hadoop.mapreduce.Job (main): Task Id : attempt_1, Status : FAILED
Error: java.lang.RuntimeException: PipeMapRed.waitOutputThreads(): subprocess failed with code 127
\tat org.apache.hadoop.streaming.PipeMapRed.waitOutputThreads(PipeMapRed.java:326)
2026-11-28 01:02:06,004 ERROR org.apache.hadoop.streaming.StreamJob (main): Job not successful!
"""


@pytest.fixture
def settings(config: Callable[[str], str]) -> EmrSettings:
    return load_settings(config(SMALL))


@pytest.fixture
def used(emr: Emr, settings: EmrSettings) -> Iterator[ClusterInUse]:
    """A cluster of the test's own."""
    found = ClusterInUse(emr, settings, None, Limits(), lambda text: None)
    yield found
    found.close()


@pytest.fixture
def kept(agent: Agent, emr: Emr, settings: EmrSettings) -> Iterator[ClusterInUse]:
    """A cluster that others use too."""
    cluster_id = start(emr, settings, run="kept", owner=KEPT)
    yield ClusterInUse(emr, settings, cluster_id, Limits(), lambda text: None)
    if cluster_id in agent.alive():
        terminate(emr, cluster_id)


@pytest.fixture
def logged(agent: Agent, config: Callable[[str], str], emr: Emr) -> Iterator[ClusterInUse]:
    """A cluster that has logs."""
    boto3.client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    settings = load_settings(config(f"{SMALL}log_uri: s3://logs/emr\n"))
    found = ClusterInUse(emr, settings, None, Limits(), lambda text: None)
    yield found
    found.close()


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    return thread, raised


def step_running(agent: Agent) -> Any:
    """The cluster whose step runs by now."""
    while True:
        for cluster in agent.clusters():
            if any(step.state == "RUNNING" and cluster.state == "RUNNING" for step in cluster.steps):
                return cluster
        Clock().pause(0)


def test_a_job_is_a_step(agent: Agent, used: ClusterInUse) -> None:
    client = EmrClient(used)
    for _ in range(2):
        submission = Submission(TAG)
        client.run(ARGUMENTS, submission)
        assert submission.ended
    expected = {
        "Name": TAG,
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["hadoop-streaming", *ARGUMENTS]},
    }
    asked = [{"JobFlowId": used.known, "Steps": [expected]}] * 2
    assert agent.asked("AddJobFlowSteps") == asked
    assert len(agent.asked("RunJobFlow")) == 1


def test_emr_is_asked_seldom(agent: Agent, used: ClusterInUse, steps: Steps, clock: Clock) -> None:
    """A step of ten minutes: at first each two seconds, then each ten; its cluster each half minute."""
    steps.outcome = None
    began = clock.now

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if clock.now - began > 600:
            steps.outcome = ("COMPLETED", {})

    object.__setattr__(used.emr, "pause", pause)
    EmrClient(used).run(ARGUMENTS, Submission(TAG))
    assert 55 < len(agent.asked("DescribeStep")) < 90
    assert 15 <= len(agent.asked("DescribeCluster")) <= 21


def test_a_throttled_job_goes_on(agent: Agent, used: ClusterInUse) -> None:
    used.ready()
    agent.faults += [
        Fault("AddJobFlowSteps", "ThrottlingException", 5),
        Fault("DescribeStep", "ThrottlingException", 5),
    ]
    EmrClient(used).run(ARGUMENTS, Submission(TAG))
    assert len(agent.asked("AddJobFlowSteps")) == 6
    (cluster,) = agent.clusters()
    assert [step.state for step in cluster.steps] == ["COMPLETED"]


def test_a_lost_answer_adds_no_second_step(agent: Agent, used: ClusterInUse) -> None:
    client = EmrClient(used)
    client.run(["-output", "another"], Submission(TAG))
    agent.faults.append(Fault("AddJobFlowSteps", "InternalServerException", status=500, done=True))
    client.run(ARGUMENTS, Submission(TAG))
    (cluster,) = agent.clusters()
    assert [step.args[1:] for step in cluster.steps] == [["-output", "another"], ARGUMENTS]


def test_what_emr_knows_of_a_failure_comes_first(agent: Agent, used: ClusterInUse, steps: Steps) -> None:
    steps.outcome = ("FAILED", {"Reason": "Unknown Error.", "Message": "no such class"})
    submission = Submission(TAG)
    with pytest.raises(InternalError, match=r"failed: Unknown Error; no such class\. No logs are kept: set log_uri"):
        EmrClient(used).run(ARGUMENTS, submission)
    assert submission.ended


def test_logs_that_do_not_come_are_named(agent: Agent, logged: ClusterInUse, steps: Steps, clock: Clock) -> None:
    steps.outcome = ("FAILED", {"Reason": "Unknown Error."})
    with pytest.raises(InternalError, match=r"failed: Unknown Error\. Its logs are not there yet") as found:
        EmrClient(logged).run(ARGUMENTS, Submission(TAG))
    assert f"s3://logs/emr/{logged.known}/steps/s-" in str(found.value)
    assert 60 <= clock.now < 90


def test_logs_say_why(agent: Agent, logged: ClusterInUse, steps: Steps, clock: Clock) -> None:
    steps.outcome = ("FAILED", {"Reason": "Unknown Error."})

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        (cluster,) = agent.clusters()
        if clock.now > 20:
            key = f"emr/{cluster.id}/steps/{cluster.steps[0].id}/syslog.gz"
            boto3.client("s3").put_object(Bucket="logs", Key=key, Body=gzip.compress(FAILED_LOG.encode()))

    object.__setattr__(logged.emr, "pause", pause)
    with pytest.raises(InternalError) as found:
        EmrClient(logged).run(ARGUMENTS, Submission(TAG))
    said = str(found.value)
    assert "failed: Unknown Error. The nodes do not have the Python that was asked for" in said
    assert "Task Id : attempt_1, Status : FAILED\nError: java.lang.RuntimeException" in said
    assert "PipeMapRed.java" not in said
    assert f"s3://logs/emr/{logged.known}/containers/application_1_0004/" in said


def put_log(cluster_id: str, step_id: str, text: str) -> None:
    key = f"emr/{cluster_id}/steps/{step_id}/stderr.gz"
    boto3.client("s3").put_object(Bucket="logs", Key=key, Body=gzip.compress(text.encode()))


def test_the_cause_stands_at_the_end_of_a_long_log(agent: Agent, logged: ClusterInUse, steps: Steps) -> None:
    """Behind many megabytes of what happened before."""

    def failed(agent: Agent, cluster: Any, step: Any) -> Any:
        begun = "INFO impl.YarnClientImpl: Submitted application application_1_0009\n"
        told = "".join(f"2026-11-28 INFO mapreduce.Job:  map {number}% reduce 0%\n" for number in range(150_000))
        put_log(cluster.id, step.id, f"{begun}{told}java.io.IOException: the cause\n")
        return "FAILED", {}

    agent.run_step = failed
    with pytest.raises(InternalError, match=r"failed\. Hadoop said:\njava\.io\.IOException: the cause\n") as found:
        EmrClient(logged).run(ARGUMENTS, Submission(TAG))
    assert "/containers/application_1_0009/" in str(found.value)


def test_s3_that_refuses_the_nodes_is_said_as_on_hadoop(agent: Agent, logged: ClusterInUse, steps: Steps) -> None:
    said = [
        "Error: java.nio.file.AccessDeniedException: s3://bucket/root/part-00000: open s3://bucket/root/part-00000: "
        "software.amazon.awssdk.services.s3.model.S3Exception: Access Denied (Service: S3, Status Code: 403, "
        "Request ID: 7)",
        "2026-11-28 01:02:06,004 ERROR org.apache.hadoop.streaming.StreamJob (main): Job not successful!",
    ]

    def failed(agent: Agent, cluster: Any, step: Any) -> Any:
        put_log(cluster.id, step.id, "\n".join(said) + "\n")
        return "FAILED", {"Reason": "Unknown Error."}

    agent.run_step = failed
    on_hadoop = failure(said, application=None)
    with pytest.raises(StorageError) as found:
        EmrClient(logged).run(ARGUMENTS, Submission(TAG))
    assert (found.value.exit_code, on_hadoop.exit_code) == (74, 74)
    assert str(found.value).startswith(f"{on_hadoop}\nIts logs: s3://logs/emr/")


@pytest.mark.parametrize("is_seen", [False, True])
def test_a_cluster_that_is_lost(agent: Agent, used: ClusterInUse, steps: Steps, is_seen: bool) -> None:
    """Whether its step is cancelled with it, or seems to run for ever."""
    steps.outcome = None
    submission = Submission(TAG)
    thread, raised = in_background(lambda: EmrClient(used).run(ARGUMENTS, submission))
    cluster = step_running(agent)
    if is_seen:
        agent.is_cancelled = lambda cluster, step: False  # type: ignore[method-assign]
    agent.lose(cluster, "Instances were terminated by Spot.")
    thread.join()
    if is_seen:
        del agent.is_cancelled
    (error,) = raised
    assert isinstance(error, UnavailableError)
    assert error.exit_code == 69
    assert "is TERMINATED_WITH_ERRORS: Instances were terminated by Spot. " in str(error)
    assert "`mr-ml train --resume RUN`, with the same bits, on another cluster" in str(error)
    assert submission.ended


def test_a_cluster_that_never_comes_up(agent: Agent, used: ClusterInUse, steps: Steps) -> None:
    cluster_id = used.ready()
    (cluster,) = agent.clusters()
    agent.lose(cluster, "On the master instance, bootstrap action 1 returned a non-zero return code.")
    submission = Submission(TAG)
    with pytest.raises(UnavailableError, match=f"cluster {cluster_id} is TERM.*bootstrap action 1 returned"):
        EmrClient(used).run(ARGUMENTS, submission)
    assert submission.ended


def test_expired_credentials(agent: Agent, used: ClusterInUse, steps: Steps) -> None:
    steps.outcome = None
    used.ready()
    agent.faults.append(Fault("DescribeStep", "ExpiredTokenException"))
    submission = Submission(TAG)
    with pytest.raises(UnavailableError, match="expired credentials at DescribeStep") as found:
        EmrClient(used).run(ARGUMENTS, submission)
    assert not submission.ended
    assert f"Cluster {used.known} cannot be reached without them; it ends by itself when it is idle" in str(found.value)
    assert "--resume RUN" in str(found.value)
    assert "secret-of-the-agent" not in str(found.value)


def interrupted(emr: Emr, agent: Agent, error: BaseException) -> None:
    """Have the next wait for a running step end with an error."""
    before = emr.pause

    def pause(seconds: float) -> None:
        before(seconds)
        if any(step.state == "RUNNING" for cluster in agent.clusters() for step in cluster.steps):
            object.__setattr__(emr, "pause", before)
            raise error

    object.__setattr__(emr, "pause", pause)


def test_an_interrupted_job_is_stopped(agent: Agent, kept: ClusterInUse, steps: Steps) -> None:
    """The step is cancelled; what it has started on YARN, which lives on, is killed by its tag."""
    steps.outcome = None
    steps.by_word["bash"] = ("COMPLETED", {})
    interrupted(kept.emr, agent, KeyboardInterrupt())
    submission = Submission(TAG)
    with pytest.raises(KeyboardInterrupt):
        EmrClient(kept).run(ARGUMENTS, submission)
    assert submission.ended
    (cancelled,) = agent.asked("CancelSteps")
    (cluster,) = agent.clusters()
    job, stop = cluster.steps
    assert cancelled == {
        "ClusterId": cluster.id, "StepIds": [job.id], "StepCancellationOption": "TERMINATE_PROCESS",
    }  # fmt: skip
    assert (job.state, stop.state, stop.name) == ("CANCELLED", "COMPLETED", f"{TAG} stop")
    assert (stop.args[:2], stop.args[-1]) == (["bash", "-c"], TAG)
    assert 'yarn application -list -appTags "$1"' in stop.args[2]
    assert agent.alive() == [cluster.id]


def test_on_a_cluster_that_ends_with_the_command_its_end_is_enough(
    agent: Agent, used: ClusterInUse, steps: Steps
) -> None:
    steps.outcome = None
    interrupted(used.emr, agent, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        EmrClient(used).run(ARGUMENTS, Submission(TAG))
    used.close()
    (cluster,) = agent.clusters()
    assert [step.name for step in cluster.steps] == [TAG]
    assert cluster.state == "TERMINATED"


def test_a_later_command_stops_what_an_earlier_one_left(agent: Agent, kept: ClusterInUse, steps: Steps) -> None:
    """On whatever cluster it runs; not the steps of others."""
    steps.outcome = None
    steps.by_word["bash"] = ("COMPLETED", {})
    client = EmrClient(kept)
    cluster_id = kept.ready()
    for name in (TAG, "mr_ml:other"):
        client._add(cluster_id, name, ["hadoop-streaming", name])
    step_running(agent)
    another = ClusterInUse(kept.emr, kept.settings, None, Limits(), lambda text: None)
    thread, raised = in_background(lambda: EmrClient(another).stop(TAG))
    while not agent.asked("AddJobFlowSteps")[2:]:
        Clock().pause(0)
    (cluster,) = agent.clusters()
    other = next(step for step in cluster.steps if step.name == "mr_ml:other")
    assert other.state in ("PENDING", "RUNNING")
    agent.cancelled.add(other.id)
    thread.join()
    assert raised == []
    assert EmrClient(another).stop(TAG)
    assert [step.state for step in cluster.steps] == ["CANCELLED", "CANCELLED", "COMPLETED"]
    assert len(agent.asked("CancelSteps")) == 1


def test_an_application_that_could_not_be_killed_may_still_run(agent: Agent, kept: ClusterInUse, steps: Steps) -> None:
    """The step is gone; the one that was to kill its application failed."""
    steps.outcome = None
    steps.by_word["bash"] = ("FAILED", {})
    interrupted(kept.emr, agent, KeyboardInterrupt())
    submission = Submission(TAG)
    with pytest.raises(KeyboardInterrupt):
        EmrClient(kept).run(ARGUMENTS, submission)
    assert not submission.ended


@pytest.mark.parametrize("works", ["-list", "-kill", "neither", "both"])
def test_the_step_that_kills_applications_fails_with_yarn(tmp_path: Path, works: str) -> None:
    yarn = tmp_path / "yarn"
    yarn.write_text(f"""\
#!/bin/sh
echo "$@" >> {tmp_path}/asked
[ "$2" = -list ] && printf 'Total number of applications:2\\napplication_1_0004\\ta\\napplication_1_0005\\tb\\n'
[ {works} = both ] || [ "$2" = {works} ]
""")
    yarn.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", _STOP, "stop", TAG], env={"PATH": path}, capture_output=True, check=False)
    assert (done.returncode == 0) == (works == "both")
    listed = f"application -list -appTags {TAG}"
    killed = ["application -kill application_1_0004 application_1_0005"] if works in ("both", "-list") else []
    assert (tmp_path / "asked").read_text().splitlines() == [listed, *killed]


def test_nobody_says_whether_it_is_stopped(agent: Agent, kept: ClusterInUse) -> None:
    agent.faults.append(Fault("ListSteps", "AccessDeniedException"))
    assert not EmrClient(kept).stop(TAG)


def test_a_cancelled_step_is_said(agent: Agent, kept: ClusterInUse, steps: Steps) -> None:
    steps.outcome = ("CANCELLED", {})
    with pytest.raises(UnavailableError, match="was cancelled by somebody"):
        EmrClient(kept).run(ARGUMENTS, Submission(TAG))


def test_the_idle_policy_ends_a_cluster_that_nobody_ends(agent: Agent, emr: Emr, settings: EmrSettings) -> None:
    """As after the driver's machine has died; not while a step runs."""
    used = ClusterInUse(emr, settings, None, Limits(), lambda text: None)
    steps = agent.run_step
    assert isinstance(steps, Steps)
    steps.outcome = None
    added = EmrClient(used)._add(used.ready(), TAG, ["hadoop-streaming"])
    cluster = step_running(agent)
    agent.hurry = 1e5
    Clock().pause(0)
    assert look(emr, cluster.id).is_alive
    agent.cancelled.add(added)
    while agent.alive():
        Clock().pause(0)
    assert look(emr, cluster.id).reason == "Terminated by auto-termination policy"
