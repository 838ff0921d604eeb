"""Command line of the development cluster; `dev_hadoop.sh --help` prints what it does."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import daemons
import kerberos
from archives import archive_folder
from description import Cluster
from distribution import (
    DEFAULT_HADOOP,
    RELEASES,
    ClusterError,
    cache_folder,
    checked_path,
    hadoop_home,
    java_home,
    say,
)
from lifecycle import bring_up, look, take_down, wait_usable
from settings import SITE_FILES, s3_properties

EXIT_UNAVAILABLE = 69
WATCHER = "watcher"
DESCRIPTION = """\
A real Hadoop cluster, 3.4 or 3.5, on this one machine, for development and tests: HDFS with N DataNodes, YARN with
N NodeManagers, MapReduce streaming. Everything listens on 127.0.0.1 only, on ports that are free, so that several
clusters can run side by side. It needs Linux, Java 17 (for 3.4 also 11), Maven and a C compiler, and installs them with
apt-get where that is possible.

    eval "$(scripts/dev_hadoop.sh up --workers 3)"     start; the shell then has HADOOP_HOME, HADOOP_CONF_DIR, PATH ...
    hadoop fs -ls /                                    use
    scripts/dev_hadoop.sh status                       what runs, what the masters say; exit 69 unless all is well
    scripts/dev_hadoop.sh kill datanode-2              kill -9 one daemon; `start datanode-2` brings it back,
                                                       `wait` returns when it has registered
    scripts/dev_hadoop.sh up --s3 http://127.0.0.1:9000
                                                       start with s3://BUCKET/... and s3a://BUCKET/... on that server,
                                                       with the keys of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    scripts/dev_hadoop.sh up --hadoop 3.5.0            start another Hadoop than 3.4.2
    scripts/dev_hadoop.sh down                         stop; nothing is left running; may be repeated
"""
EPILOG = """\
Folders: the jars (110 MB a version) and, for tuned clusters, class data archives lie in
${XDG_CACHE_HOME:-~/.cache}/mr_ml/hadoop and are made once. A cluster lies in --dir (default: clusters/default there):
conf/ is HADOOP_CONF_DIR, logs/ has the daemons' logs and, in logs/userlogs, those of the tasks. HDFS starts empty at
each `up`; `down` removes the data.

Tuned (the default) or plain: tuned clusters have short heartbeats and poll intervals, virtual machines that start fast
(C1 compiler, serial collector, class data archives) and no speculative execution; --plain leaves all that as Hadoop
ships it. Both notice a dead DataNode or NodeManager in about 12 s instead of 10 minutes.

Exported: HADOOP_HOME, HADOOP_CONF_DIR, HADOOP_LOG_DIR, JAVA_HOME, PATH, MR_ML_TEST_HDFS (hdfs://127.0.0.1:PORT) and
MR_ML_TEST_WEBHDFS (http://127.0.0.1:PORT); with --s3 also AWS_ENDPOINT_URL_S3 (the keys stay where they are; Hadoop
has them in conf/core-site.xml, which only you can read). With MR_ML_HADOOP_TRACE=FILE set, each start of a client's
virtual machine adds a line to FILE. The user who runs `up` is the superuser of HDFS; permissions are checked for
everybody else (HADOOP_USER_NAME=somebody hadoop fs ...). There is no password: whoever can log in to this machine can
use the cluster.
"""


def main() -> int:
    """Run one command; its exit code: 0 done, 2 usage, 69 the cluster cannot be had or is not usable."""
    options = _parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # so that an `up` that is told to stop takes down what it started
    try:
        directory = checked_path(options.dir or cache_folder() / "clusters" / "default")
        code: int = options.run(options, directory)
    except ClusterError as error:
        say(f"dev_hadoop: {error}")
        return EXIT_UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def up(options: argparse.Namespace, directory: Path) -> int:
    present = Cluster.load(directory)
    if present is not None and any(daemons.running(present, name) for name in daemons.recorded(present)):
        raise ClusterError(f"a cluster runs in {directory} already: use `env` for its variables, or `down` first")
    if options.s3:
        s3_properties(options.s3, os.environ)  # the keys are there
    if present is not None:
        take_down(present)  # containers may have outlived daemons that died by themselves
    elif directory.is_dir() and any(directory.iterdir()):
        raise ClusterError(f"{directory} is not empty and holds no cluster of ours: choose another --dir")
    release = RELEASES[options.hadoop]
    java = java_home(release)
    cluster = Cluster(
        directory=str(directory),
        home=str(hadoop_home(release, java=java)),
        java=str(java),
        workers=options.workers,
        tuned=not options.plain,
        history=options.history,
        yarn=not options.no_yarn,
        node_memory_mb=options.node_memory,
        node_vcores=options.node_vcores,
        ports={},
        token=secrets.token_hex(16),
        s3=options.s3 or "",
        kerberos=options.kerberos,
        overrides=tuple(options.overrides),
    )
    if cluster.tuned:
        cluster = dataclasses.replace(cluster, archives=archive_folder(dataclasses.replace(cluster, kerberos=False)))
    directory.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    cluster = bring_up(cluster, seconds=options.timeout)
    say(f"Hadoop {release.hadoop}, {options.workers} worker(s) up in {time.monotonic() - begin:.1f} s in {directory}")
    if options.stop_with:
        _watch_in_background(cluster, options.stop_with)
    return env(options, directory)


def env(options: argparse.Namespace, directory: Path) -> int:
    cluster = _existing(directory)
    exports = cluster.exports() | kerberos.environment(cluster)
    if options.json:
        print(json.dumps(exports | {"PATH": f"{cluster.home}/bin{os.pathsep}{os.environ.get('PATH', os.defpath)}"}))
        return 0
    for key, value in exports.items():
        print(f"export {key}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(cluster.home + "/bin")}:"$PATH"')
    return 0


def status(options: argparse.Namespace, directory: Path) -> int:
    cluster = _existing(directory)
    found = look(cluster)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `status | head` is no error
    if options.json:
        print(json.dumps(found))
    else:
        for name, pid in found["daemons"].items():
            print(f"{name:18} {f'process {pid}' if pid else 'NOT RUNNING'}")
        print(f"HDFS  {cluster.hdfs_uri}  web {cluster.webhdfs_url}  {_masters_word(found, 'datanodes', 'dead')}")
        if found["safe_mode"]:
            print(f"      {found['safe_mode']}")
        if cluster.yarn:
            print(f"YARN  web {cluster.resource_manager_url}  {_masters_word(found, 'nodemanagers', 'lost')}")
        print(f"containers: {len({process['container'] for process in found['containers']})}")
        print("usable" if found["usable"] else "NOT USABLE as a whole")
    return 0 if found["usable"] else EXIT_UNAVAILABLE


def _masters_word(found: dict[str, object], workers: str, gone: str) -> str:
    present = found[{"datanodes": "live_datanodes", "nodemanagers": "running_nodemanagers"}[workers]]
    if present is None:
        return "does not answer"
    return f"{present} of {found['workers']} {workers} present, {found[f'{gone}_{workers}']} {gone}"


def down(options: argparse.Namespace, directory: Path) -> int:
    cluster = Cluster.load(directory)
    if cluster is None:
        say(f"no cluster in {directory}: nothing to stop")
        return 0
    take_down(cluster)
    say(f"the cluster in {directory} is down; logs stay in {cluster.logs}")
    return 0


def kill(options: argparse.Namespace, directory: Path) -> int:
    pid = daemons.send(_existing(directory), options.name, signal.Signals[f"SIG{options.signal}"])
    say(f"sent {options.signal} to {options.name}, process {pid}")
    return 0


def start(options: argparse.Namespace, directory: Path) -> int:
    cluster = _existing(directory)
    if options.name not in daemons.daemon_names(cluster):
        raise ClusterError(f"expected one of {', '.join(daemons.daemon_names(cluster))}, found {options.name!r}")
    daemons.start(cluster, options.name)
    return 0


def wait(options: argparse.Namespace, directory: Path) -> int:
    wait_usable(_existing(directory), seconds=options.timeout)
    return 0


def watch(options: argparse.Namespace, directory: Path) -> int:
    """Take the cluster down when a process has ended."""
    started = daemons.start_time(options.process)
    while started >= 0 and daemons.start_time(options.process) == started:
        time.sleep(1)
    return down(options, directory)


def _watch_in_background(cluster: Cluster, process: int) -> None:
    command = [sys.executable, os.path.abspath(__file__), "watch", str(process), "--dir", cluster.directory]
    with (cluster.logs / f"{WATCHER}.log").open("ab") as output:
        watcher = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cluster.path, start_new_session=True
        )
    daemons.record(cluster, WATCHER, watcher.pid)


def _existing(directory: Path) -> Cluster:
    cluster = Cluster.load(directory)
    if cluster is None:
        raise ClusterError(f"no cluster in {directory}: start one with `up`, or give its folder with --dir")
    return cluster


def _override(text: str) -> tuple[str, str, str]:
    file, colon, assignment = text.partition(":")
    key, equals, value = assignment.partition("=")
    if file not in SITE_FILES or not (colon and key and equals):
        raise argparse.ArgumentTypeError(f"expected FILE:KEY=VALUE with FILE one of {', '.join(SITE_FILES)}: {text!r}")
    return file, key, value


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?", text):
        raise argparse.ArgumentTypeError(f"expected http://HOST:PORT, found {text!r}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="dev_hadoop.sh", description=DESCRIPTION, epilog=EPILOG, formatter_class=layout
    )
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--dir", type=Path, help="the cluster's folder", default=argparse.SUPPRESS)
    parser.set_defaults(dir=None, json=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("up", parents=[folder], help="start an empty cluster; print export lines")
    command.add_argument(
        "--hadoop", choices=RELEASES, default=DEFAULT_HADOOP, metavar="VERSION",
        help=f"{' or '.join(RELEASES)} ({DEFAULT_HADOOP})"
    )  # fmt: skip
    command.add_argument("--workers", type=_positive, default=1, metavar="N", help="DataNodes and NodeManagers (1)")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--tuned", action="store_true", help="low latency for small jobs (the default)")
    kind.add_argument("--plain", action="store_true", help="Hadoop's own defaults, for comparison")
    command.add_argument(
        "--node-memory", type=_positive, default=2048, metavar="MB", help="for containers, per NodeManager (2048)"
    )
    command.add_argument(
        "--node-vcores", type=_positive, default=4, metavar="N", help="for containers, per NodeManager (4)"
    )
    command.add_argument("--s3", type=_endpoint, metavar="URL", help="an S3 server, such as http://127.0.0.1:9000")
    command.add_argument("--no-yarn", action="store_true", help="HDFS only, which comes up sooner; no jobs")
    command.add_argument(
        "--kerberos", action="store_true", help="everybody proves who they are, and HDFS answers HTTPS only"
    )
    command.add_argument("--history", action="store_true", help="start a job history server too")
    command.add_argument(
        "--set",
        type=_override,
        action="append",
        default=[],
        dest="overrides",
        metavar="FILE:KEY=VALUE",
        help="any other setting, such as yarn-site:yarn.log-aggregation-enable=true (may be repeated)",
    )
    command.add_argument("--timeout", type=_positive, default=180, metavar="S", help="for the daemons to come up (180)")
    command.add_argument("--stop-with", type=_positive, metavar="PID", help="go down when that process has ended")
    command.add_argument("--json", action="store_true", help="print the variables as one JSON object")
    command.set_defaults(run=up)

    command = commands.add_parser("status", parents=[folder], help="what runs; exit 69 unless all of it is usable")
    command.add_argument("--json", action="store_true", help="one JSON object, with the containers' processes")
    command.set_defaults(run=status)

    command = commands.add_parser("env", parents=[folder], help="print the export lines of a running cluster")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(run=env)

    command = commands.add_parser("down", parents=[folder], help="stop everything and remove the data")
    command.set_defaults(run=down)

    command = commands.add_parser("kill", parents=[folder], help="signal one daemon, for fault tests")
    command.add_argument("name", help="such as namenode, resourcemanager, datanode-1, nodemanager-2")
    command.add_argument("--signal", default="KILL", choices=("KILL", "TERM", "STOP", "CONT"))
    command.set_defaults(run=kill)

    command = commands.add_parser("start", parents=[folder], help="start one daemon again")
    command.add_argument("name")
    command.set_defaults(run=start)

    command = commands.add_parser("wait", parents=[folder], help="until all workers are present, after a `start`")
    command.add_argument("--timeout", type=_positive, default=60, metavar="S", help="(60)")
    command.set_defaults(run=wait)

    command = commands.add_parser("watch", parents=[folder], help="wait for a process to end, then go down")
    command.add_argument("process", type=_positive)
    command.set_defaults(run=watch)
    return parser


if __name__ == "__main__":
    sys.exit(main())
