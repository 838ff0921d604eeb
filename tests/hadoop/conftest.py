"""A root on the session's cluster, and `mr-ml -r hadoop` on it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from commands import Commands, Outcome, write_libsvm
from dev_cluster import HadoopCluster

from hdfs_layout import LocalStore, Store, open_store
from mr_ml.pack import plan


@dataclass(frozen=True)
class ClusterCommands:
    """`mr-ml` on a root on HDFS, with a settings file that names the tasks' Python: the one that runs the tests."""

    root: str
    config: Path
    local: Commands

    def run(self, *args: object, **settings: Any) -> Outcome:
        return self.here.run(*args, "-r", "hadoop", "--config", self.settings(**settings))

    @property
    def here(self) -> Commands:
        """Commands that run no jobs, on the same root."""
        return Commands(cast(Path, self.root), runner=())

    def __call__(self, *args: object, **settings: Any) -> dict[str, Any]:
        found = self.run(*args, "--json", **settings)
        assert found.code == 0, f"mr-ml {' '.join(map(str, args))}: exit code {found.code}\n{found.err}"
        return found.result

    def settings(self, **more: Any) -> Path:
        """The settings file with other keys; values are YAML."""
        if not more:
            return self.config
        keys = {"python": sys.executable, **more}
        path = self.config.with_name(f"settings-{hashlib.sha256(repr(keys).encode()).hexdigest()[:12]}.yaml")
        path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()), encoding="utf-8")
        return path

    @property
    def store(self) -> Store:
        return open_store(self.root)

    def coef_sha256(self, model: str) -> str:
        """Of the published coefficients."""
        shown = self.here("models", "show", model)
        found = hashlib.sha256(self.store.read(shown["coef_uri"].removeprefix(self.root + "/"))).hexdigest()
        assert found == shown["coef_sha256"]
        return found


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
    config.write_text(f"python: {sys.executable}\n", encoding="utf-8")
    return ClusterCommands(root, config, local)


def copy(source: Store, target: Store, folder: str = "") -> None:
    """All files of a store, or of one of its folders, into another one."""
    for path in source.walk(folder):
        target.write(path, source.read(path))


def jvm_starts(trace: Path) -> list[str]:
    """The subcommand of each start of Java that the cluster's launcher has noted."""
    lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    # an argument may hold a line feed: what follows begins with the next option
    return [line.split()[0] for line in lines if not line.startswith(" -")]


def nothing_left(store: Store) -> bool:
    """Whether no temporary file of a job lies below the root."""
    return not store.exists("tmp") or not store.list("tmp")
