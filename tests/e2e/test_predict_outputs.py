"""What of the input is carried through to predictions, in which format, and by which streams."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from commands import Commands, environment, write_csv, write_libsvm
from pyarrow import parquet

import mr_ml as api
from mr_ml.readers.text import source

HOSTILE = ["7", "=SUM(A1)", '"say ""so"", now"', "a\\tb", "<b>", "-", "Grüße", "|"]
READ = ["7", "=SUM(A1)", 'say "so", now', "a\\tb", "<b>", "-", "Grüße", "|"]


@pytest.fixture(scope="module")
def mr_ml(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A model of a CSV with names and categories, and one of libsvm rows."""
    folder = tmp_path_factory.mktemp("outputs")
    commands = Commands(folder / "root")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.where(x[:, 0] + rng.normal(size=200) > 0, 1, 0)
    columns: dict[str, Any] = {
        "size": x[:, 0], "colour": [["red", "blue", "green"][k % 3] for k in range(200)],
        "label": ["yes" if label else "no" for label in y],
    }  # fmt: skip
    commands("pack", write_csv(folder / "named.csv", columns), "--to", "named")
    commands("train", "named", "--model", "named", "--l2", "0.01")
    commands("pack", write_libsvm(folder / "rows", x, y), "--to", "numbered")
    commands("train", "numbered", "--model", "numbered", "--l2", "0.01")
    return commands


def named_rows(path: Path, *, n: int = 8, more: Sequence[str] = ()) -> Path:
    """Rows with an id, a column that nobody knows, and the features in another order."""
    sizes = np.random.default_rng(1).normal(size=n).tolist()
    lines = [
        f"{HOSTILE[k % len(HOSTILE)]},{['red', 'green'][k % 2]},{size!r},extra,{k % 3}" for k, size in enumerate(sizes)
    ]
    path.write_text("\n".join(["id,colour,size,other,label", *lines, *more]) + "\n", encoding="utf-8")
    return path


def test_columns_are_carried_through_in_every_format(mr_ml: Commands, tmp_path: Path) -> None:
    file = named_rows(tmp_path / "in.csv")
    plain = mr_ml.run("predict", "named", file, "--to", tmp_path / "plain", "--json")
    assert "the model does not know them: the columns id, other" in plain.err
    numbers = [line.split("\t") for line in (tmp_path / "plain").read_text().splitlines()][1:]
    found = mr_ml.run("predict", "named", file, "--to", tmp_path / "out.csv", "--keep", "id, label", "--json")
    assert (found.code, found.result["n_rows"]) == (0, 8)
    assert "the model does not know them: the columns other" in found.err
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as stream:
        names, *rows = csv.reader(stream)
    assert names == ["id", "label", "predicted_label", "probability_no", "probability_yes"]
    expected = [[READ[k], str(k % 3), *numbers[k]] for k in range(8)]
    assert rows == expected
    for end in ("tsv", "jsonl", "parquet"):
        mr_ml("predict", "named", file, "--to", tmp_path / f"out.{end}", "--keep", "id", "--keep", "label")
    header, *lines = (tmp_path / "out.tsv").read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == names
    assert [line.split("\t") for line in lines] == [[r[0].replace("\\", "\\\\"), *r[1:]] for r in expected]
    objects = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [[*map(str, one.values())] for one in objects] == expected
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == names
    assert [[*map(str, row.values())] for row in table.to_pylist()] == expected


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl", "parquet"])
def test_bytes_do_not_depend_on_runner_or_cut(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    file = named_rows(tmp_path / "in.csv", n=500, more=["", "x,red,wrong,1,1", "y,blue,1.5,1,1"])
    told = ("--keep", "id", "--output-format", form, "--max-bad-rows", "1")
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
    mr_ml("predict", "named", file, "--to", tmp_path / "whole", *told, "-r", "inline")
    mr_ml("predict", "named", tmp_path / "in.csv.gz", "--to", tmp_path / "zipped", *told)
    monkeypatch.setattr(source, "RANGE_BYTES", 3000)
    mr_ml("predict", "named", file, "--to", tmp_path / "cut", *told, "-r", "local", "--workers", "3")
    whole = (tmp_path / "whole").read_bytes()
    assert {(tmp_path / name).read_bytes() for name in ("zipped", "cut")} == {whole}
    assert mr_ml("predict", "named", file, "--to", tmp_path / "again", *told)["bad_rows"] == 1


def test_files_of_a_folder_get_the_suffix(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    named_rows(tmp_path / "in" / "a.csv")
    named_rows(tmp_path / "in" / "b")
    found = mr_ml("predict", "named", tmp_path / "in", "--to", tmp_path / "out.jsonl", "--keep", "id")
    assert [os.path.basename(name) for name in found["outputs"]] == ["a.csv.jsonl", "b.jsonl"]
    assert [len((tmp_path / "out.jsonl" / name).read_text().splitlines()) for name in ("a.csv.jsonl", "b.jsonl")] == [
        8,
        8,
    ]


def test_libsvm_rows_keep_their_query_ids_and_comments(mr_ml: Commands, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes("1 qid:7 1:0.5 # row a\n\nqid:8 1:2\n0 2:1 3:1 #=b,c\r\n1 1:1 # Grüße".encode())
    mr_ml("predict", "numbered", file, "--to", tmp_path / "out.csv", "--keep", "comment,qid")
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as stream:
        names, *rows = csv.reader(stream)
    assert names[:3] == ["comment", "qid", "label"]
    assert [row[:2] for row in rows] == [["row a", "7"], ["", ""], ["", "8"], ["=b,c", ""], ["Grüße", ""]]
    assert [bool(row[2]) for row in rows] == [True, False, True, True, True]
    refused = mr_ml.run("predict", "numbered", file, "--to", tmp_path / "new", "--keep", "id")
    assert (refused.code, refused.err) == (
        2, "mr-ml: --keep: libsvm rows have no id to be kept, only qid and comment\n"
    )  # fmt: skip


def test_a_column_that_is_not_there(mr_ml: Commands, tmp_path: Path) -> None:
    file = named_rows(tmp_path / "in.csv")
    found = mr_ml.run("predict", "named", file, "--to", tmp_path / "out", "--keep", "idd")
    assert (found.code, sorted(path.name for path in tmp_path.iterdir())) == (2, ["in.csv"])
    assert "--keep: no column idd (did you mean 'id'?); there are id, colour, size, other, label" in found.err


def test_an_empty_file_has_nothing_to_keep(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"")
    assert mr_ml("predict", "named", tmp_path / "in.csv", "--to", tmp_path / "out.csv", "--keep", "id")["n_rows"] == 0
    assert (tmp_path / "out.csv").read_text() == "id,label,probability_no,probability_yes\n"


def test_unseen_categories_are_decided_when_predicting(mr_ml: Commands, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "in.csv", {"size": [0.5, 0.5, 0.5], "colour": ["red", "mauve", "puce"]})
    refused = mr_ml.run("predict", "named", file, "--to", tmp_path / "out")
    assert (refused.code, "unseen_value (2)" in refused.err, (tmp_path / "out").exists()) == (65, True, False)
    found = mr_ml.run("predict", "named", file, "--to", tmp_path / "out", "--unseen", "ignore", "--json")
    assert (found.code, found.result["unseen_values"]) == (0, 2)
    assert "2 unseen values were ignored: of categories that the model's data did not have" in found.err
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[2] == lines[3] != lines[1]
    # an old name of the option, and the API's
    api.predict(str(mr_ml.root), "named", file, tmp_path / "again", unseen_features="ignore")
    api.predict(str(mr_ml.root), "named", file, tmp_path / "third", unseen="ignore", keep="colour")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "out").read_bytes()
    assert (tmp_path / "third").read_text().splitlines()[2].startswith("mauve\t")


def test_unseen_features_are_decided_when_predicting(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1 1:1 99:1\n")
    assert mr_ml.run("predict", "numbered", tmp_path / "in", "--to", tmp_path / "out").code == 65
    for word in ("--unseen", "--unseen-features"):
        found = mr_ml("predict", "numbered", tmp_path / "in", "--to", tmp_path / word, word, "ignore")
        assert found["unseen_values"] == 1


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl", "parquet"])
@pytest.mark.parametrize("runner", ["inline", "local"])
def test_rows_piped_in_and_predictions_piped_out(mr_ml: Commands, tmp_path: Path, form: str, runner: str) -> None:
    file = named_rows(tmp_path / "in.csv")
    mr_ml("predict", "named", file, "--to", tmp_path / "out", "--keep", "id", "--output-format", form)
    words = ("predict", "named", "-", "--to", "-", "--keep", "id", "--output-format", form, "-r", runner)
    piped = subprocess.run(
        [sys.executable, "-m", "mr_ml", *mr_ml.arguments(*words, "--json")],
        input=file.read_bytes(), capture_output=True, env=environment(), timeout=120,
    )  # fmt: skip
    assert (piped.returncode, piped.stdout) == (0, (tmp_path / "out").read_bytes()), piped.stderr
    told = json.loads(piped.stderr.splitlines()[-1])
    assert (told["n_rows"], told["outputs"]) == (8, ["-"])


def test_several_files_go_to_standard_output_one_behind_the_other(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        named_rows(tmp_path / "in" / name)
    found = mr_ml.process("predict", "named", tmp_path / "in", "--to", "-", "--quiet")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert (len(lines), sum(line.startswith("label\t") for line in lines)) == (17, 1)
    assert lines[1:9] == lines[9:]


def test_bad_rows_of_standard_input_are_named_so(mr_ml: Commands, tmp_path: Path) -> None:
    found = mr_ml.process("predict", "named", "-", "--to", "-", input="size,colour\n1,red\nx,red\n")
    assert (found.code, found.out) == (65, "")
    assert "    standard input:3: size=x" in found.err
    nothing = mr_ml.process("predict", "named", "-", "--to", "-", input="")
    assert (nothing.code, nothing.out) == (0, "")
    two = mr_ml.process("predict", "named", "-", tmp_path, "--to", "-", input="")
    assert (two.code, "expected `-`, standard input, alone" in two.err) == (2, True)


def test_a_reader_that_has_seen_enough_is_no_error(mr_ml: Commands, tmp_path: Path) -> None:
    file = named_rows(tmp_path / "in.csv", n=20_000)
    with mr_ml.start(
        "predict", "named", file, "--to", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"label\t")
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(120) == 0
    assert "20000 rows predicted by named@1" in said
    assert "Traceback" not in said
    assert "Broken" not in said


def test_a_full_disk_behind_standard_output_is_one(mr_ml: Commands, tmp_path: Path) -> None:
    file = named_rows(tmp_path / "in.csv")
    with open("/dev/full", "wb") as full, mr_ml.start(
        "predict", "named", file, "--to", "-", stdout=full, stderr=subprocess.PIPE
    ) as process:  # fmt: skip
        said = process.communicate()[1].decode()
    assert process.returncode == 74
    assert "cannot write predictions to standard output" in said


def test_columns_of_a_parquet_file_are_carried_through(mr_ml: Commands, tmp_path: Path) -> None:
    """As those of its CSV text; what has no text is refused by name."""
    sizes = np.random.default_rng(1).normal(size=4).tolist()
    columns = {"size": sizes, "colour": ["red", "green"] * 2, "label": ["yes", "no"] * 2}
    more = {
        "id": [2**60 + k for k in range(4)],
        "day": [dt.date(2026, 11, 1 + k) for k in range(4)],
        "name": HOSTILE[:4],
    }
    parquet.write_table(pa.table(columns), tmp_path / "known.parquet")
    mr_ml("pack", tmp_path / "known.parquet", "--to", "columnar")
    mr_ml("train", "columnar", "--model", "columnar", "--l2", "0.01")
    parquet.write_table(pa.table({**more, "lists": [[1]] * 4, **columns}), tmp_path / "in.parquet")
    mr_ml("predict", "columnar", tmp_path / "in.parquet", "--to", tmp_path / "out.csv", "--keep", "id,day,name")
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as stream:
        names, *rows = csv.reader(stream)
    assert names[:3] == ["id", "day", "name"]
    assert [row[:3] for row in rows] == [[*map(str, row)] for row in zip(*more.values(), strict=True)]
    found = mr_ml.run("predict", "columnar", tmp_path / "in.parquet", "--to", tmp_path / "no.csv", "--keep", "lists")
    assert found.code == 65
    assert "'lists', found list<" in found.err


def test_names_of_json_lines_are_carried_through(mr_ml: Commands, tmp_path: Path) -> None:
    rows = [{"size": k / 4, "colour": ["red", "green"][k % 2], "id": 2**60 + k, "note": HOSTILE[k]} for k in range(4)]
    rows += [{"size": 1, "colour": "red", "note": "two\nlines"}, {"size": 1, "colour": "red", "id": None}]
    lines = [json.dumps({**row, "label": "no"}) for row in rows[:4]]
    (tmp_path / "known.jsonl").write_text("\n".join([*lines[:3], lines[3].replace('"no"', '"yes"')]) + "\n")
    mr_ml("pack", tmp_path / "known.jsonl", "--to", "objects", "--drop", "id,note")
    mr_ml("train", "objects", "--model", "objects", "--l2", "0.01")
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = ("predict", "objects", tmp_path / "in.jsonl", "--to", tmp_path / "out.csv", "--keep", "id,note")
    found = mr_ml(*command, "--max-bad-rows", "1")
    assert found["bad_rows"] == 1
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as stream:
        _, *written = csv.reader(stream)
    kept = [[str(row.get("id") or ""), row.get("note") or ""] for row in (*rows[:4], rows[5])]
    assert [row[:2] for row in written if row[-1]] == kept
