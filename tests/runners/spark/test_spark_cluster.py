"""Spark whose tasks share no files with the driver: two executors of one core each, fed by Spark.

That it comes to the same as elsewhere is in tests/contract.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import Commands
from spark_contexts import CLUSTER, SparkContexts
from spark_toy_jobs import JAVA, KillingPass
from spark_trainings import N_FEATURES, trained

from hdfs_layout import open_root
from mr_ml.errors import BadDataError
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
    store = runner.root.store
    assert not store.exists("tmp") or store.list("tmp") == ()


def test_a_partition_that_is_missing_is_named(packed: Commands, runner: SparkJobRunner) -> None:
    path = packed.partition_paths("squared@1")[1]
    whole = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(BadDataError, match="partition 1 is missing"):
            trained(packed.root, runner, "squared")
    finally:
        path.write_bytes(whole)
