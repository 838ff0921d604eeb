"""Spark with all of it on this machine: what dies in the midst. That it comes to the same is in tests/contract."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Commands
from spark_contexts import SparkContexts
from spark_toy_jobs import JAVA, WORKER, KillingPass
from spark_trainings import trained

from hdfs_layout import open_root
from mr_ml.errors import InternalError, UnavailableError
from mr_ml.runners.spark.runner import SparkJobRunner


def runner_of(contexts: SparkContexts, packed: Commands, master: str) -> SparkJobRunner:
    return contexts.runner(open_root(str(packed.root)), master)


def test_a_worker_that_is_killed_ends_the_job_unless_spark_may_try_again(
    packed: Commands, spark_contexts: SparkContexts, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained(packed.root, None, "logistic")
    monkeypatch.setattr("mr_ml_jobs.pass_job.MRPass", KillingPass)
    (marks / WORKER).touch()
    once = runner_of(spark_contexts, packed, "local[2]")
    with pytest.raises(InternalError, match=r"Python was killed.*with local\[2,4\] it is"):
        trained(packed.root, once, "logistic")
    assert not (marks / WORKER).exists()
    assert trained(packed.root, once, "logistic") == expected
    (marks / WORKER).touch()
    assert trained(packed.root, runner_of(spark_contexts, packed, "local[2,4]"), "logistic") == expected
    assert not (marks / WORKER).exists()


def test_java_that_is_killed_is_unavailable(
    packed: Commands,
    spark_contexts: SparkContexts,
    marks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("mr_ml_jobs.pass_job.MRPass", KillingPass)
    runner = runner_of(spark_contexts, packed, "local[2,4]")
    java = runner.shared.opened("test").java
    (marks / JAVA).touch()
    with pytest.raises(UnavailableError, match="was killed by signal 9 in the midst of it"):
        trained(packed.root, runner, "logistic")
    assert java.has_ended()
    spark_contexts.close()
    assert not os.path.exists(java.folder)
    assert capfd.readouterr().err == ""
