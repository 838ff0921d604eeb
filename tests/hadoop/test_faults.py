"""Things that break while a pass runs as a job on three workers: the same bits as on one machine, or a clear error.

Tasks wait at a gate (gates.py), so what breaks breaks in the midst of them, whatever the machine's speed. For tasks
that stay see test_resident.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from cluster_commands import copy, nothing_left
from commands import Commands, environment, write_libsvm
from dev_cluster import HadoopCluster, running_cluster, skip_if_unwanted
from gates import Gate, kill, parent_of

from hdfs_layout import LocalStore, Store, open_store

pytestmark = pytest.mark.slow
T = TypeVar("T")
TRAIN = ("train", "rows", "--loss", "logistic", "--l2", "0.01")
_MASTER = "org.apache.hadoop.mapreduce.v2.app.MRAppMaster"
# Whatever breaks, the driver has ended by then.
LIMIT_SECONDS = 120.0


@dataclass(frozen=True)
class Driver:
    """A running `mr-ml`."""

    process: subprocess.Popen[str]
    site: Site

    def wait_until(self, look: Callable[[], T], *, what: str) -> T:
        """What `look` finds, once that is something; the driver must live so long."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := look():
                return found
            time.sleep(0.05)
        self.process.kill()
        pytest.fail(f"waited for {what}, in vain: {self.process.communicate()}")

    def at_gate(self, attempt: str) -> int:
        """The process id of an attempt, once it waits at the gate."""
        return self.wait_until(lambda: self.site.gate.process_of(attempt), what=f"attempt {attempt}")

    def all_at_gate(self) -> None:
        """Wait for all map tasks, so that none of them comes to the gate after this driver's time."""
        for number in range(3):
            self.at_gate(f"m_{number:06d}_0")

    def passes(self, number: int) -> None:
        """Wait for the end of a pass."""

        def done() -> bool:
            runs = self.site.store.list("runs")
            return self.site.store.exists(f"runs/{runs[-1]}/passes/{number:06d}/state")

        self.wait_until(done, what=f"the end of pass {number}")

    def child(self) -> int:
        """The one process that it has started."""
        pid = self.process.pid
        (found,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        return int(found)

    def ends(self, *, code: int) -> str:
        """What it says until it ends with this code, soon enough."""
        try:
            out, err = self.process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"no end within {LIMIT_SECONDS:.0f} s: {self.process.communicate()}")
        assert self.process.returncode == code, err
        return out if code == 0 else err


@dataclass(frozen=True)
class Site:
    """A cluster to break, a root on it with a dataset of three partitions, and the same on this machine."""

    cluster: HadoopCluster
    local: Commands
    gate: Gate
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"{self.cluster.hdfs_uri}/user/tests/root"

    @property
    def store(self) -> Store:
        return open_store(self.root)

    def wait_for_yarn(self) -> None:
        """Until the ResourceManager has all nodes that run."""
        running = sum(bool(pid) for name, pid in self.cluster.status()["daemons"].items() if "nodemanager" in name)
        deadline = time.monotonic() + LIMIT_SECONDS
        while self.cluster.status()["running_nodemanagers"] != running:
            assert time.monotonic() < deadline, "YARN does not come back"

    def start(self, *args: object, **settings: object) -> Driver:
        """`mr-ml` on the cluster, its tasks stopped at the gate unless the settings say otherwise."""
        keys = {"python": self.gate.python, **settings}
        if keys["python"] == self.gate.python:
            self.gate.close()
        config = self.gate.folder.parent / f"{uuid.uuid4().hex}.yaml"
        config.write_text("".join(f"{key}: {json.dumps(value, default=str)}\n" for key, value in keys.items()))
        command = [sys.executable, "-m", "mr_ml", *args, "--root", self.root, "-r", "hadoop"]
        command += ["--engine", "mapreduce", "--config", config]
        process = subprocess.Popen(
            [*map(str, command), "--json"], env={**environment(), **self.cluster.environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(process)
        return Driver(process, self)

    def coef_sha256(self, model: str) -> str:
        paths = [path for path in self.store.walk(f"models/{model}") if path.endswith("coef.npz")]
        assert len(paths) == 1
        return hashlib.sha256(self.store.read(paths[0])).hexdigest()

    def ask_yarn(self, path: str) -> dict[str, Any]:
        site = (self.cluster.directory / "cluster.json").read_text(encoding="utf-8")
        url = f"http://127.0.0.1:{json.loads(site)['ports']['rm_http']}/ws/v1/cluster/{path}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=30) as answer:
            return dict(json.load(answer))

    def final_states(self) -> list[str]:
        """Of all applications, first to last."""
        apps = self.ask_yarn("apps")["apps"]["app"]
        return [app["finalStatus"] for app in sorted(apps, key=lambda app: int(app["startedTime"]))]

    def master(self) -> int:
        """Process id of the one application master."""
        found = [item for item in self.cluster.status()["containers"] if _MASTER in item["command"].split()]
        (pid,) = [item["pid"] for item in found if item["command"].split()[0].endswith("/java")]
        return int(pid)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    skip_if_unwanted()
    folder = tmp_path_factory.mktemp("faults")
    rng = np.random.default_rng(29)
    x = rng.normal(size=(600, 5))
    y = (x @ [2, -1, 0.5, 0, 1] + rng.normal(size=600) > 0).astype(int)
    local = Commands(folder / "root", runner=("-r", "inline"))
    local("pack", write_libsvm(folder / "rows", x, y), "--to", "rows", "--partitions", "3")
    with running_cluster(folder / "cluster", workers=3) as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HADOOP_CONF_DIR", cluster.environment["HADOOP_CONF_DIR"])
        found = Site(cluster, local, Gate.build(folder / "gate"))
        copy(LocalStore(str(folder / "root")), open_store(found.root))
        yield found


@pytest.fixture(autouse=True)
def no_driver_left(site: Site) -> Iterator[None]:
    yield
    for process in site.started:
        process.kill()
        process.communicate()


def test_one_training_through_it_all(site: Site) -> None:
    """Drivers are killed, then, pass by pass, what works for them; the model is that of one undisturbed process."""
    gate, cluster = site.gate, site.cluster
    lost = site.start(*TRAIN, "--model", "lost")
    lost.all_at_gate()
    client = lost.child()
    lost.process.kill()
    lost.process.communicate()
    killed = site.start(*TRAIN, "--model", "m", "--max-passes", "3")
    killed.all_at_gate()
    assert not Path(f"/proc/{client}").exists()
    assert site.final_states() == ["KILLED", "UNDEFINED"]
    killed.process.kill()
    killed.process.communicate()
    (run,) = site.store.list("tmp")

    driver = site.start("train", "--resume", run)
    kill(driver.at_gate("m_000000_0"))
    kill(parent_of(driver.at_gate("m_000001_0")))
    cluster.kill("datanode-2")
    assert site.final_states() == ["KILLED", "KILLED", "UNDEFINED"]
    gate.open()
    driver.passes(1)
    gate.close()
    driver.at_gate("m_000000_0")
    cluster.kill(gate.node_of("m_000000_0"))
    gate.open()
    driver.passes(2)
    gate.close()
    driver.at_gate("m_000000_0")
    kill(site.master())
    gate.open()
    driver.ends(code=0)
    site.local(*TRAIN, "--model", "m", "--max-passes", "3")
    assert site.coef_sha256("m") == site.local.coef("m").sha256
    assert nothing_left(site.store)


def test_a_slow_task_is_overtaken_and_a_broken_one_given_up(site: Site, tmp_path: Path) -> None:
    """The first attempt of a map task never goes on, the one beside it does. Another job's tasks never work."""
    fails = tmp_path / "fails"
    fails.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    fails.chmod(0o755)
    hurried = {
        "mapreduce.job.speculative.minimum-allowed-tasks": 1,
        "mapreduce.job.speculative.retry-after-no-speculate": 100,
    }
    slow = site.start(*TRAIN, "--model", "s", "--max-passes", "1", speculative=True, jobconf=hurried)
    slow.at_gate("m_000000_0")
    broken = site.start(*TRAIN, "--model", "never", python=fails, jobconf={"mapreduce.map.maxattempts": 2})
    for attempt in ("m_000001_0", "m_000002_0", "m_000000_1", "r_000000_0"):
        slow.at_gate(attempt)
        site.gate.let_through(attempt)
    slow.ends(code=0)
    site.local(*TRAIN, "--model", "s", "--max-passes", "1")
    assert site.coef_sha256("s") == site.local.coef("s").sha256
    said = broken.ends(code=70)
    assert "subprocess failed with code 3" in said
    assert "yarn logs -applicationId application_" in said
    assert not site.store.exists("models/never")
    assert nothing_left(site.store)


def test_the_masters_stop(site: Site) -> None:
    """In the midst of a pass: YARN's, with less patience than by default, then HDFS's."""
    impatient = {
        "yarn.resourcemanager.connect.max-wait.ms": 4000,
        "yarn.app.mapreduce.am.scheduler.connection.wait.interval-ms": 5000,
    }
    driver = site.start(*TRAIN, "--model", "never", jobconf=impatient)
    driver.at_gate("m_000000_0")
    site.cluster.kill("resourcemanager")
    site.gate.open()
    said = driver.ends(code=69)
    assert "no longer answers" in said
    assert len(site.store.list("tmp")) == 1
    site.cluster.start("resourcemanager")
    site.wait_for_yarn()

    driver = site.start(*TRAIN, "--model", "never")
    driver.at_gate("m_000000_0")
    # what the first one could not remove
    assert len(site.store.list("tmp")) == 1
    site.cluster.kill("namenode")
    site.gate.open()
    said = driver.ends(code=69)
    assert site.cluster.webhdfs_url.removeprefix("http://") in said
