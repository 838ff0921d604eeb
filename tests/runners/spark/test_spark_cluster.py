"""Spark whose tasks share no files with the driver: two executors of one core each, fed by Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import Commands
from spark_contexts import CLUSTER, SparkContexts
from spark_toy_jobs import JAVA, KillingPass
from spark_trainings import N_FEATURES, session, trained

from hdfs_layout import open_root
from mr_ml.errors import BadDataError
from mr_ml.packing.choices import PackChoices
from mr_ml.runners.base import Pair
from mr_ml.runners.spark import tasks
from mr_ml.runners.spark.runner import SparkJobRunner
from mr_ml.sums import slices


@pytest.fixture
def runner(packed: Commands, spark_contexts: SparkContexts) -> SparkJobRunner:
    """With room for decoded blocks in the executors' Python."""
    return spark_contexts.runner(open_root(str(packed.root)), CLUSTER)


def test_trainings_are_the_same_though_an_executor_is_killed(
    packed: Commands, runner: SparkJobRunner, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained(packed.root, None, "softmax", solver="lbfgs")
    assert trained(packed.root, runner, "softmax", solver="lbfgs") == expected
    monkeypatch.setattr("mr_ml_jobs.pass_job.MRPass", KillingPass)
    (marks / JAVA).touch()
    assert trained(packed.root, runner, "softmax", solver="lbfgs") == expected
    assert not (marks / JAVA).exists()


def test_wide_models_over_several_reduce_tasks(
    packed: Commands, runner: SparkJobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three slices of features, each added up by a reduce task; narrow ones by partitions."""
    assert N_FEATURES > 2 * slices.FEATURE_BLOCK
    counted: list[int] = []
    run = SparkJobRunner.run

    def with_reducers(self: SparkJobRunner, job: Any, **options: Any) -> list[Pair]:
        pairs = run(self, job, **{**options, "n_reducers": 3})
        counted.append(len({tasks.place(3, key) for key, _ in pairs}))
        return pairs

    wide = {"loss": "logistic", "solver": "lbfgs", "max_passes": 2, "l2": 1.0}
    expected = [trained(packed.root, None, "logistic"), trained(packed.root, None, "wide", **wide)]
    monkeypatch.setattr(SparkJobRunner, "run", with_reducers)
    assert [trained(packed.root, runner, "logistic"), trained(packed.root, runner, "wide", **wide)] == expected
    assert min(counted) > 1
    assert counted[-2:] == [3, 3]


def test_pack_evaluate_and_predict(packed: Commands, runner: SparkJobRunner, tmp_path: Path) -> None:
    text = [str(packed.root.parent / "text" / "logistic")]
    choices = PackChoices(split={"train": 0.8, "test": 0.2}, partitions=3)
    found = []
    for name, one in (("near", None), ("far", runner)):
        opened = session(packed.root, one)
        dataset = opened.pack(text, name, choices)
        model = opened.train(opened.spec("linear", name, name, "train", {"loss": "logistic", "l2": 0.1}))
        metrics = opened.evaluate(f"{name}@{model.version}", name, split="test")
        opened.predict(f"{name}@{model.version}", text, str(tmp_path / name))
        hashes = [partition.facts.sha256 for partition in dataset.partitions]
        found.append((hashes, {**metrics, "model": "", "dataset": ""}, (tmp_path / name).read_bytes()))
    assert found[0] == found[1]
    assert runner.root.store.list("tmp") == ()


def test_partitions_that_are_damaged_are_named(packed: Commands, runner: SparkJobRunner) -> None:
    path = packed.partition_paths("squared@1")[1]
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-100])
        with pytest.raises(BadDataError, match="pack the dataset again"):
            trained(packed.root, runner, "squared")
        path.unlink()
        with pytest.raises(BadDataError, match="partition 1 is missing"):
            trained(packed.root, runner, "squared")
    finally:
        path.write_bytes(whole)
