"""Class data archives: what the Java virtual machines of a cluster load, ready to be mapped into memory.

Loading some thousand classes is most of the processor time of a small job, and of a daemon's start. A cluster is run
once in a way that makes every virtual machine write the classes it used to `<role>.jsa` when it ends; from then on all
tuned clusters of this home folder and Java version use those files. The job reads from HDFS and from what stands in for
S3, whose connector has more classes to load than all the rest. Needs Java 13 (JEP 350).
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import daemons
from description import Cluster
from distribution import ClusterError, cache_folder, java_major, java_version, locked, say
from lifecycle import bring_up, take_down
from s3_stand_in import serving
from settings import DAEMON_HEAP_MB, java_options, s3_properties

_LINE = b"1\n"
_ON_S3 = "s3a://bucket/line.txt"
ROLES = ("client", "am", "map", "reduce", *(role for role in DAEMON_HEAP_MB if role != "historyserver"))


def archive_folder(cluster: Cluster) -> str:
    """The folder of the archives, recorded first if there is none; empty where Java cannot have them."""
    java = Path(cluster.java)
    if java_major(java) < 13:
        say("no class data archives with this Java (they need 13 or later): jobs start more slowly")
        return ""
    folder = Path(cluster.home) / f"archives-{java_version(java)}"
    with locked(cache_folder() / "archives.lock"):
        if not folder.is_dir():
            try:
                _record(cluster, folder)
            except ClusterError as error:
                say(f"no class data archives this time, so jobs start more slowly; the next `up` tries again: {error}")
                return ""
    return str(folder)


def _record(cluster: Cluster, folder: Path) -> None:
    say("recording class data archives with a short-lived cluster (about a minute, once) ...")
    staging = Path(tempfile.mkdtemp(prefix="archives-", dir=cache_folder()))
    try:
        with serving({"/" + _ON_S3.partition("://")[2]: _LINE}) as s3:
            _record_with(cluster, staging, s3)
        missing = [role for role in ROLES if not (staging / "archives" / f"{role}.jsa").is_file()]
        if missing:
            raise ClusterError(f"none was written for {', '.join(missing)}")
        (staging / "archives").rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _record_with(cluster: Cluster, staging: Path, s3: str) -> None:
    """Run a cluster in a folder whose virtual machines write archives; `s3` is the URL of what its job reads."""
    (staging / "archives").mkdir()
    properties = s3_properties(s3, {"AWS_ACCESS_KEY_ID": "recorder", "AWS_SECRET_ACCESS_KEY": "recorder"})
    trainer = dataclasses.replace(
        cluster,
        directory=str(staging),
        workers=1,
        tuned=True,
        history=False,
        node_memory_mb=2048,
        token=secrets.token_hex(16),
        s3="",
        overrides=tuple(("core-site", key, str(value)) for key, value in properties.items()),
        archives=str(staging / "archives"),
        recording=True,
    )
    trainer = bring_up(trainer, seconds=300)
    try:
        _run_job(trainer)
        _wait_for_containers(trainer, seconds=300)
    finally:
        take_down(trainer, grace_seconds=120)


def _run_job(trainer: Cluster) -> None:
    """One streaming job of one map and one reduce, from a client that records too."""
    (trainer.path / "line.txt").write_bytes(_LINE)
    streaming = next(Path(trainer.home).glob("share/hadoop/tools/lib/hadoop-streaming-*.jar"))
    job = ["jar", str(streaming), "-D", "mapreduce.job.reduces=1", "-files", f"{_ON_S3}#line"]
    # one map task for both files: of two, each would write the archive
    job += ["-inputformat", "org.apache.hadoop.mapred.lib.CombineTextInputFormat"]
    job += ["-input", "/tmp/line.txt", "-input", _ON_S3, "-output", "s3a://bucket/lines"]
    job += ["-mapper", "cat", "-reducer", "cat"]
    plain = {key: value for key, value in os.environ.items() if not key.startswith(daemons.FOREIGN)}
    environment = plain | trainer.exports()
    recorder = environment | {"HADOOP_CLIENT_OPTS": " ".join(java_options(trainer, "client"))}
    upload = ["fs", "-put", str(trainer.path / "line.txt"), "/tmp/line.txt"]
    for arguments, variables in ((upload, environment), (job, recorder)):
        command = [f"{trainer.home}/bin/hadoop", *arguments]
        done = subprocess.run(
            command, env=variables, cwd=trainer.path, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            raise ClusterError(f"the job that records class data failed; its last lines:\n{done.stderr[-2000:]}")


def _wait_for_containers(trainer: Cluster, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while daemons.containers(trainer) and time.monotonic() < deadline:
        time.sleep(0.2)
