"""How each kind of export is read by what it is for: one reader a kind, more where it is for several programs."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import json_made
import jsonschema
import numpy as np
import pandas
import pytest
import scipy.sparse
from export_models import CASES, MISSING, Trained, close, columns_of

import mr_ml
from mr_ml.errors import BadDataError
from mr_ml.exports.base import Subject
from mr_ml.exports.document import document_of
from mr_ml.exports.scorer import Scorer
from mr_ml.readers.text.options import MISSING_MARKERS, NUMBER_MARKERS
from mr_ml.readers.transforms.alone import RowError

# A prediction of a row: label ("" without classes) and values; None for a row that is refused.
Prediction = tuple[str, list[float]] | None


def typed(trained: Trained, name: str, text: str | None) -> float | str | None:
    """What a table has for a field."""
    case = CASES[trained.case]
    if text is None or (name not in case.numbers and not trained.is_libsvm):
        return text
    if case.schema:
        spelled = {"decimal": ",", "thousands": ".", "percent": True} if name == "price" else {}
        no_number = {"missing_texts": ("", *MISSING_MARKERS), "missing_number_texts": NUMBER_MARKERS}
        try:
            return json_made.number_of(spelled, no_number, text)
        except ValueError:
            # it refuses a row as what is no number does
            return math.inf
    if ";" in trained.text.split("\n")[0]:
        text = text.replace(".", "").replace(",", ".")
    return None if text in MISSING else float(text)


def table_of(trained: Trained) -> tuple[list[str], list[list[Any]]]:
    names = columns_of(trained)
    rows = [[typed(trained, name, row.get(name)) for name in names] for row in trained.rows]
    return ([f"f{name}" for name in names] if trained.is_libsvm else names), rows


def is_number(trained: Trained, name: str) -> bool:
    return trained.is_libsvm or name in CASES[trained.case].numbers


def with_texts(
    trained: Trained, names: list[str], rows: list[list[Any]], kinds: list[str]
) -> tuple[list[str], list[list[Any]], list[str]]:
    """Return a table in which prices are texts as they were in the file."""
    if "price" not in names:
        return names, rows, kinds
    at, of_text = names.index("price"), {"DOUBLE": "VARCHAR", "double": "string"}
    given = [[*row[:at], text["price"], *row[at + 1 :]] for row, text in zip(rows, trained.rows, strict=True)]
    return names, given, [*kinds[:at], of_text[kinds[at]], *kinds[at + 1 :]]


def by_plain_formula(trained: Trained, path: Path) -> list[Prediction]:
    """The formula of docs/exports.md, in numpy; text and what is refused are left to the scorer."""
    document = json.loads(path.read_bytes())
    schema = json.loads((Path(mr_ml.__file__).parent / "exports" / "model.schema.json").read_bytes())
    jsonschema.Draft202012Validator(schema).validate(document)
    scorer = Scorer(document)
    found: list[Prediction] = []
    for row in trained.rows:
        try:
            scored = scorer.predict(row)
        except RowError:
            found.append(None)
            if document["format_version"] == 2 and not document["inputs"]["columns"]:
                assert json_made.refuses(document, row), row
            continue
        x = np.zeros(len(document["features"]))
        for k, number in scorer._features(row):
            x[k] = number
        if document["format_version"] == 2:
            x = with_made(document, row, x)
        offset = float(row[document["inputs"]["offset"]]) if document["inputs"]["offset"] else 0.0
        z = np.array(document["coefficients"]) @ (x - document["centres"]) + document["intercepts"] + offset
        values = list((scored.get("probabilities") or scored.get("decisions") or scored).values())
        if document["response"] == "sigmoid":
            with np.errstate(over="ignore"):
                assert close(values, [1 / (1 + np.exp(z[0])), 1 / (1 + np.exp(-z[0]))])
        if document["response"] == "normalised_exponentials":
            assert close(values, (np.exp(z) / np.exp(z).sum()).tolist())
        found.append((scored.get("label", ""), values))
    return found


def with_made(document: dict[str, Any], row: dict[str, str], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Replace what the scorer makes of columns; it must have been the same."""
    first = {column["first"] for column in document["inputs"]["columns"]}
    assert all(column["categories"] is None for column in document["inputs"]["columns"])
    made = json_made.features(document, row)
    own = [x[k] if feature in first else made.get(feature, 0.0) for k, feature in enumerate(document["features"])]
    np.testing.assert_allclose(x, own, rtol=1e-13, atol=0)
    return np.array(own)


def by_a_bare_python(trained: Trained, path: Path) -> list[Prediction]:
    def run(text: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", str(path), *more], input=text, capture_output=True, text=True, check=False
        )

    done = run(trained.text, "--max-bad-rows", str(len(trained.rows)))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")[:-1]
    header = [] if trained.is_libsvm else [lines.pop(0)]
    assert header == trained.lines[: len(header)]
    n_refused = sum(values is None for values in trained.values)
    assert done.stderr.count("\n") == n_refused
    assert run(trained.text).returncode == (65 if n_refused else 0)
    has_label = bool(trained.labels[0] or any(trained.labels))
    found: list[Prediction] = []
    for line in lines:
        first, *rest = line.split("\t")
        numbers = list(map(float, rest if has_label else [first])) if line else []
        found.append((first.replace("\\\\", "\\") if has_label else "", numbers) if line else None)
    return found


def by_duckdb(trained: Trained, path: Path) -> list[Prediction]:
    duckdb = pytest.importorskip("duckdb")
    names, rows = table_of(trained)
    database = duckdb.connect()
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    kinds = ["DOUBLE" if is_number(trained, name) else "VARCHAR" for name in names]
    # what is written in another way is read from text too
    names, rows, kinds = with_texts(trained, names, rows, kinds)
    database.execute(
        f"CREATE TABLE rows (n INTEGER, {', '.join(f'{a} {b}' for a, b in zip(quoted, kinds, strict=True))})"
    )
    database.executemany(
        f"INSERT INTO rows VALUES ({', '.join('?' * (len(names) + 1))})", [[i, *row] for i, row in enumerate(rows)]
    )
    result = database.execute(path.read_text(encoding="utf-8"))
    return from_table(trained, [column[0] for column in result.description], result.fetchall())


def by_sqlite(trained: Trained, path: Path) -> list[Prediction]:
    mr_ml.export(trained.root, trained.name, path, kind="sql", dialect="sqlite", table="main.rows", **trained.unseen)
    names, rows = table_of(trained)
    database = sqlite3.connect(":memory:")
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    database.execute(f"CREATE TABLE rows (n, {', '.join(quoted)})")
    database.executemany(
        f"INSERT INTO rows VALUES ({', '.join('?' * (len(names) + 1))})", [[i, *row] for i, row in enumerate(rows)]
    )
    result = database.execute(path.read_text(encoding="utf-8"))
    return from_table(trained, [column[0] for column in result.description], result.fetchall())


def by_spark(trained: Trained, path: Path) -> list[Prediction]:
    if shutil.which("java") is None or os.environ.get("MR_ML_SKIP_SPARK"):
        pytest.skip("needs Java, and no MR_ML_SKIP_SPARK")
    pytest.importorskip("pyspark", reason="needs mr_ml[spark]")
    mr_ml.export(trained.root, trained.name, path, kind="sql", dialect="spark", **trained.unseen)
    names, rows = table_of(trained)
    kinds = ["double" if is_number(trained, name) else "string" for name in names]
    names, rows, kinds = with_texts(trained, names, rows, kinds)
    process = spark_process()
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps([path.read_text(encoding="utf-8"), names, kinds, rows]), file=process.stdin, flush=True)
    found, result = json.loads(process.stdout.readline())
    return from_table(trained, found, result)


@cache
def spark_process() -> subprocess.Popen[str]:
    program = [sys.executable, str(Path(__file__).parent / "spark_rows.py")]
    return subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def from_table(trained: Trained, names: list[str], rows: list[tuple[Any, ...]]) -> list[Prediction]:
    rows = sorted(rows, key=lambda row: int(row[names.index("n")]))
    predicted = names.index("predicted")
    values = [i for i, name in enumerate(names) if name.startswith(("probability_", "decision_"))] or [predicted]
    found: list[Prediction] = []
    for row in rows:
        if row[predicted] is None:
            assert all(row[i] is None for i in values)
            found.append(None)
        else:
            found.append((str(row[predicted]) if values != [predicted] else "", [float(row[i]) for i in values]))
    return found


def by_onnxruntime(trained: Trained, path: Path) -> list[Prediction]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names, rows = table_of(trained)
    given: dict[str, Any] = {}
    if trained.is_libsvm:
        ids = json.loads(session.get_modelmeta().custom_metadata_map["feature_names"])
        given["features"] = np.array([[row[names.index(f"f{id}")] or 0.0 for id in ids] for row in rows])
        for i, row in enumerate(trained.rows):
            # of features that the model does not know such a tensor cannot tell
            given["features"][i] = np.nan if set(row) - set(ids) and not trained.unseen else given["features"][i]
    else:
        for j, name in enumerate(names):
            column = [row[j] for row in rows]
            numbers = is_number(trained, name)
            filled = [np.nan if value is None else value for value in column] if numbers else texts_for_onnx(column)
            given[name] = np.array(filled, np.float64 if numbers else object)[:, None]
    *label, values = session.run(None, given)
    found: list[Prediction] = []
    for i, row in enumerate(values.tolist()):
        text = str(label[0][i]) if label else ""
        assert not label or bool(text) != bool(np.isnan(row[0]))
        found.append(None if np.isnan(row[0]) else (text, row))
    return found


def texts_for_onnx(column: list[Any]) -> list[Any]:
    """What `OnnxExport.notes` asks for: no blanks around texts, no more zeros than one behind a dot."""
    return [text.strip(" \t") if not text.endswith(".00") else text[:-1] for text in column]


def by_jpmml(trained: Trained, path: Path) -> list[Prediction]:
    names, rows = table_of(trained)
    results = jpmml(path, [dict(zip(names, map(spelled, row), strict=True)) for row in rows])
    model = mr_ml.load_model(trained.root, trained.name)
    word = "probability" if model.has_probabilities else "decision"
    values = [f"{word}_{label}" for label in model.label_texts]
    found: list[Prediction] = []
    for row, result in zip(trained.rows, results, strict=True):
        # of features that the model does not know such a table cannot tell
        unknown = trained.is_libsvm and not trained.unseen and max(map(int, row), default=0) > model.n_features
        if isinstance(result, str):
            assert "cannot accept" in result
            found.append(None)
        elif not unknown:
            predicted = result["predicted"]
            found.append((predicted, [result[name] for name in values]) if values else ("", [predicted]))
        else:
            found.append(None)
    return found


def spelled(value: object) -> object:
    """A whole number in the only spelling that PMML and ONNX know: see `notes` of these exports; and no blanks."""
    plain = re.sub(r"\.0*$", "", str(value).strip(" \t").lstrip("+"))
    if not isinstance(value, str) or plain == "-0":
        return "0" if value == "-0" else value
    return plain if plain.isdigit() else value.strip(" \t")


def jpmml(path: Path, rows: list[dict[str, Any]]) -> list[Any]:
    """Hold a file against the XML schema of PMML, and evaluate rows."""
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    place = importlib.util.find_spec("jpmml_evaluator")
    if place is None or place.origin is None:
        pytest.skip("needs mr_ml[test-pmml]")
    schema_of_pmml(Path(place.origin).parent / "dependencies").validate(path)
    process = jpmml_process()
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps([str(path), rows]), file=process.stdin, flush=True)
    results: list[Any] = json.loads(process.stdout.readline())
    return results


@cache
def schema_of_pmml(jars: Path) -> Any:
    import xmlschema

    with zipfile.ZipFile(next(jars.glob("pmml-model-[0-9]*.jar"))) as content:
        return xmlschema.XMLSchema(io.BytesIO(content.read("pmml.xsd")))


@cache
def jpmml_process() -> subprocess.Popen[str]:
    program = [sys.executable, str(Path(__file__).parent / "jpmml_rows.py")]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def by_scikit_learn(trained: Trained, path: Path) -> list[Prediction]:
    from mr_ml import sklearn as estimators

    estimator = estimators.from_file(path)
    same = estimators.from_model(trained.root, trained.name)
    assert type(estimator) is type(same)
    model = mr_ml.load_model(trained.root, trained.name)
    if CASES[trained.case].schema:
        return by_pipeline(trained, estimator, same)
    names = list(model.feature_names)
    assert estimator.n_features_in_ == len(names)
    x, known = scipy.sparse.lil_matrix((len(trained.rows), len(names))), []
    scorer = Scorer(document_of(Subject.of(model, **trained.unseen)))
    for i, row in enumerate(trained.rows):
        try:
            for k, number in scorer._features(row):
                x[i, model.formula().features[k]] = number
            known.append(True)
        except ValueError:
            known.append(False)
    rows = x.tocsr() if trained.is_libsvm else pandas.DataFrame(x.toarray(), columns=names)
    predicted = estimator.predict(rows)
    np.testing.assert_array_equal(same.predict(rows), predicted)
    if model.classes:
        decisions = estimator.decision_function(rows)
        values = estimator.predict_proba(rows) if model.has_probabilities else np.stack([-decisions, decisions], axis=1)
        pairs = [(str(label), row) for label, row in zip(predicted, values.tolist(), strict=True)]
    else:
        pairs = [("", [value]) for value in predicted.tolist()]
    return [pair if is_known else None for pair, is_known in zip(pairs, known, strict=True)]


def by_pipeline(trained: Trained, pipeline: Any, same: Any) -> list[Prediction]:
    """Data frames with the columns of the rows; one at a time, for a refused one is an error."""
    found: list[Prediction] = []
    for row in trained.rows:
        frame = pandas.DataFrame([row])
        try:
            (predicted,) = pipeline.predict(frame)
        except BadDataError:
            found.append(None)
            continue
        assert same.predict(frame) == predicted
        values = pipeline.predict_proba(frame)[0].tolist() if any(trained.labels) else [predicted]
        found.append((str(predicted) if any(trained.labels) else "", values))
    # the data says which rows, so all at once are the same
    known = [row for row, one in zip(trained.rows, found, strict=True) if one is not None]
    predicted = pipeline.predict(pandas.DataFrame(known))
    assert [one and (one[0] or one[1][0]) for one in found if one] == predicted.tolist()
    return found


READERS: dict[str, list[Callable[[Trained, Path], list[Prediction]]]] = {
    "json": [by_plain_formula],
    "onnx": [by_onnxruntime],
    "pmml": [by_jpmml],
    "python": [by_a_bare_python],
    "sklearn": [by_scikit_learn],
    "sql": [by_duckdb, by_sqlite, by_spark],
}
