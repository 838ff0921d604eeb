"""Spark with all of it on this machine: what dies in the midst. That it comes to the same is in tests/contract."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Commands
from s3_servers import S3Server
from spark_contexts import SparkContexts
from spark_toy_jobs import JAVA, WORKER, KillingPass
from spark_trainings import session, trained

from hdfs_layout import open_root
from mr_ml.catalog.model import load_model
from mr_ml.errors import InternalError, UnavailableError
from mr_ml.runners.spark.runner import SparkJobRunner
from mr_ml.session import Session


def runner_of(contexts: SparkContexts, packed: Commands, master: str) -> SparkJobRunner:
    return contexts.runner(open_root(str(packed.root)), master)


def test_a_root_on_s3(
    packed: Commands, spark_contexts: SparkContexts, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks open its files as the driver does."""
    from mr_ml.packing.choices import PackChoices

    moto_server.use(monkeypatch)
    root = open_root(f"s3://{moto_server.bucket()}/root")
    # tasks have the environment in which Java began
    spark_contexts.close()
    try:
        runner = spark_contexts.runner(root, "local[2]")
        opened = Session(root=root, runner=runner)
        text = [str(packed.root.parent / "text" / "logistic")]
        there = opened.pack(text, "logistic", PackChoices(split={"train": 0.8, "test": 0.2}, partitions=3))
        model = opened.train(opened.spec("linear", "logistic", "m", "train", {"loss": "logistic", "l2": 0.1}))
    finally:
        spark_contexts.close()
    inline = session(packed.root)
    here = inline.pack(text, "inline", PackChoices(split={"train": 0.8, "test": 0.2}, partitions=3))
    assert [part.facts.sha256 for part in there.partitions] == [part.facts.sha256 for part in here.partitions]
    expected = inline.train(inline.spec("linear", "inline", "m", "train", {"loss": "logistic", "l2": 0.1}))
    found = [load_model(opened.root, f"m@{model.version}"), load_model(inline.root, f"m@{expected.version}")]
    assert found[0].manifest["coef"]["sha256"] == found[1].manifest["coef"]["sha256"]


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
