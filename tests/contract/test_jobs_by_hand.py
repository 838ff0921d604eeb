"""Our jobs are ordinary jobs of mrjob: started by hand, under mrjob's own runners, a pass adds up to the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from commands import Commands, environment, write_libsvm
from s3_servers import use_aws

from hdfs_layout import open_root, open_store
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.data.block import decode_line
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.packing import plan
from mr_ml.passes.in_memory import InMemoryEngine
from mr_ml.passes.request import PassRequest
from mr_ml.passes.tasks import decode_value
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums

# Ours take the place of these two, for speed and for proof that nothing was lost.
MRJOBS_OWN = """\
from mrjob.inline import InlineMRJobRunner
from mrjob.local import LocalMRJobRunner
from mr_ml_jobs.pass_job import MRPass
own = {"inline": InlineMRJobRunner, "local": LocalMRJobRunner}
MRPass._runner_class = lambda self: own[self.options.runner]
MRPass.run()
"""
BY_HAND, OWN = ("-m", "mr_ml_jobs.pass_job"), ("-c", MRJOBS_OWN)
WAYS = {
    "inline": (*BY_HAND, "-r", "inline"),
    "local": (*BY_HAND, "-r", "local"),
    "mrjob's inline": (*OWN, "-r", "inline"),
    "mrjob's local": (*OWN, "-r", "local"),
    "hadoop": (*BY_HAND, "-r", "hadoop", "--python-bin", sys.executable),
    # a cluster of mrjob's own, which rents and ends it; it would make IAM roles if none were named
    "emr": (
        *BY_HAND,
        "-r",
        "emr",
        "--python-bin",
        sys.executable,
        "--region",
        "eu-central-1",
        "--image-version",
        "7.13.0",
        "--cloud-tmp-dir",
        "s3://by-hand/tmp/",
        "--iam-service-role",
        "Service",
        "--iam-instance-profile",
        "Profile",
        "--check-cluster-every",
        "1",
        "--cloud-fs-sync-secs",
        "0",
        "--no-read-logs",
    ),
}
ON_CLUSTERS = ("hadoop", "emr")
QUERY = MetricsQuery(RowSpec(loss_from_json("logistic"), 5, (0.0, 1.0)), np.linspace(-1, 1.5, 6)[None])


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """A root, and its dataset of three partitions of several blocks."""
    folder = tmp_path_factory.mktemp("by-hand")
    rng = np.random.default_rng(4)
    mr_ml = Commands(folder / "root", runner=("-r", "inline"))
    text = write_libsvm(folder / "rows", rng.normal(size=(500, 5)), rng.integers(0, 2, 500))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        assert mr_ml("pack", text, "--to", "rows", "--partitions", "3")["blocks"] >= 9
    return mr_ml.root, load_dataset(open_root(str(mr_ml.root)), "rows")


def bits(statistic: Statistic) -> dict[str, bytes]:
    return {
        f"{name}/{key}": np.asarray(array).tobytes()
        for name, part in statistic.parts.items()
        for key, array in part.arrays().items()
    }


@pytest.fixture
def emr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in for EMR, with a bucket; its steps are processes here."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "emr"))
    from agent import running_agent
    from streaming_steps import StreamingSteps

    with running_agent() as agent:
        use_aws(monkeypatch, agent.environment)
        agent.reset(StreamingSteps())
        place = {"LocationConstraint": agent.environment["AWS_REGION"]}
        boto3.client("s3").create_bucket(Bucket="by-hand", CreateBucketConfiguration=place)
        yield agent


@pytest.mark.parametrize("way", [pytest.param(way, marks=[pytest.mark.slow] * (way in ON_CLUSTERS)) for way in WAYS])
def test_a_pass(
    packed: tuple[Path, Dataset], tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:  # fmt: skip
    root, dataset = packed
    files = [str(root / partition.path) for partition in dataset.partitions]
    given: Mapping[str, str] = environment()
    if way == "hadoop":
        cluster = request.getfixturevalue("hadoop_cluster")
        given = {**given, **cluster.environment}
        monkeypatch.setenv("HADOOP_CONF_DIR", cluster.environment["HADOOP_CONF_DIR"])
        place = open_store(f"{cluster.hdfs_uri}/user/tests/by-hand-{uuid.uuid4().hex}")
        for file in files:
            place.write(os.path.basename(file), Path(file).read_bytes())
        files = [place.uri(os.path.basename(file)) for file in files]
    if way == "emr":
        request.getfixturevalue("emr")
        given = environment()
    asked = tmp_path / "request"
    asked.write_bytes(PassRequest(QUERY, dataset.tree("train"), "rows", 0).encode())
    job = [sys.executable, *WAYS[way], "--no-conf", "--request", str(asked), *files]
    done = subprocess.run(job, env=given, capture_output=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    if way == "emr":
        agent = request.getfixturevalue("emr")
        (cluster,) = agent.clusters()
        (step,) = cluster.steps
        assert step.args[0] == "hadoop-streaming"
        assert step.args[step.args.index("-mapper") + 1].endswith(
            f"{sys.executable} pass_job.py --step-num=0 --mapper --request request"
        )
        assert cluster.state == "TERMINATED"

    sums: PartialSums[Statistic] = PartialSums(dataset.tree("train"), Statistic.absorb)
    for line in done.stdout.splitlines():
        sums.add(*decode_value(line.split(b"\t")[1]))
    lines = [line for p in dataset.partitions for line in (root / p.path).read_bytes().splitlines(keepends=True)]
    blocks = tuple(decode_line(line, where="a test") for line in lines)
    expected = InMemoryEngine(dataset.tree("train"), blocks, dataset.expected("train")).run(QUERY)
    assert bits(sums.total()) == bits(expected)
    assert any(bits(expected).values())
