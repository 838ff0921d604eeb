"""Ctrl-C in a training: once, the pass is finished; twice, it ends at once. Both say what goes on with it, exactly."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, Outcome, environment, write_libsvm

from mr_ml.cli import main
from mr_ml.cli.going_on import command_to_go_on
from mr_ml.cli.parser import make_parser

# In the midst of a pass this process gets the signal so many times.
PROGRAM = """
import os, signal, sys
from mr_ml import interrupts
from mr_ml.cli import run
from mr_ml.passes.mapreduce import MapReduceEngine
at, times, interrupts.TWICE_SECONDS = int(sys.argv.pop(1)), int(sys.argv.pop(1)), float(sys.argv.pop(1))
number = getattr(signal, sys.argv.pop(1))
whole, calls = MapReduceEngine.run, []
def interrupted(self, query, **options):
    calls.append(1)
    if len(calls) == at:
        for _ in range(times):
            os.kill(os.getpid(), number)
    return whole(self, query, **options)
MapReduceEngine.run = interrupted
run()
"""
# And while it ends, some more.
LATER = """
import os, signal
import mr_ml.catalog.attempts as attempts
event = attempts._stopped_event
def insisted(error):
    for sent in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), sent)
    return event(error)
attempts._stopped_event = insisted
"""
TRAIN = ("train", "rows", "--model", "m", "--l2", "1e-4", "--solver", "lbfgs", "-r", "inline")
TUNE = ("tune", "rows", "--model", "m", "--l2", "1e-4,1e-2", "--folds", "2", "--solver", "lbfgs", "-r", "inline")


@pytest.fixture
def rows(tmp_path: Path) -> Commands:
    commands = Commands(tmp_path / "a root")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    y = (x.sum(axis=1) > 3 * rng.normal(size=300)).astype(int)
    commands("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "rows", "-r", "inline")
    return commands


def interrupted(
    commands: Commands, *args: object, at: int, times: int, apart: float = 0.0, number: str = "SIGINT"
) -> Outcome:
    program = ("-c", PROGRAM, str(at), str(times), str(apart), number)
    return commands.process(*args, program=program)


def go_on(outcome: Outcome) -> list[str]:
    """The command that it says goes on."""
    (line,) = (line for line in outcome.err.splitlines() if line.startswith("mr-ml: go on with: "))
    return shlex.split(line.removeprefix("mr-ml: go on with: "))


@pytest.mark.parametrize(
    ("times", "apart", "passes"), [(1, 0.0, 3), (2, 60.0, 3), (2, 0.0, 2)], ids=["once", "passed-on", "twice"]
)
def test_a_training(rows: Commands, times: int, apart: float, passes: int) -> None:
    """A wrapper that passes the signal on makes two of one, at the same instant."""
    found = interrupted(rows, *TRAIN, at=3, times=times, apart=apart)
    assert found.code == 130
    assert "mr-ml: interrupted; nothing half-written is visible" in found.err
    assert "stops after this pass; Ctrl-C once more stops at once" in found.err
    (run,) = rows("runs", "list")["runs"]
    assert (run["passes"], run["status"]) == (passes, "interrupted")
    words = go_on(found)
    assert words == ["mr-ml", "runs", "resume", run["run"], "--root", str(rows.root), "-r", "inline"]
    done = subprocess.run(
        [sys.executable, "-m", "mr_ml", *words[1:]], env=environment(), capture_output=True, check=True
    )
    assert b"m@1" in done.stdout
    rows("train", "rows", "--model", "whole", *TRAIN[4:])
    assert rows.coef("m").sha256 == rows.coef("whole").sha256


def test_a_training_of_files(rows: Commands, tmp_path: Path) -> None:
    """In the training: its rows stay packed, and what goes on is what goes on with any training."""
    found = interrupted(rows, "train", tmp_path / "rows", *TRAIN[2:], at=3, times=1)
    assert found.code == 130
    assert "m@1 stays, packed as it is: train on it in place of the files" in found.err
    assert main(go_on(found)[1:]) == 0
    rows("train", "rows", "--model", "whole", *TRAIN[4:])
    assert rows.coef("m").sha256 == rows.coef("whole").sha256


def test_a_third_and_more_do_not_break_what_stops_it(rows: Commands) -> None:
    """The run says that it was interrupted, and the command how to go on: both are written after the signals."""
    found = rows.process(*TRAIN, program=("-c", LATER + PROGRAM, "3", "2", "0", "SIGINT"))
    assert found.code == 130
    assert found.err.count("mr-ml: is ending") == 1
    (run,) = rows("runs", "list")["runs"]
    assert (run["passes"], run["status"]) == (2, "interrupted")
    assert go_on(found)[:4] == ["mr-ml", "runs", "resume", run["run"]]


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_who_sends_other_signals_does_not_wait(rows: Commands, number: str) -> None:
    found = interrupted(rows, *TRAIN, at=3, times=1, number=number)
    assert found.code == 128 + signal.Signals[number]
    assert "this pass" not in found.err
    assert rows("runs", "list")["runs"][0]["passes"] == 2
    assert go_on(found)[:3] == ["mr-ml", "runs", "resume"]


def test_the_last_pass(rows: Commands) -> None:
    """What it found is not published then, but by the command that goes on, which makes no pass again."""
    passes = rows("train", "rows", "--model", "whole", *TRAIN[4:])["passes"]
    found = interrupted(rows, *TRAIN, at=passes, times=1)
    assert found.code == 130
    assert main(go_on(found)[1:]) == 0
    assert rows.coef("m").sha256 == rows.coef("whole").sha256


def test_a_tuning(rows: Commands) -> None:
    found = interrupted(rows, *TUNE, "--root", rows.root, at=3, times=1)
    assert found.code == 130
    (run,) = rows("runs", "list")["runs"]
    assert (run["passes"], run["status"]) == (3, "interrupted")
    assert main(go_on(found)[1:]) == 0
    rows("tune", "rows", "--model", "whole", *TUNE[4:])
    assert rows.coef("m").sha256 == rows.coef("whole").sha256


def test_elsewhere_it_ends_at_once(rows: Commands) -> None:
    """Nothing is to be gone on with where no pass is written down."""
    rows(*TRAIN)
    found = interrupted(rows, "evaluate", "m", "rows", "--split", "train", "-r", "inline", at=1, times=1)
    assert (found.code, "go on with" in found.err, "this pass" in found.err) == (130, False, False)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train d --model m", "mr-ml runs resume RUN"),
        ("train d --model m --root hdfs:///me/x -r hadoop --config 'a file.yaml' --memory 2G",
         "mr-ml runs resume RUN --root hdfs:///me/x -r hadoop --config 'a file.yaml' --memory 2G"),
        ("train d --model m -r spark --master local[2] --engine mapreduce",
         "mr-ml runs resume RUN -r spark --master 'local[2]' --engine mapreduce"),
        ("train d --model m --inference --verify --workers 3",
         "mr-ml train --resume RUN --inference --verify --workers 3"),
        ("retrain 'my night.yaml' --for 2026-11-27", "mr-ml retrain 'my night.yaml' --for 2026-11-27"),
        ("retrain night.yaml --root r", "mr-ml retrain night.yaml --root r"),
    ],
)  # fmt: skip
def test_the_command(line: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MR_ML_ROOT", raising=False)
    options = make_parser().parse_args(shlex.split(line))
    found = command_to_go_on(options, "RUN")
    assert found == expected
    make_parser().parse_args(shlex.split(found)[1:])
