"""The command line as a newcomer meets it: help, the first example, JSON for machines, progress for people."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, environment, write_csv, write_libsvm
from sklearn import datasets

import mr_ml as package

COMMANDS = (
    ("pack",), ("describe",), ("train",), ("evaluate",), ("predict",),
    ("models", "list"), ("models", "show"), ("runs", "list"), ("runs", "show"),
)  # fmt: skip


def iris(folder: Path) -> Path:
    x, y = datasets.load_iris(return_X_y=True)
    return write_libsvm(folder / "iris.libsvm", x, y)


def test_help(mr_ml: Commands) -> None:
    found = mr_ml.process("--help")
    assert found.code == 0
    assert all(command[0] in found.out for command in COMMANDS)
    assert "65 bad data" in found.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_a_command(command: tuple[str, ...], mr_ml: Commands) -> None:
    found = mr_ml.run(*command, "--help")
    assert found.code == 0
    assert {"--root", "--json", "--quiet"} <= set(re.findall(r"--[a-z-]+", found.out))
    assert "exit codes" in found.out


def test_version(mr_ml: Commands) -> None:
    assert mr_ml.run("--version").out == f"mr-ml {package.__version__}\n"


def test_the_first_example(mr_ml: Commands, tmp_path: Path) -> None:
    """Load, split, fit, predict, evaluate."""
    file = iris(tmp_path)
    shape = mr_ml("pack", file, "--to", "iris", "--split", "train=0.8,test=0.2", "--seed", "7")
    assert (shape["n_rows"], shape["n_features"], shape["nnz"], shape["labels"]) == (150, 4, 600, [0, 1, 2])
    assert set(shape["splits"]) == {"train", "test"}
    assert {"n_rows", "n_features", "nnz", "labels", "splits", "partitions", "blocks"} <= set(mr_ml("describe", "iris"))

    found = mr_ml("train", "iris", "--model", "iris-softmax", "--loss", "softmax", "--l2", "1e-4")
    assert list(found) == [
        "model", "version", "run", "solver", "passes", "objective", "gradient_norm", "converged", "stop", "warnings",
        "seconds", "solver_why", "promoted",
    ]  # fmt: skip
    assert (found["model"], found["version"], found["converged"]) == ("iris-softmax", 1, True)
    assert found["stop"].startswith("converged")

    metrics = mr_ml("evaluate", "iris-softmax", "iris", "--split", "test")
    assert {"n_rows", "accuracy", "log_loss", "auc", "confusion"} <= set(metrics)
    assert metrics["n_rows"] == shape["splits"]["test"]
    assert metrics["accuracy"] > 0.9
    assert np.sum(metrics["confusion"]) == metrics["n_rows"]

    predicted = mr_ml("predict", "iris-softmax", file, "--to", tmp_path / "predictions")
    assert predicted["n_rows"] == 150
    assert len((tmp_path / "predictions").read_text().splitlines()) == 150

    shown = mr_ml("models", "show", "iris-softmax")
    assert shown["feature_names"] is None
    coef = mr_ml.coef("iris-softmax")
    assert (coef.coef.shape, coef.intercept.shape) == ((3, 4), (3,))
    log = mr_ml("runs", "show", found["run"])
    assert (log["status"], log["model"], len(log["log"])) == ("done", "iris-softmax@1", found["passes"])
    values = [event["objective"] for event in log["log"]]
    assert values == sorted(values, reverse=True)
    assert values[-1] == found["objective"]

    again = mr_ml("train", "iris", "--model", "iris-softmax", "--loss", "softmax", "--l2", "1e-4", "-r", "inline")
    assert (again["version"], again["objective"]) == (2, found["objective"])
    assert [m["version"] for m in mr_ml("models", "list")["models"]] == [1, 2]
    assert sorted(r["run"] for r in mr_ml("runs", "list")["runs"]) == sorted([found["run"], again["run"]])


def test_text_results(mr_ml: Commands, tmp_path: Path) -> None:
    """Without --json: what a person wants to know stands in the output."""
    text = mr_ml.run("pack", iris(tmp_path), "--to", "iris", "--split", "train=0.8,test=0.2").out
    assert "iris@1: 150 rows x 4 features" in text
    trained = mr_ml.run("train", "iris", "--model", "m", "--loss", "softmax", "--l2", "0.01")
    assert re.search(r"m@1: objective 0\.\d+, \|gradient\| \S+ after \d+ passes", trained.out)
    assert "converged" in trained.out
    assert re.match(r"run \S+: softmax on iris@1 train, 1\d\d rows\nsolver: newton, since .* is small\n$", trained.err)
    text = mr_ml.run("evaluate", "m", "iris").out
    assert all(word in text for word in ("accuracy", "log_loss", "auc", "truth \\ predicted"))
    assert "(intercept)" in mr_ml.run("models", "show", "m").out
    assert "m@1" in mr_ml.run("models", "list").out
    (run,) = mr_ml("runs", "list")["runs"]
    assert run["run"] in mr_ml.run("runs", "list").out
    assert "|gradient|" in mr_ml.run("runs", "show", run["run"]).out


def test_empty_lists(mr_ml: Commands) -> None:
    assert mr_ml("models", "list") == {"models": []}
    assert mr_ml("runs", "list") == {"runs": []}


def test_regression_metrics(mr_ml: Commands, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2))
    y = x @ [2, 3] + rng.normal(size=300)
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y), "--to", "line")
    mr_ml("train", "line", "--model", "line", "--loss", "squared")
    found = mr_ml("evaluate", "line", "line", "--split", "train")
    coef = mr_ml.coef("line")
    error = x @ coef.coef[0] + coef.intercept - y
    assert found["mean_squared_error"] == pytest.approx((error**2).mean(), rel=1e-12)
    assert found["root_mean_squared_error"] == pytest.approx((error**2).mean() ** 0.5, rel=1e-12)
    assert found["mean_absolute_error"] == pytest.approx(np.abs(error).mean(), rel=1e-12)
    assert found["r2"] == pytest.approx(1 - (error**2).sum() / ((y - y.mean()) ** 2).sum(), rel=1e-10)


# As a process


def test_a_process_is_silent_without_a_terminal(mr_ml: Commands, tmp_path: Path) -> None:
    file = iris(tmp_path)
    assert mr_ml.process("pack", file, "--to", "iris", "--quiet").err == ""
    found = mr_ml.process("train", "iris", "--model", "m", "--loss", "softmax", "--l2", "0.01", "--quiet", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.result["converged"]
    assert len(found.out.splitlines()) == 1
    found = mr_ml.process("train", "iris", "--model", "m", "--loss", "softmax", "--l2", "0.01")
    assert len(found.err.splitlines()) == 2


def on_a_terminal(mr_ml: Commands, *args: object) -> str:
    """What a command writes to a terminal on stderr."""
    ours, theirs = pty.openpty()
    process = mr_ml.start(*args, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Linux says so when the other end is closed
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return shown.decode()


def test_progress_on_a_terminal(mr_ml: Commands, tmp_path: Path) -> None:
    mr_ml("pack", iris(tmp_path), "--to", "iris")
    train = ("train", "iris", "--model", "m", "--loss", "softmax", "--l2", "0.01", "-r", "inline")
    shown = on_a_terminal(mr_ml, *train, "--progress", "plain")
    lines = [line for line in shown.splitlines() if "Z  pass " in line]
    (run,) = mr_ml("runs", "list")["runs"]
    assert len(lines) == run["passes"]
    for word in ("objective", "|gradient|", "step", "rows/s"):
        assert all(word in line for line in lines)
    assert on_a_terminal(mr_ml, *train, "--quiet") == ""


def test_the_root(tmp_path: Path) -> None:
    """--root, else MR_ML_ROOT, else ./mr_ml_data."""
    file = iris(tmp_path)
    command = [sys.executable, "-m", "mr_ml", "pack", str(file), "--to", "iris", "-r", "inline", "--json"]
    for settings, more, expected in (
        ({}, [], tmp_path / "mr_ml_data"),
        ({"MR_ML_ROOT": str(tmp_path / "env")}, [], tmp_path / "env"),
        ({"MR_ML_ROOT": str(tmp_path / "env")}, ["--root", str(tmp_path / "given")], tmp_path / "given"),
    ):
        clean = {k: v for k, v in environment().items() if k != "MR_ML_ROOT"}
        subprocess.run([*command, *more], cwd=tmp_path, env={**clean, **settings}, check=True, capture_output=True)
        assert (expected / "datasets/iris/v000001.json").is_file()


def test_a_root_can_be_moved(mr_ml: Commands, tmp_path: Path) -> None:
    mr_ml("pack", iris(tmp_path), "--to", "iris")
    first = mr_ml("train", "iris", "--model", "m", "--loss", "softmax", "--l2", "0.01")
    moved = Commands(mr_ml.root.rename(tmp_path / "elsewhere"))
    again = moved("train", "iris", "--model", "m", "--loss", "softmax", "--l2", "0.01")
    assert (again["version"], again["objective"]) == (2, first["objective"])
    assert moved.coef("m@1").sha256 == moved.coef("m@2").sha256
    assert moved("evaluate", "m@1", "iris", "--split", "train")["n_rows"] == 150


@pytest.mark.parametrize(
    ("closed", "runner"),
    [("2>&-", ("-r", "local", "--workers", "2")), (">&- 2>&-", ("-r", "inline")), ("<&- >&- 2>&-", ("-r", "inline"))],
)
def test_closed_standard_files(mr_ml: Commands, tmp_path: Path, closed: str, runner: tuple[str, ...]) -> None:
    """As daemons and wrappers of cron start commands."""
    mr_ml("pack", iris(tmp_path), "--to", "iris")
    train = mr_ml.arguments("train", "iris", "--model", "m", "--loss", "softmax", "--l2", "0.01", *runner)
    command = shlex.join([sys.executable, "-m", "mr_ml", *train])
    done = subprocess.run(["sh", "-c", f"{command} {closed}"], env=environment(), stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    assert mr_ml("evaluate", "m@1", "iris", "--split", "train")["n_rows"] == 150
    usage = subprocess.run(["sh", "-c", f"{command} --no-such {closed}"], env=environment(), check=False)
    assert usage.returncode == 2


def test_a_reader_that_goes_away(mr_ml: Commands, tmp_path: Path) -> None:
    mr_ml("pack", iris(tmp_path), "--to", "iris")
    ours, theirs = os.pipe()
    os.close(ours)
    process = mr_ml.start("describe", "iris", stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 141
    assert b"Traceback" not in err


def test_without_standard_streams(mr_ml: Commands, tmp_path: Path) -> None:
    """As a scheduler may start it: no standard input, and folders that are not the current one."""
    file = iris(tmp_path)
    found = mr_ml.process("pack", file, "--to", "iris", "--json", stdin=subprocess.DEVNULL, cwd="/")
    assert found.result["n_rows"] == 150
    process = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "mr_ml", "train", "iris", "--model", "m",
         "--loss", "softmax", "--l2", "0.01", "--root", str(mr_ml.root), "--workers", "2", "--json"],
        env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["converged"]


def test_labels_do_not_reach_the_terminal_raw(mr_ml: Commands, tmp_path: Path) -> None:
    columns: dict[str, Any] = {"a": [1, 2, 3, 4], "label": ["x\x1b[2Jy", "no", "x\x1b[2Jy", "no"]}
    mr_ml("pack", write_csv(tmp_path / "rows.csv", columns), "--to", "d")
    shown = mr_ml.run("describe", "d")
    assert (shown.code, "\x1b" in shown.out, "\\x1b[2J" in shown.out) == (0, False, True)
    assert mr_ml("describe", "d")["labels"] == ["no", "x\x1b[2Jy"]
    mr_ml("train", "d", "--model", "m", "--l2", "1")
    assert "\x1b" not in mr_ml.run("evaluate", "m", "d", "--split", "train").out


def test_a_defect_of_ours_has_an_exit_code(mr_ml: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("the test's own")

    monkeypatch.setattr("mr_ml.cli.runs.list_all", broken)
    found = mr_ml.run("runs", "list")
    assert found.code == 70
    assert "ZeroDivisionError: the test's own" in found.err
    assert found.out == ""


def test_python_warnings_are_not_printed(mr_ml: Commands, tmp_path: Path) -> None:
    """Nothing of numpy's or mrjob's own leaks through, not even where numbers are extreme."""
    (tmp_path / "rows").write_text("1 1:1e300 2:1e-300\n0 1:-1e300 2:1\n1 1:1e299\n0 2:5\n")
    assert mr_ml.process("pack", tmp_path / "rows", "--to", "d", "--quiet").err == ""
    found = mr_ml.process("train", "d", "--model", "m", "--l2", "0.1", "--quiet")
    assert "Warning" not in found.err
    assert "Traceback" not in found.err
