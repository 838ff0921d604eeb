"""Rows in memory are packed as the CSV text that they would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import mr_ml
from mr_ml.errors import UsageError

RNG = np.random.default_rng(5)
X = np.round(RNG.normal(size=(300, 4)), 3) * (RNG.random((300, 4)) < 0.7)
Y = (X[:, 0] + RNG.normal(size=300) > 0).astype(float)
WEIGHTS, OFFSETS = RNG.integers(0, 4, 300).astype(float), np.round(RNG.normal(size=300), 2)
NAMES = ["label", "b", "ä c", "d"]


def as_text(path: Path) -> Path:
    rows = np.column_stack([X, Y, WEIGHTS, OFFSETS]).tolist()
    lines = [",".join([*NAMES, "label_", "weight", "offset"]), *(",".join(map(repr, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def partition_bytes(root: Any, dataset: mr_ml.Dataset) -> list[bytes]:
    return [root.store.read(partition.path) for partition in dataset.partitions]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_matrix], ids=["dense", "csr", "csc"])
def test_the_bytes_are_those_of_the_text(form: Any, tmp_path: Path) -> None:
    root = mr_ml.open_root(tmp_path / "root")
    text = as_text(tmp_path / "rows.csv")
    expected = mr_ml.pack(
        root, text, "text", seed=3, label_column="label_", weight_column="weight", offset_column="offset", numeric=NAMES
    )
    found = mr_ml.pack_arrays(root, form(X), Y, "arrays", weights=WEIGHTS, offsets=OFFSETS, feature_names=NAMES, seed=3)
    assert partition_bytes(root, found) == partition_bytes(root, expected)
    assert found.schema == expected.schema
    assert found.label_counts == expected.label_counts
    assert found.weights == expected.weights
    moments = [root.store.read(d.moments["train"].path) for d in (found, expected)]
    assert moments[0] == moments[1]


def test_a_model_of_arrays_predicts_text(tmp_path: Path) -> None:
    root = mr_ml.open_root(tmp_path / "root")
    mr_ml.pack_arrays(root, X, Y, "arrays", weights=WEIGHTS, offsets=OFFSETS, feature_names=NAMES)
    mr_ml.train(root, "arrays", "m", l2=0.1)
    mr_ml.predict(root, "m", as_text(tmp_path / "rows.csv"), tmp_path / "out.tsv")
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    columns = np.array([line.split("\t")[1:] for line in lines[-len(Y) :]], float)
    assert np.array_equal(columns, mr_ml.load_model(root, "m").predict_proba(X, offsets=OFFSETS))


def test_equal_rows(tmp_path: Path) -> None:
    root = mr_ml.open_root(tmp_path / "root")
    dataset = mr_ml.pack_arrays(root, np.repeat(X[:3], 50, axis=0), np.repeat(Y[:3], 50), "arrays")
    assert dataset.n_rows() == 150
    assert mr_ml.train(root, "arrays", "m", l2=0.1).converged


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"x": X[0]}, "n_rows, n_features"),
        ({"x": X * np.nan}, "NaN"),
        ({"labels": Y[:-1]}, "labels of 300 rows"),
        ({"labels": ["a"] * 300}, "labels that are numbers"),
        ({"labels": None}, "expected labels of the rows, found None"),
        ({"x": X + 1j}, "real numbers"),
        ({"x": sparse.csr_matrix(X + 1j)}, "real numbers"),
        ({"weights": -WEIGHTS}, "weights >= 0"),
        ({"offsets": OFFSETS * np.inf}, "offsets"),
        ({"feature_names": ["a", "a", "b", "c"]}, "different names"),
        ({"feature_names": ["a", "b"]}, "4 features"),
        ({"x": X[:0], "labels": []}, "found none"),
    ],
    ids=str,
)
def test_what_is_no_rows_is_refused(arguments: dict[str, Any], said: str, tmp_path: Path) -> None:
    given = {"x": X, "labels": Y, **arguments}
    with pytest.raises(UsageError, match=said):
        mr_ml.pack_arrays(tmp_path / "root", given.pop("x"), given.pop("labels"), "arrays", **given)
    assert not list((tmp_path / "root").rglob("part-*"))
