"""What earlier releases stored is read as ever, or refused in a sentence: one root for each format of documents."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from commands import Commands

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def old(tmp_path: Path) -> Commands:
    """Datasets shop (CSV) and small (libsvm), a model of each (of small two versions), and their runs."""
    shutil.copytree(GOLDEN / "root-1", tmp_path / "root")
    return Commands(tmp_path / "root", runner=("-r", "inline"))


def test_the_root_of_release_0_1(old: Commands, tmp_path: Path) -> None:
    shop = old("describe", "shop", "--verify")
    assert (shop["n_rows"], shop["splits"], shop["labels"]) == (12, {"train": 8, "test": 4}, ["no", "yes"])
    assert old("describe", "small")["label_counts"] == {"train": {"0": 4, "1": 4}}
    listed = [(m["model"], m["version"], m["passes"]) for m in old("models", "list")["models"]]
    assert listed == [("shop", 1, 9), ("small", 1, 8), ("small", 2, 2)]
    assert {(r["model"], r["status"]) for r in old("runs", "list")["runs"]} == {
        (name, "done") for name in ("shop@1", "small@1", "small@2")
    }
    run = old("models", "show", "shop")["run"]
    assert [p["number"] for p in old("runs", "show", run)["log"]] == list(range(1, 10))
    # 4 rows, of which one is right
    assert old("evaluate", "shop", "shop")["accuracy"] == 0.25
    old("predict", "shop", GOLDEN / "root-1.csv", "--to", tmp_path / "out")
    first = (tmp_path / "out").read_text().splitlines()[1].split("\t")
    # age 31, red: the coefficients as `models show` printed them when they were new
    margin = 31.3959 - 0.705427 * 31 + 0.588863
    assert first[0] == "yes"
    assert float(first[2]) == pytest.approx(1 / (1 + math.exp(-margin)), rel=1e-5)


def test_its_data_can_be_used_on(old: Commands) -> None:
    assert old("train", "small", "--model", "small", "--l2", "0.1")["version"] == 3
    assert old("pack", GOLDEN / "root-1.csv", "--like", "shop", "--to", "shop")["n_rows"] == 12


def test_its_models_can_be_promoted_and_rolled_back(old: Commands) -> None:
    assert old("models", "show", "small")["version"] == 2
    assert old("models", "rollback", "small")["version"] == 1
    assert old("models", "show", "small")["version"] == 1
    assert old("models", "promote", "small")["version"] == 2
    assert [m["status"] for m in old("models", "list")["models"]] == [None, "former", "promoted"]


def test_its_deviations_count_rows(old: Commands) -> None:
    """Of a dataset with weights that was packed before deviations were weighted."""
    scaled = ("--l2", "0.1", "--penalty-space", "scaled")
    (warning,) = old("train", "shop@1", "--model", "scaled", *scaled)["warnings"]
    assert "whatever it weighs" in warning
    assert "shop@1" in warning
    assert "pack it again" in warning
    assert old("train", "shop@1", "--model", "scaled", *scaled, "--weights", "none")["warnings"] == []
    old("pack", GOLDEN / "root-1.csv", "--like", "shop", "--to", "shop")
    assert old("train", "shop@2", "--model", "scaled", *scaled)["warnings"] == []


def test_its_runs_are_not_gone_on_with(old: Commands) -> None:
    """Their states do not say what they belong to."""
    run = old("models", "show", "shop")["run"]
    found = old.run("train", "--resume", run)
    assert (found.code, "Traceback" in found.err) == (65, False)
    assert f"runs/{run}/passes/000009/state: written by an earlier mr_ml" in found.err
    assert "train again" in found.err
