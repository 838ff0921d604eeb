"""Roots on S3 with `-r hadoop`: real Hadoop, whose tasks read and write by S3A; the same bits as on this machine."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cluster_commands import ClusterCommands, jvm_starts
from commands import Commands, environment, write_libsvm
from damage import changed, said_of
from dev_cluster import HadoopCluster
from gates import Gate
from relay import Fault, relay
from s3_servers import S3Server

from hdfs_layout import LocalStore
from mr_ml.packing import plan

pytestmark = pytest.mark.slow
PACK = ("--to", "rows", "--partitions", "3", "--split", "train=0.8,test=0.2", "--seed", "7")
LOGISTIC = ("--loss", "logistic", "--l2", "0.01")
# as S3 says it
_BUSY = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 36\r\n\r\n<Error><Code>SlowDown</Code></Error>"


@dataclass(frozen=True)
class Site:
    """A bucket with text, a root in it and on this machine, both with the dataset `rows`, each packed where it is."""

    server: S3Server
    bucket: str
    there: ClusterCommands
    raw: Path
    starts: list[str]

    @property
    def here(self) -> Commands:
        return self.there.local

    def keys(self, prefix: str = "") -> list[str]:
        """All that is in the bucket below a prefix, also what stores and clusters do not show."""
        found = self.server.client().list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        assert not found["IsTruncated"]
        return [item["Key"] for item in found.get("Contents", [])]


@pytest.fixture(scope="module")
def site(on_cluster: HadoopCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The root is named as s3://, the text as s3a://."""
    server = on_cluster.s3
    if server is None:
        pytest.skip("the cluster of MR_ML_TEST_HADOOP_DIR was started without --s3")
    folder = tmp_path_factory.mktemp("s3a")
    raw, bucket, trace = folder / "raw", server.bucket(), folder / "trace"
    raw.mkdir()
    rng = np.random.default_rng(31)
    x = rng.normal(size=(900, 6))
    y = (x @ [2, -1, 0.5, 0, 1, 0] + rng.normal(size=900) > 0).astype(int)
    write_libsvm(raw / "a.libsvm", x[:400], y[:400])
    whole = write_libsvm(folder / "b.libsvm", x[400:], y[400:]).read_bytes()
    (raw / "b.libsvm.gz").write_bytes(gzip.compress(whole))
    for path in raw.iterdir():
        server.client().put_object(Bucket=bucket, Key=f"raw/{path.name}", Body=path.read_bytes())
    config = folder / "cluster.yaml"
    config.write_text(f"python: {sys.executable}\npack_in_driver_mb: 0\n", encoding="utf-8")
    local = Commands(folder / "root", runner=("-r", "inline"))
    with pytest.MonkeyPatch.context() as patch:
        server.use(patch)
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        there = ClusterCommands(f"s3://{bucket}/some/root", config, local)
        patch.setenv("MR_ML_HADOOP_TRACE", str(trace))
        found = there("pack", f"s3a://{bucket}/raw", *PACK)
        patch.delenv("MR_ML_HADOOP_TRACE")
        assert found == local("pack", raw, *PACK)
        yield Site(server, bucket, there, raw, jvm_starts(trace))


def test_the_same_files(site: Site) -> None:
    assert site.starts == ["jar"] * 2
    ours = json.loads(site.there.store.read("datasets/rows/v000001.json"))
    theirs = site.here.manifest("rows@1")
    assert len(ours["partitions"]) == 3
    for our, their in zip(ours["partitions"], theirs["partitions"], strict=True):
        assert site.there.store.read(our["uri"]) == (site.here.root / their["uri"]).read_bytes()
    # no directory markers either
    assert site.keys("some/root/tmp") == []


def test_the_same_models_and_predictions(site: Site, tmp_path: Path) -> None:
    """With several reduce tasks; the partitions share a map task."""
    train = ("train", "rows", "--model", "newton", *LOGISTIC, "--solver", "newton", "--max-passes", "2")
    site.there(*train, "--engine", "mapreduce", reducers=2)
    site.here(*train)
    assert site.there.coef_sha256("newton") == site.here.coef("newton").sha256

    to, copied = f"s3://{site.bucket}/scores", tmp_path / "copied"
    site.there("predict", "newton", f"s3a://{site.bucket}/raw", "--to", to)
    site.here("predict", "newton", site.raw, "--to", copied)
    written = {path.name: path.read_bytes() for path in copied.iterdir()}
    assert len(written) == 2
    client = site.server.client()
    assert {
        key.removeprefix("scores/"): client.get_object(Bucket=site.bucket, Key=key)["Body"].read()
        for key in site.keys("scores/")
    } == written
    assert site.keys("some/root/tmp") == []


def test_tasks_that_stay_read_by_themselves(
    site: Site, on_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By addresses that are as good as a key, for a while: nobody is shown one."""
    train = ("train", "rows", "--model", "stays", *LOGISTIC, "--max-passes", "5")
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(tmp_path / "trace"))
    seen = {path for path in (on_cluster.directory / "logs" / "userlogs").rglob("*") if path.is_file()}
    found = site.there.run(*train, "--engine", "resident", resident_tasks=2)
    assert found.code == 0, found.err
    # and perhaps one that ends the job, if a task had no room until then
    assert jvm_starts(tmp_path / "trace").count("jar") == 1
    site.here(*train)
    assert site.there.coef_sha256("stays") == site.here.coef("stays").sha256
    assert site.keys("some/root/tmp") == []
    logs = {path for path in (on_cluster.directory / "logs" / "userlogs").rglob("*") if path.is_file()} - seen
    assert len(logs) > 6
    for said in (found.out, found.err, *(path.read_text(errors="replace") for path in logs)):
        assert "X-Amz-Signature" not in said


def test_a_damaged_partition_is_the_same_error(site: Site) -> None:
    options = ("rows", *LOGISTIC, "--model", "never")
    there = said_of(changed, site.there.store, "rows", site.there.run, options)
    assert there == said_of(changed, LocalStore(str(site.here.root)), "rows", site.here.run, options)
    assert "partition 1" in there[1]
    assert site.keys("some/root/tmp") == []


def test_a_driver_is_killed_and_then_s3_does_not_answer(site: Site, tmp_path: Path) -> None:
    """Each in the midst of the same pass; who resumes stops what is left, and ends with the model of one process."""
    gate = Gate.build(tmp_path / "gate")
    train = ("train", "rows", *LOGISTIC, "--model", "m", "--max-passes", "1")
    with relay(site.server.endpoint.removeprefix("http://")) as between:
        endpoint = f"http://{between.address}"
        # one failure of a task is enough, and one try of S3A's
        impatient: dict[str, Any] = {f"fs.s3a.bucket.{site.bucket}.endpoint": endpoint}
        impatient |= dict.fromkeys(("mapreduce.map.maxattempts", "mapreduce.reduce.maxattempts"), 1)
        impatient |= dict.fromkeys(("fs.s3a.attempts.maximum", "fs.s3a.retry.limit", "fs.s3a.retry.throttle.limit"), 1)
        config = site.there.settings(python=gate.python, jobconf=json.dumps(impatient))

        def driver(*arguments: str) -> subprocess.Popen[bytes]:
            where = ("--root", site.there.root, "-r", "hadoop", "--config", str(config), "--engine", "mapreduce")
            command = [*arguments, *where]
            variables = {**environment(), "AWS_ENDPOINT_URL": endpoint}
            return subprocess.Popen(
                [sys.executable, "-m", "mr_ml", *command], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )

        killed = driver(*train)
        _at_gate(gate, killed)
        killed.kill()
        killed.communicate()
        (run,) = {key.split("/")[3] for key in site.keys("some/root/tmp/")}

        gate.close()
        lost = driver("train", "--resume", run)
        _at_gate(gate, lost)
        between.faults.append(Fault(request="", kind="refuse", answer=_BUSY, times=1_000_000))
        gate.open()
        said = lost.communicate(timeout=600)[1].decode()
        assert lost.returncode == 69, said
        assert site.bucket in said
        between.faults.clear()

        resumed = driver("train", "--resume", run)
        said = resumed.communicate(timeout=600)[1].decode()
        assert resumed.returncode == 0, said
    site.here(*train)
    assert site.there.coef_sha256("m") == site.here.coef("m").sha256
    assert site.keys("some/root/tmp") == []


def _at_gate(gate: Gate, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 600
    while not gate.process_of("m_000000_0"):
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail(f"no task came to the gate: {process.communicate()}")
        time.sleep(0.05)
