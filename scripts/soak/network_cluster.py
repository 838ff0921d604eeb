"""A Hadoop cluster whose daemons run on the hosts of `network_hosts`, made of what `dev_hadoop.sh` is made of."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import daemons
import lifecycle
from archives import archive_folder
from description import FIXED_PORTS, Cluster, user_name
from distribution import DEFAULT_HADOOP, RELEASES, hadoop_home, java_home
from network_hosts import HOSTS, Network
from settings import STAGING, write_configuration

WORKERS = 2
_MASTER = HOSTS["m"][1]
_EVERYWHERE = "0.0.0.0"


@dataclass(frozen=True)
class Spread:
    """A cluster on several hosts."""

    cluster: Cluster
    network: Network

    def start(self, name: str) -> None:
        """Start a daemon where it belongs."""
        role, _, number = name.partition("-")
        host = f"n{number}" if number else "m"
        address = HOSTS[host][1]
        own = {
            "datanode": {"dfs.datanode.hostname": address},
            # the name that masters of applications announce
            "nodemanager": {"yarn.nodemanager.hostname": host},
        }
        # what dev_hadoop.sh loads into its daemons keeps them at home
        prefix = (*self.network.inside(host), "env", "-u", "LD_PRELOAD")
        daemons.start(self.cluster, name, prefix=prefix, more=own.get(role))

    def kill(self, name: str) -> None:
        daemons.send(self.cluster, name, signal.SIGKILL)

    def wait(self) -> None:
        """Until all workers have registered."""
        lifecycle.wait_usable(self.cluster, seconds=120)

    def variables(self) -> dict[str, str]:
        """Of the environment, for clients."""
        path = f"{self.cluster.home}/bin{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        hdfs = f"hdfs://{_MASTER}:{self.cluster.ports['namenode_rpc']}"
        return self.cluster.exports() | {"MR_ML_TEST_HDFS": hdfs, "PATH": path}


@contextmanager
def spread(network: Network, folder: Path) -> Iterator[Spread]:
    """A cluster, for a while."""
    release = RELEASES[DEFAULT_HADOOP]
    java = java_home(release)
    ports = {name: 8020 + number for number, name in enumerate(FIXED_PORTS)}
    cluster = Cluster(
        directory=str(folder), home=str(hadoop_home(release, java=java)), java=str(java), workers=WORKERS, tuned=True,
        history=False, node_memory_mb=2048, node_vcores=4, ports=ports, token=secrets.token_hex(16),
        overrides=tuple(_overrides(ports)),
    )  # fmt: skip
    cluster = replace(cluster, archives=archive_folder(cluster))
    made = Spread(cluster, network)
    for name in ("data/tmp", "logs/userlogs"):
        (folder / name).mkdir(parents=True)
    write_configuration(cluster)
    cluster.save()
    try:
        prefix = (*network.inside("m"), "env", "-u", "LD_PRELOAD")
        arguments = ["-format", "-nonInteractive", "-force"]
        assert daemons.launch(cluster, "namenode", arguments, log="format", prefix=prefix).wait() == 0
        for name in daemons.daemon_names(cluster):
            made.start(name)
        made.wait()
        for path, mode in (("/tmp", "1777"), (STAGING, "1777"), (f"/user/{user_name()}", "755")):
            lifecycle.make_folder(cluster, path, mode=mode)
        yield made
    finally:
        daemons.stop(cluster, grace_seconds=0)
        shutil.rmtree(cluster.data, ignore_errors=True)


def _overrides(ports: dict[str, int]) -> Iterator[tuple[str, str, str]]:
    """What is not at home with addresses of its own, on several hosts."""
    yield "core-site", "fs.defaultFS", f"hdfs://{_MASTER}:{ports['namenode_rpc']}"
    for key, port in (("rpc", "namenode_rpc"), ("http", "namenode_http")):
        yield "hdfs-site", f"dfs.namenode.{key}-address", f"{_MASTER}:{ports[port]}"
        yield "hdfs-site", f"dfs.namenode.{key}-bind-host", _EVERYWHERE
    for key in ("address", "http.address", "ipc.address"):
        yield "hdfs-site", f"dfs.datanode.{key}", f"{_EVERYWHERE}:0"
    yield "yarn-site", "yarn.resourcemanager.hostname", _MASTER
    yield "yarn-site", "yarn.resourcemanager.bind-host", _EVERYWHERE
    services = {
        "address": "rm_client", "scheduler.address": "rm_scheduler", "resource-tracker.address": "rm_tracker",
        "admin.address": "rm_admin", "webapp.address": "rm_http",
    }  # fmt: skip
    for key, port in services.items():
        yield "yarn-site", f"yarn.resourcemanager.{key}", f"{_MASTER}:{ports[port]}"
    yield "yarn-site", "yarn.nodemanager.bind-host", _EVERYWHERE
    for key in ("address", "localizer.address", "webapp.address"):
        yield "yarn-site", f"yarn.nodemanager.{key}", "${yarn.nodemanager.hostname}:0"
