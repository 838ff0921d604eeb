"""`mr-ml retrain` on EMR: a night has a cluster of its own, which ends with it whatever comes of it."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import boto3
import pytest
from agent import SMALL, Agent, Steps
from commands import Commands, copy
from daily import Daily
from far_nights import NIGHT, FarNights, ended, settings
from streaming_steps import StreamingSteps

from hdfs_layout import LocalStore, open_store

pytestmark = pytest.mark.slow
PLACE = "s3://nights/mr_ml"


@dataclass(frozen=True)
class Here:
    """Nights on this machine.

    Attributes
    ----------
    before
        The root with the model of the first of them.
    expected
        The coefficients of the second.
    """

    daily: Daily
    before: LocalStore
    expected: bytes


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    folder = tmp_path_factory.mktemp("nights")
    daily = Daily(folder)
    daily.configure(settings())
    daily.add(0, NIGHT)
    daily.published(NIGHT - 1)
    shutil.copytree(daily.root, folder / "before")
    daily.published(NIGHT)
    return Here(daily, LocalStore(str(folder / "before")), daily.coefficients("ctr@2"))


@pytest.fixture
def nights(agent: Agent, here: Here) -> FarNights:
    """Before the second night, on S3."""
    boto3.client("s3").create_bucket(Bucket="nights", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    copy(here.before, open_store(f"{PLACE}/root"))
    copy(LocalStore(str(here.daily.folder / "days")), open_store(f"{PLACE}/days"))
    (here.daily.folder / "emr.yaml").write_text(f"{SMALL}python: {sys.executable}\npack_in_driver_mb: 0\n")
    found = FarNights(here.daily, f"{PLACE}/root", "{name: emr, config: emr.yaml}")
    found.configure(location=f"{PLACE}/days/dt={{date}}", lease_seconds=60)
    return found


def test_a_night_has_one_cluster(agent: Agent, nights: FarNights, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """From text on S3 to a promoted model, with the bits of a folder."""
    for name in ("FIRST_SECONDS", "MOST_SECONDS"):
        monkeypatch.setattr(f"mr_ml.runners.emr.steps.{name}", 0.1)
    agent.run_step = StreamingSteps()
    done = nights.run()
    assert done.code == 0, done.err
    assert done.result["promoted"] == 2
    assert nights.coefficients(2) == here.expected
    assert len(agent.asked("RunJobFlow")) == 1
    (cluster,) = agent.clusters()
    assert cluster.state == "TERMINATED"
    jobs = [shlex.split(step.args[step.args.index("-mapper") + 1])[3] for step in cluster.steps]
    assert jobs[0] == "MRPack"
    assert set(jobs) == {"MRPack", "MRPass"}
    # the last ones judge the candidate and the model in use
    assert jobs.count("MRPass") == done.result["training"]["passes"] + 2
    # what it made is found without a cluster
    there = Commands(cast(Path, nights.uri), runner=())
    shown = there("models", "show", "ctr")
    assert (shown["version"], shown["coef_sha256"]) == (2, hashlib.sha256(nights.coefficients(2)).hexdigest())
    (run,) = set(open_store(nights.uri).list("runs")) - set(here.before.list("runs"))
    assert (there("runs", "show", run)["status"], there("runs", "show", run)["model"]) == ("published", "ctr@2")


@pytest.mark.parametrize("number", [None, signal.SIGTERM])
def test_a_night_that_comes_to_nothing_ends_its_cluster(
    agent: Agent,
    nights: FarNights,
    steps: Steps,
    processes: list[subprocess.Popen[bytes]],
    number: signal.Signals | None,
) -> None:
    steps.outcome = None
    process = nights.start()
    processes.append(process)
    while not any(step.state == "RUNNING" for cluster in agent.clusters() for step in cluster.steps):
        assert process.poll() is None, ended(process)
        time.sleep(0.02)
    if number is None:
        steps.outcome = ("FAILED", {"Message": "no container was had"})
    else:
        process.send_signal(number)
    found = ended(process)
    assert found.code == (70 if number is None else 128 + number), found.err
    (cluster_id,) = [cluster.id for cluster in agent.clusters()]
    assert f"cluster {cluster_id} is ended" in found.err
    assert ("no container was had" if number is None else "ended by SIGTERM") in found.err
    assert [cluster.state for cluster in agent.clusters()] == ["TERMINATED"]
