"""The shipped archive as Hadoop runs it: a zip file, lines on standard input, lines on standard output."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from builders import make_blocks

from mr_ml.data.block import encode_line
from mr_ml.errors import BadDataError, InternalError, UnavailableError
from mr_ml.passes.request import PassRequest
from mr_ml.passes.tasks import decode_value
from mr_ml.runners.base import pair_of
from mr_ml.runners.hadoop.code import shipped_code
from mr_ml.runners.hadoop.said import failure
from mr_ml.runners.task_errors import ERROR_KEY, first_error
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.tree import PartitionPlan, SumTree


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task's working folder: the code and the request of a pass over 4 blocks."""
    found = tmp_path_factory.mktemp("task")
    (found / "mr_ml.zip").write_bytes(shipped_code().zipped())
    tree = SumTree((PartitionPlan(0, 4),))
    (found / "request").write_bytes(PassRequest(MomentsQuery(3), tree, "d", 0).encode())
    return found


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    x = np.random.default_rng(1).normal(size=(256, 3))
    return [encode_line(stored.block, stored.address) for stored in make_blocks(x, x[:, 0] > 0)]


def run(folder: Path, phase: str, given: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a task, which has to read all that it is given.

    Hadoop fails one that does not, if it is given more than a pipe holds.
    """
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    task = {"mapreduce_task_ismap": str(phase == "mapper").lower(), "mapreduce_map_maxattempts": "4"}
    task["mapreduce_reduce_maxattempts"] = "4"
    command = [sys.executable, "mr_ml.zip", "mr_ml_jobs.pass_job", "MRPass", "--step-num=0", f"--{phase}"]
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as logged:
        process = subprocess.Popen(
            [*command, "--request", "request"], cwd=folder, stdin=subprocess.PIPE, stdout=said, stderr=logged,
            env=clean | task | environment,
        )  # fmt: skip
        assert process.stdin is not None
        with process, process.stdin as fed:
            fed.write(given)
        found = []
        for file in (said, logged):
            file.seek(0)
            found.append(file.read())
        return subprocess.CompletedProcess(command, process.returncode, *found)


def test_map_and_reduce(folder: Path, lines: list[bytes]) -> None:
    mapped = [run(folder, "mapper", b"".join(part)) for part in (lines[:1], lines[1:])]
    assert [done.returncode for done in mapped] == [0, 0], mapped[0].stderr.decode()
    reduced = run(folder, "reducer", b"".join(sorted(b"".join(done.stdout for done in mapped).splitlines(True))))
    (pair,) = map(pair_of, reduced.stdout.splitlines())
    assert decode_value(pair[1])[1].n_rows == 256


def test_bad_data_is_told_at_once_and_passes_the_reduce_task(folder: Path, lines: list[bytes]) -> None:
    damaged = bytearray(lines[1])
    damaged[len(damaged) // 2] ^= 1
    attempt = {"mapreduce_task_attempt_id": "attempt_1_0001_m_000000_0", "mapreduce_job_reduces": "3"}
    done = run(folder, "mapper", lines[0] + bytes(damaged) + lines[2] * 1000, **attempt)
    assert done.returncode == 0
    (line,) = done.stdout.splitlines(keepends=True)
    # a reduce task that fails by itself goes on to the end, too
    for values in (line, line + b"no node\tno sum\n" * 100_000):
        reduced = run(folder, "reducer", values, **attempt, mapreduce_reduce_maxattempts="1")
        assert reduced.returncode == 0
        error = first_error([pair_of(line) for line in reduced.stdout.splitlines()])
        assert isinstance(error, BadDataError)
        assert "partition 0, block 1" in str(error)


@pytest.mark.parametrize(("attempt", "code"), [("0", 1), ("2", 1), ("3", 0), ("1000", 1), ("1003", 0)])
def test_the_last_attempt_reports_what_another_one_could_avoid(folder: Path, attempt: str, code: int) -> None:
    environment = {"mapreduce_task_attempt_id": f"attempt_1_0001_m_000000_{attempt}"}
    (folder / "request").rename(folder / "elsewhere")
    try:
        done = run(folder, "mapper", b"", **environment)
    finally:
        (folder / "elsewhere").rename(folder / "request")
    assert done.returncode == code
    assert b"FileNotFoundError" in done.stderr
    assert done.stdout.startswith(ERROR_KEY) == (code == 0)
    if code == 0:
        error = first_error([pair_of(line) for line in done.stdout.splitlines()])
        assert isinstance(error, InternalError)
        assert "FileNotFoundError" in str(error)
        assert "mapper_init" in str(error)


def test_the_same_code_has_the_same_name_and_leaves_the_driver_out() -> None:
    names = {name for name, _ in shipped_code().sources}
    assert shipped_code().hash == shipped_code().hash
    assert {"__main__.py", "mr_ml/sums/tree.py", "mr_ml_jobs/pass_job.py", "mrjob/job.py", "threadpoolctl.py"} <= names
    assert not [name for name in names if name.startswith(("mr_ml/cli/", "hdfs_layout/hdfs/"))]


def test_what_hadoop_says_of_a_failure() -> None:
    refused = [
        "java.net.ConnectException: Call From a/127.0.0.1 to b:8032 failed: Connection refused",
        "\tat x.Y.z(Y.java:1)",
    ]
    assert isinstance(failure(refused, application=None), UnavailableError)
    died = ["2026-01-01 00:00:00,000 INFO mapreduce.Job: map 0%", 'Error: java.io.IOException: Cannot run program "x"']
    found = failure(died, application="application_1_0001")
    assert isinstance(found, InternalError)
    assert "Cannot run program" in str(found)
    assert "application_1_0001" in str(found)
    assert "map 0%" not in str(found)
