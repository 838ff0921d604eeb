"""Start and stop the daemons of a cluster, each by its recorded process id.

A record is `<cluster>/pids/<name>.pid` with the process id and the process's start time in clock ticks since boot, so
that an id which the system has given to somebody else since is never signalled. Containers (application masters,
tasks) are descendants of a NodeManager that outlive it when it is killed; they carry the cluster's random token in
their environment, by which they are found.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from description import Cluster
from distribution import ClusterError
from settings import java_options, worker_properties

CLASSES = {
    "namenode": "org.apache.hadoop.hdfs.server.namenode.NameNode",
    "resourcemanager": "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    "historyserver": "org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer",
    "datanode": "org.apache.hadoop.hdfs.server.datanode.DataNode",
    "nodemanager": "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
}
TOKEN_VARIABLE = "MR_ML_DEV_CLUSTER"
# In the caller's environment these would reach into the daemons.
FOREIGN = ("HADOOP_", "YARN_", "MAPRED_", "HDFS_", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "LD_PRELOAD")


def daemon_names(cluster: Cluster) -> list[str]:
    """The daemons of a cluster in the order of their start."""
    names = ["resourcemanager", "namenode"]
    for number in range(1, cluster.workers + 1):
        names += [f"datanode-{number}", f"nodemanager-{number}"]
    if not cluster.yarn:
        names = [name for name in names if name.startswith(("namenode", "datanode"))]
    return [*names, "historyserver"] if cluster.history else names


def start(cluster: Cluster, name: str, *, prefix: Sequence[str] = (), more: Mapping[str, str] | None = None) -> None:
    """Start one daemon; its output goes to `<cluster>/logs/<name>.log`.

    Parameters
    ----------
    prefix : sequence of str
        Words in front of its command, which become it by exec.
    more : mapping
        Properties of its own.
    """
    if running(cluster, name) is not None:
        raise ClusterError(f"{name} is running already (process {running(cluster, name)}): nothing to start")
    role, _, number = name.partition("-")
    properties = worker_properties(cluster, int(number))[role] if number else {}
    arguments = [part for key, value in (properties | dict(more or {})).items() for part in ("-D", f"{key}={value}")]
    record(cluster, name, launch(cluster, role, arguments, log=name, prefix=prefix).pid)


def launch(
    cluster: Cluster, role: str, arguments: list[str], *, log: str, prefix: Sequence[str] = ()
) -> subprocess.Popen[bytes]:  # fmt: skip
    """Start the Java program of a role in a session of its own."""
    web_pages = Path(cluster.home) / "share" / "hadoop" / "hdfs"
    class_path = f"{cluster.class_path()}:{web_pages}:{cluster.conf}"
    command = [f"{cluster.java}/bin/java", *java_options(cluster, role), "-cp", class_path, CLASSES[role], *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    environment |= {
        "HADOOP_HOME": cluster.home,
        "HADOOP_CONF_DIR": str(cluster.conf),
        "JAVA_HOME": cluster.java,
        "LD_PRELOAD": f"{cluster.home}/lib/loopback.so",
        TOKEN_VARIABLE: cluster.token,
    }
    cluster.logs.mkdir(parents=True, exist_ok=True)
    with (cluster.logs / f"{log}.log").open("ab") as output:
        return subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=cluster.path,
            start_new_session=True,
        )


def record(cluster: Cluster, name: str, pid: int) -> None:
    """Write down a process that belongs to the cluster."""
    folder = cluster.path / "pids"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.pid").write_text(f"{pid} {start_time(pid)}\n", encoding="utf-8")


def running(cluster: Cluster, name: str) -> int | None:
    """The process id of a recorded process if that very process still runs."""
    try:
        pid, started = (cluster.path / "pids" / f"{name}.pid").read_text(encoding="utf-8").split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if start_time(int(pid)) == int(started) else None


def recorded(cluster: Cluster) -> list[str]:
    """The names of all recorded processes, running or not."""
    return sorted(path.stem for path in (cluster.path / "pids").glob("*.pid"))


def start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot; -1 if it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        # The first thread of a killed process is a zombie at once, while the others still hold ports and files.
        gone = fields[0] in "ZX" and len(list(Path(f"/proc/{pid}/task").iterdir())) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return -1 if gone else int(fields[19])


def send(cluster: Cluster, name: str, number: signal.Signals) -> int:
    """Signal one daemon; return its process id.

    Raises
    ------
    ClusterError
        If it is not running.
    """
    pid = running(cluster, name)
    if pid is None:
        raise ClusterError(f"{name} is not running; recorded here: {', '.join(recorded(cluster)) or 'nothing'}")
    os.kill(pid, number)
    if number is signal.SIGKILL:
        _wait_gone(cluster, [name], seconds=10)
    return pid


def stop(cluster: Cluster, *, grace_seconds: float) -> None:
    """Stop everything that belongs to the cluster.

    With no grace all is killed outright: the data goes with it. The caller's own record, if it has one, is left alone.
    """
    names = [name for name in recorded(cluster) if running(cluster, name) not in (None, os.getpid())]
    if grace_seconds:
        _signal_all(cluster, names, signal.SIGTERM)
        _wait_gone(cluster, names, seconds=grace_seconds)
    _signal_all(cluster, names, signal.SIGKILL)
    if left := _wait_gone(cluster, names, seconds=20):
        raise ClusterError(f"{', '.join(left)} did not end within 20 s of SIGKILL: a disk or mount may hang")
    # Twice empty: a process that died between listing and reading may have left a child that the list did not have.
    empty = 0
    while empty < 2:
        found = members(cluster)
        for pid in found:
            _kill(pid, signal.SIGKILL)
        empty = 0 if found else empty + 1
    for name in recorded(cluster):
        (cluster.path / "pids" / f"{name}.pid").unlink(missing_ok=True)


def members(cluster: Cluster) -> dict[int, dict[str, str]]:
    """The environments of all processes with the cluster's token, by process id: daemons and containers."""
    mark = f"{TOKEN_VARIABLE}={cluster.token}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in variables and start_time(int(entry.name)) >= 0:
            pairs = (os.fsdecode(variable).partition("=") for variable in variables if variable)
            found[int(entry.name)] = {key: value for key, _, value in pairs}
    return found


def containers(cluster: Cluster) -> list[dict[str, str | int]]:
    """The processes inside YARN containers: pid, container id, the NodeManager's name and the command line."""
    listed: list[dict[str, str | int]] = []
    for pid, environment in sorted(members(cluster).items()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        except OSError:
            continue
        if "CONTAINER_ID" in environment and words:
            folders = Path(environment.get("LOCAL_DIRS", "")).parts
            node = next((part for part in folders if part.startswith("nodemanager-")), "")
            command = " ".join(os.fsdecode(word) for word in words)
            listed.append({"pid": pid, "container": environment["CONTAINER_ID"], "node": node, "command": command})
    return listed


def log_tail(cluster: Cluster, name: str, *, lines: int = 20) -> str:
    """The end of a daemon's log."""
    try:
        text = (cluster.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.rstrip().splitlines()[-lines:])


def _signal_all(cluster: Cluster, names: list[str], number: signal.Signals) -> None:
    for name in names:
        pid = running(cluster, name)
        if pid is not None:
            _kill(pid, number)


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _wait_gone(cluster: Cluster, names: list[str], *, seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    left = names
    while (left := [name for name in left if running(cluster, name) is not None]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
