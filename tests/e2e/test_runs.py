"""`mr-ml runs`: when and where a run was at work, what it is now, and what ended it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm

from hdfs_layout import append_events, open_root, read_events
from mr_ml.cli.runs import duration_text

INLINE = ("-r", "inline")
# In its third pass this process says so and waits for what never comes.
HELD = """
import sys
from mr_ml.cli import run
from mr_ml.passes.mapreduce import MapReduceEngine
whole, calls = MapReduceEngine.run, []
def held(self, query, **options):
    calls.append(1)
    if len(calls) == 3:
        print("held", flush=True)
        sys.stdin.read()
    return whole(self, query, **options)
MapReduceEngine.run = held
run()
"""
TRAIN = ("train", "rows", "--model", "m", "--solver", "lbfgs", *INLINE)


@pytest.fixture
def rows(mr_ml: Commands, tmp_path: Path) -> Commands:
    x = np.random.default_rng(0).normal(size=(400, 5))
    y = (x.sum(axis=1) + np.random.default_rng(1).normal(size=400) > 0).astype(int)
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows", *INLINE)
    return mr_ml


@contextmanager
def held(commands: Commands) -> Iterator[subprocess.Popen[bytes]]:
    """A training in the midst of its third pass."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with commands.start(*TRAIN, program=("-c", HELD), **pipes) as running:
        try:
            assert running.stdout is not None
            while line := running.stdout.readline():
                if line == b"held\n":
                    break
            assert line, "it ended before"
            yield running
        finally:
            running.kill()


def only_run(commands: Commands) -> dict[str, object]:
    (found,) = commands("runs", "list")["runs"]
    return dict(found)


def test_a_run_that_is_done(rows: Commands) -> None:
    rows("train", "rows", "--model", "m", "--l2", "0.1", *INLINE)
    run = only_run(rows)
    assert (run["status"], run["host"], run["error"], run["can_resume"]) == ("done", os.uname().nodename, None, False)
    assert str(run["started"]).startswith("20")
    assert isinstance(run["seconds"], float)
    shown = rows.run("runs", "show", run["run"]).out
    assert f"on {os.uname().nodename}" in shown
    assert str(run["started"]) in shown


def test_running_and_killed(rows: Commands) -> None:
    with held(rows) as running:
        run = only_run(rows)
        assert (run["status"], run["can_resume"]) == ("running", False)
        running.send_signal(signal.SIGKILL)
        running.wait()
    run = only_run(rows)
    assert (run["status"], run["can_resume"], run["error"]) == ("killed", True, None)
    assert (
        f"go on with: mr-ml runs resume {run['run']} --root {rows.root}\n" in rows.run("runs", "show", run["run"]).out
    )


def test_interrupted(rows: Commands) -> None:
    with held(rows) as running:
        running.send_signal(signal.SIGTERM)
        assert running.wait() == 143
    run = only_run(rows)
    assert (run["status"], run["can_resume"], run["error"]) == ("interrupted", True, None)


def test_what_lacked_passes_says_how_to_go_on(rows: Commands) -> None:
    rows("train", "rows", "--model", "m", "--l2", "0.1", "--max-passes", "2", *INLINE)
    run = only_run(rows)["run"]
    command = f"mr-ml train --resume {run} --max-passes 4 --root {rows.root}"
    assert rows.run("runs", "show", run).out.endswith(f"\ngo on with: {command}\n")
    rows(*command.split()[1:6], *INLINE)
    assert "go on with" not in rows.run("runs", "show", rows("models", "show", "m@2")["run"]).out


def test_an_error_is_kept_and_goes_when_the_run_is_done(rows: Commands) -> None:
    (partition,) = rows.partition_paths("rows@1")
    whole = partition.read_bytes()
    partition.write_bytes(whole[:-9] + b"x" + whole[-8:])
    assert rows.run("train", "rows", "--model", "m", "--l2", "0.1", *INLINE).code == 65
    run = only_run(rows)
    assert (run["status"], run["can_resume"]) == ("failed", True)
    assert "part-00000" in str(run["error"])
    assert "part-00000" in rows.run("runs", "list").out
    shown = rows.run("runs", "show", run["run"]).out
    assert ("part-00000" in shown, "runs resume" in shown) == (True, True)
    partition.write_bytes(whole)
    rows("runs", "resume", run["run"], *INLINE)
    run = only_run(rows)
    assert (run["status"], run["error"]) == ("done", None)


def test_a_reason_that_would_come_again(rows: Commands) -> None:
    """There is no going on; the log says so."""
    rows("train", "rows", "--model", "m", "--l2", "0.1", *INLINE)
    run = str(only_run(rows)["run"])
    (rows.root / "models/m/v000001.json").unlink()
    store, log = open_root(rows.root).store, f"runs/{run}/log.jsonl"
    events = [event for event in read_events(store, log) if event["event"] in ("begun", "pass")]
    store.remove(log)
    stopped = {"event": "stopped", "at": "2026-11-28T10:00:00Z", "interrupted": False, "error": "no weight"}
    append_events(store, log, [*events, {"event": "failed", "stop": "no row has a weight"}, stopped])
    found = only_run(rows)
    assert (found["status"], found["can_resume"], found["error"]) == ("failed", False, "no row has a weight")
    shown = rows.run("runs", "show", run).out
    assert ("no row has a weight" in shown, "runs resume" in shown) == (True, False)


def test_of_another_machine_it_cannot_be_seen(rows: Commands) -> None:
    rows("train", "rows", "--model", "m", "--l2", "0.1", *INLINE)
    run = str(only_run(rows)["run"])
    (rows.root / "models/m/v000001.json").unlink()
    log = rows.root / "runs" / run / "log.jsonl"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    begun = next(event for event in events if event["event"] == "begun")
    place = begun["owner"].split("-")[1]
    moved = {**begun, "owner": begun["owner"].replace(place, "0" * 8), "host": "far\x1b[31m"}
    log.unlink()
    del moved["crc32"]
    append_events(open_root(rows.root).store, f"runs/{run}/log.jsonl", [moved])
    found = rows.run("runs", "list")
    assert "unfinished" in found.out
    assert "\x1b" not in found.out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.04, "0.0 s"), (59.9, "59.9 s"), (60.0, "1:00 min"), (3599.0, "59:59 min"), (7265.0, "2:01:05")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text
