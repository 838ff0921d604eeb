"""Spark with all of it on this machine: the bits of other runners, the same errors, and what dies in the midst."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Commands
from spark_contexts import SparkContexts
from spark_toy_jobs import JAVA, WORKER, KillingPass
from spark_trainings import session, trained

from hdfs_layout import open_root
from mr_ml.errors import BadDataError, InternalError, UnavailableError
from mr_ml.runners.spark.runner import SparkJobRunner


def runner_of(contexts: SparkContexts, packed: Commands, master: str) -> SparkJobRunner:
    return contexts.runner(open_root(str(packed.root)), master)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared"])
def test_the_bits_of_other_runners(packed: Commands, spark_contexts: SparkContexts, loss: str, solver: str) -> None:
    on_spark = trained(packed.root, runner_of(spark_contexts, packed, "local[2]"), loss, solver=solver)
    assert on_spark == trained(packed.root, None, loss, solver=solver)


def test_pack_evaluate_and_predict(packed: Commands, spark_contexts: SparkContexts, tmp_path: Path) -> None:
    from mr_ml.packing.choices import PackChoices

    text = [str(packed.root.parent / "text" / "logistic")]
    choices = PackChoices(split={"train": 0.8, "test": 0.2}, partitions=3)
    found = []
    for name, runner in (("here", None), ("there", runner_of(spark_contexts, packed, "local[2]"))):
        opened = session(packed.root, runner)
        dataset = opened.pack(text, name, choices)
        model = opened.train(opened.spec("linear", "logistic", name, "train", {"loss": "logistic", "l2": 0.1}))
        metrics = opened.evaluate(f"{name}@{model.version}", "logistic", split="test")
        opened.predict(f"{name}@{model.version}", text, str(tmp_path / name))
        hashes = [partition.facts.sha256 for partition in dataset.partitions]
        found.append((hashes, {**metrics, "model": ""}, (tmp_path / name).read_bytes()))
    assert found[0] == found[1]


def test_a_truncated_partition_is_the_same_error(packed: Commands, spark_contexts: SparkContexts) -> None:
    path = packed.partition_paths("logistic@1")[1]
    whole = path.read_bytes()
    runner = runner_of(spark_contexts, packed, "local[2]")
    said = []
    try:
        for damaged in (whole[:-100], whole[:-101] + b"A" + whole[-100:]):
            path.write_bytes(damaged)
            for one in (None, runner):
                with pytest.raises(BadDataError) as caught:
                    trained(packed.root, one, "logistic")
                said.append(str(caught.value))
    finally:
        path.write_bytes(whole)
    assert said[0] == said[1]
    assert "partition 1" in said[0]
    assert said[2] == said[3]
    assert str(path) in said[2]


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
