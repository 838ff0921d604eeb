"""What is said of columns, and of tables that are not what is expected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Commands

import mr_ml
from mr_ml.errors import BadDataError, UsageError


def frame(n: int = 40) -> pd.DataFrame:
    return pd.DataFrame(
        {"age": [1.0, 2.0, 3.0, 4.0] * (n // 4), "town": ["x", "y"] * (n // 2), "label": [0, 1, 1, 0] * (n // 4)}
    )


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "root", runner=("-r", "inline"))


@pytest.mark.parametrize(
    "rows", [frame(), [frame()], {"a": [1.0]}, np.ones((3, 2)), [np.ones(3)]],
    ids=["frame", "list", "dict", "array", "arrays"],
)  # fmt: skip
def test_rows_in_memory_are_no_paths(commands: Commands, rows: object) -> None:
    """The names of a data frame's columns, which it yields, were taken for paths."""
    with pytest.raises(UsageError, match=r"`inputs`: expected paths of files, found .*`mr_ml.pack_arrays`.*to_parquet"):
        mr_ml.pack(commands.root, rows, "d")  # type: ignore[arg-type]


def test_a_model_of_parquet_given_csv(commands: Commands, tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "rows.parquet")
    frame().to_csv(tmp_path / "rows.csv", index=False)
    mr_ml.pack(commands.root, tmp_path / "rows.parquet", "d")
    mr_ml.train(commands.root, "d", "m", l2=0.1)
    found = commands.run("predict", "m", tmp_path / "rows.csv", "--to", tmp_path / "out", *commands.runner)
    assert found.code == 65
    assert "The model was trained on parquet and reads only that; by their names the files are csv" in found.err
    assert ".. " not in found.err
    assert not (tmp_path / "out").exists()
    # what it advises
    model = mr_ml.load("m", root=commands.root)
    assert len(model.predict(pd.read_csv(tmp_path / "rows.csv"))) == 40
    # of a file that is damaged, and called as it should be, nothing else is said
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    damaged = commands.run("predict", "m", tmp_path / "bad.parquet", "--to", tmp_path / "out", *commands.runner)
    assert damaged.code == 65
    assert "was trained on" not in damaged.err


def test_a_frame_that_lacks_a_column_is_told_of_its_own_columns(commands: Commands, tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "rows.csv", index=False)
    mr_ml.pack(commands.root, tmp_path / "rows.csv", "d")
    mr_ml.train(commands.root, "d", "m", l2=0.1)
    with pytest.raises(BadDataError, match=r"of these lack age; found are town, label\. These rows do not belong"):
        mr_ml.load("m", root=commands.root).predict(frame().drop(columns="age"))


def test_names_of_columns_stay_within_their_line(commands: Commands, tmp_path: Path) -> None:
    rows = [{"a\nb": k * 1.0, "c\x1b[31m": "xy"[k % 2], "label": k % 3 % 2, "i\nd": "z"} for k in range(30)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = commands.run("pack", tmp_path / "rows.jsonl", "--to", "d", "--drop", "i\nd", *commands.runner)
    assert found.code == 0, found.err
    (columns,) = [line for line in found.out.splitlines() if line.startswith("columns: ")]
    assert columns == r"columns: numeric: a\x0ab; categorical: c\x1b[31m (2 values)"
    assert r"dropped: i\x0ad" in found.out


SCHEMA = """\
label: label
columns:
  age:
    - {kind: numeric, missing: mean}
    - {kind: bucketised, quantiles: 2, missing: none}
  size: {kind: numeric, missing: 7}
  note: {kind: text, bits: 4, weights: tf-idf}
"""


def test_what_is_learnt_of_the_data_is_said(commands: Commands, tmp_path: Path) -> None:
    """The mean of 1, 2, 3 and 10 is 4; their median 2.5; a word of 2 of 5 rows has log(6 / 3) + 1."""
    ages = ["1", "2", "3", "10", ""]
    notes = ["red", "red", "red", "red blue", "red blue"]
    lines = [f"{age},5,{note},{k % 2}" for k, (age, note) in enumerate(zip(ages, notes, strict=True))]
    (tmp_path / "rows.csv").write_text("age,size,note,label\n" + "\n".join(lines) + "\n")
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    words = ("--to", "d", "--schema", tmp_path / "schema.yaml", *commands.runner)
    found = commands.run("pack", tmp_path / "rows.csv", *words)
    assert found.code == 0, found.err
    (columns,) = [line for line in found.out.splitlines() if line.startswith("columns: ")]
    assert "age (numeric, 1 feature; 4 where missing, the mean)" in columns
    assert "age (bucketised, 2 features; cut at 2.5)" in columns
    assert "size (numeric, 1 feature; 7 where missing)" in columns
    assert "idf from 1, of what 5 rows have, to 1.693)" in columns


def test_a_tuning_tells_of_all_its_time(commands: Commands, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"age": rng.normal(size=200), "label": rng.integers(0, 2, 200)})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    mr_ml.pack(commands.root, tmp_path / "rows.csv", "d")
    found = commands("tune", "d", "--model", "m", "--l2", "0.01,0.1", "--folds", "2", *commands.runner)
    assert found["seconds"] > found["model_seconds"] > 0
    shown = commands.run("tune", "d", "--model", "m", "--l2", "0.01,0.1", "--folds", "2", *commands.runner)
    assert " s of it for the model (run " in shown.out
