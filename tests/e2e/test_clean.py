"""`mr-ml clean` and `mr-ml models delete`, alone and beside commands that are at work."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm

from hdfs_layout import open_root
from hdfs_layout.lock import hold

INLINE = ("-r", "inline")
SETTINGS = """\
root: {root}
model: m
dataset: rows
input: {{location: "/nowhere/{{date}}", days: 3}}
retention: {{models: {{versions: 1}}, datasets: {{versions: 2}}, runs: {{days: 0}}}}
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).normal(size=(200, 3))
    return write_libsvm(tmp_path / "rows", x, (x[:, 0] > 0).astype(int))


@pytest.fixture
def full(mr_ml: Commands, text: Path) -> Commands:
    """Four versions of a dataset and of a model."""
    for _ in range(4):
        mr_ml("pack", text, "--to", "rows", *INLINE)
        mr_ml("train", "rows", "--model", "m", "--l2", "0.1", *INLINE)
    return mr_ml


def files(commands: Commands) -> set[str]:
    return {str(path.relative_to(commands.root)) for path in commands.root.rglob("*") if "locks" not in path.parts}


def test_clean(full: Commands, tmp_path: Path) -> None:
    before = files(full)
    assert full("clean")["removed"] == []
    planned = full("clean", "--keep-versions", 2, "--dry-run")
    assert (planned["dry_run"], [one["what"] for one in planned["removed"]]) == (
        True,
        ["rows@1", "rows@2", "m@1", "m@2"],
    )
    assert files(full) == before
    of_model = full("clean", "--keep-versions", 2, "--model", "m")
    assert [one["what"] for one in of_model["removed"]] == ["m@1", "m@2"]
    settings = tmp_path / "retrain.yaml"
    settings.write_text(SETTINGS.format(root=full.root))
    found = full.run("clean", settings, "--keep-days", "3")
    assert (found.code, "--keep-days" in found.err) == (2, True)
    gone = full("clean", settings)
    assert [one["what"].partition(" ")[0] for one in gone["removed"]] == ["run"] * 3 + ["m@3", "rows@1", "rows@2"]
    assert gone["bytes"] == sum(one["bytes"] for one in gone["removed"]) > 10_000
    assert full("evaluate", "m", "rows", "--split", "train", *INLINE)["dataset"] == "rows@4"
    assert [run["model"] for run in full("runs", "list")["runs"]] == ["m@4"]
    assert full("describe", "rows@3", "--verify")["version"] == 3
    assert list((full.root / "uses").iterdir()) == []
    assert "0 removed" in full.run("clean", settings).out


def test_delete(full: Commands) -> None:
    full("models", "promote", "m@2")
    for reference, code, words in (
        ("m@2", 2, "promoted"), ("m", 2, "m@3"), ("m@9", 74, "m"), ("../m@1", 2, "name"),
    ):  # fmt: skip
        found = full.run("models", "delete", reference)
        assert (found.code, words in found.err, "Traceback" in found.err) == (code, True, False), found.err
    root = open_root(full.root)
    with hold(root.store, root.layout.lock("m"), what="retrain m"):
        found = full.run("models", "delete", "m@1")
    assert (found.code, "retrain m" in found.err) == (75, True)
    before = files(full)
    assert full("models", "delete", "m@1", "--dry-run")["bytes"] > 0
    assert files(full) == before
    assert [one["what"] for one in full("models", "delete", "m@1")["removed"]] == ["m@1"]
    assert [model["version"] for model in full("models", "list")["models"]] == [2, 3, 4]


def test_what_a_killed_training_needs_stays(full: Commands, text: Path) -> None:
    """And what it left goes."""
    running = full.start("train", "rows@1", "--model", "m", "--solver", "lbfgs", "--tolerance", "0", *INLINE)
    try:
        while not list((full.root / "uses").glob("dataset-rows-v000001-*")):
            assert running.poll() is None
            time.sleep(0.01)
        assert "rows@1" not in [one["what"] for one in full("clean", "--keep-versions", 1, "--dry-run")["removed"]]
        while len(list((full.root / "runs").glob("*/spec.json"))) < 5:
            assert running.poll() is None
            time.sleep(0.01)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert len(list((full.root / "uses").iterdir())) == 1
    gone = [one["what"] for one in full("clean", "--keep-versions", 1)["removed"]]
    assert [what for what in gone if "@" in what] == ["m@1", "m@2", "m@3", "rows@2", "rows@3"]
    assert list((full.root / "uses").iterdir()) == []
    (run,) = [run["run"] for run in full("runs", "list")["runs"] if run["status"] in ("killed", "unfinished")]
    assert full("train", "--resume", run, *INLINE)["version"] == 5


def test_cleans_beside_commands_at_work(full: Commands, text: Path, tmp_path: Path) -> None:
    """Each does what it is for, whatever the others do."""
    rules = ("clean", "--keep-versions", 2, "--keep-runs", 0)
    lines: list[tuple[object, ...]] = [
        ("pack", text, "--to", "rows", *INLINE),
        rules,
        ("train", "rows@1", "--model", "m", "--l2", "0.1", *INLINE),
        rules,
        ("predict", "m", text, "--to", tmp_path / "out", *INLINE),
        ("evaluate", "m", "rows", "--split", "train", *INLINE),
    ]
    started = [(line, full.start(*line, stderr=subprocess.PIPE)) for line in lines]
    for line, process in started:
        _, said = process.communicate()
        # of two cleans one is told of the other
        # and rows@1 may be gone before it is opened
        expected = (0, 75) if line is rules else (0, 74) if "rows@1" in line else (0,)
        assert process.returncode in expected, (line, said.decode())
    assert full.run(*rules).code == 0
    assert full("describe", "rows", "--verify")["version"] == 5
    assert full("evaluate", "m", "rows", "--split", "train", *INLINE)["n_rows"] == 200
    folder = full.root / "datasets" / "rows"
    assert len(list((folder / "data").iterdir())) == len(list(folder.glob("v*.json"))) in (2, 3)
