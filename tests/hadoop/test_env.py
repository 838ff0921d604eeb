"""`mr-ml env` on a real cluster: a node's Python that lacks numpy is found, mended, and trains to the same bits."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cluster_commands import ClusterCommands, copy, nothing_left
from dev_cluster import HadoopCluster

from hdfs_layout import open_root
from mr_ml.runners.hadoop.env import Environment, publish

TRAIN = ("train", "rows", "--model", "m", "--loss", "logistic", "--l2", "0.01", "--max-passes", "2")


@pytest.mark.slow
def test_packages_are_missing_then_brought_then_used(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what takes longest here is not what is tested
    monkeypatch.setattr("mr_ml.runners.hadoop.env_build._COMPRESSION", 1)
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    there = replace(packed, root=f"{on_cluster.hdfs_uri}/user/tests/bare-{uuid.uuid4().hex}")
    copy(packed.store, there.store, "datasets/rows")
    python = {"python": bare / "bin" / "python3"}

    found = there.run("env", "check", "--tasks", "1", "--json", **python)
    assert found.code == 69, found.err
    (node,) = found.result["nodes"]
    assert node["packages"] == {"numpy": None, "scipy": None}
    assert node["python"] == found.result["here"]["python"]
    assert "numpy cannot be imported" in found.result["problems"][0]
    assert "`mr-ml env build`" in found.err

    built = there.here("env", "build")
    assert built["uploaded"]
    again = there.here("env", "build")
    assert not again["uploaded"]
    assert (again["version"], again["uri"]) == (built["version"], built["uri"])

    mended = there("env", "check", "--tasks", "1", **python)
    assert mended["environment"]["uri"] == built["uri"]
    (node,) = mended["nodes"]
    assert {name: node["packages"][name] for name in ("numpy", "scipy")} == mended["here"]["packages"]
    assert node["bits"] == mended["here"]["bits"]
    assert (mended["problems"], mended["warnings"]) == ([], [])

    there(*TRAIN, **python)
    packed.local(*TRAIN)
    assert there.coef_sha256("m") == packed.local.coef("m").sha256
    assert np.abs(packed.local.coef("m").coef).max() > 0.1
    assert nothing_left(there.store)


def test_a_root_that_may_not_be_written(packed: ClusterCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_USER_NAME", "somebody")
    found = packed.run("env", "check")
    assert found.code == 74
    assert "permission denied to user 'somebody'" in found.err


def test_a_namenode_that_does_not_answer(packed: ClusterCommands) -> None:
    found = replace(packed, root="hdfs://127.0.0.1:1/root").run("env", "check")
    assert found.code == 69
    assert "expected an answer of HDFS" in found.err


def test_a_missing_archive_is_named(packed: ClusterCommands, on_cluster: HadoopCluster) -> None:
    root = f"{on_cluster.hdfs_uri}/user/tests/no-archive"
    gone = Environment(
        hash="0" * 32, python="3.11", packages={}, has_interpreter=False, has_shared_library=False, bytes=1
    )
    publish(open_root(root), gone)
    found = replace(packed, root=root).run("env", "check")
    assert found.code == 74
    assert "run `mr-ml env build` again" in found.err
