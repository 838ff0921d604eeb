"""Memory is bounded by --memory, not by the data: the operator's script, in a form that suits a test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, environment

from hdfs_layout import open_root, read_version
from mr_ml.catalog.model import publish_model
from mr_ml.models.linear.kind.model import arrays_of
from mr_ml.models.linear.shift import NO_SHIFT
from mr_ml.readers.schema import Schema

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "memory.py"


def test_training_on_more_data_than_memory(tmp_path: Path) -> None:
    """Three times as many decoded bytes as --memory, which leaves a twelfth of them to blocks."""
    command = [sys.executable, str(SCRIPT), "--memory", "280M", "--times", "3", "--workers", "1", "--passes", "3"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**environment(), "TMPDIR": str(tmp_path)}, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sampled, bound = re.findall(r"(?:sampled|bound) +([0-9]+) MB, within the limit of 280 MB", done.stdout)
    assert 150 < int(sampled) <= int(bound) <= 280


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_sizes_of_memory(mr_ml: Commands, tmp_path: Path, command: str) -> None:
    (tmp_path / "rows").write_text("1 1:1\n0 1:2\n0 2:1\n")
    mr_ml("pack", tmp_path / "rows", "--to", "d")
    mr_ml("train", "d", "--model", "m", "--l2", "1")
    words = (
        ("train", "d", "--model", "m", "--l2", "1")
        if command == "train"
        else ("evaluate", "m", "d", "--split", "train")
    )
    for memory in ("2G", "1.5g", "1500MiB", "2147483648", "400M"):
        assert mr_ml.run(*words, "--memory", memory).code == 0
    for workers, memory in ((1, "200M"), (2, "280M"), (7, "600M")):
        found = mr_ml.run(*words, "--memory", memory, "-r", "local", "--workers", workers)
        assert (found.code, f"{workers} worker(s)" in found.err) == (2, True)
    assert mr_ml.run(*words, "--memory", "200M", "-r", "inline").code == 0


def test_large_models_need_memory_too(mr_ml: Commands, tmp_path: Path) -> None:
    """Sums and the optimizer's state are as large as the model: what does not fit is refused at once."""
    ids = " ".join(f"{i}:1" for i in range(1, 600_001))
    (tmp_path / "rows").write_text(f"1 {ids}\n0 1:2\n")
    found = mr_ml.run("pack", tmp_path / "rows", "--to", "wide", "--memory", "480M")
    assert (found.code, "means and extremes of about" in found.err) == (2, True)
    mr_ml("pack", tmp_path / "rows", "--to", "wide")
    found = mr_ml.run("train", "wide", "--model", "m", "--l2", "1", "--memory", "400M")
    assert (found.code, "as large as the model" in found.err) == (2, True)
    assert mr_ml("runs", "list") == {"runs": []}


def test_models_take_memory_where_they_are_used(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("1 1:1 3:2\n0 1:2\n")
    mr_ml("pack", tmp_path / "rows", "--to", "d")
    mr_ml("train", "d", "--model", "m", "--l2", "1")
    # what a model of four million features holds, in its place
    root = open_root(str(mr_ml.root))
    document = {
        key: value
        for key, value in read_version(root.store, root.layout.model("m"), 1).document.items()
        if key != "coef"
    }
    document["schema"]["n_features"] = 4_000_000
    schema = Schema.from_json(document["schema"])
    arrays, _ = arrays_of(np.zeros((1, 4_000_001)), NO_SHIFT, None, schema=schema, classes=(0.0, 1.0), name="m")
    publish_model(root, name="m", run="other", document=document, arrays=arrays)
    evaluate, predict = ("evaluate", "m", "d", "--split", "train"), ("predict", "m", tmp_path / "rows", "--to")
    for words, to in ((evaluate, []), (predict, [tmp_path / "p"])):
        found = mr_ml.run(*words, *to, "--memory", "450M")
        assert (found.code, "--memory 450M:" in found.err) == (2, True)
        mr_ml(*words, *to, "--memory", "450M", "-r", "inline")


def test_long_lines_need_memory_too(mr_ml: Commands, tmp_path: Path) -> None:
    """What is made of a line takes several times its bytes: with little memory a line may be less long."""
    for name, good in (("rows.libsvm", b"1 1:1\n"), ("rows.csv", b"a,label\n1,0\n")):
        (tmp_path / name).write_bytes(good + b":" * (14 << 20) + b"\n")
        found = mr_ml.run("pack", tmp_path / name, "--to", "d", "--memory", "440M")
        assert (found.code, "line_too_long" in found.err, "more --memory" in found.err) == (65, True, True)
        assert "long_line (1)" in mr_ml.run("pack", tmp_path / name, "--to", "d", "--memory", "1G").err
