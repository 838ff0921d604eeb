"""Class data archives: what the Java virtual machines of a cluster load, ready to be mapped into memory.

Loading some thousand classes is most of the processor time of a small job, and of a daemon's start. A cluster is run
once in a way that makes every virtual machine write the classes it used to `<role>.jsa` when it ends; from then on all
tuned clusters of this home folder and Java version use those files. Needs Java 13 (JEP 350).
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
from settings import DAEMON_HEAP_MB, java_options

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
        (staging / "archives").mkdir()
        trainer = dataclasses.replace(
            cluster,
            directory=str(staging),
            workers=1,
            tuned=True,
            history=False,
            node_memory_mb=2048,
            token=secrets.token_hex(16),
            s3="",
            overrides=(),
            archives=str(staging / "archives"),
            recording=True,
        )
        trainer = bring_up(trainer, seconds=300)
        try:
            _run_job(trainer)
            _wait_for_containers(trainer, seconds=300)
        finally:
            take_down(trainer, grace_seconds=120)
        missing = [role for role in ROLES if not (staging / "archives" / f"{role}.jsa").is_file()]
        if missing:
            raise ClusterError(f"none was written for {', '.join(missing)}")
        (staging / "archives").rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _run_job(trainer: Cluster) -> None:
    """One streaming job of one map and one reduce, from a client that records too."""
    (trainer.path / "line.txt").write_text("1\n", encoding="utf-8")
    streaming = next(Path(trainer.home).glob("share/hadoop/tools/lib/hadoop-streaming-*.jar"))
    job = [
        "jar",
        str(streaming),
        "-D",
        "mapreduce.job.maps=1",
        "-D",
        "mapreduce.job.reduces=1",
        "-input",
        "/tmp/line.txt",
    ]
    job += ["-output", "/tmp/lines", "-mapper", "cat", "-reducer", "cat"]
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
