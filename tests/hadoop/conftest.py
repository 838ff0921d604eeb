"""A root on the session's cluster, and `mr-ml -r hadoop` on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from cluster_commands import ClusterCommands, copy
from commands import Commands, write_libsvm
from dev_cluster import HadoopCluster
from far_nights import processes, unfinished  # noqa: F401

from hdfs_layout import LocalStore, open_store
from mr_ml.packing import plan


@pytest.fixture(scope="session")
def on_cluster(hadoop_cluster: HadoopCluster) -> Iterator[HadoopCluster]:
    """This process's environment as of a user of the session's cluster."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HADOOP_HOME", "HADOOP_CONF_DIR", "HADOOP_LOG_DIR", "JAVA_HOME", "PATH"):
            if name in hadoop_cluster.environment:
                patch.setenv(name, hadoop_cluster.environment[name])
        yield hadoop_cluster


@pytest.fixture(scope="session")
def packed(on_cluster: HadoopCluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterCommands:
    """The dataset `rows`, 5 partitions of several blocks, packed locally and copied to HDFS as it is."""
    folder = tmp_path_factory.mktemp("packed")
    rng = np.random.default_rng(23)
    x = rng.normal(size=(900, 6))
    y = (x @ [2, -1, 0.5, 0, 1, 0] + rng.normal(size=900) > 0).astype(int)
    local = Commands(folder / "root", runner=("-r", "inline"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        shape = local("pack", write_libsvm(folder / "rows", x, y), "--to", "rows", "--partitions", "5")
    assert shape["partitions"] == 5
    assert shape["blocks"] >= 15
    root = f"{on_cluster.hdfs_uri}/user/tests/root"
    copy(LocalStore(str(folder / "root")), open_store(root))
    config = folder / "cluster.yaml"
    config.write_text(f"python: {sys.executable}\npack_in_driver_mb: 0\n", encoding="utf-8")
    return ClusterCommands(root, config, local)
