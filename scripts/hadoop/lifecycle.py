"""Bring a cluster up until it is usable, look at it, and take it down."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import daemons
import kerberos
from description import FIXED_PORTS, Cluster, user_name
from distribution import ClusterError
from settings import STAGING, write_configuration

PORT_ATTEMPTS = 3
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PortTakenError(ClusterError):
    """Somebody bound one of the chosen ports first."""


def bring_up(cluster: Cluster, *, seconds: float) -> Cluster:
    """Start an empty cluster and wait until it is usable.

    Parameters
    ----------
    cluster : Cluster
        Its ports are ignored; free ones are chosen.
    seconds : float
        How long the daemons may take.

    Returns
    -------
    Cluster
        With the ports in use.

    Raises
    ------
    ClusterError
        With the reason and the end of the log; nothing is left running.
    """
    for attempt in range(1, PORT_ATTEMPTS + 1):
        cluster = dataclasses.replace(cluster, ports=free_ports())
        try:
            _start(cluster, seconds=seconds)
        except PortTakenError:
            take_down(cluster)
            if attempt == PORT_ATTEMPTS:
                raise
        except BaseException:
            take_down(cluster)
            raise
        else:
            break
    return cluster


def take_down(cluster: Cluster, *, grace_seconds: float = 0.0) -> None:
    """Stop everything and remove the data; logs and configuration stay. Does nothing to a stopped cluster."""
    daemons.stop(cluster, grace_seconds=grace_seconds)
    shutil.rmtree(cluster.data, ignore_errors=True)


def free_ports() -> dict[str, int]:
    """Ports that nobody listens on, below those that the system hands out to outgoing connections."""
    try:
        limit = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        limit = 32768
    candidates = list(range(10000, limit)) or list(range(limit, 65536))
    random.shuffle(candidates)
    chosen: list[int] = []
    for port in candidates:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        chosen.append(port)
        if len(chosen) == len(FIXED_PORTS):
            return dict(zip(FIXED_PORTS, chosen, strict=True))
    raise ClusterError(f"fewer than {len(FIXED_PORTS)} free ports on 127.0.0.1: stop something")


def look(cluster: Cluster) -> dict[str, Any]:
    """What runs and what the masters say of their workers; None where a master does not answer."""
    name_system = _bean(cluster, "FSNamesystemState")
    name_node = _bean(cluster, "NameNodeInfo")
    page = f"{cluster.resource_manager_url}/ws/v1/cluster/metrics"
    metrics = _json(page).get("clusterMetrics", {}) if cluster.yarn else {}
    processes = {name: daemons.running(cluster, name) for name in daemons.daemon_names(cluster)}
    found: dict[str, Any] = {
        "directory": cluster.directory,
        "workers": cluster.workers,
        "daemons": processes,
        "live_datanodes": name_system.get("NumLiveDataNodes"),
        "dead_datanodes": name_system.get("NumDeadDataNodes"),
        "safe_mode": name_node.get("Safemode"),
        "running_nodemanagers": metrics.get("activeNodes"),
        "lost_nodemanagers": metrics.get("lostNodes"),
        "containers": daemons.containers(cluster),
    }
    found["usable"] = (
        None not in processes.values()
        and found["live_datanodes"] == cluster.workers
        and found["safe_mode"] == ""
        and found["running_nodemanagers"] == (cluster.workers if cluster.yarn else None)
    )
    return found


def wait_usable(cluster: Cluster, *, seconds: float) -> None:
    """Wait until all workers have registered and HDFS takes writes.

    Raises
    ------
    ClusterError
        As soon as a daemon has ended, or when the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        for name in daemons.daemon_names(cluster):
            if daemons.running(cluster, name) is None:
                _fail(cluster, name, f"{name} ended while starting")
        found = look(cluster)
        if found["usable"]:
            return
        if time.monotonic() > deadline:
            counts = ", ".join(
                f"{key} {found[key]!r}" for key in ("live_datanodes", "safe_mode", "running_nodemanagers")
            )
            reason = f"not usable after {seconds:.0f} s: expected {cluster.workers} workers, found {counts}"
            _fail(cluster, _suspect(cluster, found), reason)
        time.sleep(0.2)


def _start(cluster: Cluster, *, seconds: float) -> None:
    shutil.rmtree(cluster.data, ignore_errors=True)
    shutil.rmtree(cluster.logs, ignore_errors=True)
    for folder in (cluster.data / "tmp", cluster.logs / "userlogs"):
        folder.mkdir(parents=True)
    write_configuration(cluster)
    cluster.save()
    if cluster.kerberos:
        kerberos.start(cluster)
    if cluster.yarn:
        daemons.start(cluster, "resourcemanager")
    formatting = daemons.launch(cluster, "namenode", ["-format", "-nonInteractive", "-force"], log="format")
    daemons.record(cluster, "format", formatting.pid)
    if formatting.wait() != 0:
        _fail(cluster, "format", "the NameNode could not be formatted")
    for name in daemons.daemon_names(cluster):
        if name != "resourcemanager":
            daemons.start(cluster, name)
    wait_usable(cluster, seconds=seconds)
    for path, mode in (("/tmp", "1777"), (STAGING, "1777"), (f"/user/{user_name()}", "755")):
        make_folder(cluster, path, mode=mode)


def _suspect(cluster: Cluster, found: dict[str, Any]) -> str:
    """The daemon whose log most likely says why the cluster is not usable."""
    if found["live_datanodes"] is None or found["safe_mode"] or not cluster.yarn:
        return "namenode"
    if found["live_datanodes"] < cluster.workers:
        return f"datanode-{cluster.workers}"
    return "resourcemanager" if found["running_nodemanagers"] is None else f"nodemanager-{cluster.workers}"


def _fail(cluster: Cluster, name: str, reason: str) -> None:
    tail = daemons.log_tail(cluster, name)
    kind = PortTakenError if "java.net.BindException" in tail else ClusterError
    raise kind(f"{reason}; the end of {cluster.logs / (name + '.log')}:\n{tail}")


def make_folder(cluster: Cluster, path: str, *, mode: str) -> None:
    if cluster.kerberos:
        for arguments in (("-mkdir", "-p", path), ("-chmod", mode, path)):
            _run_client(cluster, *arguments)
        return
    user = urllib.parse.quote(user_name())
    # MKDIRS gives the mode to the last folder only, and not past the umask; SETPERMISSION is exact.
    for operation in ("MKDIRS", "SETPERMISSION"):
        url = f"{cluster.webhdfs_url}/webhdfs/v1{path}?op={operation}&permission={mode}&user.name={user}"
        try:
            LOOPBACK.open(urllib.request.Request(url, method="PUT"), timeout=20).close()
        except OSError as error:
            _fail(cluster, "namenode", f"HDFS is up but {operation} {path} failed ({error})")


def _run_client(cluster: Cluster, *arguments: str) -> None:
    variables = {**os.environ, **cluster.exports(), **kerberos.environment(cluster)}
    command = [f"{cluster.home}/bin/hadoop", "fs", *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        _fail(cluster, "namenode", f"HDFS is up but {' '.join(arguments)} failed ({done.stderr})")


def _bean(cluster: Cluster, name: str) -> dict[str, Any]:
    url = f"{cluster.webhdfs_url}/jmx?qry=Hadoop:service=NameNode,name={name}"
    beans = _json(url, cluster if cluster.kerberos else None).get("beans") or [{}]
    return dict(beans[0])


def _json(url: str, secured: Cluster | None = None) -> dict[str, Any]:
    """The object at a URL; empty while nobody answers there."""
    try:
        if secured is not None:
            return dict(json.loads(kerberos.answer(secured, url, seconds=5)))
        with LOOPBACK.open(url, timeout=5) as answer:
            return dict(json.load(answer))
    except (OSError, ValueError, urllib.error.URLError):
        return {}
