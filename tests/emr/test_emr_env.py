"""`mr-ml env` on EMR: packages are brought to a root on S3, and one small job looks at the nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import boto3
import pytest
from agent import SMALL, Agent
from commands import Commands
from streaming_steps import StreamingSteps

pytestmark = pytest.mark.slow


def test_packages_are_brought_and_looked_at(
    agent: Agent, config: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("s3").create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    for name in ("FIRST_SECONDS", "MOST_SECONDS"):
        monkeypatch.setattr(f"mr_ml.runners.emr.steps.{name}", 0.1)
    # what takes longest here is not what is tested
    monkeypatch.setattr("mr_ml.runners.hadoop.env_build._COMPRESSION", 1)
    agent.run_step = StreamingSteps()
    there = Commands(cast(Path, "s3://data/root"), runner=())
    checks = ("env", "check", "-r", "emr", "--tasks", "2", "--config", config(f"{SMALL}python: {bare}/bin/python3\n"))

    found = there.run(*checks, "--json")
    assert found.code == 69, found.err
    assert [node["packages"] for node in found.result["nodes"]] == [{"numpy": None, "scipy": None}] * 2
    assert "`mr-ml env build`" in found.err
    built = there("env", "build")
    assert built["uri"].startswith("s3://data/root/env/python-")
    mended = there(*checks)
    assert mended["environment"]["uri"] == built["uri"]
    assert (mended["problems"], mended["runner"]) == ([], "emr")
    assert [cluster.state for cluster in agent.clusters()] == ["TERMINATED"] * 2
