"""`mr-ml export` and `mr_ml.export`: names, choices, what cannot be carried, and that files are whole."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import numpy as np
import onnx
import onnxruntime
import pytest
from commands import Commands
from sklearn.linear_model import LogisticRegression

import mr_ml
from mr_ml import sklearn
from mr_ml.errors import BadDataError, NotFoundError, UsageError
from mr_ml.exports import EXPORTS
from mr_ml.readers.transforms.quantity import Quantity

NAMES = (
    'a"b',
    "c'd",
    "e`f",
    "g;h --",
    "i\\j",
    "k.l",
    "Größe",
    "'''",
    '"""',
    "{x}",
    "${y}",
    "<m>",
    "predicted",
    "margin",
)


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """One model, `m`, of rows with hostile names of columns."""
    commands = Commands(tmp_path / "root", ("-r", "inline"))
    header = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in NAMES]
    lines = [",".join([*header, "label"])]
    for i in range(60):
        fields = [str((i * (j + 3)) % 7) for j in range(len(NAMES) - 1)]
        lines.append(",".join([*fields, ("u'v", "w\\", '"x""y"')[i % 3], "yes" if i % 5 < 2 else '"n""o"']))
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    commands("pack", tmp_path / "rows.csv", "--to", "rows")
    commands("train", "rows", "--model", "m", "--l2", "0.1")
    commands("predict", "m", tmp_path / "rows.csv", "--to", tmp_path / "predictions")
    return commands


def predictions(folder: Path) -> list[list[str]]:
    return [line.split("\t") for line in (folder / "predictions").read_text(encoding="utf-8").splitlines()]


def test_hostile_names_in_sql(commands: Commands, tmp_path: Path) -> None:
    """Columns, categories, labels and a table, read by a database from the file itself."""
    table = 'my "rows"; --\n'
    commands("export", "m", "--as", "sql", "--table", table, "-o", tmp_path / "m.sql")
    database = duckdb.connect()
    database.execute(
        f"""CREATE TABLE "{table.replace('"', '""')}" AS FROM read_csv(?, header = true)""",
        [str(tmp_path / "rows.csv")],
    )
    found = database.execute((tmp_path / "m.sql").read_text(encoding="utf-8"))
    names = [column[0] for column in found.description]
    assert names[-1] == "predicted_"
    assert {"margin_", 'probability_n"o', "probability_yes"} < set(names)
    rows = found.fetchall()
    expected = predictions(tmp_path)[1:]
    assert [row[-1] for row in rows] == [fields[0] for fields in expected]
    at = names.index("probability_yes")
    assert [row[at] for row in rows] == pytest.approx([float(fields[2]) for fields in expected], abs=1e-13)


def test_hostile_names_in_onnx(commands: Commands, tmp_path: Path) -> None:
    commands("export", "m", "--as", "onnx", "-o", tmp_path / "m.onnx")
    commands("export", "m", "--as", "onnx", "-o", tmp_path / "again.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    given = {name: np.array([[row[name]] for row in rows]) for name in NAMES}
    given = {name: column.astype(np.float64 if name != NAMES[-1] else object) for name, column in given.items()}
    assert [output.name for output in session.get_outputs()] == ["label", "probabilities"]
    label, probabilities = session.run(None, given)
    expected = predictions(tmp_path)[1:]
    assert label.tolist() == [fields[0] for fields in expected]
    assert probabilities.tolist() == [pytest.approx(list(map(float, fields[1:])), abs=1e-13) for fields in expected]
    about = session.get_modelmeta()
    assert json.loads(about.custom_metadata_map["labels"]) == ['n"o', "yes"]
    # what is not finite has no prediction
    for number in (np.nan, np.inf, -np.inf):
        label, probabilities = session.run(None, {**given, NAMES[0]: np.full((len(rows), 1), number)})
        assert set(label.tolist()) == {""}
        assert np.isnan(probabilities).all()


def test_onnx_is_pinned_and_has_no_floats(commands: Commands, tmp_path: Path) -> None:
    """The operators of ai.onnx.ml compute in floats; only the look-up of texts is taken from there."""
    commands("export", "m", "--as", "onnx", "-o", tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    assert (model.ir_version, {item.domain: item.version for item in model.opset_import}) == (
        8,
        {"": 15, "ai.onnx.ml": 2},
    )
    assert {node.op_type for node in model.graph.node if node.domain} == {"LabelEncoder"}
    assert onnx.TensorProto.FLOAT not in {tensor.data_type for tensor in model.graph.initializer}


def test_without_the_package_onnx_says_what_to_install(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    outcome = commands.run("export", "m", "--as", "onnx", "-o", tmp_path / "m.onnx")
    assert outcome.code == 2
    assert "pip install 'mr_ml[onnx]'" in outcome.err


def test_hostile_names_in_pmml(commands: Commands, tmp_path: Path) -> None:
    commands("export", "m", "--as", "pmml", "-o", tmp_path / "m.pmml")
    pmml = "{http://www.dmg.org/PMML-4_4}"
    fields = ElementTree.parse(tmp_path / "m.pmml").getroot().findall(f"{pmml}DataDictionary/{pmml}DataField")
    assert [field.get("name") for field in fields] == [*NAMES, "target"]
    values = {value.get("value") for field in fields for value in field.findall(f"{pmml}Value")}
    assert {'x"y', "u'v", "w\\", 'n"o', "yes", ""} <= values


def test_what_xml_cannot_hold_is_no_pmml(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b,label\n" + "1,u\x01v,0\n3,w,1\n2,w,0\n" * 9)
    root = str(tmp_path / "root")
    mr_ml.pack(root, tmp_path / "rows.csv", "rows")
    mr_ml.train(root, "rows", "m", l2=1.0)
    with pytest.raises(UsageError, match=r"PMML, cannot have the character in 'u\\x01v'; rename it"):
        mr_ml.export(root, "m", tmp_path / "m.pmml", kind="pmml")
    assert not (tmp_path / "m.pmml").exists()


def test_hostile_names_in_python(commands: Commands, tmp_path: Path) -> None:
    found = commands("export", "m@1", "--as", "python", "-o", tmp_path / "m.py")
    assert (found["model"], found["n_bytes"]) == ("m@1", (tmp_path / "m.py").stat().st_size)
    with (tmp_path / "rows.csv").open("rb") as rows:
        done = subprocess.run(
            [sys.executable, "-I", tmp_path / "m.py"], stdin=rows, capture_output=True, check=True, text=True
        )
    assert done.stdout.split("\n")[0] == (tmp_path / "predictions").read_text().split("\n")[0]
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [fields[0] for fields in predictions(tmp_path)]
    code = f"import m; print(m.predict({dict.fromkeys(NAMES, 1)!r} | {{{NAMES[-1]!r}: 'w' + chr(92)}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert done.stdout.startswith("{'label': ")


def test_rows_that_the_scorer_refuses(commands: Commands, tmp_path: Path) -> None:
    commands("export", "m", "--as", "python", "-o", tmp_path / "m.py")
    good = (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()[:2]
    bad = ["1,2", good[1].replace("0", "x", 1), good[1].replace("0", "", 1), good[1].replace("0", "1e999", 1)]
    for line in bad:
        text = "\n".join([*good, "", line, good[1]]) + "\n"
        command = [sys.executable, "-I", str(tmp_path / "m.py")]
        done = subprocess.run(command, input=text, capture_output=True, check=False, text=True)
        assert (done.returncode, len(done.stdout.splitlines())) == (65, 3)
        assert done.stderr.startswith("row 3: ")
        assert "Traceback" not in done.stderr
        done = subprocess.run(
            [*command, "--max-bad-rows", "1"], input=text, capture_output=True, check=False, text=True
        )
        assert (done.returncode, [bool(line) for line in done.stdout.split("\n")]) == (
            0,
            [True, True, False, False, True, False],
        )


def test_a_reader_of_the_scorer_may_go(commands: Commands, tmp_path: Path) -> None:
    """As `head` does: that is no error to complain of."""
    commands("export", "m", "--as", "python", "-o", tmp_path / "m.py")
    header, *rows = (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "many.csv").write_text("\n".join([header, *rows * 200]) + "\n", encoding="utf-8")
    with (tmp_path / "many.csv").open("rb") as text:
        scorer = subprocess.Popen(
            [sys.executable, "-I", tmp_path / "m.py"], stdin=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert scorer.stdout is not None
        assert scorer.stdout.readline().startswith(b"label\t")
        scorer.stdout.close()
        assert scorer.stderr is not None
        assert (scorer.stderr.read(), scorer.wait()) == (b"", 141)
        scorer.stderr.close()


def test_what_is_wrong_is_said(commands: Commands, tmp_path: Path) -> None:
    for words, message in {
        ("--as", "jsom"): "export 'jsom' is not known (did you mean 'json'?)",
        ("--as", "json", "--table", "rows"): "--table is no parameter of the export json",
        ("--as", "sql", "--dialect", "oracle"): "expected --dialect duckdb, sqlite, spark, found 'oracle'",
    }.items():
        outcome = commands.run("export", "m", *words, "-o", tmp_path / "out")
        assert outcome.code == 2
        assert message in outcome.err
        assert not (tmp_path / "out").exists()
    assert commands.run("export", "none", "--as", "json", "-o", tmp_path / "out").code == 74
    assert commands.run("export", "m", "--as", "json", "-o", tmp_path).code == 2
    with pytest.raises(UsageError, match="`colour` is no parameter of the export sql; it has dialect, table"):
        mr_ml.export(str(commands.root), "m", tmp_path / "out", kind="sql", colour="red")
    with pytest.raises(NotFoundError):
        mr_ml.export(str(commands.root), "m@7", tmp_path / "out", kind="json")


def test_arrays_serve_scikit_learn_alone(commands: Commands, tmp_path: Path) -> None:
    commands("export", "m", "--as", "sklearn", "-o", tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        arrays = dict(file)
    estimator = LogisticRegression()
    estimator.coef_, estimator.intercept_, estimator.classes_ = arrays["coef"], arrays["intercept"], arrays["classes"]
    x = np.random.default_rng(0).normal(size=(20, arrays["coef"].shape[1]))
    model = mr_ml.load_model(str(commands.root), "m")
    np.testing.assert_allclose(estimator.predict_proba(x), model.predict_proba(x), atol=1e-13)
    assert estimator.predict(x).tolist() == model.predict(x).tolist()


def test_damaged_arrays_make_no_estimator(commands: Commands, tmp_path: Path) -> None:
    commands("export", "m", "--as", "sklearn", "-o", tmp_path / "m.npz")
    estimator = sklearn.from_file(tmp_path / "m.npz")
    assert estimator.feature_names_in_.tolist()[:3] == list(NAMES[:3])
    assert estimator.classes_.tolist() == ['n"o', "yes"]
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        arrays = dict(file)
    for name, wrong in {
        "coef": arrays["coef"][:, 1:], "intercept": arrays["intercept"].astype(np.float32), "classes": arrays["coef"],
        "feature_names": arrays["feature_names"][1:], "more": arrays["coef"],
    }.items():  # fmt: skip
        np.savez(tmp_path / "wrong.npz", **{**arrays, name: wrong})
        with pytest.raises(BadDataError, match=r"wrong\.npz: expected"):
            sklearn.from_file(tmp_path / "wrong.npz")
    np.savez(tmp_path / "wrong.npz", **{**arrays, "classes": np.array(["a", None], object)})
    with pytest.raises(BadDataError, match="not an undamaged"):
        sklearn.from_file(tmp_path / "wrong.npz")


def test_a_file_is_replaced_when_the_new_one_is_whole(commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    assert commands.run("export", "m", "--as", "sql", "--dialect", "none", "-o", out).code == 2
    assert out.read_text() == "old"
    commands("export", "m", "--as", "json", "-o", out)
    assert json.loads(out.read_bytes())["model"] == "m"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    found = commands("export", "m", "--as", "json", "-o", f"file://{tmp_path}/again.json")
    assert found["uri"].endswith("again.json")
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()


def test_names_that_one_database_takes_for_one(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,A,label\n" + "1,2,0\n3,1,1\n2,2,0\n" * 9)
    root = str(tmp_path / "root")
    mr_ml.pack(root, tmp_path / "rows.csv", "rows")
    mr_ml.train(root, "rows", "m", l2=1.0)
    with pytest.raises(UsageError, match="columns 'a' and 'A' have one name in SQL"):
        mr_ml.export(root, "m", tmp_path / "m.sql", kind="sql")


def test_a_transform_that_an_export_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of another package, of which nobody else knows what it makes of columns."""
    (tmp_path / "rows.csv").write_text("a,b,label\n" + "1,2,0\n3,,1\n2,2,0\n" * 9)
    (tmp_path / "schema.yaml").write_text("columns: {b: {kind: numeric, missing: mean, indicator: true}}\n")
    root = str(tmp_path / "root")
    mr_ml.pack(root, tmp_path / "rows.csv", "rows", schema=tmp_path / "schema.yaml")
    mr_ml.train(root, "rows", "m", l2=1.0)
    model = mr_ml.load_model(root, "m")
    monkeypatch.setattr(Quantity, "kind", "elsewhere")
    for kind in ("json", "python"):
        with pytest.raises(UsageError, match=r"has no words for: b \(numeric\)"):
            mr_ml.export(root, model, tmp_path / "out", kind=kind)
    # one that says nothing but its own fields
    monkeypatch.setattr(Quantity, "told", lambda self, *, first, unseen: None)
    for kind in ("onnx", "pmml", "sql"):
        with pytest.raises(UsageError, match=r"has no words for: b \(numeric\)"):
            mr_ml.export(root, model, tmp_path / "out", kind=kind)
    assert not (tmp_path / "out").exists()
    # whose reader is mr_ml
    mr_ml.export(root, model, tmp_path / "out", kind="sklearn")


def test_a_loss_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("1 1:1\n2 1:3\n2 1:4\n" * 9)
    root = str(tmp_path / "root")
    mr_ml.pack(root, tmp_path / "rows", "rows")
    mr_ml.train(root, "rows", "m", loss="poisson", l2=1.0)
    model = mr_ml.load_model(root, "m")

    class Odd(type(model.loss)):  # type: ignore[misc]
        def inverse_link(self, margins: object) -> object:
            return margins

    object.__setattr__(model, "loss", Odd())
    for kind in EXPORTS:
        with pytest.raises(UsageError, match="there are no words for its loss poisson"):
            mr_ml.export(root, model, tmp_path / "out", kind=kind)
