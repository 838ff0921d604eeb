"""`mr-ml -r emr` whose steps run on a real Hadoop cluster, over S3: the same bits as on this machine.

All commands on EMR, with processes of this machine for Hadoop's tasks: test_emr_streaming.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from agent import Agent
from commands import Commands, environment, write_libsvm
from dev_cluster import HadoopCluster
from hadoop_steps import HadoopSteps
from s3_servers import use_aws

from hdfs_layout import LocalStore, Store, open_store

pytestmark = pytest.mark.slow
TRAIN = ("train", "rows", "--loss", "logistic", "--l2", "0.01", "--solver", "lbfgs", "--max-passes", "2")
# Whatever is waited for has come by then, on a machine that does much else.
LIMIT_SECONDS = 600.0


@dataclass(frozen=True)
class Site:
    """A root on S3 for clusters of the agent, and the same on this machine."""

    agent: Agent
    hadoop: HadoopCluster
    root: str
    config: Path
    local: Commands
    rows: str

    @property
    def store(self) -> Store:
        return open_store(self.root)

    def __call__(self, *words: object) -> dict[str, Any]:
        return Commands(cast(Path, self.root), runner=())(*words, "-r", "emr")

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mr_ml", *words, "--root", self.root, "-r", "emr"]
        return subprocess.Popen(
            command, env={**environment(), **os.environ}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def coef_sha256(self, model: str) -> str:
        shown = Commands(cast(Path, self.root), runner=())("models", "show", model)
        return str(shown["coef_sha256"])

    def states(self) -> list[str]:
        """Of YARN's applications, first to last."""
        site = json.loads((self.hadoop.directory / "cluster.json").read_text(encoding="utf-8"))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{site['ports']['rm_http']}/ws/v1/cluster/apps", timeout=60) as answer:
            # before the first there is nothing in it
            apps = (json.load(answer)["apps"] or {}).get("app", [])
        return [app["state"] for app in sorted(apps, key=lambda app: int(app["startedTime"]))]


@pytest.fixture
def site(
    server: tuple[Agent, Any], hadoop_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    s3 = hadoop_cluster.s3
    if s3 is None:
        pytest.skip("the present Hadoop cluster has no S3")
    agent, _ = server
    use_aws(monkeypatch, {**s3.environment, "AWS_ENDPOINT_URL_EMR": agent.endpoint})
    agent.reset(HadoopSteps(hadoop_cluster, s3.client()))
    bucket = s3.bucket()
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 4))
    rows = write_libsvm(tmp_path / "rows", x, (x @ [2, -1, 0.5, 0] + rng.normal(size=300) > 0).astype(int))
    local = Commands(tmp_path / "root", runner=("-r", "local", "--workers", "2"))
    local("pack", rows, "--to", "rows", "--partitions", "2", "--split", "train=0.8,test=0.2")
    config = tmp_path / "emr.yaml"
    config.write_text(f"""\
python: {sys.executable}
log_uri: s3://{bucket}/logs
service_role: Service
instance_profile: Profile
groups: [{{role: master, type: m6i.xlarge}}]
prices: {{m6i.xlarge: 0.25}}
""")
    yield Site(agent, hadoop_cluster, f"s3://{bucket}/root", config, local, str(rows))
    assert agent.alive() == []


def copied(site: Site) -> None:
    """Put the packed dataset on S3."""
    source = LocalStore(str(site.local.root))
    for path in source.walk("datasets"):
        site.store.write(path, source.read(path))


def until(look: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := look():
            return found
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"waited in vain: {process.communicate()}")


def test_a_cluster_lost_in_the_midst_of_a_pass(site: Site) -> None:
    """A new one goes on with the same bits."""
    copied(site)
    process = site.start(*TRAIN, "--model", "m", "--config", str(site.config))
    run = until(lambda: list(site.store.list("runs")) if site.store.exists("runs") else [], process)[0]
    until(lambda: site.store.exists(f"runs/{run}/passes/000001/state"), process)
    until(lambda: "RUNNING" in site.states(), process)
    (first,) = site.agent.clusters()
    site.agent.lose(first, "All slaves in the job flow were terminated due to Spot.")
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 69, err
    assert "terminated due to Spot. Nothing half-written is visible" in err
    assert "KILLED" in site.states()
    site("train", "--resume", run, "--config", site.config)
    site.local(*TRAIN, "--model", "m")
    assert site.coef_sha256("m") == site.local.coef("m").sha256
    # after one pass all coefficients are still zero
    assert np.abs(site.local.coef("m").coef).max() > 0.1
    assert len(site.agent.asked("RunJobFlow")) == 2
    assert site.agent.alive() == []
    assert not site.store.exists("tmp")


def test_an_application_does_not_outlive_its_step(site: Site, tmp_path: Path) -> None:
    """On a cluster of others, where it would run on. Then one dies there, and says why, from its logs."""
    copied(site)
    cluster_id = Commands(cast(Path, site.root))("cluster", "create", "--config", site.config)["cluster_id"]
    before = len(site.states())
    process = site.start(*TRAIN, "--model", "m", "--cluster-id", cluster_id, "--config", str(site.config))
    until(lambda: "RUNNING" in site.states()[before:], process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 143, err
    assert site.states()[before:] == ["KILLED"]
    assert not site.store.exists("tmp")
    assert site.agent.alive() == [cluster_id]
    broken = tmp_path / "broken.yaml"
    broken.write_text(site.config.read_text().replace(sys.executable, "/no/such/python"))
    died = site.start(*TRAIN, "--model", "never", "--cluster-id", cluster_id, "--config", str(broken))
    _, err = died.communicate(timeout=LIMIT_SECONDS)
    assert died.returncode == 70, err
    assert "/no/such/python" in err
    assert "Its logs: s3://" in err
    assert not site.store.exists("tmp")
    Commands(cast(Path, site.root))("cluster", "terminate", cluster_id)
