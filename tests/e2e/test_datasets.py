"""`mr-ml datasets`: what there is, and what of it goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm

INLINE = ("-r", "inline")


@pytest.fixture
def four(mr_ml: Commands, tmp_path: Path) -> Commands:
    """Versions 1 to 4 of a dataset, and models of the first two."""
    x = np.random.default_rng(0).normal(size=(40, 3))
    text = write_libsvm(tmp_path / "rows", x, np.arange(40) % 2)
    for _ in range(4):
        mr_ml("pack", text, "--to", "rows", *INLINE)
    for version in (1, 2):
        mr_ml("train", f"rows@{version}", "--model", "m", "--l2", "0.1", *INLINE)
    return mr_ml


def test_list(four: Commands) -> None:
    found = four("datasets", "list")["datasets"]
    assert [(one["dataset"], one["version"], one["rows"], one["features"]) for one in found] == [
        ("rows", number, 40, 3) for number in (1, 2, 3, 4)
    ]
    assert [one["used_by"] for one in found] == [["m@1"], ["m@2"], [], []]
    assert [one["bytes"] for one in found] == [four("describe", f"rows@{one['version']}")["bytes"] for one in found]
    lines = four.run("datasets", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["dataset", "rows@1", "rows@2", "rows@3", "rows@4"]
    assert lines[1].endswith("m@1")
    (four.root / "datasets/rows/v000002.json").write_bytes(b"{}")
    damaged = four.run("datasets", "list", "--json")
    assert (damaged.code, len(damaged.result["datasets"])) == (65, 4)
    assert "v000002.json" in damaged.err


def test_list_of_nothing(mr_ml: Commands) -> None:
    assert mr_ml("datasets", "list") == {"datasets": []}


def test_rm(four: Commands) -> None:
    for reference, code, words in (
        ("rows@2", 2, "m@2 was trained on it"), ("rows", 2, "rows@3"), ("rows@9", 74, "found versions 1-4"),
        ("../x@1", 2, "name"),
    ):  # fmt: skip
        found = four.run("datasets", "rm", reference)
        assert (found.code, words in found.err) == (code, True), found.err
    assert four("datasets", "rm", "rows@4", "--dry-run")["dry_run"]
    assert [one["what"] for one in four("datasets", "rm", "rows@4")["removed"]] == ["rows@4"]
    assert [one["version"] for one in four("datasets", "list")["datasets"]] == [1, 2, 3]
    assert len(list((four.root / "datasets/rows/data").iterdir())) == 3
    assert four("describe", "rows")["version"] == 3
    found = four.run("describe", "rows@4")
    assert (found.code, "version 4 was removed at " in found.err) == (74, True)
    text = four.root.parent / "rows"
    assert four("pack", text, "--to", "rows", *INLINE)["version"] == 5


def test_a_removed_model_gives_its_number_to_no_other(four: Commands) -> None:
    found = four.run("models", "rm", "m@2")
    assert (found.code, "--force" in found.err) == (2, True)
    four("models", "rm", "m@2", "--force")
    assert four("models", "show", "m")["version"] == 1
    assert four("train", "rows@2", "--model", "m", "--l2", "0.1", *INLINE)["version"] == 3


def test_prune(four: Commands) -> None:
    planned = four.run("datasets", "prune", "rows", "--keep", "1", "--dry-run", "--json")
    assert [one["what"] for one in planned.result["removed"]] == ["rows@1", "rows@3"]
    assert planned.result["notes"] == ["rows@2 stays: m@2 was trained on it"]
    assert "note: rows@2 stays" in planned.err
    assert len(four("datasets", "list")["datasets"]) == 4
    gone = four("datasets", "prune", "rows", "--keep", "1")
    assert [one["what"] for one in gone["removed"]] == ["rows@1", "rows@3"]
    assert [one["version"] for one in four("datasets", "list")["datasets"]] == [2, 4]
    assert four("datasets", "prune", "rows", "--keep", "1")["removed"] == []
    assert four.run("datasets", "prune", "rows").code == 2
    assert four.run("datasets", "prune", "other", "--keep", "1").code == 74
