"""One dataset, one model: the same bytes and bits on this machine and on a cluster, wide or in hundreds of files.

On three workers, some of which are killed, a model is trained in test_faults.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cluster_commands import ClusterCommands, jvm_starts, nothing_left
from commands import Commands
from dev_cluster import HadoopCluster

from hdfs_layout import open_store
from mr_ml.packing import plan
from mr_ml.sums import slices

N_FEATURES = 600_000
AS_JOBS = ("--engine", "mapreduce")


@pytest.fixture
def there(packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path) -> ClusterCommands:
    """Commands on a root of their own; and the same on this machine."""
    root = f"{on_cluster.hdfs_uri}/user/tests/bits-{uuid.uuid4().hex}"
    return replace(packed, root=root, local=Commands(tmp_path / "root", runner=("-r", "inline")))


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
def test_several_reducers_and_splits(there: ClusterCommands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More features than a slice has, partitions of several splits; all of it through the command line."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 17)
    here = there.local
    assert N_FEATURES > 2 * slices.FEATURE_BLOCK
    text = write_sparse(tmp_path / "wide.libsvm", n_rows=6_500, nonzeros=90, n_features=N_FEATURES)
    raw = open_store(f"{there.root}-raw")
    raw.write("wide.libsvm", text.read_bytes())
    pack = ("--to", "wide", "--split", "train=0.8,test=0.2", "--partitions", "2")
    train = ("train", "wide", "--model", "m", "--l2", "1", "--max-passes", "2")

    assert there("pack", f"{there.root}-raw/wide.libsvm", *pack) == here("pack", text, *pack)
    expected = here.partition_hashes("wide@1")
    folder = open_store(there.root)
    found = {path.rpartition("/")[2]: path for path in folder.walk("datasets/wide/data") if "/part-" in path}
    assert {name: hashlib.sha256(folder.read(path)).hexdigest() for name, path in found.items()} == expected
    largest = max(path.stat().st_size for path in here.partition_paths("wide@1"))
    assert largest > 1.2 * (1 << 20)

    here(*train)
    assert np.count_nonzero(here.coef("m").coef) > 100_000
    there(*train, *AS_JOBS, reducers=3, split_mb=1)
    assert there.coef_sha256("m") == here.coef("m").sha256
    assert nothing_left(there.store)


@pytest.mark.slow
def test_hundreds_of_partitions_with_room_for_few_map_tasks_at_a_time(
    there: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Map tasks wait for nothing but room, and hundreds of small files are not hundreds of tasks."""
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 8)
    here = there.local
    text = write_sparse(tmp_path / "rows.libsvm", n_rows=8_000, nonzeros=4, n_features=900)
    shape = here("pack", text, "--to", "rows", "--partitions", "240")
    assert shape["partitions"] == 240
    here("train", "rows", "--model", "m", "--l2", "0.01", "--solver", "lbfgs", "--max-passes", "2")
    assert np.count_nonzero(here.coef("m").coef) > 800
    parent = there.root.rpartition("/")[0]
    for command in (["-mkdir", "-p", parent], ["-put", "-t", "8", str(here.root), there.root]):
        done = on_cluster.hadoop("fs", *command)
        assert done.returncode == 0, done.stderr.decode()
    trace = tmp_path / "trace"
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(trace))
    size = sum(path.stat().st_size for path in here.partition_paths("rows@1"))
    # a worker has 2048 MB, and the application's master 512 of those of one
    settings = {
        "map_memory_mb": 1100,
        "reducers": 2,
        "jobconf": f"{{mapreduce.input.fileinputformat.split.maxsize: {size // 3}}}",
    }

    def containers() -> set[Path]:
        return set(on_cluster.directory.glob("logs/userlogs/*/container_*"))

    before, evaluate = containers(), ("evaluate", "m", "rows", "--split", "train")
    assert there(*evaluate, *AS_JOBS, **settings) == here(*evaluate)
    assert jvm_starts(trace) == ["jar"]
    # the master, some map tasks and the reduce tasks
    assert 1 + 3 + 2 <= len(containers() - before) <= 1 + 6 + 2
