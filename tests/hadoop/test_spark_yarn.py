"""Spark on YARN: pack, train and predict on HDFS, with the bytes and bits of one machine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from cluster_commands import ClusterCommands, copy
from commands import Commands, write_libsvm
from dev_cluster import HadoopCluster
from spark_contexts import QUICK_JAVA, SparkContexts

from hdfs_layout import LocalStore, open_root, open_store
from mr_ml.readers.text import source
from mr_ml.runners.base import RUNNERS, RunnerOptions
from mr_ml.runners.spark.runner import SparkJobRunner


@pytest.mark.slow
def test_all_commands_on_yarn(
    packed: ClusterCommands,
    on_cluster: HadoopCluster,
    spark_contexts: SparkContexts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one application, which takes a minute of all processors to start."""
    import numpy as np
    import pyspark

    spark_contexts.close()
    for name, value in QUICK_JAVA.items():
        monkeypatch.setenv(name, value)
    (quick,) = QUICK_JAVA.values()
    jars = os.path.dirname(str(pyspark.__file__)) + "/jars"
    settings = packed.settings(
        executors=2, executor_memory_mb=512, cache_mb=50,
        conf=(
            f"{{spark.yarn.jars: 'local:{jars}/*', spark.yarn.am.memory: 512m, spark.driver.host: 127.0.0.1, "
            f"spark.driver.bindAddress: 127.0.0.1, spark.executor.extraJavaOptions: '{quick}', "
            f"spark.yarn.am.extraJavaOptions: '{quick}'}}"
        ),
    )  # fmt: skip
    there = Commands(packed.here.root, runner=("-r", "spark", "--master", "yarn", "--config", str(settings)))
    here = Commands(tmp_path / "root", runner=("-r", "inline"))
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 5))
    text = write_libsvm(tmp_path / "rows", x, (x[:, 0] > 0).astype(int))
    raw = open_store(f"{packed.root}-raw-spark")
    raw.write("rows", text.read_bytes())
    columns = pyarrow.table({"x": x[:, 0], "z": x[:, 1], "label": (x[:, 0] > 0).astype(int)})
    pyarrow.parquet.write_table(columns, tmp_path / "rows.parquet", row_group_size=150)
    raw.write("rows.parquet", (tmp_path / "rows.parquet").read_bytes())
    monkeypatch.setattr(source, "RANGE_BYTES", 1)
    runner = RUNNERS.get("spark").open(open_root(packed.root), RunnerOptions(master="yarn", config=str(settings)))
    with contextlib.closing(runner), monkeypatch.context() as patch:
        patch.setattr(SparkJobRunner, "of", lambda *options: runner)
        patch.setattr(SparkJobRunner, "close", lambda runner: None)
        pack = ("--to", "on-yarn", "--partitions", "2", "--seed", "4")
        assert there("pack", f"{packed.root}-raw-spark/rows", *pack) == here("pack", text, *pack)
        expected = [partition["sha256"] for partition in here.manifest("on-yarn@1")["partitions"]]
        store = packed.store
        assert all(digest.encode() in store.read("datasets/on-yarn/v000001.json") for digest in expected)
        train = ("train", "on-yarn", "--model", "y", "--l2", "0.1", "--solver", "lbfgs", "--max-passes", "5")
        there(*train)
        here(*train)
        assert packed.coef_sha256("y") == here.coef("y").sha256
        there("predict", "y", f"{packed.root}-raw-spark/rows", "--to", tmp_path / "far")
        here("predict", "y", text, "--to", tmp_path / "near")
        assert (tmp_path / "far").read_bytes() == (tmp_path / "near").read_bytes()

        # row groups, which tasks read by themselves
        asked = ("--to", "columns", "--seed", "4")
        assert there("pack", f"{packed.root}-raw-spark/rows.parquet", *asked) == here(
            "pack", tmp_path / "rows.parquet", *asked
        )
        expected = [partition["sha256"] for partition in here.manifest("columns@1")["partitions"]]
        assert all(digest.encode() in store.read("datasets/columns/v000001.json") for digest in expected)
        here("train", "columns", "--model", "c", "--l2", "0.1", "--max-passes", "3")
        copy(LocalStore(str(here.root)), store, "models/c")
        there("predict", "c", f"{packed.root}-raw-spark/rows.parquet", "--to", tmp_path / "far-columns")
        here("predict", "c", tmp_path / "rows.parquet", "--to", tmp_path / "near-columns")
        assert (tmp_path / "far-columns").read_bytes() == (tmp_path / "near-columns").read_bytes()
    assert not [name for name in store.list("tmp") if name.startswith("spark-")]
