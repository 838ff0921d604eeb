"""Exports of models of a schema file: what has words in other languages, under hostile names, and what has none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import numpy as np
import onnxruntime
import pandas
import pytest

import mr_ml
from hdfs_layout import Root
from mr_ml import sklearn
from mr_ml.errors import BadDataError, UsageError

NUMBER, TEXT = 'it\'s "x"; --\\ <b>&`{x}', "$t 'q' <mr_ml_0> é"
ROWS = [
    (f"{i % 7}.5" if i % 6 else "", ("u'v", 'w"\\', "<&>", "")[i % 4], "yes" if i % 5 < 2 else "no") for i in range(60)
]


def train(folder: Path, columns: str, more: str = "", rows: Sequence[tuple[str, ...]] = ROWS) -> Root:
    """Publish the model `m` of rows with a column of numbers and one of texts, as a schema file says."""
    frame = pandas.DataFrame(rows, columns=[NUMBER, TEXT, "label"])
    frame.to_csv(folder / "rows.csv", index=False)
    spelled = columns.replace("NUMBER", json.dumps(NUMBER)).replace("TEXT", json.dumps(TEXT))
    (folder / "schema.yaml").write_text(f"{more}\ncolumns: {{{spelled}}}\n", encoding="utf-8")
    root = mr_ml.open_root(str(folder / "root"))
    mr_ml.pack(root, folder / "rows.csv", "rows", schema=folder / "schema.yaml")
    mr_ml.train(root, "rows", "m", l2=0.1)
    return root


HOSTILE = """
NUMBER: [{kind: numeric, missing: mean, indicator: true}, {kind: bucketised, edges: [1.5, 4], missing: category}],
TEXT: {kind: categorical, missing: category}
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Root, list[list[float]], Path]:
    folder = tmp_path_factory.mktemp("hostile")
    root = train(folder, HOSTILE)
    frame = pandas.DataFrame(ROWS, columns=[NUMBER, TEXT, "label"])
    return root, mr_ml.load_model(root, "m").predict_proba(frame).tolist(), folder


def test_hostile_names_in_sql(hostile: tuple[Root, list[list[float]], Path], tmp_path: Path) -> None:
    root, expected, folder = hostile
    mr_ml.export(root, "m", tmp_path / "m.sql", kind="sql", table="t")
    database = duckdb.connect()
    database.execute("CREATE TABLE t AS FROM read_csv(?, header = true)", [str(folder / "rows.csv")])
    found = database.execute((tmp_path / "m.sql").read_text(encoding="utf-8"))
    names = [column[0] for column in found.description]
    at = [names.index(f"probability_{label}") for label in ("no", "yes")]
    assert [[row[k] for k in at] for row in found.fetchall()] == [pytest.approx(row, abs=1e-13) for row in expected]


def test_hostile_names_in_onnx(hostile: tuple[Root, list[list[float]], Path], tmp_path: Path) -> None:
    root, expected, _ = hostile
    mr_ml.export(root, "m", tmp_path / "m.onnx", kind="onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    numbers = np.array([[float(row[0] or "nan")] for row in ROWS])
    texts = np.array([[row[1]] for row in ROWS], object)
    _, found = session.run(None, {NUMBER: numbers, TEXT: texts})
    assert found.tolist() == [pytest.approx(row, abs=1e-13) for row in expected]
    # what is not finite refuses the row, a missing value does not
    _, found = session.run(None, {NUMBER: np.array([[np.inf], [-np.inf], [np.nan]]), TEXT: texts[:3]})
    assert np.isnan(found).all(axis=1).tolist() == [True, True, False]


def test_hostile_names_in_pmml(hostile: tuple[Root, list[list[float]], Path], tmp_path: Path) -> None:
    root, _, _ = hostile
    mr_ml.export(root, "m", tmp_path / "m.pmml", kind="pmml")
    pmml = "{http://www.dmg.org/PMML-4_4}"
    tree = ElementTree.parse(tmp_path / "m.pmml").getroot()
    fields = [field.get("name") for field in tree.findall(f"{pmml}DataDictionary/{pmml}DataField")]
    assert fields == [NUMBER, TEXT, "target"]
    derived = [field.get("name") for field in tree.iter(f"{pmml}DerivedField")]
    assert derived == [f"{NUMBER} filled", f"{NUMBER} interval", f"{NUMBER} interval_"]
    used = {element.get("name") for tag in ("Numeric", "Categorical") for element in tree.iter(f"{pmml}{tag}Predictor")}
    assert used == {*derived, TEXT}


def test_the_pipeline_of_a_file(hostile: tuple[Root, list[list[float]], Path], tmp_path: Path) -> None:
    root, expected, _ = hostile
    mr_ml.export(root, "m", tmp_path / "m.npz", kind="sklearn")
    pipeline = sklearn.from_file(tmp_path / "m.npz")
    frame = pandas.DataFrame(ROWS, columns=[NUMBER, TEXT, "label"])
    np.testing.assert_allclose(pipeline.predict_proba(frame), expected, atol=1e-12)
    assert list(pipeline[:-1].get_feature_names_out()) == list(mr_ml.load_model(root, "m").feature_names)
    # its coefficients are a beginning too: there is nothing left to find
    mr_ml.train(root, "rows", "again", l2=0.1, warm_start_from=tmp_path / "m.npz")
    again = mr_ml.load_model(root, "again").predict_proba(frame)
    np.testing.assert_allclose(again, expected, atol=1e-4)
    with pytest.raises(TypeError, match="expected a data frame"):
        pipeline.predict(np.zeros((2, 2)))
    with pytest.raises(BadDataError):
        pipeline.predict(frame.assign(**{NUMBER: "x"}))
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        arrays = dict(file)
    for wrong in ("", "{}", str(arrays["schema"])[:-5], str(arrays["schema"]).replace("quantity", "quantities")):
        np.savez(tmp_path / "wrong.npz", **{**arrays, "schema": np.array(wrong)})
        with pytest.raises(BadDataError, match="expected"):
            sklearn.from_file(tmp_path / "wrong.npz")


def test_hashes_have_no_words(tmp_path: Path) -> None:
    """The columns are named, and nothing is written; of texts that are crossed the hash is ours too."""
    crossed = "crossed: [{of: [" + json.dumps(NUMBER) + ", " + json.dumps(TEXT) + "], bits: 3}]"
    root = train(
        tmp_path, "NUMBER: {kind: numeric, missing: mean}, TEXT: {kind: hashed, bits: 3}", f"missing: zero\n{crossed}"
    )
    for kind in ("onnx", "pmml", "sql"):
        with pytest.raises(UsageError, match=f"the export {kind} can say") as refused:
            mr_ml.export(root, "m", tmp_path / "out", kind=kind)
        assert [word in str(refused.value) for word in ("(hashed)", "(crossed)", "(numeric)")] == [True, True, False]
    assert not (tmp_path / "out").exists()
    for kind in ("json", "python", "sklearn"):
        mr_ml.export(root, "m", tmp_path / kind, kind=kind)
        assert (b'"format_version": 2' in (tmp_path / kind).read_bytes()) == (kind != "sklearn")


def test_a_column_has_one_type(tmp_path: Path) -> None:
    """Whole numbers that are categories and numbers: SQL casts, a column of ONNX and PMML is one of both."""
    rows = [(str(i % 4), "x", ("yes", "no")[i % 3 == 0]) for i in range(40)]
    root = train(tmp_path, "NUMBER: [categorical, {kind: bucketised, edges: [2]}], TEXT: categorical", rows=rows)
    for kind in ("onnx", "pmml"):
        with pytest.raises(UsageError, match=r"found such as are read as both: .*a column has one type"):
            mr_ml.export(root, "m", tmp_path / "out", kind=kind)
    mr_ml.export(root, "m", tmp_path / "m.sql", kind="sql", table="t")
    database = duckdb.connect()
    database.execute("CREATE TABLE t AS FROM read_csv(?, header = true)", [str(tmp_path / "rows.csv")])
    found = database.execute((tmp_path / "m.sql").read_text(encoding="utf-8")).fetchall()
    frame = pandas.DataFrame(rows, columns=[NUMBER, TEXT, "label"])
    assert [row[-1] for row in found] == mr_ml.load_model(root, "m").predict(frame).tolist()


def test_numbers_that_a_table_has_as_numbers(tmp_path: Path) -> None:
    """Marks of another country are read where a column holds texts, and are none where it holds numbers."""
    rows = [(f"{i % 9}.234,5", "x", ("yes", "no")[i % 9 < 4]) for i in range(45)]
    root = train(
        tmp_path, 'NUMBER: {kind: numeric, decimal: ",", thousands: ".", missing: mean}, TEXT: categorical', rows=rows
    )
    mr_ml.export(root, "m", tmp_path / "m.sql", kind="sql", table="t")
    sql, found = (tmp_path / "m.sql").read_text(encoding="utf-8"), []
    name = '"' + NUMBER.replace('"', '""') + '"'
    for kind in ("VARCHAR", "DOUBLE"):
        database = duckdb.connect()
        database.execute(f'CREATE TABLE t ({name} {kind}, "{TEXT}" VARCHAR)')
        values = [row[0] if kind == "VARCHAR" else float(row[0].replace(".", "").replace(",", ".")) for row in rows]
        database.executemany("INSERT INTO t VALUES (?, ?)", [[value, "x"] for value in values])
        found.append([row[2:] for row in database.execute(sql).fetchall()])
    assert found[0] == found[1]
    assert len(set(found[0])) > 3


def test_dates_of_columns_that_have_the_type(tmp_path: Path) -> None:
    """A database writes its dates and moments as ISO 8601 has them."""
    days = np.datetime64("1968-02-27T22:59") + np.arange(60) * np.timedelta64(7 * 1440 + 61, "m")
    rows = [(str(day), "x", ("yes", "no")[i % 7 < 3]) for i, day in enumerate(days)]
    root = train(tmp_path, "NUMBER: {kind: date, parts: [weekday, month, hour, days]}, TEXT: categorical", rows=rows)
    expected = mr_ml.load_model(root, "m").predict_proba(pandas.DataFrame(rows, columns=[NUMBER, TEXT, "label"]))
    mr_ml.export(root, "m", tmp_path / "m.sql", kind="sql", table="t")
    database = duckdb.connect()
    name = '"' + NUMBER.replace('"', '""') + '"'
    database.execute(f'CREATE TABLE t ({name} TIMESTAMP, "{TEXT}" VARCHAR)')
    database.executemany("INSERT INTO t VALUES (?, ?)", [[row[0], "x"] for row in rows])
    found = database.execute((tmp_path / "m.sql").read_text(encoding="utf-8")).fetchall()
    np.testing.assert_allclose([row[-3:-1] for row in found], expected, atol=1e-12)
