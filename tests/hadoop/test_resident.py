"""Tasks that stay, on a real cluster: the bits of one process, whatever is lost, and nothing is left.

At length: scripts/soak/resident.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from cluster_commands import ClusterCommands, copy
from dev_cluster import HadoopCluster
from gates import kill, parent_of
from staying import Staying, Yarn, wait_until

from hdfs_layout import LocalStore
from mr_ml.runners.hadoop.work import OWNER_NAME, Owner, tag_of

pytestmark = pytest.mark.slow
TRAIN = ("train", "rows", "--loss", "logistic", "--l2", "0.01", "--max-passes", "5", "--tolerance", "1e-12")


def start(packed: ClusterCommands, folder: Path, *args: object, points: tuple[str, ...], engine: str) -> Staying:
    where = ("--root", packed.root, "-r", "hadoop", "--config", packed.settings(resident_tasks=2), "--engine", engine)
    return Staying.start(folder, *args, *where, points=points)


def test_tasks_lost_in_mid_pass_change_no_bit(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path
) -> None:
    """A task's Python is killed in one pass, a task's Java in a later one; the secret is for this user alone."""
    yarn = Yarn(on_cluster.directory)
    points = ("before 2", "asked 2", "before 4", "asked 4", "before 5")
    driver = start(packed, tmp_path, *TRAIN, "--model", "resident", points=points, engine="resident")
    for number, whose in ((2, "Python"), (4, "Java")):
        driver.at(f"before {number}")
        wait_until(lambda: len(yarn.tasks()) == 2, what="both tasks")
        task, _ = yarn.tasks()
        os.kill(task, signal.SIGSTOP)
        driver.go_on()
        driver.at(f"asked {number}")
        kill(task if whose == "Python" else parent_of(task))
        with contextlib.suppress(ProcessLookupError):
            os.kill(task, signal.SIGCONT)
        driver.go_on()
    # one whose Java is gone may answer once more before it sees that
    driver.at("before 5")
    wait_until(lambda: task not in yarn.tasks(), what="the end of the task")
    driver.go_on()
    said = driver.ends(code=0)
    assert said.count("is gone") >= 2
    packed.local(*TRAIN, "--model", "resident")
    assert packed.coef_sha256("resident") == packed.local.coef("resident").sha256
    yarn.nothing_left(packed.store)


def test_a_driver_that_is_told_to_end_leaves_nothing(
    packed: ClusterCommands, on_cluster: HadoopCluster, tmp_path: Path
) -> None:
    """In the midst of a pass, in which the run's folder says which application is at the run."""
    driver = start(packed, tmp_path, *TRAIN, "--model", "never", points=("asked 2",), engine="resident")
    driver.at("asked 2")
    works = set(packed.store.list("tmp"))
    (run,) = works & set(packed.store.list("runs"))
    owner = Owner.decode(packed.store.read(f"tmp/{run}/{OWNER_NAME}"))
    assert owner is not None
    assert [owner.served_by] == [tag_of(work) for work in works - {run}]
    driver.process.send_signal(signal.SIGTERM)
    driver.ends(code=128 + signal.SIGTERM)
    Yarn(on_cluster.directory).nothing_left(packed.store)
    assert not packed.store.exists("models/never")


def test_without_tasks_each_pass_is_a_job_of_its_own(packed: ClusterCommands, on_cluster: HadoopCluster) -> None:
    """No task comes in so short a time."""
    packed.local(*TRAIN, "--model", "measured")
    assert np.abs(packed.local.coef("measured").coef).max() > 0.1
    copy(LocalStore(str(packed.local.root)), packed.store, "models/measured")
    evaluate = ("evaluate", "measured", "rows", "--split", "train", "--json")
    found = packed.run(*evaluate, patience_seconds=1)
    assert found.code == 0, found.err
    assert found.err.count("each pass is a job of its own from here on: no task has come for 1 s") == 1
    assert found.result == packed.local(*evaluate[:-1])
    Yarn(on_cluster.directory).nothing_left(packed.store)
