"""CSV text as people have it: numbers that are none, first lines that are rows, empty parts, other columns."""

from __future__ import annotations

import bz2
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands, write_csv


def lines_of(columns: dict[str, list[Any]]) -> list[str]:
    return [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def hashes(mr_ml: Commands, dataset: str) -> dict[str, str]:
    return mr_ml.partition_hashes(f"{dataset}@{mr_ml('describe', dataset)['version']}")


SIZES = [0.5 * k for k in range(40)]
TABLE: dict[str, list[Any]] = {
    "label": [k % 2 for k in range(40)],
    "size": SIZES,
    "colour": ["red", "blue", "green", "red"] * 10,
}


@pytest.mark.parametrize(
    ("column", "cell", "kind"),
    [("size", "inf", "not_finite"), ("size", "1e400", "overflow"), ("size", "1_0", "underscore"),
     ("size", "٣", "non_ascii"), ("size", "oops", "bad_value"), ("size", "NAN", "missing_value"),
     ("size", "2026-01-05", "date"), ("label", "inf", "not_finite"), ("label", "oops", "bad_label"),
     ("label", "-", "missing_label")],
)  # fmt: skip
def test_what_is_no_number_is_a_bad_row(mr_ml: Commands, tmp_path: Path, column: str, cell: str, kind: str) -> None:
    """And the others are packed as if it were not there."""
    where = list(TABLE).index(column)
    good = lines_of(TABLE)
    fields = good[7].split(",")
    bad = [*good[:7], ",".join([*fields[:where], cell, *fields[where + 1 :]]), *good[7:]]
    data = ("\n".join(bad) + "\n").encode()
    files = [tmp_path / "rows.csv", tmp_path / "rows.csv.gz"]
    for file, content in zip(files, (data, gzip.compress(data)), strict=True):
        file.write_bytes(content)
        found = mr_ml.run("pack", file, "--to", "bad", "-r", "inline")
        assert found.code == 65
        assert f"  {kind} (1): " in found.err
        assert f"{file}:8: {column}=" in found.err
        assert "changed while" not in found.err
        assert f"olumn '{column}' is read as numbers: 40 of 41 values are" in found.err
        packed = mr_ml("pack", file, "--to", "bad", "--max-bad-rows", "1")
        assert (packed["n_rows"], packed["bad_rows"]) == (40, {kind: 1})
        assert packed["columns"]["categorical"] == {"colour": 3}
    mr_ml("pack", write(tmp_path / "good.csv", good), "--to", "good")
    assert hashes(mr_ml, "bad") == hashes(mr_ml, "good")


@pytest.mark.parametrize(
    ("cells", "said"),
    [(["oops", "-", "#DIV/0!"], "37 of 40 values are, not 'oops' (2 others mean a missing value). Fix them; name all"),
     (["-", "None"], "38 of 40 values are (2 others mean a missing value). Fix them; leave out"),
     (["oops"], "39 of 40 values are, not 'oops'. Fix them; name all that means a missing value by --missing-markers, "
      "in place of the default")],
)  # fmt: skip
def test_bad_values_are_listed_without_markers(mr_ml: Commands, tmp_path: Path, cells: list[str], said: str) -> None:
    file = write(tmp_path / "rows.csv", lines_of({**TABLE, "size": [*cells, *SIZES[len(cells) :]]}))
    found = mr_ml.run("pack", file, "--to", "bad", "-r", "inline")
    assert found.code == 65
    assert f"Column 'size' is read as numbers: {said}" in found.err


def test_how_numbers_are_written_is_remembered(mr_ml: Commands, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    income, share = rng.integers(500, 5_000_000, 50).tolist(), rng.integers(1, 100, 50).tolist()
    label = [int(i > 1_000_000) ^ (k % 7 == 0) for k, i in enumerate(income)]
    plain = {"label": label, "income": [i + 0.5 for i in income], "share": [s / 100 for s in share]}
    texts = [f"{i:,}.5".translate(str.maketrans(",.", ".,")) for i in income]
    written = ["label;income;share", *(f"{y};{i};{s}%" for y, i, s in zip(label, texts, share, strict=True))]
    there, here = write(tmp_path / "there.csv", written), write_csv(tmp_path / "here.csv", plain)
    options = ("--delimiter", ";", "--decimal", ",", "--thousands", ".", "--percent")
    found = mr_ml.run("pack", there, "--to", "there", "--delimiter", ";")
    assert (found.code, "--thousands" in found.err, "--percent" in found.err) == (65, True, True)
    mr_ml("pack", there, "--to", "there", *options)
    mr_ml("pack", here, "--to", "here")
    assert hashes(mr_ml, "there") == hashes(mr_ml, "here")
    for name, file in (("there", there), ("here", here)):
        mr_ml("train", name, "--model", name, "--l2", "0.1")
        mr_ml("predict", name, file, "--to", tmp_path / f"{name}.tsv")
        mr_ml("pack", file, "--to", f"{name}-again", "--like", name)
    assert (tmp_path / "there.tsv").read_bytes() == (tmp_path / "here.tsv").read_bytes()
    assert hashes(mr_ml, "there-again") == hashes(mr_ml, "here")
    found = mr_ml.run("pack", here, "--to", "x", "--decimal", "..")
    assert (found.code, "--decimal" in found.err) == (2, True)


@pytest.mark.parametrize("header", [True, False])
def test_parts_without_content(mr_ml: Commands, tmp_path: Path, header: bool) -> None:
    """Of a folder of CSV files, as Spark and Hive write them; which needs no --format."""
    folder, lines = tmp_path / "parts", lines_of(TABLE)
    folder.mkdir()
    top = lines[:1] if header else []
    options = () if header else ("--no-header", "--label-column", "0")
    (folder / "part-0.csv").touch()
    write(folder / "part-1.csv", [*top, *lines[1:15]])
    (folder / "part-2.csv.bz2").write_bytes(bz2.compress(b""))
    (folder / "part-3.csv.gz").write_bytes(gzip.compress(("\n".join([*top, *lines[15:]]) + "\n").encode()))
    if header:
        write(folder / "part-4.csv", top)
    whole = write(tmp_path / "whole.csv", [*top, *lines[1:]])
    mr_ml("pack", whole, "--to", "whole", *options)
    assert mr_ml("pack", folder, "--to", "parts", *options)["n_rows"] == 40
    assert hashes(mr_ml, "parts") == hashes(mr_ml, "whole")
    mr_ml("train", "parts", "--model", "m", "--l2", "0.1")
    found = mr_ml("predict", "m", folder, "--to", tmp_path / "out")
    assert found["n_rows"] == 40
    n_lines = [len(path.read_text().splitlines()) for path in sorted((tmp_path / "out").iterdir())]
    assert n_lines == ([0, 15, 0, 27, 1] if header else [0, 14, 0, 26])
    assert mr_ml("pack", folder, "--to", "again", "--like", "parts")["n_rows"] == 40


def test_a_first_line_that_is_a_row(mr_ml: Commands, tmp_path: Path) -> None:
    """The way from message to message ends at all rows."""
    rng = np.random.default_rng(1)
    lines = [f"{a:.4f},{b:.4f},{c}" for a, b, c in zip(rng.random(60), rng.random(60), "RM" * 30, strict=False)]
    file = write(tmp_path / "rows.csv", lines)
    refused = mr_ml.run("pack", file, "--to", "x")
    assert (refused.code, "--no-header" in refused.err, "--label-column" in refused.err) == (2, True, True)
    refused = mr_ml.run("pack", file, "--to", "x", "--label-column", "-1")
    assert (refused.code, f"{file}:1: " in refused.err, "--no-header" in refused.err) == (65, True, True)
    found = mr_ml("pack", file, "--to", "x", "--label-column", "-1", "--no-header")
    assert (found["n_rows"], found["labels"], found["columns"]["numeric"]) == (60, ["M", "R"], ["c0", "c1"])
    assert mr_ml("pack", file, "--to", "y", "--label-column", "-1", "--header")["n_rows"] == 59
    (tmp_path / "parts").mkdir()
    for k in range(3):
        write(tmp_path / "parts" / f"{k}.csv", lines[20 * k : 20 * k + 20])
    refused = mr_ml.run("pack", tmp_path / "parts", "--to", "x", "--label-column", "-1")
    assert (refused.code, "1.csv:1: " in refused.err, "--no-header" in refused.err) == (65, True, True)
    mr_ml("train", "x", "--model", "m", "--l2", "0.1")
    mr_ml("predict", "m", tmp_path / "parts", "--to", tmp_path / "out")
    assert [len(path.read_text().splitlines()) for path in sorted((tmp_path / "out").iterdir())] == [20, 20, 20]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
@pytest.mark.parametrize("line", ["a{}b{}label", '"a b"{}"c,d;e"{}label', "0.5{}2{}1"])
def test_another_delimiter(mr_ml: Commands, tmp_path: Path, delimiter: str, line: str) -> None:
    """Said before anything about the label; quotes say that a line is one column."""
    file = write(
        tmp_path / "rows.csv", [line.replace("{}", delimiter), *[f"1{delimiter}2{delimiter}{k}" for k in "01"]]
    )
    asked = ("--delimiter", ":") if delimiter == "," else ()
    shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
    for options in ((), ("--no-header",), ("--label-column", "0"), ("--no-header", "--label-column", "-1")):
        found = mr_ml.run("pack", file, "--to", "x", "-r", "inline", *asked, *options)
        assert (found.code, f"--delimiter {shown}" in found.err, "--label-column" in found.err) == (65, True, False)
        assert f"{file}:1: " in found.err
    assert not (mr_ml.root / "datasets" / "x").exists()
    if delimiter in ",\t":
        return
    quoted = write(tmp_path / "one.csv", [f'"a{delimiter}b"', "1", "0"])
    assert mr_ml("pack", quoted, "--to", "one", "--label-column", "0", "-r", "inline")["n_features"] == 0
    mr_ml("pack", write_csv(tmp_path / "a.csv", {"a": [1, 2, 3], "label": [0, 1, 0]}), "--to", "a", "-r", "inline")
    found = mr_ml.run("pack", file, "--to", "y", "--like", "a", "-r", "inline")
    assert (found.code, f"with {shown}" in found.err, "--delimiter" in found.err) == (65, True, False)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xef\xbb\xbflabel,x\n1,2\n", "byte order mark"), (b"\n1,2\n", "one line"), (b"label,x,x\n1,2,3\n", "twice")],
)
def test_a_wrong_header_names_its_file(mr_ml: Commands, tmp_path: Path, content: bytes, said: str) -> None:
    write_csv(tmp_path / "a.csv", {"label": [0, 1], "x": [1, 2]})
    mr_ml("pack", tmp_path / "a.csv", "--to", "a")
    mr_ml("train", "a", "--model", "a", "--l2", "1")
    (tmp_path / "b.csv").write_bytes(content)
    for words in (
        ("pack", tmp_path / "a.csv", tmp_path / "b.csv", "--to", "x"),
        ("pack", tmp_path / "b.csv", "--to", "x", "--like", "a"),
        ("predict", "a", tmp_path / "a.csv", tmp_path / "b.csv", "--to", tmp_path / "out"),
    ):
        found = mr_ml.run(*words)
        assert (found.code, f"{tmp_path / 'b.csv'}:1: " in found.err, said in found.err) == (65, True, True), found.err


def test_other_columns_and_values(mr_ml: Commands, tmp_path: Path) -> None:
    """What a model does not know is left out and said; what it needs must be there."""
    table = {**TABLE, "{}": [k % 3 for k in range(40)]}
    file = write_csv(tmp_path / "a.csv", table)
    mr_ml("pack", file, "--to", "a", "--unseen", "ignore")
    mr_ml("train", "a", "--model", "a", "--l2", "0.1")
    new = {"{}": [1, 2], "who": ["z", "7"], "colour": ["red", "black"], "size": [3, 4]}
    found = mr_ml.run("predict", "a", write_csv(tmp_path / "new.csv", new), "--to", tmp_path / "new.tsv")
    assert found.code == 0
    assert "columns who" in found.err
    assert "1 unseen values were ignored: of categories" in found.err
    same = {"size": [3], "colour": ["red"], "{}": [1]}
    mr_ml("predict", "a", write_csv(tmp_path / "same.csv", same), "--to", tmp_path / "same.tsv")
    assert (tmp_path / "new.tsv").read_text().startswith((tmp_path / "same.tsv").read_text())
    lacks = write_csv(tmp_path / "lacks.csv", {"size": [3], "{}": [1]})
    found = mr_ml.run("predict", "a", lacks, "--to", tmp_path / "x")
    assert (found.code, f"{lacks}:1: " in found.err, "lack colour" in found.err) == (65, True, True)

    more = {**new, "label": [1, 0]}
    like = mr_ml.run("pack", write_csv(tmp_path / "more.csv", more), "--to", "like", "--like", "a", "--json")
    assert "columns who" in like.err
    assert "of categories (--unseen ignore): 1" in mr_ml.run("describe", "like").out
    assert (like.result["n_rows"], like.result["n_features"], like.result["unseen_values"]) == (2, 5, 1)
    assert mr_ml("evaluate", "a", "like", "--split", "train")["n_rows"] == 2
    found = mr_ml.run("pack", tmp_path / "new.csv", "--to", "x", "--like", "a")
    assert (found.code, "lack label" in found.err) == (65, True)
    turned = {name: table[name] for name in reversed(table)}
    mr_ml("pack", write_csv(tmp_path / "turned.csv", turned), "--to", "turned")
    found = mr_ml.run("evaluate", "a", "turned", "--split", "train")
    assert (found.code, "another order" in found.err, "--like a@1" in found.err) == (65, True, True)


def test_joined_files(mr_ml: Commands, tmp_path: Path) -> None:
    """The header of the second one is no row, also where all columns are texts."""
    words = {"label": ["yes", "no", "no", "yes"], "colour": ["red", "blue", "red", "blue"], "form": list("xyyx")}
    lines = lines_of(words)
    single = write(tmp_path / "single.csv", [*lines, *lines[1:]])
    joined = write(tmp_path / "joined.csv", [*lines, *lines])
    found = mr_ml.run("pack", joined, "--to", "words")
    assert (found.code, f"{joined}:6: label,colour,form" in found.err) == (65, True)
    packed = mr_ml("pack", joined, "--to", "words", "--max-bad-rows", "1")
    assert (packed["labels"], packed["bad_rows"], packed["n_rows"]) == (["no", "yes"], {"header_again": 1}, 8)
    mr_ml("pack", single, "--to", "single")
    assert hashes(mr_ml, "words") == hashes(mr_ml, "single")
    assert mr_ml("pack", joined, "--to", "like", "--like", "single", "--max-bad-rows", "1")["n_rows"] == 8
    mr_ml("train", "single", "--model", "words", "--l2", "1")
    turned = write(tmp_path / "turned.csv", 2 * ["form,colour", "x,red"])
    found = mr_ml.run("predict", "words", turned, "--to", tmp_path / "out")
    assert (found.code, f"{turned}:3: form,colour" in found.err) == (65, True)
    mr_ml("predict", "words", turned, "--to", tmp_path / "out", "--max-bad-rows", "1")
    first, second, third = (tmp_path / "out").read_text().splitlines()[1:]
    assert (first == third != "", second) == (True, "")
    file = write(tmp_path / "rows.csv", lines[1:] * 2)
    found = mr_ml.run("pack", file, "--to", "x", "--label-column", "0")
    assert (found.code, "--no-header" in found.err) == (65, True)


@pytest.mark.parametrize("column", ["size", "label"])
@pytest.mark.parametrize(
    ("others", "numbers"),
    [(["missing"] * 10, 30), (["<5", "(3.50)", "3.5-", "€ 0.50"] * 5, 20), (["missing"] * 21, 0), ([], 0)],
)
def test_half_numbers_are_a_doubt(
    mr_ml: Commands, tmp_path: Path, column: str, others: list[str], numbers: int
) -> None:
    """Which is said unless the user said what is meant."""
    table = {**TABLE, column: [*TABLE[column][len(others) :], *others]}
    file = write(tmp_path / "rows.csv", lines_of(table))
    found = mr_ml.run("pack", file, "--to", "x", "-r", "inline")
    assert (found.code, len(found.err.splitlines())) == (0, numbers > 0), found.err
    if numbers:
        assert f"column '{column}' is read as texts, not as numbers, which {numbers} of 40 values are" in found.err
        assert all(f"'{text}'" in found.err for text in sorted(set(others))[:3])
        assert all(f"{option} '{column}'" in found.err for option in ("--numeric", "--categorical"))
    if others:
        said = mr_ml.run("pack", file, "--to", "x", "-r", "inline", "--categorical", column)
        assert (said.code, said.err) == (0, "")
        assert mr_ml.run("pack", file, "--to", "x", "-r", "inline", "--numeric", column).code == 65


def test_row_names(mr_ml: Commands, tmp_path: Path) -> None:
    """With a header of their own they are left out, and said; without one the message names them."""
    lines = lines_of(TABLE)
    mr_ml("pack", write(tmp_path / "plain.csv", lines), "--to", "plain")
    named = [lines[0], *(f'"row {k}",{line}' for k, line in enumerate(lines[1:]))]
    found = mr_ml.run("pack", write(tmp_path / "named.csv", ["," + lines[0], *named[1:]]), "--to", "named")
    assert (found.code, "the first, which has no name, is left out" in found.out) == (0, True), found.err
    assert hashes(mr_ml, "named") == hashes(mr_ml, "plain")
    mr_ml("train", "named", "--model", "m", "--l2", "1")
    for name in ("plain", "named"):
        mr_ml("predict", "m", tmp_path / f"{name}.csv", "--to", tmp_path / f"{name}.out")
    assert (tmp_path / "plain.out").read_bytes() == (tmp_path / "named.out").read_bytes()
    found = mr_ml.run("pack", write(tmp_path / "table.csv", named), "--to", "x")
    assert (found.code, "too_many_fields (40)" in found.err, "col.names=NA" in found.err) == (65, True, True)


def test_csv_without_a_name_that_says_so(mr_ml: Commands, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.tsv", [line.replace(",", "\t") for line in lines_of(TABLE)])
    found = mr_ml.run("pack", file, "--to", "x")
    assert (found.code, "say --delimiter tab" in found.err) == (65, True)
    assert mr_ml("pack", file, "--to", "x", "--delimiter", "tab")["n_rows"] == 40
    assert mr_ml.run("pack", file, "--to", "x", "--format", "libsvm").code == 65


def test_labels_only(mr_ml: Commands, tmp_path: Path) -> None:
    found = mr_ml("pack", write_csv(tmp_path / "a.csv", {"label": [1, 0, 1, 1]}), "--to", "a")
    assert "no column is a feature" in found["warnings"][0]
    mr_ml("train", "a", "--model", "a")
    assert mr_ml.coef("a").intercept.tolist() == [pytest.approx(math.log(3), abs=1e-5)]
    mr_ml("predict", "a", tmp_path / "a.csv", "--to", tmp_path / "out")
    assert mr_ml("evaluate", "a", "a", "--split", "train")["accuracy"] == 0.75


def test_what_columns_are_taken_for_is_said(mr_ml: Commands, tmp_path: Path) -> None:
    table = {**TABLE, "size": ["", *SIZES[1:39], "n/a"]}
    file = write_csv(tmp_path / "a.csv", {name: [str(value) for value in column] for name, column in table.items()})
    found = mr_ml.run("pack", file, "--to", "a", "--missing", "drop")
    assert "columns: numeric: size; categorical: colour (3 values)" in found.out
    assert "left out for missing values (--missing drop): 2 rows" in found.out
    shown = mr_ml("describe", "a")
    assert shown["dropped_rows"] == 2
    assert (shown["columns"]["n_numeric"], shown["columns"]["categorical"]) == (1, {"colour": 3})
    unsorted = {"z": [1, 2], "label": [0, 1], "b": ["u", "v"], "x": [2, 1], "a": ["u", "v"]}
    packed = mr_ml("pack", write_csv(tmp_path / "unsorted.csv", unsorted), "--to", "unsorted")["columns"]
    assert (packed["numeric"], list(packed["categorical"])) == (["z", "x"], ["b", "a"])
    assert json.dumps(mr_ml("describe", "unsorted")["columns"]) == json.dumps(packed)
    wide = {"label": [0, 1], **{f"x{i}": [1, 2] for i in range(300)}}
    found = mr_ml.run("pack", write_csv(tmp_path / "wide.csv", wide), "--to", "wide")
    assert "x19, ... 280 more; categorical: none" in found.out
