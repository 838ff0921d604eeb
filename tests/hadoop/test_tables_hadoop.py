"""Files of columns on HDFS, by jobs: tasks read their own parts of them, to the bytes of this machine."""

from __future__ import annotations

import json
import stat
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest
from cluster_commands import ClusterCommands, copy, jvm_starts, nothing_left
from dev_cluster import HadoopCluster

from hdfs_layout import LocalStore, open_store
from mr_ml.packing import plan
from mr_ml.readers.text import source


def table(seed: int, n: int = 500) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    colours = rng.choice(["red", "blue", "a, b"], n).tolist()
    return pa.table({"id": [f"r{k}" for k in range(n)], "x": x, "colour": colours, "label": (x > 0).astype(int)})


def dying(folder: Path) -> tuple[Path, Path]:
    """A Python whose first attempt of every map task dies in the middle of its output, and where it notes that."""
    deaths, python = folder / "deaths", folder / "python"
    deaths.touch()
    python.write_text(
        f'#!/bin/sh\ncase "$mapreduce_task_ismap$mapreduce_task_attempt_id" in true*_0)\n'
        f'  {sys.executable} "$@" | head -c 300\n  echo died >>{deaths}\n  kill -9 $$;;\nesac\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return python, deaths


@pytest.mark.slow
def test_parquet_is_packed_by_the_row_groups_whatever_dies(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Hive lays it out. A task for each row group; then what is no Parquet among the files, before any job."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 11)
    monkeypatch.setattr(source, "RANGE_BYTES", 1)
    raw = f"{on_cluster.hdfs_uri}/user/tests/{uuid.uuid4().hex[:8]}"
    for day in (1, 2):
        file = tmp_path / "raw" / f"dt=2026-11-0{day}" / "part 0.parquet"
        file.parent.mkdir(parents=True)
        pyarrow.parquet.write_table(table(day, 250 * day), file, row_group_size=250)
    copy(LocalStore(str(tmp_path / "raw")), open_store(raw))
    name = f"rows-{uuid.uuid4().hex[:8]}"
    asked = ("--to", name, "--drop", "id", "--folds", "2", "--split", "train=0.8,test=0.2", "--seed", "3")
    expected = packed.local("pack", tmp_path / "raw", *asked)
    python, deaths = dying(tmp_path)
    found = packed("pack", raw, *asked, python=python)
    assert found == expected
    # each of two jobs
    assert len(deaths.read_text().splitlines()) == 2 * 3
    theirs = json.loads(packed.store.read(f"datasets/{name}/v000001.json"))["partitions"]
    manifest = packed.local.manifest(f"{name}@1")
    assert [part["sha256"] for part in theirs] == [part["sha256"] for part in manifest["partitions"]]

    open_store(raw).write("dt=2026-11-02/part-1.parquet", b"no Parquet")
    trace = tmp_path / "trace"
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(trace))
    refused = packed.run("pack", raw, *asked)
    assert (refused.code, f"{raw}/dt=2026-11-02/part-1.parquet: expected Parquet" in refused.err) == (65, True)
    assert jvm_starts(trace) == []
    assert nothing_left(packed.store)


@pytest.mark.slow
def test_orc_is_predicted_with_what_is_kept(packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path) -> None:
    raw = f"{on_cluster.hdfs_uri}/user/tests/{uuid.uuid4().hex[:8]}"
    (tmp_path / "raw").mkdir()
    for day in (3, 4):
        pyarrow.orc.write_table(table(day), str(tmp_path / "raw" / f"part-{day}.orc"))
    copy(LocalStore(str(tmp_path / "raw")), open_store(raw))
    name = f"orc-{uuid.uuid4().hex[:8]}"
    packed.local("pack", tmp_path / "raw", "--to", name, "--drop", "id")
    packed.local("train", name, "--model", name, "--l2", "0.1")
    copy(LocalStore(str(packed.local.root)), packed.store, f"models/{name}")
    found = packed("predict", name, raw, "--keep", "id", "--to", tmp_path / "there")
    here = packed.local("predict", name, tmp_path / "raw", "--keep", "id", "--to", tmp_path / "here")
    assert found["n_rows"] == here["n_rows"] == 1000
    for day in (3, 4):
        lines = (tmp_path / "there" / f"part-{day}.orc").read_bytes()
        assert lines == (tmp_path / "here" / f"part-{day}.orc").read_bytes()
        assert lines.startswith(b"r0\t")
    assert nothing_left(packed.store)
