"""Records: JSON lines and Avro, against the CSV text of the same rows, and what is refused of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from commands import Commands

N = 200
RNG = np.random.default_rng(3)
ROWS: list[dict[str, Any]] = [
    {
        "label": int(i % 3 == 0),
        "real": float(RNG.normal()),
        "whole": None if i % 11 == 0 else int(RNG.integers(-9, 9)),
        "text": ["red", "green, dark", 'so "blue"', " led"][i % 4],
        "user": f"u{i // 4}",
    }
    for i in range(N)
]
SAID = ("--split-by", "user", "--missing", "zero")


@pytest.fixture
def mr_ml(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "root", ("-r", "inline"))


def packed(root: Path, *words: object) -> list[bytes]:
    """Pack; return the content of all partition files."""
    Commands(root, ("-r", "inline"))("pack", *words, "--to", "d")
    return [path.read_bytes() for path in sorted((root / "datasets" / "d" / "data").rglob("*")) if path.is_file()]


def csv_text(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    def field(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if set(',"') & set(text) or text != text.strip() else text

    lines = [",".join(rows[0]), *(",".join(map(field, row.values())) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def json_lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def avro(path: Path, fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], **how: Any) -> Path:
    schema = {"type": "record", "name": "row", "fields": [{"name": n, "type": t} for n, t in fields.items()]}
    with open(path, "wb") as file:
        fastavro.writer(file, schema, rows, **how)
    return path


FIELDS = {
    "label": "boolean",
    "real": "double",
    "whole": ["null", "int"],
    "text": "string",
    "user": {"type": "enum", "name": "users", "symbols": [f"u{i}" for i in range(N)]},
}


def test_json_lines_pack_to_the_bytes_of_csv_text(tmp_path: Path) -> None:
    """With names in any order, and left out where there is no value: also in all first lines."""
    expected = packed(tmp_path / "csv", csv_text(tmp_path / "d.csv", ROWS), *SAID)
    rows = [{k: v for k, v in row.items() if v is not None} for row in ROWS]
    # whose order is that of their first rows; what these lack comes last
    assert "whole" not in rows[0]
    ordered = [{**{k: v for k, v in row.items() if k != "whole"}, "whole": row["whole"]} for row in ROWS]
    other = packed(tmp_path / "csv2", csv_text(tmp_path / "d2.csv", ordered), *SAID)
    assert packed(tmp_path / "json", json_lines(tmp_path / "d.jsonl", rows), *SAID) == other
    assert packed(tmp_path / "json2", json_lines(tmp_path / "all.json", ROWS), *SAID) == expected
    halves = tmp_path / "halves"
    halves.mkdir()
    json_lines(halves / "a.jsonl", [dict(reversed(row.items())) for row in ROWS[N // 2 :]])
    json_lines(halves / "0.jsonl", ROWS[: N // 2])
    assert packed(tmp_path / "json3", halves, *SAID) == expected


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_avro_packs_to_the_bytes_of_csv_text(tmp_path: Path, codec: str) -> None:
    expected = packed(tmp_path / "csv", csv_text(tmp_path / "d.csv", ROWS), *SAID)
    rows = [{**row, "label": bool(row["label"])} for row in ROWS]
    path = avro(tmp_path / "d.avro", FIELDS, rows, codec=codec, sync_interval=500)
    assert packed(tmp_path / "avro", path, *SAID) == expected


def test_types_of_avro(mr_ml: Commands, tmp_path: Path) -> None:
    moment = dt.datetime(2026, 11, 1, 3, 4, 5, 60_000, tzinfo=dt.UTC)
    fields = {
        "label": "int",
        "single": "float",
        "price": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        "day": {"type": "int", "logicalType": "date"},
        "moment": ["null", {"type": "long", "logicalType": "timestamp-millis"}],
        "local": {"type": "long", "logicalType": "local-timestamp-micros"},
        "id": {"type": "string", "logicalType": "uuid"},
        "color": {"type": "enum", "name": "color", "symbols": ["red", "blue"]},
        "again": "color",
        "either": ["null", "int", "double"],
    }
    row = {
        "label": 1, "single": 0.1, "price": Decimal("1.50"), "day": dt.date(2026, 11, 1), "moment": moment,
        "local": moment.replace(tzinfo=None), "id": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "color": "red",
        "again": "blue", "either": 2.5,
    }  # fmt: skip
    path = avro(tmp_path / "d.avro", fields, [row, {**row, "label": 0, "either": 2}])
    mr_ml("pack", path, "--to", "d")
    found = {one["feature"]: one["max"] for one in mr_ml("describe", "d")["features"]["train"]}
    assert found == {
        "single": float(np.float32(0.1)), "price": 1.5, "day=2026-11-01": 1, "moment=2026-11-01 03:04:05.06Z": 1,
        "local=2026-11-01 03:04:05.06": 1, "id=00000000-0000-4000-8000-000000000000": 1, "color=red": 1,
        "again=blue": 1, "either": 2.5,
    }  # fmt: skip


def fails(mr_ml: Commands, *words: object, code: int = 65) -> str:
    failed = mr_ml.run("pack", *words, "--to", "d")
    assert (failed.code, "Traceback" in failed.err) == (code, False)
    return failed.err


@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        ({"type": "array", "items": "int"}, [1], "array"),
        ({"type": "map", "values": "int"}, {"a": 1}, "map"),
        ({"type": "record", "name": "r", "fields": []}, {}, "record"),
        ("bytes", b"x", "bytes"),
        (["int", {"type": "array", "items": "int"}], 1, "int or array"),
    ],
)
def test_avro_that_is_not_read_is_refused_by_name(
    mr_ml: Commands, tmp_path: Path, type_: Any, value: Any, shown: str
) -> None:
    path = avro(tmp_path / "d.avro", {"label": "int", "a": "int", "odd": type_}, [{"label": 1, "a": 2, "odd": value}])
    assert f"{path}: expected numbers or texts in column 'odd', found {shown}" in fails(mr_ml, path)
    assert mr_ml("pack", path, "--to", "d", "--drop", "odd")["n_features"] == 1


def test_numbers_or_texts_in_one_column_of_avro(mr_ml: Commands, tmp_path: Path) -> None:
    rows = [{"label": i % 2, "a": "x" if i % 3 else i} for i in range(9)]
    path = avro(tmp_path / "d.avro", {"label": "int", "a": ["int", "string"]}, rows)
    assert "one kind of values in column 'a'" in fails(mr_ml, path)
    packed = mr_ml("pack", path, "--to", "d", "--categorical", "a")
    assert packed["columns"]["categorical"] == {"a": 4}


def test_integers_of_avro_that_no_float_holds(mr_ml: Commands, tmp_path: Path) -> None:
    path = avro(
        tmp_path / "d.avro", {"label": "int", "a": "long"}, [{"label": 1, "a": 1}, {"label": 0, "a": 2**53 + 1}]
    )
    said = fails(mr_ml, path)
    assert f"{path}:2: a=9007199254740993" in said
    assert "inexact_value (1)" in said


def test_damaged_avro(mr_ml: Commands, tmp_path: Path) -> None:
    good = avro(tmp_path / "good.avro", {"label": "int", "a": "int"}, [{"label": i % 2, "a": i} for i in range(99)])
    content = good.read_bytes()
    for k, damaged in enumerate((content[:-20], content[:60], b"Obj\x01", b"label,a\n1,2\n")):
        path = tmp_path / f"{k}.avro"
        path.write_bytes(damaged)
        assert f"{path}: expected Avro, found a file that is damaged or of another format" in fails(mr_ml, path)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"label": 1, "a": ', "bad_record"),
        ("[1, 2]", "bad_record"),
        ("7", "bad_record"),
        ('{"label": 1, "a": 1, "a": 2}', "bad_record"),
        ('{"label": 1, "a": 1} {"label": 1, "a": 1}', "bad_record"),
        ("[" * 100_000, "bad_record"),
        ('\ufeff{"label": 1, "a": 1}', "bom"),
        ('{"label": 1, "a": [1]}', "nested_value"),
        ('{"label": 1, "a": {"b": 1}}', "nested_value"),
        ('{"label": 1, "a": "x\\ny"}', "line_break"),
        ('{"label": 1, "a": "\\u0000"}', "nul"),
        ('{"label": 1, "a": "\\ud800"}', "not_utf8"),
        ('{"label": 1, "a": "x"}', "bad_value"),
        ('{"label": 1, "a": 1e400}', "overflow"),
        ('{"label": 1, "a": Infinity}', "not_finite"),
        ('{"label": 1, "a": NaN}', "missing_value"),
        ('{"label": 1, "a": null}', "missing_value"),
        ('{"label": 1}', "missing_value"),
        ('{"a": 1}', "missing_label"),
    ],
)
def test_lines_that_are_refused(mr_ml: Commands, tmp_path: Path, line: str, kind: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"label": 0, "a": 0.5}\n\n' + line + '\n{"label": 1, "a": 1E0}')
    said = fails(mr_ml, path, "--numeric", "a")
    assert f"  {kind} (1): " in said
    assert f"{path}:3: " in said
    assert mr_ml("pack", path, "--to", "d", "--numeric", "a", "--max-bad-rows", 1)["n_rows"] == 2


def test_bytes_that_are_no_utf8_are_shown_as_they_are(mr_ml: Commands, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"label": 0, "a": 1}\n{"label": 1, "a": "\xff"}\n')
    assert f'{path}:2: {{"label": 1, "a": "\\xff"}}' in fails(mr_ml, path)


def test_numbers_are_read_as_they_are_written(mr_ml: Commands, tmp_path: Path) -> None:
    texts = ["0.1", "1e-7", "123456789012345678", "-0.0", "4.35"]
    path = tmp_path / "d.jsonl"
    path.write_text("".join(f'{{"label": {k % 2}, "a": {text}, "b": true}}\n' for k, text in enumerate(texts)))
    text = tmp_path / "d.csv"
    text.write_text("label,a,b\n" + "".join(f"{k % 2},{text},1\n" for k, text in enumerate(texts)))
    assert packed(tmp_path / "json", path) == packed(tmp_path / "csv", text)


def test_dropped_columns_may_hold_anything(mr_ml: Commands, tmp_path: Path) -> None:
    rows = [{"label": i % 2, "a": i, **({"odd": [i]} if i == 7 else {})} for i in range(20)]
    path = json_lines(tmp_path / "d.jsonl", rows)
    assert "odd=" in fails(mr_ml, path, "--missing", "zero")
    assert mr_ml("pack", path, "--to", "d", "--drop", "odd")["n_features"] == 1
    assert "none called od" in fails(mr_ml, path, "--drop", "odd,od", code=2)


def test_what_is_no_file_of_json_lines(mr_ml: Commands, tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps(ROWS))
    said = fails(mr_ml, path)
    assert f"{path}:1: expected one JSON object a line" in said
    assert "jq -c" in said


def test_predictions_of_records(mr_ml: Commands, tmp_path: Path) -> None:
    """Of rows without labels, with more names, and with names left out that have no value."""
    path = json_lines(tmp_path / "d.jsonl", ROWS)
    mr_ml("pack", path, "--to", "d", "--missing", "zero", "--drop", "user")
    mr_ml("train", "d", "--model", "m", "--l2", "0.1")
    mr_ml("predict", "m", path, "--to", tmp_path / "one")
    rows = [
        {"more": 1, **{k: v for k, v in row.items() if v is not None and k not in ("label", "user")}} for row in ROWS
    ]
    mr_ml("predict", "m", json_lines(tmp_path / "new.jsonl", rows), "--to", tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    failed = mr_ml.run("predict", "m", json_lines(tmp_path / "x.jsonl", [{"x": 1}]), "--to", tmp_path / "x")
    assert (failed.code, "expected some of the columns" in failed.err) == (65, True)
