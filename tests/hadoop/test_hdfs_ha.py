"""A store on two NameNodes of which one is active: real ones, of a small HDFS of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dev_cluster import HadoopCluster

from hdfs_layout import StoreUnavailableError, open_store, publish_version
from hdfs_layout.hdfs import webhdfs
from hdfs_layout.hdfs.store import HdfsStore

pytestmark = pytest.mark.slow

NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
ADMIN = "org.apache.hadoop.hdfs.tools.DFSHAAdmin"
OPENED = ("lang", "lang.reflect", "io", "net", "nio", "util", "util.concurrent")
ATTEMPTS = 30


@dataclass
class Twins:
    """Name service `twins` of NameNodes nn1 and nn2, and one DataNode.

    Attributes
    ----------
    folder : Path
        conf/ is its HADOOP_CONF_DIR.
    environment : mapping
        For its programs.
    """

    folder: Path
    environment: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def program(self, *arguments: str) -> list[str]:
        launcher = Path(self.environment["HADOOP_HOME"]) / "bin" / "hadoop"
        return [str(launcher), *arguments]

    def run(self, *arguments: str) -> int:
        with (self.folder / "programs.log").open("ab") as log:
            done = subprocess.run(self.program(*arguments), env=self.environment, stdout=log, stderr=log, check=False)
        return done.returncode

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.program(*arguments), env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def start_namenode(self, name: str) -> None:
        self.start(name, NAMENODE, "-D", f"dfs.ha.namenode.id={name}")

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def activate(self, name: str) -> None:
        """Make a NameNode the active one, as soon as it answers."""
        for _ in range(ATTEMPTS):
            if self.run(ADMIN, "-transitionToActive", "--forceactive", name) == 0:
                return
        pytest.fail(f"{name} could not be made active: {(self.folder / 'programs.log').read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def _configure(folder: Path) -> None:
    ports = _free_ports(4)
    core = {"fs.defaultFS": "hdfs://twins", "hadoop.tmp.dir": f"{folder}/tmp", "ipc.client.connect.max.retries": "3"}
    hdfs = {
        "dfs.nameservices": "twins",
        "dfs.ha.namenodes.twins": "nn1,nn2",
        "dfs.client.failover.proxy.provider.twins": (
            "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"
        ),
        "dfs.namenode.shared.edits.dir": f"file://{folder}/edits",
        "dfs.ha.fencing.methods": "shell(/bin/true)",
        "dfs.replication": "1",
        "dfs.namenode.safemode.extension": "0",
        "dfs.ha.tail-edits.period": "1",
        "dfs.ha.log-roll.period": "1",
        "dfs.datanode.data.dir": f"file://{folder}/blocks",
        "dfs.datanode.address": "127.0.0.1:0",
        "dfs.datanode.http.address": "127.0.0.1:0",
        "dfs.datanode.ipc.address": "127.0.0.1:0",
        "dfs.datanode.hostname": "localhost",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.heartbeat.interval": "1",
        "dfs.permissions.enabled": "false",
    }
    for number in (1, 2):
        hdfs[f"dfs.namenode.rpc-address.twins.nn{number}"] = f"127.0.0.1:{ports[number - 1]}"
        hdfs[f"dfs.namenode.http-address.twins.nn{number}"] = f"127.0.0.1:{ports[number + 1]}"
        hdfs[f"dfs.namenode.name.dir.twins.nn{number}"] = f"file://{folder}/nn{number}"
    (folder / "conf").mkdir(parents=True)
    for name, properties in (("core-site", core), ("hdfs-site", hdfs)):
        lines = (f"<property><name>{key}</name><value>{value}</value></property>" for key, value in properties.items())
        text = "<configuration>\n" + "\n".join(lines) + "\n</configuration>\n"
        (folder / "conf" / f"{name}.xml").write_text(text, encoding="utf-8")


@pytest.fixture
def twins(hadoop_cluster: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twins]:
    """Both NameNodes and the DataNode run; neither NameNode is active."""
    _configure(tmp_path)
    home = Path(hadoop_cluster.environment["HADOOP_HOME"])
    options = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENED]
    environment = {
        **hadoop_cluster.environment,
        "HADOOP_CONF_DIR": str(tmp_path / "conf"),
        "HADOOP_CLASSPATH": str(home / "share" / "hadoop" / "hdfs"),
        "HADOOP_CLIENT_OPTS": " ".join([*options, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]),
        "LD_PRELOAD": str(home / "lib" / "loopback.so"),
    }
    twins = Twins(tmp_path, environment)
    assert twins.run(NAMENODE, "-D", "dfs.ha.namenode.id=nn1", "-format", "-nonInteractive", "-force") == 0
    shutil.copytree(tmp_path / "nn1", tmp_path / "nn2")
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path / "conf"))
    try:
        for name in ("nn1", "nn2"):
            twins.start_namenode(name)
        twins.start("datanode", DATANODE)
        yield twins
    finally:
        for name in list(twins.running):
            twins.kill(name)


def test_a_failover(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store waits for an active NameNode, finds it, and goes over to the other when that takes over."""
    store = open_store("hdfs:///root")
    assert isinstance(store, HdfsStore)
    assert store.root == "hdfs://twins/root"
    assert len(store.client.urls) == 2
    twins.activate("nn2")  # the second that the configuration names
    store.write("folder/file", b"content")
    assert publish_version(store, "folder", {"number": 1}) == 1

    twins.kill("nn2")
    taking_over = threading.Thread(target=twins.activate, args=("nn1",))
    taking_over.start()
    try:
        # begins while nobody is active
        assert publish_version(store, "folder", {"number": 2}) == 2
    finally:
        taking_over.join()
    assert store.read("folder/file") == b"content"
    assert store.list("folder") == ("file", "v000001.json", "v000002.json")

    twins.start_namenode("nn2")
    twins.kill("nn1")
    monkeypatch.setattr(webhdfs, "FAILOVER_PATIENCE_SECONDS", 15.0)
    with pytest.raises(StoreUnavailableError) as raised:
        store.exists("folder/file")
    assert raised.value.exit_code == 69
    assert "connection refused" in str(raised.value)
    assert "StandbyException" in str(raised.value)
    assert os.environ["HADOOP_CONF_DIR"] in str(raised.value)
