"""Predicting raw rows: one output line per input line, in order, with what the formula gives."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_csv, write_libsvm
from scipy import special

from mr_ml.prediction import tasks as predict_tasks
from mr_ml.prediction.tasks import RangeReport
from mr_ml.readers.text import source
from mr_ml.runners.local.machine import LocalJobRunner


@pytest.fixture(scope="module")
def mr_ml(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A softmax, a logistic and a regression model on numbered features, and one on a CSV with names."""
    folder = tmp_path_factory.mktemp("predict")
    commands = Commands(folder / "root")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    margin = x @ [1, -2, 0.5, 0] + rng.normal(size=200) / 2
    for name, y, options in (
        ("softmax", np.digitize(margin, [-1, 1]) * 10, ("--loss", "softmax", "--l2", "0.01")),
        ("logistic", np.where(margin > 0, 1, -1), ("--l2", "0.01")),
        ("squared", margin, ("--loss", "squared")),
    ):
        commands("pack", write_libsvm(folder / name, x, y), "--to", name)
        commands("train", name, "--model", name, *options)
    columns: dict[str, Any] = {
        "size": x[:, 0], "colour": [["red", "blue", "green"][k % 3] for k in range(200)],
        "o": x[:, 1], "label": np.where(margin > 0, "yes, sir", "no").tolist(),
    }  # fmt: skip
    columns["label"] = [f'"{label}"' for label in columns["label"]]
    commands("pack", write_csv(folder / "named.csv", columns), "--to", "named", "--offset-column", "o")
    commands("train", "named", "--model", "named", "--l2", "0.01")
    return commands


def new_rows(n: int = 50, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=(n, 4))


def table(path: Path) -> tuple[list[str], Any]:
    """The first column, and the others as numbers."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [row[0] for row in rows], np.array([[float(v) for v in row[1:]] for row in rows])


def test_softmax(mr_ml: Commands, tmp_path: Path) -> None:
    x = new_rows()
    found = mr_ml("predict", "softmax", write_libsvm(tmp_path / "new", x, np.zeros(50)), "--to", tmp_path / "out")
    assert (found["n_rows"], found["bad_rows"], found["labels"]) == (50, 0, ["0", "10", "20"])
    coef = mr_ml.coef("softmax")
    expected = special.softmax(x @ coef.coef.T + coef.intercept, axis=1)
    labels, probabilities = table(tmp_path / "out")
    np.testing.assert_allclose(probabilities, expected, rtol=1e-12)
    assert labels == [["0", "10", "20"][k] for k in expected.argmax(axis=1)]
    assert len(set(labels)) == 3


def test_logistic(mr_ml: Commands, tmp_path: Path) -> None:
    """Rows without labels are rows too."""
    x = new_rows()
    lines = write_libsvm(tmp_path / "new", x, np.ones(50)).read_text().splitlines()
    (tmp_path / "unlabelled").write_text("".join(line.partition(" ")[2] + "\n" for line in lines))
    coef = mr_ml.coef("logistic")
    p = special.expit(x @ coef.coef[0] + coef.intercept)
    for name in ("new", "unlabelled"):
        mr_ml("predict", "logistic", tmp_path / name, "--to", tmp_path / f"{name}-out")
        labels, probabilities = table(tmp_path / f"{name}-out")
        np.testing.assert_allclose(probabilities, np.column_stack([1 - p, p]), rtol=1e-9)
        assert labels == ["1" if q > 0.5 else "-1" for q in p]


def test_regression(mr_ml: Commands, tmp_path: Path) -> None:
    x = new_rows()
    mr_ml("predict", "squared", write_libsvm(tmp_path / "new", x, np.zeros(50)), "--to", tmp_path / "out")
    coef = mr_ml.coef("squared")
    found = np.array((tmp_path / "out").read_text().split(), float)
    np.testing.assert_allclose(found, x @ coef.coef[0] + coef.intercept, rtol=1e-12)


def test_every_line_has_a_line(mr_ml: Commands, tmp_path: Path) -> None:
    """Comments, blank and allowed bad lines give empty lines; the last line may lack its newline."""
    file = tmp_path / "new"
    file.write_bytes(b"# comment\n0 1:1 # and a row\r\n\n0 1:nan\n1 2:1")
    found = mr_ml.run("predict", "logistic", file, "--to", tmp_path / "out", "--max-bad-rows", "1", "--json")
    assert found.code == 0
    assert (found.result["n_rows"], found.result["bad_rows"]) == (2, 1)
    assert f"    {file}:4: 0 1:nan" in found.err
    assert "  not_finite (1): " in found.err
    lines = (tmp_path / "out").read_text().split("\n")
    assert [bool(line) for line in lines] == [False, True, False, False, True, False]


def test_order_and_bytes_do_not_depend_on_the_cut(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = new_rows(n=997)
    file = write_libsvm(tmp_path / "new", x, np.zeros(997))
    zipped = tmp_path / "new.gz"
    zipped.write_bytes(gzip.compress(file.read_bytes()))
    mr_ml("predict", "softmax", file, "--to", tmp_path / "whole", "-r", "inline")
    mr_ml("predict", "softmax", zipped, "--to", tmp_path / "zipped")
    monkeypatch.setattr(source, "RANGE_BYTES", 700)
    mr_ml("predict", "softmax", file, "--to", tmp_path / "cut")
    monkeypatch.setattr(source, "RANGE_BYTES", 5000)
    mr_ml("predict", "softmax", file, "--to", tmp_path / "three", "-r", "local", "--workers", "3")
    whole = (tmp_path / "whole").read_bytes()
    assert whole.count(b"\n") == 997
    assert {(tmp_path / name).read_bytes() for name in ("zipped", "cut", "three")} == {whole}


def test_many_inputs(mr_ml: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for k, name in enumerate(("a", "b", "deeper/a")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_libsvm(folder / name, new_rows(n=5 + k, seed=k), np.zeros(5 + k))
    (folder / "c.gz").write_bytes(gzip.compress((folder / "a").read_bytes()))
    found = mr_ml("predict", "logistic", folder, "--to", tmp_path / "some" / "where" / "out")
    out = tmp_path / "some" / "where" / "out"
    n_rows = {"a": 5, "b": 6, "c": 5, "deeper/a": 7}
    assert found["outputs"] == [str(out / name) for name in n_rows]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert sorted(path for path in out.rglob("*") if path.is_file()) == [out / name for name in n_rows]
    for name, n in n_rows.items():
        assert len((out / name).read_text().splitlines()) == n


def test_csv(mr_ml: Commands, tmp_path: Path) -> None:
    """A header gives a header; columns may stand in another order and the label may be missing; offsets count."""
    size, offset = new_rows(n=30)[:, 0], new_rows(n=30)[:, 1]
    colour = [["green", "red"][k % 2] for k in range(30)]
    file = write_csv(tmp_path / "new.csv", {"o": offset, "colour": colour, "size": size})
    mr_ml("predict", "named", file, "--to", tmp_path / "out")
    header, *lines = (tmp_path / "out").read_text().splitlines()
    assert header == "label\tprobability_no\tprobability_yes, sir"
    names = mr_ml("models", "show", "named")["feature_names"]
    x = np.column_stack([[float(name == f"colour={c}") for c in colour] if "=" in name else size for name in names])
    coef = mr_ml.coef("named")
    p = special.expit(x @ coef.coef[0] + coef.intercept + offset)
    np.testing.assert_allclose([float(line.split("\t")[2]) for line in lines], p, rtol=1e-9)
    assert [line.split("\t")[0] for line in lines] == ["yes, sir" if q > 0.5 else "no" for q in p]


def test_predictions_agree_with_evaluate(mr_ml: Commands, tmp_path: Path) -> None:
    x = new_rows(n=200, seed=4)
    y = np.where(x @ [1, -2, 0.5, 0] > 0.3, 1, -1)
    file = write_libsvm(tmp_path / "new", x, y)
    mr_ml("pack", file, "--to", "fresh", "--like", "logistic")
    metrics = mr_ml("evaluate", "logistic", "fresh", "--split", "train")
    mr_ml("predict", "logistic", file, "--to", tmp_path / "out")
    labels, p = table(tmp_path / "out")
    truth = np.array(y)
    guesses = np.array(labels, int)
    assert metrics["accuracy"] == np.mean(guesses == truth)
    assert metrics["confusion"] == [[int(((truth == a) & (guesses == b)).sum()) for b in (-1, 1)] for a in (-1, 1)]
    chosen = p[np.arange(200), (truth > 0).astype(int)]
    assert metrics["log_loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-12)
    scores = p[:, 1]
    pairs = (scores[truth > 0][:, None] > scores[truth < 0]) + (scores[truth > 0][:, None] == scores[truth < 0]) / 2
    assert metrics["auc"] == pytest.approx(pairs.mean(), rel=1e-12)


def test_one_job_each(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[str] = []
    run = LocalJobRunner.run

    def counted(self: LocalJobRunner, job: Any, **options: Any) -> Any:
        jobs.append(job.__name__)
        return run(self, job, **options)

    monkeypatch.setattr(LocalJobRunner, "run", counted)
    mr_ml("evaluate", "softmax", "softmax", "--split", "train")
    mr_ml("predict", "softmax", write_libsvm(tmp_path / "new", new_rows(), np.zeros(50)), "--to", tmp_path / "out")
    assert jobs == ["MRPass", "MRPredict"]


def test_an_empty_file(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"")
    assert mr_ml("predict", "logistic", tmp_path / "new", "--to", tmp_path / "out")["n_rows"] == 0
    assert (tmp_path / "out").read_bytes() == b""


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_input_that_is_overwritten_while_it_is_read(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """In place, by as many bytes: nothing but the time of the file tells."""
    file = tmp_path / f"new{suffix}"
    whole = write_libsvm(tmp_path / "rows", new_rows(), np.zeros(50)).read_bytes()
    file.write_bytes(gzip.compress(whole) if suffix else whole)
    before = sorted(tmp_path.iterdir())
    scored = predict_tasks.predicted

    def overwriting(*args: Any) -> Any:
        status = os.stat(file)
        with open(file, "r+b") as out:
            out.write(file.read_bytes())
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        return scored(*args)

    with monkeypatch.context() as patch:
        patch.setattr(predict_tasks, "predicted", overwriting)
        found = mr_ml.run("predict", "logistic", file, "--to", tmp_path / "out", "-r", "inline")
    assert (found.code, f"{file} changed while it was read" in found.err) == (65, True)
    assert sorted(tmp_path.iterdir()) == before
    assert mr_ml("predict", "logistic", file, "--to", tmp_path / "out")["n_rows"] == 50


def test_parts_without_rows(mr_ml: Commands, tmp_path: Path) -> None:
    """Empty files of a folder, also where their name says that they are compressed, and compressed nothing."""
    folder = tmp_path / "in"
    folder.mkdir()
    write_libsvm(folder / "a", new_rows(5), np.zeros(5))
    for name, data in (("b", b""), ("c.gz", b""), ("d.bz2", b""), ("e.gz", gzip.compress(b"")), ("f.zst", b"")):
        (folder / name).write_bytes(data)
    found = mr_ml("predict", "logistic", folder, "--to", tmp_path / "out")
    assert (found["n_rows"], len(found["outputs"])) == (5, 6)
    assert [len((tmp_path / "out" / name).read_text().splitlines()) for name in "abcdef"] == [5, 0, 0, 0, 0, 0]
    refused = mr_ml.run("predict", "logistic", folder / "c.gz", "--to", tmp_path / "alone")
    assert (refused.code, f"{folder}/c.gz: expected gzip data" in refused.err) == (65, True)


def test_features_that_the_model_does_not_know(mr_ml: Commands, tmp_path: Path) -> None:
    file = tmp_path / "new"
    file.write_text("0 1:1\n# a comment\n0 1:1 9:5\n")
    found = mr_ml.run("predict", "logistic", file, "--to", tmp_path / "out")
    assert (found.code, "--unseen-features ignore" in found.err) == (65, True)
    assert f"  {file}:3: 0 1:1 9:5" in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    shape = mr_ml("predict", "logistic", file, "--to", tmp_path / "out", "--unseen-features", "ignore")
    assert shape["unseen_values"] == 1
    first, _, second = (tmp_path / "out").read_text().splitlines()
    assert first == second


def test_bad_rows_leave_nothing(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "RANGE_BYTES", 50)
    lines = ["0 1:1 2:0.5"] * 40
    lines[17], lines[33] = "0 1:x", "0 2:1 1:2"
    file = tmp_path / "new"
    file.write_text("\n".join(lines) + "\n")
    found = mr_ml.run("predict", "logistic", file, "--to", tmp_path / "out")
    assert found.code == 65
    assert f"    {file}:18: 0 1:x" in found.err
    assert f"    {file}:34: 0 2:1 1:2" in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("model", ["softmax", "logistic", "squared"])
def test_predictions_that_are_not_finite_are_said(
    mr_ml: Commands, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "RANGE_BYTES", 300)
    x = new_rows(20)
    # with coefficients of either sign
    x[[9, 16], :2] = 1.7e308
    text = write_libsvm(tmp_path / "new", x, np.zeros(20))
    text.write_text("# a comment\n" + text.read_text())
    done = mr_ml.run("predict", model, text, "--to", tmp_path / "out", "--json")
    lines = (tmp_path / "out").read_text().splitlines()
    assert [k for k, line in enumerate(lines) if "nan" in line or "inf" in line] == [10, 17]
    assert (done.code, done.result["not_finite"]) == (0, 2)
    assert re.search(rf"warning: .* 2 rows are not finite, first for {text}:11;", done.err)


def test_existing_output_stays(mr_ml: Commands, tmp_path: Path) -> None:
    file = write_libsvm(tmp_path / "new", new_rows(), np.zeros(50))
    (tmp_path / "out").write_text("mine")
    found = mr_ml.run("predict", "logistic", file, "--to", tmp_path / "out")
    assert (found.code, "exists" in found.err) == (2, True)
    assert (tmp_path / "out").read_text() == "mine"


def test_relative_paths(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_libsvm(tmp_path / "new", new_rows(), np.zeros(50))
    mr_ml("predict", "logistic", "new", "--to", "out")
    assert len((tmp_path / "out").read_text().splitlines()) == 50


def test_one_file_or_a_folder(mr_ml: Commands, tmp_path: Path) -> None:
    """What was asked decides, not what happens to lie there: a folder of one file, or a glob, gives a folder."""
    folder = tmp_path / "in" / "day=1"
    folder.mkdir(parents=True)
    write_libsvm(folder / "part-0", new_rows(n=5), np.zeros(5))
    for given, names in (
        (folder / "part-0", [""]),
        (folder, ["/part-0"]),
        (tmp_path / "in", ["/day=1/part-0"]),
        (tmp_path / "in" / "day=*" / "part-*", ["/day=1/part-0"]),
    ):
        out = tmp_path / "out" / str(len(list((tmp_path / "out").iterdir())) if (tmp_path / "out").exists() else 0)
        found = mr_ml("predict", "logistic", given, "--to", out)
        assert found["outputs"] == [f"{out}{name}" for name in names]
        assert all(Path(path).read_bytes().count(b"\n") == 5 for path in found["outputs"])


def test_outputs_of_one_name_are_refused(mr_ml: Commands, tmp_path: Path) -> None:
    file = write_libsvm(tmp_path / "a", new_rows(n=5), np.zeros(5))
    (tmp_path / "a.gz").write_bytes(gzip.compress(file.read_bytes()))
    found = mr_ml.run("predict", "logistic", file, tmp_path / "a.gz", "--to", tmp_path / "out")
    assert (found.code, "'a'" in found.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_labels_with_tabs(tmp_path: Path) -> None:
    """They are escaped, so that a line always has as many fields as the header."""
    commands = Commands(tmp_path / "root")
    x = new_rows(n=60)[:, 0]
    labels = [["a\tb", "c\\d", "plain"][k % 3] for k in range(60)]
    file = write_csv(tmp_path / "rows.csv", {"x": x, "label": [f'"{label}"' for label in labels]})
    commands("pack", file, "--to", "tabs")
    commands("train", "tabs", "--model", "tabs", "--loss", "softmax", "--l2", "0.1")
    found = commands("predict", "tabs", file, "--to", tmp_path / "out")
    assert sorted(found["labels"]) == ["a\tb", "c\\d", "plain"]
    header, *lines = [line.split("\t") for line in (tmp_path / "out").read_text().splitlines()]
    written = {"a\tb": "a\\tb", "c\\d": "c\\\\d", "plain": "plain"}
    assert header == ["label", *(f"probability_{written[label]}" for label in found["labels"])]
    assert len(lines) == 60
    assert {len(line) for line in lines} == {4}
    assert {line[0] for line in lines} <= set(written.values())


def test_numbers_are_the_shortest_that_read_back(mr_ml: Commands, tmp_path: Path) -> None:
    """As Python writes them, which is another program than the one that writes these, where that is installed."""
    x = new_rows(n=300) * 10.0 ** np.random.default_rng(5).integers(-6, 9, (300, 1))
    for model, k in (("squared", 0), ("logistic", 1)):
        mr_ml("predict", model, write_libsvm(tmp_path / f"new-{model}", x, np.zeros(300)), "--to", tmp_path / model)
        words = [line.split("\t")[k] for line in (tmp_path / model).read_text().splitlines()]
        assert len(words) == 300
        assert [repr(float(word)) for word in words] == words


def test_without_the_compiled_loops(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new"
    file.write_bytes(b"# a comment\n\n" + write_libsvm(file, new_rows(), np.zeros(50)).read_bytes())
    for model in ("softmax", "squared"):
        mr_ml("predict", model, file, "--to", tmp_path / f"{model}-compiled", "-r", "inline")
        with monkeypatch.context() as patch:
            patch.setattr("mr_ml.data.kernels.native", None)
            mr_ml("predict", model, file, "--to", tmp_path / f"{model}-plain", "-r", "inline")
        assert (tmp_path / f"{model}-plain").read_bytes() == (tmp_path / f"{model}-compiled").read_bytes()


@pytest.mark.parametrize("damage", ["lost", "doubled", "shorter", "fewer lines", "fewer bytes read"])
def test_lines_that_are_not_complete(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """Whatever a task or its output loses is an error, and nothing appears."""
    monkeypatch.setattr(source, "RANGE_BYTES", 700)
    file = write_libsvm(tmp_path / "new", new_rows(), np.zeros(50))
    run = LocalJobRunner.run

    def damaged(*args: Any, **options: Any) -> Any:
        (key, value), *others = run(*args, **options)
        report = RangeReport.decode(value)
        path = Path(json.loads(key))
        if damage == "lost":
            return others
        if damage == "doubled":
            return [(key, value), (key, value), *others]
        if damage == "fewer bytes read":
            return [(key, value.replace(f'"n_read":{report.n_read}'.encode(), b'"n_read":1')), *others]
        lines = path.read_bytes()
        path.write_bytes(lines[:-1] if damage == "shorter" else lines[:-1].replace(b"\n", b"\t", 1) + b"\n")
        return [(key, value), *others]

    monkeypatch.setattr(LocalJobRunner, "run", damaged)
    found = mr_ml.run("predict", "logistic", file, "--to", tmp_path / "out")
    assert found.code == (65 if damage == "fewer bytes read" else 70)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
