"""Who cleans up after whom on a cluster; and what is said of a job that failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hdfs_layout import open_root
from hdfs_layout.owners import FORGOTTEN_SECONDS
from mr_ml.errors import InternalError, LockedError, MrMlError, StorageError, UnavailableError, UsageError
from mr_ml.runners.hadoop.said import failure
from mr_ml.runners.hadoop.work import OWNER_NAME, Owner, tag_of, take_over


class Root:
    def __init__(self, folder: Path) -> None:
        self.root = open_root(str(folder))
        self.stopped: list[str] = []

    def add(self, work: str, owner: bytes) -> None:
        self.root.store.write(f"{self.root.layout.job(work)}/{OWNER_NAME}", owner)
        self.root.store.write(f"{self.root.layout.job(work)}/request", b"...")

    def take_over(self, work: str = "mine", *, stop: Callable[[str], bool] | None = None) -> list[str]:
        """The works that are left."""
        take_over(self.root, work, stop=stop or self.stop)
        return list(self.root.store.list("tmp")) if self.root.store.exists("tmp") else []

    def stop(self, tag: str) -> bool:
        self.stopped.append(tag)
        return True


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def dead() -> Owner:
    """A process of this machine that has ended."""
    code = "from mr_ml.runners.hadoop.work import Owner; print(Owner.here().encode().decode())"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    found = Owner.decode(done.stdout)
    assert found is not None
    return found


def test_nothing_to_take_over(root: Root) -> None:
    assert root.take_over() == []


def test_of_a_dead_process_applications_are_stopped_and_files_removed(root: Root) -> None:
    root.add("Gone-1", dead().encode())
    assert root.take_over() == []
    assert root.stopped == ["mr_ml:gone-1"]


def test_a_process_that_lives_is_left_alone(root: Root) -> None:
    root.add("busy", Owner.here().encode())
    assert root.take_over() == ["busy"]
    assert root.stopped == []


def test_the_same_id_given_again_is_another_process(root: Root) -> None:
    root.add("gone", replace(Owner.here(), started=Owner.here().started - 1).encode())
    assert root.take_over() == []


@pytest.mark.parametrize(("age", "left"), [(60.0, ["far"]), (FORGOTTEN_SECONDS + 60, [])])
def test_of_another_machine_after_a_long_time_only(root: Root, age: float, left: list[str]) -> None:
    root.add("far", replace(dead(), place="elsewhere", since=time.time() - age).encode())
    assert root.take_over() == left


@pytest.mark.parametrize("owner", [b"", b"null", b"[]", b'{"pid": 1}', b"\xff", b"[" * 100_000, b'{"pid": 1e999}'])
def test_what_is_no_owner_is_left_alone(root: Root, owner: bytes) -> None:
    root.add("strange", owner)
    assert root.take_over() == ["strange"]


def test_what_cannot_be_stopped_is_left_for_the_next(root: Root) -> None:
    root.add("gone", dead().encode())
    assert root.take_over(stop=lambda tag: False) == ["gone"]


@pytest.mark.parametrize("owner", [b"", b"null"])
def test_who_resumes_takes_back_whatever_there_is(root: Root, owner: bytes) -> None:
    root.add("mine", owner)
    assert root.take_over("mine") == []
    assert root.stopped == [tag_of("mine")]


def test_of_another_machine_too(root: Root) -> None:
    root.add("mine", replace(Owner.here(), place="elsewhere").encode())
    assert root.take_over("mine") == []


@pytest.mark.parametrize(
    ("served_by", "stopped"), [("mr_ml:its-tasks", ["mr_ml:mine", "mr_ml:its-tasks"]), ("another", ["mr_ml:mine"])]
)
def test_who_resumes_stops_the_tasks_that_were_at_the_work(root: Root, served_by: str, stopped: list[str]) -> None:
    """They may be at others by now, but for a process that lives here."""
    owner = replace(dead(), served_by=served_by)
    root.add("mine", owner.encode())
    assert root.take_over("mine") == []
    assert root.stopped == stopped
    root.stopped.clear()
    root.add("mine", Owner.here(served_by=served_by).encode())
    assert root.take_over("mine") == []
    assert root.stopped == ["mr_ml:mine"]


def test_nobody_resumes_what_is_at_work(root: Root) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            fields = (Path(f"/proc/{other.pid}/stat").read_text().rpartition(")"))[2].split()
            owner = replace(Owner.here(), pid=other.pid, started=int(fields[19]))
            root.add("mine", owner.encode())
            with pytest.raises(LockedError, match=f"process {other.pid}"):
                root.take_over("mine")
        finally:
            other.kill()
    assert root.stopped == []


def test_nobody_resumes_what_cannot_be_stopped(root: Root) -> None:
    root.add("mine", dead().encode())
    with pytest.raises(UnavailableError, match="mr_ml:mine"):
        root.take_over("mine", stop=lambda tag: False)
    assert root.root.store.exists("tmp/mine/request")


def test_an_owner_survives_its_encoding() -> None:
    here = Owner.here()
    assert Owner.decode(here.encode()) == here
    assert json.loads(here.encode())["pid"] == os.getpid()


FAILED = """\
packageJobJar: [] [/opt/streaming.jar] /tmp/streamjob1.jar tmpDir=null
2026-11-23 08:40:00,000 INFO mapreduce.Job: Running job: job_1_0001
2026-11-23 08:40:09,000 INFO mapreduce.Job:  map 0% reduce 0%
2026-11-23 08:40:10,000 INFO mapreduce.Job: Task Id : attempt_1_0001_m_000000_0, Status : FAILED
Error: java.lang.RuntimeException: PipeMapRed.waitOutputThreads(): subprocess failed with code {code}
\tat org.apache.hadoop.streaming.PipeMapRed.waitOutputThreads(PipeMapRed.java:326)
2026-11-23 08:40:20,000 INFO mapreduce.Job: Job job_1_0001 failed with state FAILED due to: Task failed task_1_0001_m_0

2026-11-23 08:40:21,000 INFO mapreduce.Job: Counters: 40
\tJob Counters
{counters}
2026-11-23 08:40:21,500 ERROR streaming.StreamJob: Job not successful!
Streaming Command Failed!
"""
COUNTERS = "\n".join(f"\t\tCounter {k}={k}" for k in range(40))


@pytest.mark.parametrize(
    ("code", "hint"), [(3, "Hadoop said"), (127, "do not have the Python"), (137, "raise map_memory_mb")]
)
def test_the_cause_is_shown_and_not_the_counters(code: int, hint: str) -> None:
    said = FAILED.format(code=code, counters=COUNTERS).splitlines()
    found = failure(said, application="application_1_0001")
    assert isinstance(found, InternalError)
    for part in (f"code {code}", "attempt_1_0001_m_000000_0", "yarn logs -applicationId application_1_0001", hint):
        assert part in str(found)
    assert "Counter" not in str(found)
    assert "PipeMapRed.java" not in str(found)


REFUSED = "2026-11-23 08:40:21,500 ERROR streaming.StreamJob: Error Launching job : java.net.ConnectException: refused"


@pytest.mark.parametrize(
    ("application", "words"), [(None, "did not take"), ("application_1_0001", "no longer answers")]
)
def test_a_cluster_that_is_gone(application: str | None, words: str) -> None:
    found = failure([REFUSED], application=application)
    assert isinstance(found, UnavailableError)
    assert words in str(found)
    assert "refused" in str(found)


def test_a_job_that_failed_for_a_refused_connection_has_failed() -> None:
    said = [*FAILED.format(code=1, counters="").splitlines(), REFUSED]
    assert isinstance(failure(said, application="application_1_0001"), InternalError)


@pytest.mark.parametrize(
    ("line", "kind", "advice"),
    [
        (
            'org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3"',
            UsageError,
            "Give `root` as s3a://",
        ),
        (
            'Exception in thread "main" java.lang.RuntimeException: java.lang.ClassNotFoundException: Class '
            "org.apache.hadoop.fs.s3a.S3AFileSystem not found",
            UsageError,
            "HADOOP_OPTIONAL_TOOLS=hadoop-aws",
        ),
        (
            "java.nio.file.AccessDeniedException: s3a://b/root: getFileStatus on s3a://b/root: software.amazon.awssdk."
            "services.s3.model.S3Exception: null (Service: S3, Status Code: 403, Request ID: 1):403 Forbidden",
            StorageError,
            "not those of this machine",
        ),
    ],
    ids=["no s3://", "no connector", "not allowed"],
)  # fmt: skip
def test_a_cluster_that_cannot_use_s3(line: str, kind: type[MrMlError], advice: str) -> None:
    found = failure([line, "\tat org.apache.hadoop.fs.Path.getFileSystem(Path.java:366)"], application=None)
    assert type(found) is kind
    assert advice in str(found)
    assert line in str(found)
