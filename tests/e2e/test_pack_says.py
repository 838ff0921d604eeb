"""What `pack` says of its input: the use of each column, what is left out, the format; and a dry run."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from commands import Commands
from pyarrow import orc, parquet

import mr_ml as package
from mr_ml.cli.describe import summary
from mr_ml.errors import StorageError

N = 30
ROWS = "".join(f"{i % 2},{i / 4},c{i % 3},{i},{i % 5},u{i},x\n" for i in range(N))
HEADER = "label,a,color,w,o,user,extra\n"
SAID = ("--weight-column", "w", "--offset-column", "o", "--split-by", "user", "--drop", "extra")


@pytest.fixture
def mr_ml(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "root", ("-r", "inline"))


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_use_of_each_column_is_said(mr_ml: Commands, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_text(HEADER + ROWS + "1,x,c1,1,1,u,x\n")
    found = mr_ml.run("pack", path, "--to", "d", *SAID, "--numeric", "a", "--max-bad-rows", 1)
    assert "columns: numeric: a; categorical: color (3 values)\n" in found.out
    assert "other columns: label: label; weight: w; offset: o; group: user; dropped: extra\n" in found.out
    assert "left out as bad rows: 1 row\n" in found.out
    assert " of 1 partition, read as csv\n" in found.out
    assert mr_ml("describe", "d")["bad_rows"] == {"bad_value": 1}


def test_ids_of_a_schema_file_are_listed_and_one_thing_is_no_plural(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text("id: key\nlabel: y\n")
    (tmp_path / "rows.csv").write_text("key,y,a\nk1,0,2\nk2,1,3\n")
    said = mr_ml.run("pack", tmp_path / "rows.csv", "--to", "d", "--schema", tmp_path / "schema.yaml").out
    assert "other columns: label: y; id: key\n" in said
    assert "2 rows x 1 feature, 2 values" in said
    assert "in 1 block of 1 partition, read" in said
    assert "1 partition verified" in mr_ml.run("describe", "d", "--verify").out


def test_a_dry_run_says_the_same_and_leaves_nothing(mr_ml: Commands, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + ROWS)
    tried = mr_ml("pack", path, "--to", "d", *SAID, "--dry-run")
    assert not (tmp_path / "root").exists()
    said = mr_ml.run("pack", path, "--to", "d", *SAID, "--dry-run")
    assert said.out.startswith("dry run: nothing is published")
    assert mr_ml.run("describe", "d").code == 74
    packed = mr_ml("pack", path, "--to", "d", *SAID)
    assert (tried["dry_run"], tried["version"]) == (True, 0)
    assert {**packed, "dry_run": True, "version": 0} == tried
    before = files_below(tmp_path / "root" / "datasets")
    in_python = package.pack(
        tmp_path / "root",
        path,
        "d",
        weight_column="w",
        offset_column="o",
        split_by="user",
        drop=["extra"],
        dry_run=True,
    )
    assert in_python.version == 0
    assert {**summary(in_python), "dry_run": True, "warnings": tried["warnings"]} == tried
    assert files_below(tmp_path / "root" / "datasets") == before
    in_workers = Commands(tmp_path / "root", ("-r", "local", "--workers", "2"))
    assert in_workers("pack", path, "--to", "d", *SAID, "--dry-run") == tried
    assert files_below(tmp_path / "root" / "datasets") == before
    path.write_text(HEADER + ROWS + "1,2\n")
    assert mr_ml.run("pack", path, "--to", "d", *SAID, "--dry-run").code == 65


def test_a_pack_that_fails_leaves_no_folders_but_those_of_others(
    mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + ROWS)
    full = StorageError("the disk is full")

    def fail(*args: object, **named: object) -> None:
        raise full

    with monkeypatch.context() as patched:
        patched.setattr("mr_ml.packing.driver.described", fail)
        assert mr_ml.run("pack", path, "--to", "d", *SAID).code == full.exit_code
        assert not (tmp_path / "root").exists()
        (tmp_path / "root" / "datasets").mkdir(parents=True)
        assert mr_ml.run("pack", path, "--to", "d", *SAID).code == full.exit_code
    assert list((tmp_path / "root").rglob("*")) == [tmp_path / "root" / "datasets"]
    mr_ml("pack", path, "--to", "other", *SAID)
    mr_ml("pack", path, "--to", "d", *SAID, "--dry-run")
    assert [one.name for one in (tmp_path / "root" / "datasets").iterdir()] == ["other"]


def as_orc(path: Path) -> None:
    orc.write_table(pa.table({"label": [0, 1], "a": [1.5, 2.5]}), path)


def as_parquet(path: Path) -> None:
    parquet.write_table(pa.table({"label": [0, 1], "a": [1.5, 2.5]}), path)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


@pytest.mark.parametrize(
    ("write", "said", "form"),
    [
        (as_parquet, (), "parquet"),
        (as_parquet, ("--label-column", "label"), "parquet"),
        (as_orc, (), "orc"),
        (text('{"label": 0, "a": 1.5}\n{"label": 1, "a": 2.5}\n'), (), "jsonl"),
        (text("label,a\n0,1.5\n1,2.5\n"), (), "csv"),
        (text("label\ta\n0\t1.5\n1\t2.5\n"), ("--delimiter", "tab"), "csv"),
        (text("label,at:time\n0,1.5\n1,2.5\n"), ("--numeric", "at:time"), "csv"),
        (text("0 1:1.5\n1 1:2.5\n"), (), "libsvm"),
        (text("0:1 1:1.5\n1:1 1:2.5\n"), ("--label-weights",), "libsvm"),
        (text("0\n1 1:2.5\n"), (), "libsvm"),
    ],
)
def test_the_format_is_known_without_a_name(
    mr_ml: Commands, tmp_path: Path, write: Callable[[Path], object], said: tuple[str, ...], form: str
) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "000000_0").touch()
    write(folder / "000001_0")
    packed = mr_ml("pack", folder, "--to", "d", *said)
    assert (packed["format"], packed["n_rows"], packed["n_features"]) == (form, 2, 1)


def test_compressed_text_is_looked_into(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "rows.gz").write_bytes(gzip.compress(b"label,a\n0,1.5\n1,2.5\n"))
    assert mr_ml("pack", tmp_path / "rows.gz", "--to", "d")["format"] == "csv"


def test_names_go_before_options(mr_ml: Commands, tmp_path: Path) -> None:
    as_parquet(tmp_path / "d.parquet")
    refused = mr_ml.run("pack", tmp_path / "d.parquet", "--to", "d", "--delimiter", ";")
    assert (refused.code, "--delimiter is for csv text, but the text is read as parquet" in refused.err) == (2, True)
    (tmp_path / "rows").write_text("1 1:2\n0 1:3\n")
    refused = mr_ml.run("pack", tmp_path / "rows", "--to", "d", "--label-column", "y")
    assert (refused.code, "is for csv text, but the text is read as libsvm" in refused.err) == (2, True)


def test_files_of_mixed_formats_are_refused_by_their_names(mr_ml: Commands, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,a\n1,2\n0,1\n")
    parquet.write_table(pa.table({"label": [1, 0], "a": [2.0, 1.0]}), tmp_path / "t.parquet")
    found = mr_ml.run("pack", tmp_path / "t.parquet", tmp_path / "t.csv", "--to", "d")
    assert found.code == 2
    assert "expected files of one format, found names of 2" in found.err
    assert f"{tmp_path / 't.csv'} (csv)" in found.err
    assert f"{tmp_path / 't.parquet'} (parquet)" in found.err
    assert "or say --format" in found.err


def test_rows_without_labels_may_have_weights_behind_them(mr_ml: Commands, tmp_path: Path) -> None:
    path = tmp_path / "w.libsvm"
    path.write_text("1:0.5 3:2\n-1:1.5 2:1\n1:2 1:1\n")
    found = mr_ml.run("pack", path, "--to", "d")
    assert found.code == 65
    assert "If rows begin with label:weight, say --label-weights" in found.err
    # of which none would be left
    assert "--max-bad-rows" not in found.err
    mr_ml("pack", path, "--to", "d", "--label-weights")
    path.write_text("1 3:2\n1:0.5 3:2\n")
    assert mr_ml.run("pack", path, "--to", "d").err.rstrip().endswith("or allow them with --max-bad-rows 1")
