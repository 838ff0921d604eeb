"""Checkpoints that are not this run's, or not whole: the first are refused, of the others the older one serves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm

from hdfs_layout import decode_document, encode_document
from mr_ml.catalog import checkpoints
from mr_ml.progress import PassEnded
from mr_ml.progress_lines import PlainLines

OPTIONS = ("--solver", "lbfgs", "--tolerance", "1e-9", "--l2", "0.001")


def write_rows(path: Path, *, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, 5))
    return write_libsvm(path, x, (x @ np.arange(5) + rng.normal(size=80) > 0).astype(int))


class Runs:
    """A root in which runs can be cut short: nothing published, two states left."""

    def __init__(self, folder: Path) -> None:
        self.commands = Commands(folder / "root", runner=("-r", "inline"))
        self.commands("pack", write_rows(folder / "rows", seed=1), "--to", "rows")
        self.undisturbed = self.commands("train", "rows", "--model", "whole", *OPTIONS)

    def cut(self, *options: str, after: int = 7, monkeypatch: pytest.MonkeyPatch) -> str:
        """The name of a run that ended after so many passes."""

        def dies(lines: PlainLines, ended: PassEnded) -> None:
            if ended.number == after:
                raise KeyboardInterrupt

        before = self.names()
        with monkeypatch.context() as patched:
            patched.setattr(PlainLines, "pass_ended", dies)
            found = self.commands.run("train", "rows", "--model", "m", *OPTIONS, *options)
        assert found.code == 130
        (name,) = self.names() - before
        return name

    def names(self) -> set[str]:
        return {path.name for path in (self.commands.root / "runs").iterdir()}

    def states(self, run: str) -> list[Path]:
        return sorted((self.commands.root / "runs" / run).glob("passes/*/state"))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setattr(checkpoints, "AT_STAKE_SECONDS", 0.0)
    return Runs(tmp_path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def older_one(path: Path) -> None:
    """The other state under this one's number."""
    (other,) = set(path.parent.parent.glob("*/state")) - {path}
    shutil.copyfile(other, path)


@pytest.mark.parametrize("damage", [truncated, flipped, emptied, older_one])
@pytest.mark.parametrize("apart", [False, True], ids=["small", "pairs apart"])
def test_the_older_state_serves_where_the_newest_is_damaged(
    runs: Runs, damage: Callable[[Path], None], apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if apart:
        monkeypatch.setattr(checkpoints, "HISTORIES_APART_FROM", 0)
    run = runs.cut(monkeypatch=monkeypatch)
    _, newest = runs.states(run)
    damage(newest)
    found = runs.commands.run("train", "--resume", run, "--json")
    assert found.code == 0, found.err
    assert "passes/000007/state" in found.err
    assert "going on from pass 6" in found.err
    assert found.result["passes"] == runs.undisturbed["passes"]
    assert runs.commands.coef("m").sha256 == runs.commands.coef("whole").sha256


def test_nothing_is_guessed_where_no_state_is_whole(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.cut(monkeypatch=monkeypatch)
    for path in runs.states(run):
        truncated(path)
    found = runs.commands.run("train", "--resume", run)
    assert (found.code, "Traceback" in found.err) == (65, False)
    assert all(
        text in found.err for text in ("000006/state", "000007/state", f"remove {runs.commands.root}/runs/{run}/passes")
    )
    shutil.rmtree(runs.commands.root / "runs" / run / "passes")
    assert runs.commands("train", "--resume", run)["passes"] == runs.undisturbed["passes"]


def test_pairs_that_are_missing(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "HISTORIES_APART_FROM", 0)
    run = runs.cut(monkeypatch=monkeypatch)
    (newest,) = (runs.commands.root / "runs" / run).glob("passes/000007/pairs")
    newest.unlink()
    found = runs.commands.run("train", "--resume", run)
    assert (found.code, "pairs is missing" in found.err) == (0, True)
    assert runs.commands.coef("m").sha256 == runs.commands.coef("whole").sha256


def test_another_runs_state_is_refused(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another penalty and further on: it would end at once, as this run's model."""
    ours = runs.cut(after=3, monkeypatch=monkeypatch)
    theirs = runs.cut("--max-passes", "8", monkeypatch=monkeypatch)
    shutil.copytree(runs.states(theirs)[-1].parent, runs.states(ours)[-1].parent.parent / "000007")
    found = runs.commands.run("train", "--resume", ours)
    assert (found.code, "Traceback" in found.err) == (65, False)
    assert all(text in found.err for text in (ours, theirs, f"remove {runs.commands.root}/runs/{ours}/passes/000007"))
    assert not (runs.commands.root / "models/m").exists()
    shutil.rmtree(runs.commands.root / "runs" / ours / "passes/000007")
    assert runs.commands("train", "--resume", ours)["passes"] == runs.undisturbed["passes"]


def test_a_copied_run_is_refused(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.cut(monkeypatch=monkeypatch)
    shutil.copytree(runs.commands.root / "runs" / run, runs.commands.root / "runs" / "copy")
    found = runs.commands.run("train", "--resume", "copy")
    assert (found.code, run in found.err, "spec.json" in found.err) == (65, True, True)


def test_a_spec_that_was_changed_since(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, and this run's by name: a spec of another penalty was put in its place."""
    run = runs.cut(monkeypatch=monkeypatch)
    path = runs.commands.root / "runs" / run / "spec.json"
    document = decode_document(path.read_bytes(), where="")
    document["spec"]["l2"] = 0.5
    path.write_bytes(encode_document(document))
    found = runs.commands.run("train", "--resume", run)
    assert (found.code, "expected a state of spec" in found.err) == (65, True)


def test_data_that_was_packed_again_under_the_same_version(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.cut(monkeypatch=monkeypatch)
    folder = runs.commands.root / "datasets" / "rows"
    shutil.rmtree(folder)
    runs.commands("pack", write_rows(runs.commands.root.parent / "others", seed=2), "--to", "rows")
    found = runs.commands.run("train", "--resume", run)
    assert (found.code, "expected a state of packed data" in found.err) == (65, True)
