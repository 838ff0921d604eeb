"""Lists of what there is, when a part of it is damaged."""

from __future__ import annotations

import shutil
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, write_libsvm


@pytest.fixture
def models(mr_ml: Commands, tmp_path: Path) -> Commands:
    """Versions 1 to 3 of a model and one of another."""
    x = np.random.default_rng(0).normal(size=(40, 2))
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, np.arange(40) % 2), "--to", "rows")
    for name in ("a", "a", "a", "b"):
        more = ("--max-passes", "2") if name == "a" else ()
        mr_ml("train", "rows", "--model", name, "--l2", "0.1", *more)
    return mr_ml


def test_a_damaged_manifest_does_not_hide_the_other_models(models: Commands) -> None:
    whole = models("models", "list")["models"]
    folder = models.root / "models" / "a"
    text = (folder / "v000002.json").read_bytes()
    for damage in (text[:-20], text.replace(b"e", b"3", 1), text.replace(b'"training"', b'"braining"'), b"", b"[]"):
        (folder / "v000002.json").write_bytes(damage)
        found = models.run("models", "list", "--json")
        assert found.code == 65
        listed = found.result["models"]
        assert [(m["model"], m["version"]) for m in listed] == [("a", 1), ("a", 2), ("a", 3), ("b", 1)]
        assert [m for m in listed if "damaged" not in m] == [m for m in whole if (m["model"], m["version"]) != ("a", 2)]
        assert str(folder / "v000002.json") in listed[1]["damaged"]
        assert str(folder / "v000002.json") in found.err
        table = models.run("models", "list").out.splitlines()
        assert [line.split()[0] for line in table] == ["model", "a@1", "a@2", "a@3", "b@1"]
        assert table[2].endswith("damaged")
        assert [line.split()[-2] for line in table] == ["converged", "no", "?", "no", "yes"]
    assert models("models", "show", "a@3")["version"] == 3


@pytest.mark.parametrize("what", ["models", "datasets", "runs"])
def test_a_list_of_nothing_says_where_it_looked(what: str, mr_ml: Commands) -> None:
    found = mr_ml.run(what, "list")
    assert (found.code, len(found.out.splitlines())) == (0, 1)
    assert found.err == f"no {what} in {mr_ml.root}; another folder is named by --root, or MR_ML_ROOT\n"


def test_a_list_says_what_each_version_is(models: Commands, tmp_path: Path) -> None:
    """Loss, penalty, rows, when, a metric where one is kept, how many warnings, and what its name means."""
    x = np.random.default_rng(1).normal(size=(50, 2))
    models("pack", write_libsvm(tmp_path / "numbers", x, x[:, 0]), "--to", "numbers", "--split", "train=0.6,test=0.4")
    options = ("--loss", "huber:delta=0.5", "--l1", "0.001", "--l2", "0.25", "--penalty-space", "scaled")
    found = models("train", "numbers", "--model", "c", *options, "--non-negative")
    for split in ("train", "test"):
        told = models("evaluate", "c", "numbers", "--split", split, "--save")
        assert told["split"] == split
    before = time.time()
    listed = {(m["model"], m["version"]): m for m in models("models", "list")["models"]}
    assert models.run("models", "list").out.splitlines()[0].split()[:4] == ["model", "loss", "penalty", "dataset"]
    entry = listed["c", 1]
    assert (entry["loss"], entry["penalty"]) == ("huber:delta=0.5", "l1 0.001, l2 0.25 scaled, not negative")
    assert entry["n_rows"] == models("describe", "numbers")["splits"]["train"]
    assert entry["evaluation"] == {
        "dataset": "numbers@1", "split": "test", "metric": "mean_loss", "value": told["mean_loss"]
    }  # fmt: skip
    assert entry["warnings"] == found["warnings"] == []
    when = datetime.fromisoformat(entry["published"]).timestamp()
    assert before - 600 < when <= before
    assert listed["a", 1]["evaluation"] is None
    models("models", "promote", "a@2")
    header, *lines = models.run("models", "list").out.splitlines()
    assert header.split() == [
        "model", "status", "loss", "penalty", "dataset", "rows", "objective", "metric", "passes", "published",
        "converged", "run",
    ]  # fmt: skip
    assert [line.split()[1] for line in lines[:3]] == ["former", "promoted", "former"]
    (line,) = (line for line in lines if line.startswith("c@1"))
    assert f"mean_loss {told['mean_loss']:.4g} test" in line
    (file,) = (models.root / "models").rglob("evaluations/*test*")
    file.write_bytes(file.read_bytes()[:-9])
    found_damaged = models.run("models", "list", "--json")
    assert found_damaged.code == 65
    assert file.name in found_damaged.err
    (entry,) = (m for m in found_damaged.result["models"] if m["model"] == "c")
    assert entry["evaluation"]["split"] == "train"


def test_stray_names_hide_nothing(models: Commands) -> None:
    """A copy, a folder of something else, a file: left out with a note."""
    whole = models("models", "list"), models("runs", "list")
    for kind in ("models", "runs"):
        folder = models.root / kind
        shutil.copytree(sorted(path for path in folder.iterdir())[0], folder / "copy of it")
        (folder / "old things" / "deeper").mkdir(parents=True)
        (folder / "notes.txt").write_text("mine")
        (folder / "é\x1b[31m").mkdir()
        found = models.run(kind, "list", "--json")
        assert (found.code, found.result) == (0, whole[kind == "runs"])
        assert found.err.count("left out") == 3
        assert "'copy of it'" in found.err
        assert "\x1b" not in found.err


def spoiled_logs(log: bytes) -> dict[str, bytes]:
    lines = log.splitlines(keepends=True)
    return {
        "a key": log.replace(b'"number"', b'"numbes"', 1),
        "a digit": log.replace(b'"number": 1', b'"number": 3', 1),
        "no object": b"[]\n" + log,
        "a line that was never written": b'{"event": "pass", "number": "x"}\n' + log,
        "no event": b"{}\n" + log,
        "bytes": b"\xff\xfe\n" + log,
        "two lines in one": lines[0][:-1] + b"".join(lines[1:]),
    }


@pytest.mark.parametrize("spoil", spoiled_logs(b'"number": 1\n'))
def test_a_damaged_log_does_not_hide_the_other_runs(models: Commands, spoil: str) -> None:
    whole = models("runs", "list")["runs"]
    log = models.root / "runs" / whole[1]["run"] / "log.jsonl"
    log.write_bytes(spoiled_logs(log.read_bytes())[spoil])
    found = models.run("runs", "list", "--json")
    assert (found.code, "Traceback" in found.err, str(log) in found.err) == (65, False, True)
    listed = found.result["runs"]
    assert [r["run"] for r in listed] == [r["run"] for r in whole]
    assert listed[1]["status"] == "damaged"
    assert [r for r in listed if r["status"] != "damaged"] == [whole[0], *whole[2:]]
    found = models.run("runs", "show", whole[1]["run"])
    assert (found.code, "Traceback" in found.err) == (65, False)


def test_a_log_that_lost_its_end_still_shows_what_was_published(models: Commands) -> None:
    whole = models("runs", "list")["runs"]
    log = models.root / "runs" / whole[1]["run"] / "log.jsonl"
    text = log.read_bytes()
    for length in (len(text) - 1, len(text) - 20, text.rindex(b"\n", 0, -1) + 1, 0):
        log.write_bytes(text[:length])
        found = models("runs", "list")["runs"][1]
        assert (found["model"], found["status"]) == (whole[1]["model"], "done")
        assert models("runs", "show", whole[1]["run"])["status"] == "done"
    log.unlink()
    assert models("runs", "list")["runs"][1]["status"] == "done"


@pytest.mark.parametrize("damaged", ["v000001.json", "v000003.json", "v000007.json"])
def test_a_damaged_manifest_stops_no_training(models: Commands, damaged: str) -> None:
    (models.root / "models" / "a" / damaged).write_bytes(b"")
    found = models("train", "rows", "--model", "a", "--l2", "0.1")
    assert found["version"] == (8 if damaged == "v000007.json" else 4)
    # a run that was killed after it published finds what it published
    again = models("train", "--resume", found["run"])
    assert again["version"] == found["version"]


def test_a_model_of_all_versions_is_told_before_the_first_pass(models: Commands) -> None:
    folder = models.root / "models" / "a"
    (folder / "v999999.json").write_bytes((folder / "v000001.json").read_bytes())
    before = models("runs", "list")["runs"]
    found = models.run("train", "rows", "--model", "a")
    assert (found.code, "999999" in found.err) == (74, True)
    assert models.run("runs", "list", "--json").result["runs"] == before
