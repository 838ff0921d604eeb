"""What a training warns of is kept with the model, and shown wherever the model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_libsvm

import mr_ml
from hdfs_layout import decode_document, encode_document

N = 2000


def trained(root: Path, x: Any, y: Any, names: list[str] | None = None, **options: Any) -> list[str]:
    mr_ml.pack_arrays(root, x, y, "rows", feature_names=names)
    return list(mr_ml.train(root, "rows", "m", **options).warnings)


def some_rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 3))
    return x, (x[:, 0] + rng.logistic(size=N) > 0) * 1.0


def test_columns_of_one_number(tmp_path: Path) -> None:
    x, y = some_rows()
    assert trained(tmp_path, x, y) == []
    x[:, 1], x[:, 2] = 7.0, 0.0
    (said,) = trained(tmp_path, x, y, ["a", "b", "c"])
    assert said.startswith("b, c: one number in all rows")
    # it stands in for the intercept, and no row has the other
    assert trained(tmp_path, x[:, :2], y, ["a", "b"], intercept=False) == []
    many = np.column_stack([x[:, :1], np.ones((N, 9))])
    (said,) = trained(tmp_path, many, y, [f"f{k}" for k in range(10)], intercept=False, l2=0.1)
    assert said.startswith("f1, f2, f3, f4, f5 and 4 more features: one number in all rows")


def test_of_numbered_features_those_that_no_row_has_are_no_news(mr_ml: Commands, tmp_path: Path) -> None:
    x, y = some_rows()
    x[:, 1] = 0.0
    mr_ml("pack", write_libsvm(tmp_path / "rows", x, y.astype(int)), "--to", "rows")
    assert mr_ml("train", "rows", "--model", "m")["warnings"] == []


def test_categories_that_a_split_lacks_are_no_news(mr_ml: Commands, tmp_path: Path) -> None:
    """A column of one category, though, is one."""
    for name, city in (("train", "a"), ("test", "b")):
        lines = [f"{city if k % 2 else 'c'},{k % 7},only,{k % 3 % 2}" for k in range(60)]
        (tmp_path / name).write_text("\n".join(["city,x,same,y", *lines]) + "\n")
    mr_ml(
        "pack", "--split-inputs", f"train={tmp_path / 'train'}", "--split-inputs", f"test={tmp_path / 'test'}",
        "--to", "rows", "--label-column", "y", "--format", "csv",
    )  # fmt: skip
    (said,) = mr_ml("train", "rows", "--model", "m", "--l2", "0.1")["warnings"]
    assert said.startswith("same=only: one number in all rows")


def test_categories_of_a_column_are_no_sum_of_each_other(mr_ml: Commands, tmp_path: Path) -> None:
    """Those of another column are that follow from them, and so are numbers that do."""
    random = np.random.default_rng(3)
    lines = []
    for k in range(400):
        city, size = int(random.integers(9)), random.normal()
        lines.append(f"c{city},s{city // 3},{city // 3 * 2 + 1},{size!r},{size * 2.5!r},{int(random.random() < 0.5)}")
        lines[-1] += f",{'x' if k % 2 else 'y'}"
    (tmp_path / "rows.csv").write_text("\n".join(["city,state,region,cm,inch,y,side", *lines]) + "\n")
    for name, drop in (("all", ()), ("few", ("--drop", "region,state,inch"))):
        mr_ml("pack", tmp_path / "rows.csv", "--to", name, "--label-column", "y", *drop)
    for options in ((), ("--no-intercept",), ("--loss", "softmax"), ("--l2", "0.1")):
        (said,) = mr_ml("train", "all", "--model", "m", *options)["warnings"]
        assert said.startswith("collinear features, to 7 digits or more: state follows from city; region follows from ")
        assert "region follows from city; inch = 2.5 cm: " in said
        assert f"warning: {said}" in mr_ml.run("models", "show", "m").out
        assert mr_ml("train", "few", "--model", "m", *options)["warnings"] == []


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_labels_of_few_rows(tmp_path: Path, loss: str) -> None:
    x, _ = some_rows()
    y = np.zeros(N)
    y[:9] = 1.0
    (said,) = trained(tmp_path, x, y, loss=loss, l2=0.01)
    assert said.startswith("few of the 2000 rows have the label 1 (9)")
    y[9] = 1.0
    assert trained(tmp_path, x, y, loss=loss, l2=0.01) == []
    # of few rows at all that is not the label's fault
    assert trained(tmp_path, x[5:100], y[5:100], loss=loss, l2=0.01) == []


def test_they_are_shown_with_the_model(mr_ml: Commands, tmp_path: Path) -> None:
    """Also those of models that cannot be told apart in time: separable columns, and what standard errors found."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 3))
    x[:, 2] = x[:, 0] + x[:, 1]
    y = x[:, 0] + rng.normal(size=N)
    lines = [",".join(map(repr, row)) for row in np.column_stack([x, np.ones(N), y]).tolist()]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,c,one,y", *lines]) + "\n")
    mr_ml("pack", tmp_path / "rows.csv", "--to", "rows", "--label-column", "y")
    told = mr_ml("train", "rows", "--model", "m", "--loss", "squared", "--inference")
    shown, said = mr_ml("models", "show", "m"), mr_ml.run("models", "show", "m").out
    assert shown["training"]["warnings"] == told["warnings"]
    assert f"warning: {told['warnings'][0]}" in said
    (note,) = shown["notes"]
    assert note.startswith("the rows do not determine the coefficients of a, b, c, one")
    assert f"note: {note}" in said
    # one of an earlier release, which kept none, is a model too
    path = mr_ml.root / "models/m/v000001.json"
    document: dict[str, Any] = decode_document(path.read_bytes(), where="")
    del document["training"]["warnings"]
    path.write_bytes(encode_document(document))
    assert "warning:" not in mr_ml.run("models", "show", "m").out


def test_margins_so_large_that_nothing_is_known(tmp_path: Path) -> None:
    """Of more coefficients than have a small Hessian; one row is far out, and no feature alone tells a class."""
    rng = np.random.default_rng(3)
    level = np.repeat(np.arange(720), 6)
    x = np.zeros((len(level), 721))
    x[np.arange(len(level)), level] = 1
    x[:, -1] = rng.normal(size=len(level))
    y = ((np.arange(len(level)) % 2) ^ (rng.random(len(level)) < 0.1)).astype(float)
    y[::6], y[1::6] = 0, 1
    x[:, -1] += y
    assert not any("is not known" in text for text in trained(tmp_path / "plain", x, y, solver="lbfgs"))
    x[np.flatnonzero(y == 1)[0], -1] = 1000.0
    (said,) = [text for text in trained(tmp_path / "far", x, y, solver="lbfgs") if "is not known" in text]
    assert said.startswith("some rows have a margin of ")
    assert "--solver newton" in said
