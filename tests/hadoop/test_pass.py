"""Passes on a real cluster: one start of Java for each job, and faults that end in clear errors.

See also test_pass_bits and test_resident.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from cluster_commands import ClusterCommands, copy, jvm_starts, nothing_left
from commands import Commands, environment, write_libsvm
from dev_cluster import HadoopCluster

from hdfs_layout import LocalStore, open_root
from mr_ml.catalog.dataset import load_dataset
from mr_ml.errors import BadDataError, InternalError, UnavailableError
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.needs import Needs
from mr_ml.packing import plan
from mr_ml.passes.base import Engine
from mr_ml.passes.engines import ENGINES, Kept, PassesWanted
from mr_ml.runners.hadoop.runner import HadoopJobRunner
from mr_ml.runners.hadoop.settings import HadoopSettings

TRAIN = ("train", "rows", "--loss", "logistic", "--l2", "0.01")
SETTINGS = HadoopSettings(python=sys.executable)
QUERY = MetricsQuery(RowSpec(loss_from_json("logistic"), 6, (0.0, 1.0)), np.linspace(-1, 1.5, 7)[None])


@contextmanager
def engine(root: str, settings: HadoopSettings = SETTINGS, *, name: str = "mapreduce") -> Iterator[Engine]:
    opened = open_root(root)
    wanted = PassesWanted(
        dataset=load_dataset(opened, "rows"), split="train", store=opened.store,
        runner=HadoopJobRunner(opened, settings), cache_bytes=0,
        needs=Needs(block_sum_bytes=100, sum_bytes=100, n_blocks=3), kept=Kept(),
    )  # fmt: skip
    with closing(wanted.kept), closing(ENGINES.get(name)(wanted)) as made:
        yield made


@pytest.mark.slow
def test_interrupted_and_resumed_training_ends_in_the_local_model(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path
) -> None:
    """SIGTERM in a pass that is a job kills the application; tasks that stay go on, to the model of one process."""
    trace = tmp_path / "trace"
    command = [sys.executable, "-m", "mr_ml", *TRAIN, "--model", "m", "--max-passes", "2", "--root", packed.root]
    running = subprocess.Popen(
        [*command, "-r", "hadoop", "--engine", "mapreduce", "--config", packed.config],
        env={**environment(), "MR_ML_HADOOP_TRACE": str(trace)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    application = wait_for_application(on_cluster, running, after=applications(on_cluster))
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 143, said.decode()
    assert applications(on_cluster)[application] == "KILLED"
    assert nothing_left(packed.store)
    assert jvm_starts(trace) == ["jar", "application"]

    run = said.decode().split()[1].rstrip(":")
    trace.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MR_ML_HADOOP_TRACE", str(trace))
        done = packed("train", "--resume", run)
    assert done["passes"] == 2
    assert jvm_starts(trace) == ["jar"]
    packed.local(*TRAIN, "--model", "m", "--max-passes", "2")
    assert packed.coef_sha256("m") == packed.local.coef("m").sha256
    assert np.abs(packed.local.coef("m").coef).max() > 0.1
    assert nothing_left(packed.store)


def applications(cluster: HadoopCluster) -> dict[str, str]:
    """Final status of every application, by its id."""
    site = ElementTree.parse(cluster.directory / "conf" / "yarn-site.xml")
    values = {item.findtext("name"): item.findtext("value") for item in site.iter("property")}
    url = f"http://{values['yarn.resourcemanager.webapp.address']}/ws/v1/cluster/apps"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return {app["id"]: app["finalStatus"] for app in (found["apps"] or {"app": []})["app"]}


def wait_for_application(cluster: HadoopCluster, process: subprocess.Popen[bytes], *, after: dict[str, str]) -> str:
    """The id of the next application that the cluster takes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        new = set(applications(cluster)) - set(after)
        if new:
            return new.pop()
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"no application started: {process.communicate()}")


@pytest.mark.slow
def test_a_changed_byte_is_named(on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a job and by tasks that stay.

    In front of more than a pipe holds: Hadoop would take it for a broken task if that were not read too.
    """
    monkeypatch.setattr(plan, "BLOCK_BYTES", 1 << 16)
    x = np.random.default_rng(4).normal(size=(20_000, 6))
    local = Commands(tmp_path / "root", runner=("-r", "inline"))
    local("pack", write_libsvm(tmp_path / "rows", x, (x[:, 0] > 0).astype(int)), "--to", "rows", "--partitions", "1")
    root = f"{on_cluster.hdfs_uri}/user/tests/changed"
    opened = open_root(root)
    target = opened.store
    copy(LocalStore(str(tmp_path / "root")), target)
    path = load_dataset(opened, "rows").partitions[0].path
    data = bytearray(target.read(path))
    data[500] ^= 1
    target.write(path, bytes(data))
    assert len(data) > data.index(b"\n") + (1 << 20)
    with engine(root) as jobs, pytest.raises(BadDataError, match="partition 0, block 0") as by_job:
        jobs.run(QUERY)
    with engine(root, name="resident") as staying, pytest.raises(BadDataError) as by_tasks:
        staying.run(QUERY)
    assert str(by_tasks.value) == str(by_job.value)
    assert nothing_left(target)


@pytest.mark.slow
def test_a_lost_partition_is_named(packed: ClusterCommands, on_cluster: HadoopCluster) -> None:
    root = f"{on_cluster.hdfs_uri}/user/tests/lost"
    opened = open_root(root)
    target = opened.store
    copy(packed.store, target, "datasets")
    target.remove(load_dataset(opened, "rows").partitions[3].path)
    with engine(root) as jobs, pytest.raises(BadDataError, match="partition 3 is missing"):
        jobs.run(QUERY)
    assert nothing_left(target)


@pytest.mark.slow
def test_nodes_without_numpy(packed: ClusterCommands, tmp_path: Path) -> None:
    """The traceback's last line reaches the user, not the exit status of a subprocess."""
    python = tmp_path / "python-without-numpy"
    # -S: no site-packages
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    missing = r"No module named 'numpy'.*name another in the settings"
    bare = HadoopSettings(python=str(python))
    with engine(packed.root, bare, name="auto") as passes, pytest.raises(InternalError, match=missing):
        passes.run(QUERY)
    assert nothing_left(packed.store)


def test_a_resource_manager_that_does_not_answer(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path
) -> None:
    conf = shutil.copytree(on_cluster.directory / "conf", tmp_path / "conf")
    site = ElementTree.parse(conf / "yarn-site.xml")
    for item in site.iter("property"):
        name = item.find("name")
        value = item.find("value")
        if name is not None and value is not None and name.text == "yarn.resourcemanager.address":
            value.text = "127.0.0.1:1"
    site.write(conf / "yarn-site.xml")
    settings = HadoopSettings(
        python=sys.executable, conf_dir=str(conf), jobconf={"yarn.resourcemanager.connect.max-wait.ms": "1000"}
    )
    said = "did not take the job"
    with engine(packed.root, settings, name="auto") as passes, pytest.raises(UnavailableError, match=said):
        passes.run(QUERY)
    assert nothing_left(packed.store)


def test_a_namenode_that_does_not_answer(packed: ClusterCommands) -> None:
    nowhere = replace(packed, root="hdfs://127.0.0.1:1/root")
    found = nowhere.run("train", "rows", "--model", "m")
    assert found.code == 69
    assert "127.0.0.1" in found.err


def test_a_root_that_jobs_would_read_another_way(packed: ClusterCommands) -> None:
    found = replace(packed, root="webhdfs://127.0.0.1:1/root").run("train", "rows", "--model", "m")
    assert found.code == 2
    assert "--root hdfs:///root" in found.err
