"""One dataset, one model: the same bytes and bits on this machine and on clusters of one and of three workers."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cluster_commands import ClusterCommands, jvm_starts, nothing_left
from commands import Commands
from dev_cluster import HadoopCluster

from hdfs_layout import open_store
from mr_ml.packing import plan
from mr_ml.sums import slices

Start = Callable[..., HadoopCluster]
N_FEATURES = 600_000


def on(cluster: HadoopCluster, folder: Path, patch: pytest.MonkeyPatch) -> ClusterCommands:
    """Commands on a root of their own, in the environment of the cluster's user; and the same on this machine."""
    for name in ("HADOOP_HOME", "HADOOP_CONF_DIR", "HADOOP_LOG_DIR", "JAVA_HOME", "PATH"):
        if name in cluster.environment:
            patch.setenv(name, cluster.environment[name])
    config = folder / "cluster.yaml"
    config.write_text(f"python: {sys.executable}\npack_in_driver_mb: 0\n", encoding="utf-8")
    local = Commands(folder / "root", runner=("-r", "inline"))
    return ClusterCommands(f"{cluster.hdfs_uri}/user/tests/bits", config, local)


def write_sparse(path: Path, *, n_rows: int, nonzeros: int, n_features: int) -> Path:
    """Rows of ones, a few features in most of them; the label is a matter of these."""
    rng = np.random.default_rng(9)
    ids = (n_features * rng.random((n_rows, nonzeros)) ** 4).astype(int)
    ids[:, 0] = n_features - 1 - np.arange(n_rows) % 3
    labels = (np.sin(ids).sum(axis=1) > 0).astype(int)
    lines = [
        f"{label} " + " ".join(f"{i + 1}:{1 + i % 5}" for i in sorted(set(row)))
        for label, row in zip(labels.tolist(), ids.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


@pytest.mark.slow
def test_three_workers_any_reducers_any_splits(
    start_hadoop_cluster: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More features than a slice has, partitions of several splits; all of it through the command line."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 17)
    there = on(start_hadoop_cluster(3), tmp_path, monkeypatch)
    here = there.local
    assert N_FEATURES > 2 * slices.FEATURE_BLOCK
    text = write_sparse(tmp_path / "wide.libsvm", n_rows=12_000, nonzeros=90, n_features=N_FEATURES)
    raw = open_store(f"{there.root}-raw")
    raw.write("wide.libsvm", text.read_bytes())
    pack = ("--to", "wide", "--split", "train=0.8,test=0.2", "--partitions", "3")
    train = ("train", "wide", "--model", "m", "--l2", "1", "--max-passes", "2")
    evaluate = ("evaluate", "m", "wide", "--split", "test")

    assert there("pack", f"{there.root}-raw/wide.libsvm", *pack) == here("pack", text, *pack)
    expected = here.partition_hashes("wide@1")
    folder = open_store(there.root)
    found = {path.rpartition("/")[2]: path for path in folder.walk("datasets/wide/data") if "/part-" in path}
    assert {name: hashlib.sha256(folder.read(path)).hexdigest() for name, path in found.items()} == expected
    largest = max(path.stat().st_size for path in here.partition_paths("wide@1"))
    assert largest > 2 << 20

    here(*train)
    assert np.count_nonzero(here.coef("m").coef) > 100_000
    there(*train, reducers=7, split_mb=1)
    assert there.coef_sha256("m") == here.coef("m").sha256
    # two reduce tasks, and a map task for each of the partitions
    there(*train, reducers=2)
    assert there.coef_sha256("m") == here.coef("m").sha256
    assert there(*evaluate, reducers=2, split_mb=1) == {**here(*evaluate), "model": "m@2"}
    assert nothing_left(there.store)


@pytest.mark.slow
def test_784_partitions_with_room_for_one_map_task_at_a_time(
    start_hadoop_cluster: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Map tasks wait for nothing but room, and hundreds of small files are not hundreds of tasks."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 8)
    cluster = start_hadoop_cluster(1)
    there = on(cluster, tmp_path, monkeypatch)
    here = there.local
    text = write_sparse(tmp_path / "rows.libsvm", n_rows=8_000, nonzeros=4, n_features=900)
    shape = here("pack", text, "--to", "rows", "--partitions", "784")
    assert shape["partitions"] == 784
    parent = there.root.rpartition("/")[0]
    for command in (["-mkdir", "-p", parent], ["-put", "-t", "8", str(here.root), there.root]):
        done = cluster.hadoop("fs", *command)
        assert done.returncode == 0, done.stderr.decode()
    train = ("train", "rows", "--model", "m", "--l2", "0.01", "--solver", "lbfgs", "--max-passes", "2")
    here(*train)
    assert np.count_nonzero(here.coef("m").coef) > 800
    trace = tmp_path / "trace"
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(trace))
    size = sum(path.stat().st_size for path in here.partition_paths("rows@1"))
    # a worker has 2048 MB, and the application's master 512 of them
    settings = {
        "map_memory_mb": 1100,
        "jobconf": f"{{mapreduce.input.fileinputformat.split.maxsize: {size // 3}}}",
    }
    there(*train, **settings)
    assert there.coef_sha256("m") == here.coef("m").sha256
    assert jvm_starts(trace) == ["jar"] * 2
    # of each pass the master, some map tasks and the reduce task
    containers = [*cluster.directory.glob("logs/userlogs/*/container_*")]
    assert 2 * (1 + 3 + 1) <= len(containers) <= 2 * (1 + 6 + 1)
