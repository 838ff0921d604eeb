"""All commands on EMR, whose steps are processes of this machine: the same bytes, bits and words as of `-r local`.

The same on real Hadoop: tests/hadoop/test_s3a.py, whose jobs are these but for who hands them in. See test_emr_hadoop.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import boto3
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from agent import SMALL, Agent
from commands import Commands, copy, write_libsvm
from damage import changed, said_of
from streaming_steps import StreamingSteps

from hdfs_layout import LocalStore, open_store
from mr_ml.readers.text import source

pytestmark = pytest.mark.slow
ROOT = "s3://data/root"
PACK = ("--to", "rows", "--partitions", "2", "--split", "train=0.8,test=0.2")
LOGISTIC = ("--loss", "logistic", "--l2", "0.01", "--solver", "lbfgs", "--max-passes", "2")


def test_from_text_to_predictions_on_one_cluster(
    agent: Agent, config: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed bytes, coefficients, metrics and predictions, and what a task finds wrong."""
    boto3.client("s3").create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for name in ("FIRST_SECONDS", "MOST_SECONDS"):
        monkeypatch.setattr(f"mr_ml.runners.emr.steps.{name}", 0.1)
    agent.run_step = StreamingSteps()
    settings = config(f"{SMALL}python: {sys.executable}\npack_in_driver_mb: 0\nlog_uri: s3://data/logs\n")
    created = Commands(cast(Path, ROOT))("cluster", "create", "--config", settings)["cluster_id"]
    there = Commands(cast(Path, ROOT), runner=("-r", "emr", "--cluster-id", created, "--config", settings))
    here = Commands(tmp_path / "root", runner=("-r", "local", "--workers", "2"))
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 4))
    rows = write_libsvm(tmp_path / "rows", x, (x @ [2, -1, 0.5, 0] + rng.normal(size=300) > 0).astype(int))
    open_store("s3://data/raw").write("rows", rows.read_bytes())

    store, local = open_store(ROOT), LocalStore(str(here.root))
    assert there("pack", "s3://data/raw/rows", *PACK) == here("pack", rows, *PACK)
    packed = {os.path.basename(path): store.read(path) for path in store.walk("datasets/rows/data")}
    assert packed == {os.path.basename(path): local.read(path) for path in local.walk("datasets/rows/data")}
    there("train", "rows", *LOGISTIC, "--model", "m")
    here("train", "rows", *LOGISTIC, "--model", "m")
    assert there("models", "show", "m")["coef_sha256"] == here.coef("m").sha256
    # after one pass all coefficients are still zero
    assert np.abs(here.coef("m").coef).max() > 0.1
    assert there("evaluate", "m", "rows") == here("evaluate", "m", "rows")
    there("predict", "m", "s3://data/raw/rows", "--to", tmp_path / "there")
    here("predict", "m", rows, "--to", tmp_path / "here")
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()

    # row groups of Parquet, which tasks without credentials read themselves
    columns = pyarrow.table({"x": x[:, 0], "z": x[:, 1], "label": (x[:, 0] > 0).astype(int)})
    pyarrow.parquet.write_table(columns, tmp_path / "columns.parquet", row_group_size=150)
    open_store("s3://data/raw").write("columns.parquet", (tmp_path / "columns.parquet").read_bytes())
    monkeypatch.setattr(source, "RANGE_BYTES", 1)
    pack = ("--to", "columns", "--partitions", "2")
    assert there("pack", "s3://data/raw/columns.parquet", *pack) == here("pack", tmp_path / "columns.parquet", *pack)
    packed = {os.path.basename(path): store.read(path) for path in store.walk("datasets/columns/data")}
    assert packed == {os.path.basename(path): local.read(path) for path in local.walk("datasets/columns/data")}
    here("train", "columns", *LOGISTIC, "--model", "c")
    copy(local, store, "models/c")
    there("predict", "c", "s3://data/raw/columns.parquet", "--to", tmp_path / "there-columns")
    here("predict", "c", tmp_path / "columns.parquet", "--to", tmp_path / "here-columns")
    assert (tmp_path / "there-columns").read_bytes() == (tmp_path / "here-columns").read_bytes()

    options = ("rows", *LOGISTIC, "--model", "never")
    damaged = said_of(changed, store, "rows", there.run, options)
    assert damaged == said_of(changed, local, "rows", here.run, options)
    assert "partition 1" in damaged[1]
    assert not store.exists("tmp")
    Commands(cast(Path, ROOT))("cluster", "terminate", created)
