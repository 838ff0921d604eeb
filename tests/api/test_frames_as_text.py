"""Columns of data frames whose texts count: the predictions are those of the file that the frame would be."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest

import mr_ml
from mr_ml.data import kernels

N = 60
_SCHEMA = "columns:\n  a: {kind: hashed, bits: 10}\n"


def of_csv(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    def field(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\t') else text

    rows = [",".join(columns), *(",".join(map(field, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def of_json(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def of_parquet(path: Path, columns: dict[str, Any]) -> Path:
    pa.parquet.write_table(pa.table(columns), path)
    return path


def of_orc(path: Path, columns: dict[str, Any]) -> Path:
    pa.orc.write_table(pa.table(columns), path)
    return path


WRITERS: dict[str, Callable[[Path, dict[str, Any]], Path]] = {
    "csv": of_csv,
    "jsonl": of_json,
    "parquet": of_parquet,
    "orc": of_orc,
}


def model_of(folder: Path, form: str, values: Sequence[Any], *, how: str = _SCHEMA) -> tuple[Any, list[float]]:
    """Train by a file with these values in its column `a`; return the model and what it predicts for the file."""
    columns = {"label": [k % 7 % 2 for k in range(len(values))], "a": list(values), "b": [1.5] * len(values)}
    path = WRITERS[form](folder / f"rows.{form}", columns)
    (folder / "schema.yaml").write_text(how, encoding="utf-8")
    root = str(folder / "root")
    mr_ml.pack(root, path, "d", schema=folder / "schema.yaml", missing="zero")
    mr_ml.train(root, "d", "m", l2=0.01)
    model = mr_ml.load("m", root=root)
    return model, model.predict_proba(path)[:, 1].tolist()


INTEGERS: dict[str, Callable[[list[Any]], Any]] = {
    "pandas": lambda values: pd.DataFrame({"a": pd.array(values, dtype="Int64")}),
    "pandas of arrow": lambda values: pd.DataFrame({"a": pd.array(values, dtype="int64[pyarrow]")}),
    "polars": lambda values: pl.DataFrame({"a": values}),
    "arrow": lambda values: pa.table({"a": values}),
    "list": lambda values: {"a": values},
    "list with NaN": lambda values: {"a": [np.nan if value is None else value for value in values]},
}


@pytest.mark.parametrize("holder", INTEGERS)
@pytest.mark.parametrize(
    "how",
    [
        _SCHEMA,
        "columns:\n  a: {kind: categorical, missing: category}\n",
        "drop: [a, b]\ncrossed: [{of: [a, b], bits: 8}]\n",
    ],
    ids=["hashed", "categorical", "crossed"],
)
def test_whole_numbers_of_which_some_are_missing(tmp_path: Path, holder: str, how: str) -> None:
    values = [None if k % 9 == 4 else 100 + k % 6 for k in range(N)]
    model, expected = model_of(tmp_path, "csv", values, how=how)
    frame = INTEGERS[holder]({"a": values}["a"])
    columns = {"a": frame["a"], "b": [1.5] * N}
    assert model.predict_proba(columns)[:, 1].tolist() == expected


def test_floats_are_written_as_pandas_writes_them(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [np.nan if k % 9 == 4 else 100.0 + k % 6 for k in range(N)]})
    model, expected = model_of(tmp_path, "csv", frame["a"].map(lambda v: "" if np.isnan(v) else repr(v)).tolist())
    frame.assign(label=0, b=1.5).to_csv(tmp_path / "by_pandas.csv", index=False)
    assert model.predict_proba(tmp_path / "by_pandas.csv")[:, 1].tolist() == expected
    assert model.predict_proba(frame.assign(b=1.5))[:, 1].tolist() == expected


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(
    "how", [_SCHEMA, "columns:\n  a: {kind: categorical, missing: category}\n"], ids=["hashed", "categorical"]
)
def test_blanks_around_texts_are_no_part_of_them(tmp_path: Path, form: str, how: str) -> None:
    texts = ["a", "a\t", "\tb", " \t b \t", "a\tb", '\t"', "\t", "c "]
    values = [texts[k % 5 * k % len(texts)] for k in range(N)]
    model, expected = model_of(tmp_path, form, values, how=how)
    assert model.predict_proba({"a": values, "b": [1.5] * N})[:, 1].tolist() == expected


def test_a_tab_at_the_end_counts_where_tabs_end_fields(tmp_path: Path) -> None:
    values = ["a\t" if k % 3 else "a" for k in range(N)]
    path = tmp_path / "rows.csv"
    path.write_text("label\ta\n" + "".join(f'{k % 3 % 2}\t"{value}"\n' for k, value in enumerate(values)))
    mr_ml.pack(str(tmp_path / "root"), path, "d", delimiter="\t", categorical=["a"])
    mr_ml.train(str(tmp_path / "root"), "d", "m", l2=0.01)
    model = mr_ml.load("m", root=str(tmp_path / "root"))
    expected = model.predict_proba(path)[:, 1].tolist()
    assert len(set(expected)) == 2
    assert model.predict_proba({"a": values})[:, 1].tolist() == expected


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("how", [_SCHEMA, "columns:\n  a: {kind: categorical, missing: category}\n"])
def test_true_and_false_are_what_the_files_have(tmp_path: Path, form: str, how: str) -> None:
    values = [None if k % 9 == 4 else k % 2 == 0 for k in range(N)]
    model, expected = model_of(tmp_path, form, values, how=how)
    for frame in (pd.DataFrame({"a": pd.array(values, dtype="boolean")}), pl.DataFrame({"a": values}), {"a": values}):
        assert model.predict_proba({"a": frame["a"], "b": [1.5] * N})[:, 1].tolist() == expected


FLOATS = [1.0, -0.0, 0.0, 1e-05, 1.5e-05, 1e-07, 0.0001, 0.1, 1e15, 1e16, 12345678901.25, 1e22, 101.0, 1e300]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "orc"])
@pytest.mark.parametrize("compiled", [True, False])
def test_floats_are_one_text_in_all_formats(
    tmp_path: Path, form: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(kernels, "native", None)
    values = [None if k % 9 == 4 else FLOATS[k % len(FLOATS)] for k in range(N)]
    texts = ["" if value is None else repr(value) for value in values]
    how = "columns:\n  a: {kind: categorical, missing: category}\ncrossed: [{of: [a, b], bits: 12}]\n"
    (tmp_path / "text").mkdir()
    by_text, expected = model_of(tmp_path / "text", "csv", texts, how=how)
    model, found = model_of(tmp_path, form, values, how=how)
    assert found == expected
    assert model.feature_names == by_text.feature_names
    for frame in (pd.DataFrame({"a": values}), pl.DataFrame({"a": values}), pa.table({"a": values}), {"a": values}):
        columns = {"a": frame["a"], "b": [1.5] * N}
        assert model.predict_proba(columns)[:, 1].tolist() == expected


def test_floats_that_are_kept_are_one_text_in_all_formats(tmp_path: Path) -> None:
    columns = {"label": [0, 1], "a": [1.0, 1e-05]}
    kept = []
    for form, write in WRITERS.items():
        root, path = str(tmp_path / form), write(tmp_path / f"rows.{form}", columns)
        mr_ml.pack(root, path, "d")
        mr_ml.train(root, "d", "m", l2=0.01)
        mr_ml.predict(root, "m", path, tmp_path / f"{form}.csv", keep=["a"], output_format="csv")
        kept.append([line.split(",")[0] for line in (tmp_path / f"{form}.csv").read_text().splitlines()])
    assert kept == [["a", "1.0", "1e-05"]] * 4
