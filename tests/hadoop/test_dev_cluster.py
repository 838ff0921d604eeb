"""Smoke tests of the development cluster itself: real HDFS, real YARN, loopback only, nothing left behind."""

from __future__ import annotations

import getpass
import json
import os
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from dev_cluster import HadoopCluster

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LOOPBACK_IN_PROC = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
LISTENING = "0A"


class _KeepRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """WebHDFS names the DataNode in a redirect that wants the PUT again, with the content this time."""


def webhdfs(
    cluster: HadoopCluster, method: str, path: str, operation: str, *, user: str | None = None, content: bytes = b""
) -> bytes:
    """One WebHDFS request; the body of the answer."""
    parameters = f"op={operation}&user.name={urllib.parse.quote(user or getpass.getuser())}"
    url = f"{cluster.webhdfs_url}/webhdfs/v1{urllib.parse.quote(path)}?{parameters}"
    if method == "PUT" and operation.startswith("CREATE"):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _KeepRedirect)
        with pytest.raises(urllib.error.HTTPError) as redirect:
            opener.open(urllib.request.Request(url, method="PUT"), timeout=30)
        assert redirect.value.code == 307
        url = redirect.value.headers["Location"]
        redirect.value.close()
    request = urllib.request.Request(url, method=method, data=content or None)
    with OPENER.open(request, timeout=30) as answer:
        body: bytes = answer.read()
    return body


def test_hdfs_round_trip(hadoop_cluster: HadoopCluster) -> None:
    content = bytes(range(256)) * 5000
    webhdfs(hadoop_cluster, "PUT", "/tmp/round/trip.bin", "CREATE", content=content)
    assert webhdfs(hadoop_cluster, "GET", "/tmp/round/trip.bin", "OPEN") == content
    read_by_hadoop = hadoop_cluster.hadoop("fs", "-cat", f"{hadoop_cluster.hdfs_uri}/tmp/round/trip.bin")
    assert read_by_hadoop.stdout == content
    listed = json.loads(webhdfs(hadoop_cluster, "GET", "/tmp/round", "LISTSTATUS"))["FileStatuses"]["FileStatus"]
    found = [(entry["pathSuffix"], entry["length"], entry["replication"]) for entry in listed]
    assert found == [("trip.bin", len(content), min(2, hadoop_cluster.workers))]


def test_permissions_are_checked(hadoop_cluster: HadoopCluster) -> None:
    webhdfs(hadoop_cluster, "PUT", "/closed", "MKDIRS&permission=700")
    with pytest.raises(urllib.error.HTTPError) as refused:
        webhdfs(hadoop_cluster, "PUT", "/closed/inside", "MKDIRS", user="somebody_else")
    with refused.value as answer:
        assert answer.code == 403
        assert json.load(answer)["RemoteException"]["exception"] == "AccessControlException"


def test_s3_beside_hdfs(hadoop_cluster: HadoopCluster) -> None:
    server = hadoop_cluster.s3
    assert server is not None
    bucket, client = server.bucket(), server.client()
    client.put_object(Bucket=bucket, Key="a/b.txt", Body=b"by boto3\n")
    assert hadoop_cluster.hadoop("fs", "-cp", f"s3a://{bucket}/a/b.txt", f"s3://{bucket}/d.txt").returncode == 0
    assert client.get_object(Bucket=bucket, Key="d.txt")["Body"].read() == b"by boto3\n"
    # the keys are in there
    assert (hadoop_cluster.directory / "conf" / "core-site.xml").stat().st_mode & 0o777 == 0o600


def test_listens_on_loopback_only(hadoop_cluster: HadoopCluster) -> None:
    pids = [pid for pid in hadoop_cluster.status()["daemons"].values() if pid]
    assert len(pids) == 2 + 2 * hadoop_cluster.workers
    sockets = {
        os.readlink(handle).removeprefix("socket:[").removesuffix("]")
        for pid in pids
        for handle in Path(f"/proc/{pid}/fd").iterdir()
        if os.path.lexists(handle) and os.readlink(handle).startswith("socket:[")
    }
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    ]
    addresses = [row[1].partition(":")[0] for row in rows if row[3] == LISTENING and row[9] in sockets]
    assert len(addresses) >= len(pids)
    assert set(addresses) <= LOOPBACK_IN_PROC


@pytest.mark.slow
def test_faults_are_seen_and_down_leaves_nothing(
    hadoop_cluster: HadoopCluster, start_hadoop_cluster: Callable[..., HadoopCluster]
) -> None:
    """A second cluster beside the session's, broken, mended, taken down twice."""
    cluster = start_hadoop_cluster(1, "--node-memory", "1024")
    assert cluster.hdfs_uri != hadoop_cluster.hdfs_uri
    before = cluster.status()
    assert before["usable"]
    cluster.kill("nodemanager-1")
    broken = cluster.command("status")
    assert broken.returncode == 69
    assert "nodemanager-1      NOT RUNNING" in broken.stdout.splitlines()
    cluster.start("nodemanager-1")
    pids = {*before["daemons"].values(), *cluster.status()["daemons"].values()}
    for _ in range(2):
        assert cluster.command("down").returncode == 0
    assert not [pid for pid in pids if _is_alive(pid)]
    host, port = cluster.hdfs_uri.removeprefix("hdfs://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=10)
    assert not (cluster.directory / "data").exists()
    assert hadoop_cluster.status()["usable"]


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
