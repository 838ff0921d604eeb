"""Trainings by tasks that stay on a development cluster, while what they need breaks: the same bits, and nothing left.

    eval "$(scripts/dev_hadoop.sh up --workers 2)"
    scripts/soak.sh resident [CASE ...]

Kills tasks, nodes and application masters of the cluster whose configuration HADOOP_CONF_DIR names, and NodeManagers,
which it starts again; nothing else may run there. Prints a line for each case; exit code 1 if one failed.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import hashlib
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from commands import copy, write_libsvm
from gates import kill, parent_of
from resident_site import NODES, Site, make_site
from staying import Staying, is_alive, wait_until

from hdfs_layout import LocalStore, open_store
from mr_ml.runners.hadoop.work import tag_of

_SILENCE_SECONDS, _IDLE_SECONDS = 10.0, 60.0


def _points(*passes: int) -> tuple[str, ...]:
    return tuple(f"{what} {number}" for number in passes for what in ("before", "asked"))


def _stop_a_task(site: Site, driver: Staying, number: int, *, newest: bool = False) -> int:
    """Stop one before a pass, and wait until the driver has asked; its process."""
    driver.at(f"before {number}")
    found = site.two_tasks()
    pid = found[-1 if newest else 0]
    os.kill(pid, signal.SIGSTOP)
    driver.go_on()
    driver.at(f"asked {number}")
    return pid


def tasks(site: Site) -> str:
    """Python killed in the midst of a pass, Java in another, Python stopped in a third."""
    driver = site.train("tasks", points=_points(2, 4, 6))
    kill(_stop_a_task(site, driver, 2))
    driver.go_on()
    kill(parent_of(pid := _stop_a_task(site, driver, 4)))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    driver.go_on()
    stopped, began = _stop_a_task(site, driver, 6), time.monotonic()
    driver.go_on()
    said = driver.ends(code=0)
    seconds = time.monotonic() - began
    assert said.count("is gone") >= 3, said
    assert seconds >= _SILENCE_SECONDS - 1
    site.same("tasks")
    site.nothing_left()
    assert not is_alive(stopped)
    return f"{seconds:.1f} s from the stop of a task until the end"


def node(site: Site) -> str:
    """A NodeManager killed and its containers left, then another one with its containers."""
    driver = site.train("node", points=_points(2, 4))
    driver.at("before 2")
    first, second = (site.yarn.node_of(pid) for pid in site.two_tasks())
    assert first != second, "both tasks are on one node"
    master = site.yarn.node_of(site.yarn.masters()[0])
    other = first if master == second else second
    site.dev("kill", master)
    driver.go_on()
    driver.past("asked 2")
    driver.at("before 4")
    assert "is gone" not in driver.err, driver.err
    site.dev("start", master)
    site.dev("kill", other)
    lost = [pid for pid in site.yarn.containers() if site.yarn.node_of(pid) == other]
    for pid in lost:
        os.kill(pid, signal.SIGSTOP)
    driver.go_on()
    driver.at("asked 4")
    for pid in lost:
        kill(pid)
    driver.go_on()
    said = driver.ends(code=0)
    site.dev("start", other)
    site.dev("wait")
    site.same("node")
    site.nothing_left()
    return f"{said.count('is gone')} tasks lost"


def master(site: Site) -> str:
    """The application master killed in the midst of a pass."""
    driver = site.train("master", points=_points(3))
    _stop_a_task(site, driver, 3)
    began = time.monotonic()
    kill(site.yarn.masters()[-1])
    driver.go_on()
    driver.ends(code=0)
    site.same("master")
    site.nothing_left()
    return f"{time.monotonic() - began:.1f} s from the kill until nothing was left"


def driver_killed(site: Site) -> str:
    """The driver killed in a pass; its tasks end by themselves, its application too, the next command cleans.

    A task that has not connected yet goes on trying for 20 s.
    """
    killed = site.train("killed", points=("asked 2",))
    killed.at("asked 2")
    there, began = site.two_tasks(), time.monotonic()
    run, application = site.run_name(), site.application_name()
    killed.kill()
    wait_until(lambda: not any(map(is_alive, there)), what="the end of tasks", seconds=_IDLE_SECONDS + 60)
    tasks_ended = time.monotonic() - began
    wait_until(lambda: not site.yarn.applications("RUNNING", "ACCEPTED"), what="the end of the application")
    ended = time.monotonic() - began
    assert set(site.store.list("tmp")) == {run, application}
    resumed = site.start("train", "--resume", run)
    resumed.ends(code=0)
    site.same("killed")
    site.nothing_left()
    return f"tasks ended after {tasks_ended:.1f} s, the application after {ended:.1f} s; resumed"


def driver_stopped(site: Site) -> str:
    """The driver stopped in a pass: its tasks wait for some time. Then it goes on, and says so, or is killed."""
    driver = site.train("hung", points=("asked 2",))
    driver.at("asked 2")
    there, began = site.two_tasks(), time.monotonic()
    driver.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: not any(map(is_alive, there)), what="the end of tasks", seconds=_IDLE_SECONDS + 60)
    seconds = time.monotonic() - began
    assert seconds > _IDLE_SECONDS - 10, f"tasks ended after {seconds:.0f} s"
    wait_until(lambda: not site.yarn.applications("RUNNING", "ACCEPTED"), what="the end of the application")
    driver.go_on()
    driver.process.send_signal(signal.SIGCONT)
    said = driver.ends(code=69)
    assert "has ended before the last pass" in said, said
    site.nothing_left()
    return f"tasks ended after {seconds:.1f} s; {said.splitlines()[-1]}"


def signals(site: Site) -> str:
    """SIGTERM or Ctrl-C before the client starts, while the job is accepted, in a pass, and at the end."""
    said = []
    for point, number in (
        ("submit", signal.SIGTERM), ("accepted", signal.SIGINT), ("asked 2", signal.SIGTERM), ("close", signal.SIGINT)
    ):  # fmt: skip
        driver = site.train(f"signal-{number}", points=(point,))
        if point == "accepted":
            wait_until(lambda: site.yarn.applications("ACCEPTED", "RUNNING"), what="an application")
        else:
            driver.at(point)
        began = time.monotonic()
        driver.process.send_signal(number)
        if point in ("submit", "close"):
            driver.go_on()
        # the end of the tasks comes after the model is published
        driver.ends(code=0 if point == "close" else 128 + number)
        ended = time.monotonic() - began
        assert not site.store.list("tmp"), f"{point}: {site.yarn.left(site.store)}: {driver.err}"
        site.nothing_left()
        said.append(f"{point}: {ended:.1f} s")
    return ", ".join(said)


def few(site: Site) -> str:
    """Room for two of twelve tasks."""
    driver = site.train("few", points=("before 3",), resident_tasks=12, map_memory_mb=1500)
    driver.at("before 3")
    n = len(site.yarn.tasks())
    assert 1 <= n <= NODES
    driver.go_on()
    began = time.monotonic()
    driver.ends(code=0)
    site.same("few")
    site.nothing_left()
    return f"{n} tasks; {time.monotonic() - began:.1f} s from pass 3 until nothing was left"


def no_room(site: Site) -> str:
    """Another training has the whole cluster."""
    holds = site.train("holds", points=("asked 2",), map_memory_mb=1500)
    holds.at("asked 2")
    site.two_tasks()
    waits = site.train("waits", patience_seconds=5, map_memory_mb=1500)
    said = waits.ends(code=69)
    assert "no task has come for" in said, said
    assert "Is there room" in said, said
    falls_back = site.train("falls-back", engine="auto", passes=1, patience_seconds=5)
    wait_until(lambda: "each pass is a job of its own from here on" in falls_back.err, what="a word of falling back")
    holds.go_on()
    holds.ends(code=0)
    falls_back.ends(code=0)
    site.same("falls-back", passes=1)
    site.nothing_left()
    return said.splitlines()[-1]


def unreachable(site: Site) -> str:
    """Tasks are hung up on, or the driver has no port; only with `auto` the training goes on."""
    said = site.train("deaf", points=("deaf",)).ends(code=69)
    assert "none of 2 tasks reached this process" in said, said
    site.nothing_left()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = {"driver_port": taken.getsockname()[1]}
        refused = site.train("refused", passes=1, **port).ends(code=69)
        assert "expected a free port" in refused, refused
        told = site.train("auto", passes=1, engine="auto", **port).ends(code=0)
    assert told.count("each pass is a job of its own") == 1, told
    site.same("auto", passes=1)
    site.nothing_left()
    return said.splitlines()[-1]


def silent(site: Site) -> str:
    """Passes that are longer apart than Hadoop's patience: nothing is killed, since tasks say that they live."""
    driver = site.train("silent", points=("before 2",), jobconf={"mapreduce.task.timeout": "6000"})
    driver.at("before 2")
    there = site.two_tasks()
    time.sleep(75)  # Hadoop looks every 30 s
    assert site.yarn.tasks() == there
    driver.go_on()
    said = driver.ends(code=0)
    assert "is gone" not in said, said
    site.same("silent")
    site.nothing_left()
    return "75 s between two passes, mapreduce.task.timeout 6 s"


def spilled(site: Site) -> str:
    """Memory for a part of the blocks."""
    site.train("spilled", resident_memory_mb=1).ends(code=0)
    site.same("spilled")
    site.nothing_left()
    return "1 MB for blocks"


def tiny(site: Site) -> str:
    """784 partitions, one task."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(3000, 5)).round(2)
    site.local(
        "pack", write_libsvm(site.folder / "few", x, (x[:, 0] > 0).astype(int)), "--to", "tiny", "--partitions", 784
    )
    copy(LocalStore(str(site.folder / "root")), site.store, "datasets/tiny")
    words = ("train", "tiny", "--loss", "logistic", "--l2", "1e-2")
    began = time.monotonic()
    site.start(*words, "--model", "tiny", settings={"resident_tasks": 1}).ends(code=0)
    seconds = time.monotonic() - began
    site.local(*words, "--model", "tiny")
    (path,) = [path for path in site.store.walk("models/tiny") if path.endswith("coef.npz")]
    assert hashlib.sha256(site.store.read(path)).hexdigest() == site.local.coef("tiny").sha256
    site.nothing_left()
    return f"{seconds:.1f} s"


def commands(site: Site) -> str:
    """What else runs passes: `train --verify`, `evaluate`."""
    site.train("verified", "--verify").ends(code=0)
    site.same("verified")
    site.start("evaluate", "verified", "rows", "--split", "train").ends(code=0)
    site.nothing_left()
    return ""


def secret(site: Site) -> str:
    """Who can read the secret, and what passes ask of the NameNode."""
    driver = site.train("secret", points=("before 3", "before 11"))
    driver.at("before 3")
    site.two_tasks()
    tag = tag_of(site.application_name())
    assert json.loads(site.store.read(f"tmp/{site.run_name()}/owner"))["served_by"] == tag
    request = f"tmp/{site.application_name()}/request"
    word = str(json.loads(site.store.read(request))["secret"]).encode()
    path = site.root.split("/", 3)[3] + f"/{request}"
    base = f"{os.environ['MR_ML_TEST_WEBHDFS']}/webhdfs/v1/{path}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{base}?op=GETFILESTATUS") as answer:
        assert json.load(answer)["FileStatus"]["permission"] == "600"
    code = 0
    try:
        opener.open(f"{base}?op=OPEN&user.name=somebody").close()
    except urllib.error.HTTPError as error:
        error.close()
        code = error.code
    assert code == http.client.FORBIDDEN, f"another user reads the secret: {code}"
    found = {f"{pid}/{name}" for pid in _all_processes() for name in ("cmdline", "environ") if word in _proc(pid, name)}
    assert not found, f"the secret is in {found}"
    n_looked = 0
    for file in _files_of(site):
        try:
            data, mode = file.read_bytes(), file.stat().st_mode
        except OSError:
            continue
        n_looked += 1
        if word in data:
            assert not _others_read(file), f"the secret is in {file} of mode {mode:o}, for everybody"
            assert file.name == "request", f"the secret is in {file}"
    (application,) = site.yarn.applications("RUNNING")
    job = application.replace("application", "job")
    conf = json.dumps(site.yarn.ask(f"/proxy/{application}/ws/v1/mapreduce/jobs/{job}/conf"))
    assert "mapreduce.job.tags" in conf
    assert tag in conf
    assert word.decode() not in conf
    staged = 0
    staging = open_store(f"{site.root.rpartition('/user/')[0]}/tmp/hadoop-yarn/staging/{getpass.getuser()}/.staging")
    for name in staging.walk(""):
        staged += 1
        assert word not in staging.read(name), f"the secret is in {name}"
    assert staged
    before = site.file_operations()
    driver.go_on()
    driver.at("before 11")
    operations = (site.file_operations() - before) / 8
    driver.go_on()
    driver.ends(code=0)
    logs = [path for path in (site.yarn.directory / "logs").rglob("*") if path.is_file()]
    assert not [path for path in logs if word in path.read_bytes()]
    site.nothing_left()
    return f"{n_looked} files, {staged} staged, {len(logs)} logs; {operations:.1f} operations of the NameNode a pass"


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _files_of(site: Site) -> list[Path]:
    folders = [*site.yarn.directory.glob("data/nodemanager-*"), site.folder / "client"]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _others_read(file: Path) -> bool:
    """Whether everybody may read a file: its mode and those of the folders above it say so."""
    return bool(file.stat().st_mode & 0o004) and all(folder.stat().st_mode & 0o001 for folder in file.parents)


CASES: dict[str, Callable[[Site], str]] = {
    case.__name__: case
    for case in (
        tasks, secret, signals, driver_killed, unreachable, no_room, few, commands, node, master, driver_stopped,
        spilled, tiny, silent,
    )
}  # fmt: skip


def main() -> None:
    """Run the cases; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help=f"all by default: {', '.join(CASES)}")
    chosen = parser.parse_args().case or list(CASES)
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        site = make_site(Path(temporary))
        try:
            for name in chosen:
                began = time.monotonic()
                try:
                    found = CASES[name](site)
                except Exception:
                    failed.append(name)
                    found = traceback.format_exc()
                finally:
                    for driver in site.started:
                        driver.kill()
                    site.started.clear()
                print(f"{name}: {time.monotonic() - began:.0f} s; {found}", flush=True)
        finally:
            parent, _, name = site.root.rpartition("/")
            open_store(parent).remove_tree(name)
    print(f"failed: {failed}" if failed else "all as expected")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
