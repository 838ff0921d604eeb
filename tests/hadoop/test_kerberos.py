"""A cluster with Kerberos and HTTPS: everybody proves who they are, and tasks that stay by the token of their job.

Not part of CI: MR_ML_TEST_KERBEROS=1 pytest tests/hadoop/test_kerberos.py. It needs krb5-kdc, krb5-admin-server,
krb5-user and curl, and `pip install 'mr_ml[hdfs,kerberos]'`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cluster_commands import ClusterCommands, jvm_starts, nothing_left
from commands import Commands, write_libsvm
from dev_cluster import HadoopCluster, running_cluster

from hdfs_layout.hdfs import http
from mr_ml.packing import plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("MR_ML_TEST_KERBEROS"), reason="MR_ML_TEST_KERBEROS is not set"),
]
VARIABLES = ("HADOOP_HOME", "HADOOP_CONF_DIR", "HADOOP_LOG_DIR", "JAVA_HOME", "PATH")
REALM = ("KRB5_CONFIG", "KRB5CCNAME", "REQUESTS_CA_BUNDLE")
TRAIN = ("train", "rows", "--loss", "logistic", "--l2", "0.01", "--max-passes", "2")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    folder = tmp_path_factory.mktemp("kerberos")
    options = ("--kerberos", "--timeout", "600")
    with running_cluster(folder, workers=1, options=options) as found, pytest.MonkeyPatch.context() as patch:
        for name in (*VARIABLES, *REALM):
            patch.setenv(name, found.environment[name])
        # whom nobody believes
        patch.setenv("HADOOP_USER_NAME", "somebody")
        http._session.cache_clear()
        yield found
        http._session.cache_clear()


@pytest.fixture(scope="module")
def there(cluster: HadoopCluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterCommands:
    """The dataset `rows`, packed from text on HDFS without jobs, and on this machine."""
    folder = tmp_path_factory.mktemp("commands")
    rng = np.random.default_rng(37)
    x = rng.normal(size=(600, 5))
    y = (x @ [2, -1, 0.5, 0, 1] + rng.normal(size=600) > 0).astype(int)
    text = write_libsvm(folder / "rows.libsvm", x, y)
    config, local = folder / "cluster.yaml", Commands(folder / "root", runner=("-r", "inline"))
    config.write_text(f"python: {sys.executable}\n", encoding="utf-8")
    found = ClusterCommands(f"{cluster.hdfs_uri}/user/root/ml", config, local)
    assert cluster.hadoop("fs", "-put", str(text), "/rows.libsvm").returncode == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", 1 << 11)
        options = ("--to", "rows", "--partitions", "3", "--seed", "7")
        packed = found("pack", f"{cluster.hdfs_uri}/rows.libsvm", *options)
        assert packed == local("pack", text, *options)
    return found


def logs_of(cluster: HadoopCluster) -> str:
    """All that tasks and their masters have said."""
    files = [path for path in (cluster.directory / "logs" / "userlogs").rglob("*") if path.is_file()]
    assert len(files) > 6
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


def test_tasks_that_stay_read_by_the_token_of_their_job(
    there: ClusterCommands, cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTPS, trusting whom this machine was told to trust; it is not in what anybody says."""
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(tmp_path / "trace"))
    found = there.run(*TRAIN, "--model", "stays", "--engine", "resident", resident_tasks=2)
    assert found.code == 0, found.err
    # the second line where tasks took long to end
    assert jvm_starts(tmp_path / "trace")[:1] == ["jar"]
    assert jvm_starts(tmp_path / "trace").count("jar") == 1
    there.local(*TRAIN, "--model", "stays")
    assert there.coef_sha256("stays") == there.local.coef("stays").sha256
    assert nothing_left(there.store)
    for said in (found.out, found.err, logs_of(cluster)):
        assert "delegation=" not in said


def test_a_job_that_reads_text(there: ClusterCommands, cluster: HadoopCluster, tmp_path: Path) -> None:
    """A job with reduce tasks does not run here: Hadoop's own shuffle needs its native library for that."""
    train = (*TRAIN, "--model", "scores")
    for commands in (there.here, there.local):
        commands(*train)
    there("predict", "scores", f"{cluster.hdfs_uri}/rows.libsvm", "--to", tmp_path / "theirs")
    there.local("predict", "scores", there.config.with_name("rows.libsvm"), "--to", tmp_path / "ours")
    assert (tmp_path / "theirs").read_bytes() == (tmp_path / "ours").read_bytes()
    assert nothing_left(there.store)


@pytest.mark.parametrize(
    ("variable", "words"), [("KRB5CCNAME", "Kerberos"), ("REQUESTS_CA_BUNDLE", "TLS failed")]
)  # fmt: skip
def test_without_a_ticket_or_trust_nothing_starts(
    there: ClusterCommands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, words: str
) -> None:
    trace = tmp_path / "trace"
    monkeypatch.setenv("MR_ML_HADOOP_TRACE", str(trace))
    monkeypatch.setenv(variable, f"FILE:{tmp_path}/none" if variable == "KRB5CCNAME" else "")
    http._session.cache_clear()
    found = there.run(*TRAIN, "--model", "never", "--engine", "resident")
    http._session.cache_clear()
    assert found.code in (69, 74), found.err
    assert words in found.err
    assert jvm_starts(trace) == []
