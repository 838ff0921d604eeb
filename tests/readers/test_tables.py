"""Files of typed columns: what becomes of each type, of files that differ, and of what cannot be read."""

from __future__ import annotations

import csv
import datetime as dt
import math
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest
from commands import Commands

from mr_ml.readers.base import format_named
from mr_ml.readers.text.source import TextFile

N = 40
LABELS = [i % 2 for i in range(N)]


@pytest.fixture
def mr_ml(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "root", ("-r", "inline"))


def parquet(path: Path, columns: Mapping[str, Any], **how: Any) -> Path:
    """Write a file with labels and these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = columns if "label" in columns else {"label": LABELS, **columns}
    pa.parquet.write_table(pa.table(dict(columns)), path, **how)
    return path


def digests(root: Path) -> dict[str, bytes]:
    """Content of the partition files of the only dataset."""
    (data,) = (root / "datasets" / "d" / "data").iterdir()
    return {path.name: path.read_bytes() for path in sorted(data.iterdir())}


def test_what_is_packed_is_what_the_same_csv_text_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = ["x", "y, z", 'with "quotes"', " led by a blank", "é", ""]
    columns: dict[str, list[Any]] = {
        "label": LABELS,
        "real": [None if i % 7 == 0 else float(v) for i, v in enumerate(rng.normal(size=N))],
        "narrow": rng.normal(size=N).astype(np.float32).tolist(),
        "whole": [int(v) for v in rng.integers(-5, 5, N)],
        "text": [texts[i % len(texts)] for i in range(N)],
        "weight": [i / 4 for i in range(N)],
        "offset": rng.normal(size=N).tolist(),
        "user": [f"u{i // 3}" for i in range(N)],
        "unused": [[1, 2]] * N,
    }
    types = {"narrow": pa.float32(), "whole": pa.int8()}
    table = pa.table({name: pa.array(values, types.get(name)) for name, values in columns.items()})
    pa.parquet.write_table(table, tmp_path / "d.parquet", row_group_size=9)
    pa.orc.write_table(table, tmp_path / "d.orc")
    with open(tmp_path / "d.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if value is None else value for value in row])
    said = [
        "--weight-column", "weight", "--offset-column", "offset", "--split-by", "user", "--drop", "unused",
        "--missing", "zero", "--split", "train=0.7,test=0.3",
    ]  # fmt: skip
    found = {}
    for form in ("csv", "parquet", "orc"):
        commands = Commands(tmp_path / form, ("-r", "inline"))
        packed = commands("pack", tmp_path / f"d.{form}", "--to", "d", *said)
        assert packed["format"] == form
        found[form] = digests(tmp_path / form)
    assert found["parquet"] == found["csv"]
    assert found["orc"] == found["csv"]
    in_workers = Commands(tmp_path / "workers", ("-r", "local", "--workers", "2"))
    in_workers("pack", tmp_path / "d.parquet", "--to", "d", *said)
    assert digests(tmp_path / "workers") == found["csv"]


MOMENT = dt.datetime(2026, 11, 1, 3, 4, 5, 60_000)


@pytest.mark.parametrize(
    ("values", "features"),
    [
        (pa.array([1, 2], pa.uint64()), {"x"}),
        (pa.array([1.5, 2], pa.float16()), {"x"}),
        (pa.array([True, False]), {"x"}),
        (pa.array([Decimal("1.50"), Decimal("-2")], pa.decimal128(10, 2)), {"x"}),
        (pa.array([Decimal("1.50"), Decimal("-2")], pa.decimal256(50, 2)), {"x"}),
        (pa.array(["7", "08"]), {"x=7", "x=08"}),
        (pa.array(["a", "b"], pa.large_string()), {"x=a", "x=b"}),
        (pa.array(["a", "b"], pa.string_view()), {"x=a", "x=b"}),
        (pa.array(["a", "b"]).dictionary_encode(), {"x=a", "x=b"}),
        (pa.array([7, 8]).dictionary_encode(), {"x"}),
        (pa.array([dt.date(2026, 11, 1), dt.date(1969, 1, 2)]), {"x=2026-11-01", "x=1969-01-02"}),
        (pa.array([MOMENT, MOMENT], pa.timestamp("us")), {"x=2026-11-01 03:04:05.06"}),
        (pa.array([MOMENT, MOMENT], pa.timestamp("ns")), {"x=2026-11-01 03:04:05.06"}),
        (pa.array([MOMENT, MOMENT], pa.timestamp("ms", "UTC")), {"x=2026-11-01 03:04:05.06Z"}),
        (pa.array([MOMENT, MOMENT], pa.timestamp("ms", "Asia/Tokyo")), {"x=2026-11-01 03:04:05.06Z"}),
        (pa.array([dt.datetime(2026, 11, 1)] * 2, pa.timestamp("us")), {"x=2026-11-01 00:00:00"}),
        (pa.array([dt.time(3, 4), dt.time(3, 4, 5)]), {"x=03:04:00", "x=03:04:05"}),
        (pa.array([None, None], pa.null()), {"x"}),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types(mr_ml: Commands, tmp_path: Path, values: Any, features: set[str]) -> None:
    path = parquet(tmp_path / "d.parquet", {"label": [0, 1], "x": values})
    mr_ml("pack", path, "--to", "d", "--missing", "value:3")
    assert {feature["feature"] for feature in mr_ml("describe", "d")["features"]["train"]} == features


def test_values_of_numbers_are_exact(mr_ml: Commands, tmp_path: Path) -> None:
    columns = {
        "half": pa.array([0.1] * N, pa.float16()),
        "single": pa.array([0.1] * N, pa.float32()),
        "double": [0.1] * N,
        "tiny": [5e-324] * N,
        "true": [True] * N,
        "decimal": pa.array([Decimal("0.10")] * N, pa.decimal128(38, 2)),
        "large": [2**53 + 2] * N,
        "label": LABELS,
    }
    mr_ml("pack", parquet(tmp_path / "d.parquet", columns), "--to", "d")
    found = {one["feature"]: one["max"] for one in mr_ml("describe", "d")["features"]["train"]}
    assert found == {
        "half": float(np.float16(0.1)), "single": float(np.float32(0.1)), "double": 0.1, "tiny": 5e-324, "true": 1.0,
        "decimal": 0.1, "large": float(2**53 + 2),
    }  # fmt: skip


def pack_fails(mr_ml: Commands, *words: object) -> str:
    failed = mr_ml.run("pack", *words, "--to", "d")
    assert failed.code == 65
    assert "Traceback" not in failed.err
    return failed.err


@pytest.mark.parametrize(
    "values",
    [
        [[1]] * N,
        [{"a": 1}] * N,
        pa.array([[("k", 1)]] * N, pa.map_(pa.string(), pa.int64())),
        [b"x"] * N,
        pa.array([1] * N, pa.duration("s")),
    ],
    ids=["list", "struct", "map", "binary", "duration"],
)
def test_types_that_are_not_read_are_refused_by_name(mr_ml: Commands, tmp_path: Path, values: Any) -> None:
    path = parquet(tmp_path / "d.parquet", {"a": [1.5] * N, "odd": values})
    said = pack_fails(mr_ml, path)
    assert f"{path}: expected numbers or texts in column 'odd'" in said
    assert "--drop 'odd'" in said
    assert mr_ml("pack", path, "--to", "d", "--drop", "odd")["n_features"] == 1


def test_integers_that_no_float_holds_are_refused(mr_ml: Commands, tmp_path: Path) -> None:
    ids = [1] * (N - 2) + [2**53 + 1, -(2**63) + 1]
    path = parquet(tmp_path / "d.parquet", {"id": ids})
    said = pack_fails(mr_ml, path)
    assert "inexact_value (2)" in said
    assert f"{path}:{N - 1}: id=9007199254740993" in said
    assert mr_ml("pack", path, "--to", "d", "--max-bad-rows", 2)["n_rows"] == N - 2
    packed = mr_ml("pack", path, "--to", "d", "--categorical", "id")
    assert packed["columns"]["categorical"] == {"id": 3}
    unsigned = parquet(tmp_path / "u.parquet", {"id": pa.array([2**64 - 1, 0] * (N // 2), pa.uint64())})
    assert f"inexact_value ({N // 2})" in pack_fails(mr_ml, unsigned)


def test_bad_values_have_their_row(mr_ml: Commands, tmp_path: Path) -> None:
    text = ["a"] * N
    text[7], text[9], text[20] = "two\nlines", "two\r", "nul\0"
    real = [0.5] * N
    real[3] = math.inf
    path = parquet(tmp_path / "d.parquet", {"text": text, "real": real}, row_group_size=6)
    said = pack_fails(mr_ml, path)
    for row, kind in ((4, "not_finite"), (8, "line_break"), (10, "line_break"), (21, "nul")):
        assert f"{path}:{row}: " in said
        assert f"  {kind} (" in said
    assert mr_ml("pack", path, "--to", "d", "--drop", "text", "--max-bad-rows", 1)["n_rows"] == N - 1


def test_missing_values(mr_ml: Commands, tmp_path: Path) -> None:
    real, text = [1.0] * N, ["a"] * N
    columns = {"real": [None, math.nan, *real[2:]], "text": [None, "NA", "", *text[3:]]}
    path = parquet(tmp_path / "d.parquet", columns)
    assert "missing_value (3)" in pack_fails(mr_ml, path)
    assert mr_ml("pack", path, "--to", "d", "--missing", "drop")["dropped_rows"] == 3
    packed = mr_ml("pack", path, "--to", "d", "--missing", "zero")
    assert packed["columns"]["categorical"] == {"text": 2}


def test_a_row_of_one_column_is_a_row_without_a_value(mr_ml: Commands, tmp_path: Path) -> None:
    path = parquet(tmp_path / "d.parquet", {"label": [None, 1, 0, 1]})
    assert "missing_label (1)" in pack_fails(mr_ml, path)


def both(tmp_path: Path, one: Mapping[str, Any], other: Mapping[str, Any]) -> Path:
    parquet(tmp_path / "in" / "a.parquet", one)
    parquet(tmp_path / "in" / "b.parquet", other)
    return tmp_path / "in"


def test_each_file_goes_by_its_own_schema(mr_ml: Commands, tmp_path: Path) -> None:
    """Another order, other widths, a dictionary here and plain texts there, no values at all in one."""
    one = {"a": pa.array([1] * N, pa.int8()), "t": ["x"] * N, "n": pa.array([None] * N, pa.null())}
    other = {"n": ["y"] * N, "t": pa.array(["z"] * N).dictionary_encode(), "label": LABELS, "a": [0.25] * N}
    packed = mr_ml("pack", both(tmp_path, one, other), "--to", "d", "--missing", "zero")
    assert (packed["n_rows"], packed["columns"]["categorical"]) == (2 * N, {"t": 2, "n": 2})
    feature = mr_ml("describe", "d")["features"]["train"][0]
    assert (feature["feature"], feature["min"], feature["max"]) == ("a", 0.25, 1)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_number_here_and_a_text_there(mr_ml: Commands, tmp_path: Path, order: Sequence[int]) -> None:
    columns: list[dict[str, Any]] = [{"a": [1.5] * N}, {"a": ["x"] * N}]
    folder = both(tmp_path, columns[order[0]], columns[order[1]])
    said = pack_fails(mr_ml, folder)
    assert "one kind of values in column 'a'" in said
    assert (str(folder / "a.parquet") in said, str(folder / "b.parquet") in said) == (True, True)
    packed = mr_ml("pack", folder, "--to", "d", "--categorical", "a")
    assert packed["columns"]["categorical"] == {"a": 2}
    assert f"bad_value ({N})" in pack_fails(mr_ml, folder, "--numeric", "a")


def test_a_column_that_a_file_lacks(mr_ml: Commands, tmp_path: Path) -> None:
    folder = both(tmp_path, {"a": [1.5] * N, "b": [1.0] * N}, {"a": [2.5] * N})
    said = pack_fails(mr_ml, folder)
    assert f"{folder / 'b.parquet'}: expected the columns" in said
    assert "none called b" in said
    assert mr_ml("pack", folder, "--to", "d", "--missing", "zero")["n_features"] == 2
    assert mr_ml("pack", folder, "--to", "d", "--drop", "b")["n_features"] == 1


def test_labels_by_their_type(mr_ml: Commands, tmp_path: Path) -> None:
    a = [float(i) for i in range(N)]
    assert mr_ml("pack", parquet(tmp_path / "a.parquet", {"label": [i > 9 for i in range(N)], "a": a}), "--to", "d")[
        "labels"
    ] == [0, 1]
    texts = parquet(tmp_path / "b.parquet", {"label": ["07"] * 5 + ["1"] * (N - 5), "a": a})
    assert mr_ml("pack", texts, "--to", "d")["labels"] == ["07", "1"]
    assert mr_ml("pack", texts, "--to", "d", "--numeric", "label")["labels"] == [1, 7]


def test_folders_name_columns(mr_ml: Commands, tmp_path: Path) -> None:
    root = tmp_path / "in=no" / "x"
    for day, place in (("2026-11-01", "a%2Fb"), ("2026-11-02", "__HIVE_DEFAULT_PARTITION__")):
        parquet(root / f"dt={day}" / f"place={place}" / "part-0.parquet", {"a": [1.5] * N})
    (root / "_SUCCESS").touch()
    packed = mr_ml("pack", root, "--to", "d", "--missing", "zero")
    features = [one["feature"] for one in mr_ml("describe", "d")["features"]["train"]]
    assert packed["n_rows"] == 2 * N
    assert features == ["a", "dt=2026-11-01", "dt=2026-11-02", "place=<missing>", "place=a/b"]
    packed = mr_ml("pack", root, "--to", "d", "--split-by", "dt", "--drop", "place")
    assert packed["n_features"] == 1
    # what is written in a file goes before
    own = parquet(tmp_path / "dt=5" / "d.parquet", {"dt": ["own"] * N})
    mr_ml("pack", own, "--to", "d")
    assert [one["feature"] for one in mr_ml("describe", "d")["features"]["train"]] == ["dt=own"]


@pytest.mark.parametrize("names", [("k=%FE", "k=%FF"), ("%FFk=1",), ("k=\udcfe", "k=\udcff")])
def test_folders_that_are_no_utf8_are_refused(mr_ml: Commands, tmp_path: Path, names: Sequence[str]) -> None:
    content = parquet(tmp_path / "d.parquet", {"a": [1.5] * N}).read_bytes()
    for name in names:
        path = tmp_path / "in" / name / "d.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    said = pack_fails(mr_ml, path if len(names) == 1 else tmp_path / "in")
    shown = names[0].replace("\udcfe", "\\xfe")
    assert f"in/{shown}/d.parquet: expected folders that name a column and its value in UTF-8, found '{shown}'" in said
    assert "rename it" in said


def test_texts_that_are_numbers_are_said(mr_ml: Commands, tmp_path: Path) -> None:
    path = parquet(tmp_path / "d.parquet", {"zip": ["01", "02"] * (N // 2)})
    packed = mr_ml("pack", path, "--to", "d")
    assert ["'zip'" in warning and "--numeric" in warning for warning in packed["warnings"]] == [True]


def test_predictions_and_other_days(mr_ml: Commands, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    columns = {"a": rng.normal(size=N), "t": rng.choice(["x", "y"], N).tolist(), "gone": [1.0] * N}
    path = parquet(tmp_path / "d.parquet", columns)
    mr_ml("pack", path, "--to", "d", "--drop", "gone")
    mr_ml("train", "d", "--model", "m", "--l2", "0.1")
    mr_ml("predict", "m", path, "--to", tmp_path / "one")
    moved = {"more": [[1]] * N, "t": columns["t"], "a": columns["a"]}
    pa.parquet.write_table(pa.table(moved), tmp_path / "moved.parquet", row_group_size=3)
    in_workers = Commands(tmp_path / "root", ("-r", "local", "--workers", "2"))
    in_workers("predict", "m", tmp_path / "moved.parquet", "--to", tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert len((tmp_path / "one").read_text().splitlines()) == N
    lacking = parquet(tmp_path / "lacking.parquet", {"a": [1.0] * N})
    failed = mr_ml.run("predict", "m", lacking, "--to", tmp_path / "x")
    assert (failed.code, "lack t" in failed.err) == (65, True)
    bad = parquet(tmp_path / "bad.parquet", {"a": [1.0, math.inf] * (N // 2), "t": ["x"] * (N - 1) + ["\n"]})
    failed = mr_ml.run("predict", "m", bad, "--to", tmp_path / "x")
    assert (failed.code, f"{bad}:2: a=inf" in failed.err, f"{bad}:{N}: t=" in failed.err) == (65, True, True)
    failed = mr_ml.run("pack", lacking, "--to", "e", "--like", "d")
    assert (failed.code, "lack t" in failed.err) == (65, True)
    mr_ml("pack", path, "--to", "e", "--like", "d")


def test_a_library_that_lacks_is_named(mr_ml: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "d.parquet", {"a": [1.0] * N})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    failed = mr_ml.run("pack", path, "--to", "d")
    assert (failed.code, "pip install 'mr_ml[columnar]'" in failed.err) == (2, True)


@pytest.mark.parametrize("form", ["parquet", "orc"])
def test_damaged_files(mr_ml: Commands, tmp_path: Path, form: str) -> None:
    good = tmp_path / f"good.{form}"
    table = pa.table({"label": LABELS, "a": np.random.default_rng(0).normal(size=N)})
    (pa.parquet.write_table if form == "parquet" else pa.orc.write_table)(table, good)
    content = good.read_bytes()
    for k, damaged in enumerate((content[:-3], content[: len(content) // 2], b"x", b"label,a\n1,2\n" * 9)):
        path = tmp_path / f"{k}.{form}"
        path.write_bytes(damaged)
        said = pack_fails(mr_ml, path)
        assert f"{path}: expected " in said
        assert "damaged or of another format" in said
    zipped = tmp_path / f"z.{form}.gz"
    zipped.write_bytes(content)
    failed = mr_ml.run("pack", zipped, "--to", "d")
    assert (failed.code, "compressed as a whole" in failed.err) == (2, True)


def test_orc_timestamps_that_are_no_nanoseconds_are_told_and_can_be_dropped(mr_ml: Commands, tmp_path: Path) -> None:
    path = tmp_path / "d.orc"
    until = pa.array([dt.datetime(2026, 11, 1), dt.datetime(9999, 12, 31)] * (N // 2), pa.timestamp("us"))
    pa.orc.write_table(pa.table({"label": LABELS, "a": [1.0, 2.0] * (N // 2), "until": until}), path)
    said = pack_fails(mr_ml, path)
    assert f"{path}: expected timestamps from 1677-09-21 to 2262-04-11" in said
    assert "found one in some column of until. Drop such columns" in said
    mr_ml("pack", path, "--to", "d", "--drop", "until")


def test_a_flipped_bit_that_the_checksums_of_a_file_show(mr_ml: Commands, tmp_path: Path) -> None:
    values = [float(i + 1) for i in range(N)]
    how = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    path = parquet(tmp_path / "d.parquet", {"a": values}, **how)
    mr_ml("pack", path, "--to", "d")
    content = bytearray(path.read_bytes())
    at = content.index(np.array(values).tobytes())
    content[at + 6] ^= 1
    path.write_bytes(content)
    assert pa.parquet.read_table(path)["a"].to_pylist() != values
    said = pack_fails(mr_ml, path)
    assert f"{path}: expected Parquet, found a file that is damaged or of another format" in said


def test_what_csv_alone_has_is_refused(mr_ml: Commands, tmp_path: Path) -> None:
    path = parquet(tmp_path / "d.parquet", {"a": [1.0] * N})
    failed = mr_ml.run("pack", path, "--to", "d", "--delimiter", ";")
    assert (failed.code, "--delimiter is for csv" in failed.err) == (2, True)


def test_a_file_in_a_store(tmp_path: Path) -> None:
    """Read by ranges through the store, as from HDFS and S3."""
    path = parquet(tmp_path / "d.parquet", {"a": [float(i) for i in range(N)]}, row_group_size=7)
    form = format_named("parquet")
    found = []
    for name in (str(path), f"file://{path}"):
        opened = form.open(
            [TextFile(name, path.stat().st_size)], form.options({}), like=None, first_line=lambda file: b""
        )
        (piece,) = (piece for task in form.pieces(opened.files, n_tasks=1, longest_line=1) for piece in task)
        schema = form.resolve(opened.options, form.scan(piece, opened.options))
        found.append([part.rows.values.tolist() for part in form.rows(piece, schema, labels="required")])
    assert found[0] == found[1]
