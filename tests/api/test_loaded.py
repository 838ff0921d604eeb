"""`mr_ml.load`: rows in memory are predicted as their files are, to the last bit, whatever holds them."""

from __future__ import annotations

import csv
import datetime
import decimal
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import sparse, special

import mr_ml
from mr_ml.data import kernels
from mr_ml.errors import BadDataError, UsageError

N = 300
HOSTILE = ["<b>bold</b>", 'say "so"', "tab\there", "=1+1", "Grüße", "1", "a,b", "x|"]


def table(n: int = N, seed: int = 0) -> dict[str, list[Any]]:
    """Numbers on several scales, a category with hostile names, counts, and values that are missing."""
    rng = np.random.default_rng(seed)
    size = (rng.normal(size=n) * [1e-3, 1, 1e6][seed % 3]).tolist()
    kind = [HOSTILE[k] for k in rng.integers(0, len(HOSTILE), n)]
    age: list[Any] = rng.integers(18, 90, n).tolist()
    dose: list[Any] = (rng.normal(size=n) / 3).tolist()
    for k in range(0, n, 7):
        age[k] = None
    for k in range(3, n, 11):
        dose[k] = None
    return {"size": size, "kind": kind, "age": age, "dose": dose, "exposure": rng.normal(size=n).tolist()}


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """By the standard library's writer, which quotes as it likes."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(
            ["" if value is None else repr(value) if isinstance(value, float) else value for value in row]
            for row in zip(*columns.values(), strict=True)
        )
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Models of two classes, of three and of numbers, over the same columns."""
    folder = tmp_path_factory.mktemp("loaded")
    columns = table()
    rng = np.random.default_rng(9)
    age = np.array([40 if a is None else a for a in columns["age"]], float)
    score = (age - 50) / 20 + np.array(columns["size"]) * 1e3 + (np.array(columns["kind"]) == "1") + rng.normal(size=N)
    labels = {
        "two": np.where(score > 0, "yes, sir", "no").tolist(),
        "three": np.digitize(score, [-1, 1]).tolist(),
        "numbers": score.tolist(),
    }
    for name, label in labels.items():
        write(folder / f"{name}.csv", {**columns, "label": label})
        # softmax has no use for offsets
        use: dict[str, Any] = {"drop": ["exposure"]} if name == "three" else {"offset_column": "exposure"}
        mr_ml.pack(str(folder / "root"), folder / f"{name}.csv", name, missing="value:-1", **use)
    place = str(folder / "root")
    mr_ml.train(place, "two", "two", l2=0.1)
    mr_ml.train(place, "three", "three", loss="softmax", l2=0.1)
    mr_ml.train(place, "numbers", "numbers", loss="squared", l2=0.1)
    return place


MODELS = ["two", "three", "numbers"]
FRAMES: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "pandas": pd.DataFrame,
    "pandas with nulls": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas category": lambda columns: pd.DataFrame(columns).astype({"kind": "category"}),
    "pandas objects": lambda columns: pd.DataFrame(columns, dtype=object),
    "polars": pl.DataFrame,
    "polars category": lambda columns: pl.DataFrame(columns).with_columns(pl.col("kind").cast(pl.Categorical)),
    "arrow": pa.table,
    "dict": dict,
    "dict of arrays": lambda columns: {name: np.array(values, dtype=object) for name, values in columns.items()},
}


def written_values(root: str, model: str, path: Path, to: Path, **options: Any) -> tuple[list[str], Any]:
    """Labels and values that `mr-ml predict` writes."""
    mr_ml.predict(root, model, path, to, output_format="csv", **options)
    with open(to, newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    of_classes = len(rows[0]) > 1
    values = np.array([[float(value) for value in row[1 if of_classes else 0 :]] for row in rows])
    return [row[0] for row in rows], values


@pytest.mark.parametrize("holder", FRAMES)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("compiled", [True, False])
def test_frames_give_what_is_written_for_their_file(
    root: str, tmp_path: Path, name: str, holder: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = table(n=80, seed=4)
    labels, values = written_values(root, name, write(tmp_path / "in.csv", columns), tmp_path / "out")
    if not compiled:
        monkeypatch.setattr(kernels, "native", None)
    # in another order, with columns that nobody knows
    x = FRAMES[holder]({"other": [1] * 80, **dict(reversed(columns.items())), "label": ["?"] * 80})
    model = mr_ml.load(name, root=root)
    if name == "numbers":
        assert np.array_equal(model.predict(x), values[:, 0])
        return
    assert np.array_equal(model.predict_proba(x), values)
    assert model.predict(x).tolist() == labels


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("runner", ["inline", "local"])
def test_a_path_gives_what_is_written_for_it(root: str, tmp_path: Path, name: str, runner: str) -> None:
    path = write(tmp_path / "in.csv", table(n=40, seed=5))
    labels, values = written_values(root, name, path, tmp_path / "out")
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n\n")
    model = mr_ml.load(name, root=root, runner=runner)
    for given in (path, str(path)):
        if name == "numbers":
            assert np.array_equal(model.predict(given), values[:, 0])
        else:
            assert np.array_equal(model.predict_proba(given), values)
            assert model.predict(given).tolist() == labels
    (tmp_path / "b.csv").write_bytes(path.read_bytes())
    assert len(model.predict([path, tmp_path / "b.csv"])) == 80


@pytest.mark.parametrize("name", MODELS)
def test_arrays_and_matrices_go_by_position(root: str, name: str) -> None:
    model = mr_ml.load(name, root=root)
    columns = table(n=60, seed=6)
    x = np.zeros((60, len(model.feature_names)))
    for k, feature in enumerate(model.feature_names):
        column, _, value = feature.partition("=")
        if feature.startswith("kind="):
            x[:, k] = [text == value for text in columns[column]]
        else:
            x[:, k] = [-1 if value is None else value for value in columns[column]]
    offsets = None if name == "three" else np.array(columns["exposure"])
    expected = model.predict(columns)
    margins = model.decision_function(columns)
    for rows in (x, sparse.csr_matrix(x), sparse.coo_array(x), x.tolist()):
        assert np.array_equal(model.predict(rows, offsets=offsets), expected)
        assert np.array_equal(model.decision_function(rows, offsets=offsets), margins)
    with pytest.raises(UsageError, match=f"expected rows of {x.shape[1]} features"):
        model.predict(x[:, 1:])


def test_decision_values_are_those_of_the_probabilities(root: str) -> None:
    columns = table(n=30, seed=7)
    two, three, numbers = (mr_ml.load(name, root=root) for name in MODELS)
    margins = two.decision_function(columns)
    assert margins.shape == (30,)
    np.testing.assert_allclose(two.predict_proba(columns)[:, 1], special.expit(margins), rtol=1e-12)
    np.testing.assert_allclose(
        three.predict_proba(columns), special.softmax(three.decision_function(columns), axis=1), rtol=1e-12
    )
    assert np.array_equal(numbers.decision_function(columns), numbers.predict(columns))


def test_what_cannot_be_predicted(root: str, tmp_path: Path) -> None:
    model = mr_ml.load("two", root=root)
    columns = table(n=5, seed=1)
    frame = pd.DataFrame(columns)
    with pytest.raises(BadDataError, match="of these lack dose"):
        model.predict(frame.drop(columns="dose"))
    unseen = frame.assign(kind=["1", "new\nline", "1", "\x1b[31m", "1"])
    with pytest.raises(BadDataError) as found:
        model.predict(unseen)
    assert str(found.value).splitlines()[0] == "2 bad rows in the data frame, whose rows count from 0:"
    assert "    row 3: kind=\\x1b[31m" in str(found.value)
    known = model.predict_proba(frame.assign(kind="1"))
    ignored = model.predict_proba(unseen, unseen="ignore")
    assert np.array_equal(ignored[[0, 2, 4]], known[[0, 2, 4]])
    assert not (ignored[[1, 3]] == known[[1, 3]]).any()
    with pytest.raises(BadDataError, match=r"bad_value \(1\)[^$]*row 2: size=large"):
        model.predict(frame.astype({"size": object}).assign(size=[1.0, 2.0, "large", 3.0, 4.0]))
    with pytest.raises(BadDataError, match=r"not_finite \(5\)"):
        model.predict(frame.assign(size=np.inf))
    with pytest.raises(UsageError, match="found both"):
        model.predict(frame, offsets=np.zeros(5))
    with pytest.raises(UsageError, match="'kind' twice"):
        model.predict(pd.concat([frame, frame[["kind"]]], axis=1))
    with pytest.raises(UsageError, match=r"expected columns of one length, found \[4, 5\]"):
        model.predict({**columns, "kind": ["1"] * 4})
    with pytest.raises(UsageError, match="`unseen`: expected 'error' or 'ignore', found 'skip'"):
        model.predict(frame, unseen="skip")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected none beside a path"):
        model.predict(tmp_path / "x", offsets=np.zeros(5))
    with pytest.raises(UsageError, match="found a path"):
        model.decision_function("x.csv")
    with pytest.raises(UsageError, match="predicts numbers, not classes"):
        mr_ml.load("numbers", root=root).predict_proba("x.csv")
    with pytest.raises(UsageError, match="`runer` is no parameter"):
        mr_ml.load("two", root=root, runer="local")  # type: ignore[call-arg]


def test_no_rows(root: str) -> None:
    frame = pd.DataFrame(table(n=5)).iloc[:0]
    model = mr_ml.load("two", root=root)
    assert (model.predict(frame).shape, model.predict_proba(frame).shape) == ((0,), (0, 2))


def test_columns_of_every_kind_of_value(tmp_path: Path) -> None:
    """Long ids, numbers with a decimal comma, booleans, days; and a file without a header has columns c0, c1, ..."""
    root = str(tmp_path / "root")
    ids = [2**60, 2**60 + 1, 7] * 20
    days = [datetime.date(2026, 1, 1 + k % 4) for k in range(60)]
    flags = [k % 4 < 2 for k in range(60)]
    numbers = [round(1234.5 - 37.25 * k, 2) for k in range(60)]
    label = [k % 5 < 2 for k in range(60)]
    with open(tmp_path / "in.csv", "w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        texts = [f"{number:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".") for number in numbers]
        writer.writerows(zip(ids, days, flags, texts, label, strict=True))
    mr_ml.pack(
        root, tmp_path / "in.csv", "rows", header=False, delimiter=";", decimal=",", thousands=".", label_column=-1,
        categorical=["c0"],
    )  # fmt: skip
    mr_ml.train(root, "rows", "rows", l2=0.1)
    model = mr_ml.load("rows", root=root)
    assert [name for name in model.feature_names if name[:2] in ("c0", "c2")] == [
        "c0=1152921504606846976", "c0=1152921504606846977", "c0=7", "c2=False", "c2=True",
    ]  # fmt: skip
    mr_ml.predict(root, "rows", tmp_path / "in.csv", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        expected = [[float(value) for value in row[1:]] for row in list(csv.reader(file))[1:]]
    columns = {"c0": ids, "c1": days, "c2": flags, "c3": numbers}
    for x in (columns, pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)):
        assert model.predict_proba(x).tolist() == expected
    single = pd.DataFrame({**columns, "c3": np.float32(0.1)})
    wide = pd.DataFrame({**columns, "c3": float(np.float32(0.1))})
    assert np.array_equal(model.predict_proba(single), model.predict_proba(wide))


def test_models_of_parquet_read_values_as_their_files_have_them(tmp_path: Path) -> None:
    n, root = 60, str(tmp_path / "root")
    columns = {
        "day": [datetime.date(2026, 1, 1 + k % 4) for k in range(n)],
        "at": [datetime.datetime(2026, 1, 1, k % 3, 0, 0, 250_000 * (k % 2)) for k in range(n)],
        "flag": [k % 3 == 0 for k in range(n)],
        "code": [k % 5 < 2 for k in range(n)],
        "price": [decimal.Decimal(k % 7) / 4 for k in range(n)],
        "size": [np.float32(0.1 * k) for k in range(n)],
        "label": [k % 2 for k in range(n)],
    }
    table = pa.table(columns)
    parquet.write_table(table, tmp_path / "in.parquet")
    mr_ml.pack(root, tmp_path / "in.parquet", "rows", categorical=["code"])
    mr_ml.train(root, "rows", "rows", l2=0.1)
    model = mr_ml.load("rows", root=root)
    expected = model.predict_proba(tmp_path / "in.parquet")
    for x in (columns, table, table.to_pandas(), pl.from_arrow(table), pd.DataFrame(columns)):
        assert np.array_equal(model.predict_proba(x), expected)


SCHEMA = """
label: label
columns:
  price: {kind: numeric, decimal: ",", thousands: ".", missing: mean, indicator: true}
  share: {kind: numeric, percent: true}
  colour: {kind: categorical}
"""


def test_models_of_a_schema_file_take_numbers_as_they_are(tmp_path: Path) -> None:
    """1.234 in a file of theirs is more than a thousand; in a data frame it is a little more than one."""
    n, root = 80, str(tmp_path / "root")
    price = [None if k % 9 == 0 else round(1234.5 - 30.125 * k, 3) for k in range(n)]
    share = [k % 11 / 8 for k in range(n)]
    colour = [["red", "1", "blue"][k % 3] for k in range(n)]
    with open(tmp_path / "in.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["price", "share", "colour", "label"])
        spelled = ["" if p is None else f"{p:,.3f}".translate(str.maketrans(",.", ".,")) for p in price]
        percent = [f"{100 * s:.4f}%" for s in share]
        writer.writerows(zip(spelled, percent, colour, [k % 2 for k in range(n)], strict=True))
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    mr_ml.pack(root, tmp_path / "in.csv", "rows", schema=tmp_path / "schema.yaml")
    mr_ml.train(root, "rows", "rows", l2=0.1)
    model = mr_ml.load("rows", root=root)
    expected = model.predict_proba(tmp_path / "in.csv")
    columns = {"price": price, "share": share, "colour": colour}
    for x in (columns, pd.DataFrame(columns), pl.DataFrame(columns), pd.DataFrame(columns, dtype=object)):
        np.testing.assert_allclose(model.predict_proba(x), expected, rtol=1e-12)
    texts = {"price": spelled, "share": percent, "colour": colour}
    assert np.array_equal(model.predict_proba(texts), expected)
    with pytest.raises(UsageError, match="numbers or texts in column 'price' of the data frame, found both"):
        model.predict({**columns, "price": [1.5, *spelled[1:]]})


def test_whole_numbers_that_mean_a_missing_value(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    write(tmp_path / "in.csv", {"a": [5, 15, -999, 20, 7], "b": [1, 2, 3, 1, 1], "label": [0, 1, 0, 1, 1]})
    mr_ml.pack(root, tmp_path / "in.csv", "rows", missing="zero", missing_markers=["-999"], numeric=["a"])
    mr_ml.train(root, "rows", "rows", l2=1.0)
    model = mr_ml.load("rows", root=root)
    expected = model.predict_proba(tmp_path / "in.csv")
    columns = {"a": [5, 15, -999, 20, 7], "b": [1, 2, 3, 1, 1]}
    for x in (columns, pd.DataFrame(columns), pl.DataFrame(columns)):
        assert np.array_equal(model.predict_proba(x), expected)
    assert np.array_equal(model.predict_proba({**columns, "a": [5, 15, None, 20, 7]}), expected)


def test_a_missing_value_in_the_only_column(tmp_path: Path) -> None:
    """Which would be a blank line in a file."""
    root = str(tmp_path / "root")
    write(tmp_path / "in.csv", {"a": [0.5, 1.5, -1.0, 2.0], "label": [0, 1, 0, 1]})
    mr_ml.pack(root, tmp_path / "in.csv", "one", missing="zero")
    mr_ml.train(root, "one", "one", l2=1.0)
    model = mr_ml.load("one", root=root)
    assert np.array_equal(model.predict_proba({"a": [None, 1.0]}), model.predict_proba([[0.0], [1.0]]))
    mr_ml.pack(root, tmp_path / "in.csv", "strict", missing="drop")
    mr_ml.train(root, "strict", "strict", l2=1.0)
    with pytest.raises(BadDataError, match="1 rows of the data frame lack values"):
        mr_ml.load("strict", root=root).predict({"a": [None, 1.0]})


def test_numbered_features_take_no_frames(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1 1:1 2:1\n0 1:2\n1 2:3\n0 1:1\n")
    root = str(tmp_path / "root")
    mr_ml.pack(root, tmp_path / "in", "rows")
    mr_ml.train(root, "rows", "rows", l2=1.0)
    model = mr_ml.load("rows", root=root)
    frame = pd.DataFrame({"1": [1.0], "2": [0.5]})
    with pytest.raises(UsageError, match=r"expected an array or a sparse matrix, \(n_rows, 2\), found a data frame"):
        model.predict(frame)
    assert model.predict(frame.to_numpy()).tolist() == model.predict(sparse.csr_array([[1.0, 0.5]])).tolist()


def test_a_row_of_single_values_is_no_table(root: str) -> None:
    model = mr_ml.load(next(iter(MODELS)), root=root)
    with pytest.raises(UsageError, match="found single values"):
        model.predict(dict.fromkeys(model.feature_names, 1.0))


def test_what_is_no_number_is_refused(root: str) -> None:
    """As in a file and in a data frame: by NaN alone the first class would be chosen."""
    for name in MODELS:
        model = mr_ml.load(name, root=root)
        row = np.zeros((2, len(model.feature_names)))
        for value in (np.nan, np.inf):
            row[1, 0] = value
            with pytest.raises(BadDataError, match=f"the first in row 1, counted from 0, .*: {value}"):
                model.predict(row)


def test_the_table_of_coefficients(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODELS:
        model = mr_ml.load(name, root=root)
        found = model.coef_frame()
        assert list(found.columns)[:4] == ["output", "feature", "coef", "standardized"]
        opened: Any = mr_ml.load_model(root, name)
        assert found.set_index(["output", "feature"])["coef"].to_dict() == {
            (output, feature): value
            for output in opened.outputs
            for feature, value in {**opened.coefficients[output], "(intercept)": opened.intercepts[output]}.items()
        }
    monkeypatch.setitem(sys.modules, "pandas", None)
    records = found.astype(object).where(found.notna(), None).to_dict("records")
    assert model.coef_frame() == records


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_what_notebooks_show_is_escaped(root: str) -> None:
    model = mr_ml.load("two", root=root)
    assert repr(model).startswith("LoadedModel(two@1: logistic, l2 0.1, ")
    parser = _Tags()
    parser.feed(model._repr_html_())
    assert parser.tags == {"div", "p", "b", "table", "tr", "th", "td"}
    assert "kind=<b>bold</b>" in parser.texts


def test_the_rest_is_what_the_functions_do(root: str, tmp_path: Path) -> None:
    model = mr_ml.load("two@latest", root=root, runner="inline")
    assert model.evaluate("two", split="train") == mr_ml.evaluate(root, "two", "two", split="train")
    path = write(tmp_path / "in.csv", table(n=9, seed=3))
    done = model.predict_file(path, tmp_path / "out.jsonl", keep=["kind"])
    assert (done["n_rows"], done["model"]) == (9, "two@1")
    mr_ml.predict(root, "two", path, tmp_path / "again.jsonl", keep=["kind"])
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert model.classes == ["no", "yes, sir"]
