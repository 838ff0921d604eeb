"""What readers rely on, of every kind of column transform that is built in.

A new kind joins by an entry in CASES. What a transform makes of fields is tested in tests/readers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Commands
from schema_files import CSV, dense, options_of, seen_in, table, under

from mr_ml.data import stored
from mr_ml.readers.csv.facts import CsvFacts
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.options import TextOptions
from mr_ml.readers.transforms.base import Transform
from mr_ml.readers.transforms.registry import TRANSFORMS

HEADER = "id,n,c,d,label"


@dataclass(frozen=True)
class Case:
    """Columns of a schema file for the columns n, of numbers, c, of texts, and d, of days.

    Attributes
    ----------
    kind
        Of the transform that they show.
    file
        What the file says, but for id and label; `{missing}` is what it says of missing values.
    filled
        Something that `missing` may be and that keeps a row without a value.
    """

    kind: str
    file: str
    filled: str


CASES = {
    "quantity": Case("quantity", "columns: {{n: {{kind: numeric, missing: {missing}, indicator: true}}}}", "0.5"),
    "quantity mean": Case("quantity", "columns: {{n: {{kind: numeric, missing: {missing}}}}}", "mean"),
    "quantity median": Case("quantity", "columns: {{n: {{kind: numeric, missing: {missing}}}}}", "median"),
    "words": Case("words", "columns: {{c: {{kind: text, bits: 4, ngrams: [1, 2], missing: {missing}}}}}", "none"),
    "words tf-idf": Case(
        "words", "columns: {{c: {{kind: text, bits: 6, weights: tf-idf, missing: {missing}}}}}", "none"
    ),
    "category": Case("category", "columns: {{c: {{kind: categorical, missing: {missing}}}}}", "category"),
    "hashed": Case("hashed", "columns: {{c: {{kind: hashed, bits: 5, seed: 3, missing: {missing}}}}}", "category"),
    "hashed none": Case("hashed", "columns: {{c: {{kind: hashed, bits: 2, missing: {missing}}}}}", "none"),
    "bucketised": Case(
        "bucketised", "columns: {{n: {{kind: bucketised, edges: [-1, 0.5, 30], missing: {missing}}}}}", "category"
    ),
    "quantiles": Case("bucketised", "columns: {{n: {{kind: bucketised, quantiles: 4, missing: {missing}}}}}", "none"),
    "crossed": Case(
        "crossed",
        "columns: {{n: {{kind: bucketised, quantiles: 3, missing: none}}}}\n"
        "crossed: [{{of: [c, n], bits: 6, missing: {missing}}}]",
        "category",
    ),
    "date": Case(
        "date", "columns: {{d: {{kind: date, parts: [month, days, weekday], missing: {missing}}}}}", "category"
    ),
    "date none": Case("date", "columns: {{d: {{kind: date, parts: [quarter, year], missing: {missing}}}}}", "none"),
    "category none": Case("category", "columns: {{c: {{kind: categorical, missing: {missing}}}}}", "none"),
}
EACH = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def file_of(case: Case, missing: str | None = None) -> str:
    return f"id: id\nothers: drop\nlabel: label\n{case.file.format(missing=missing or case.filled)}\n"


def lines_of(n: int = 90, *, holes: bool = True) -> list[str]:
    """Rows in which numbers and texts lack now and then."""
    rng = np.random.default_rng(1)
    lines = []
    for k in range(n):
        number = "" if holes and rng.random() < 0.1 else f"{rng.normal() * 10.0 ** int(rng.integers(-3, 4)):.5g}"
        text = "" if holes and rng.random() < 0.1 else ("Bern", "Genf", "São Paulo", "a b  c.B", "x")[rng.integers(5)]
        day = "" if holes and rng.random() < 0.1 else str(np.datetime64("2023-11-20") + int(rng.integers(900)))
        lines.append(f"{k},{number},{text},{day},{k % 2}\n")
    return lines


@pytest.fixture(name="options")
def of_the_case(case: Case, tmp_path: Path) -> TextOptions:
    return options_of(tmp_path, file_of(case), HEADER)


def asked(options: TextOptions) -> Transform:
    (transform,) = options.transforms[-1:]
    return transform


def learnt(options: TextOptions, lines: list[str]) -> Schema:
    schema: Schema = CSV.resolve(options, seen_in(["".join(lines).encode()], options))
    return schema


def seen(summary: Summary) -> Any:
    facts: CsvFacts = summary.facts
    return facts.transforms


def test_every_kind_has_a_case() -> None:
    assert {case.kind for case in CASES.values()} == set(TRANSFORMS.built_in)


@EACH
def test_it_is_stored_as_it_is(case: Case, options: TextOptions) -> None:
    """Before it has learnt, and after."""
    placed = learnt(options, lines_of()).part.transforms[-1].transform
    for transform in (asked(options), placed):
        assert type(transform) is TRANSFORMS.get(case.kind)
        assert transform.kind == case.kind
        document = json.loads(json.dumps(transform.to_json(), allow_nan=False))
        assert document["kind"] == case.kind
        assert document.keys() == {"kind", *(item.name for item in fields(transform))}
        assert stored.read(Transform, document, where="here") == transform  # type: ignore[type-abstract]


@EACH
def test_what_it_learns_adds_up_in_any_order(case: Case, options: TextOptions) -> None:
    lines = lines_of()
    whole = seen(seen_in(["".join(lines).encode()], options))
    assert whole
    cuts = [lines[:1], lines[1:40], [], lines[40:41], lines[41:]]
    parts = [seen_in(["".join(part).encode()], options) for part in cuts]
    for order in list(permutations(parts))[::17]:
        added = sum(order[1:], order[0])
        assert seen(added) == whole
        left, right = sum(order[:2], Summary()), sum(order[2:], Summary())
        assert seen(left + right) == whole
    read_back = Summary.from_json(json.loads(json.dumps(parts[0].to_json(), allow_nan=False)))
    assert read_back == parts[0]
    assert seen(read_back + sum(parts[1:], Summary())) == whole


@EACH
def test_features_have_names_and_rows_are_the_same_in_pieces(case: Case, options: TextOptions) -> None:
    lines = lines_of()
    schema = learnt(options, lines)
    transform = schema.part.transforms[-1].transform
    names = transform.names()
    assert len(names) == transform.n_features == len(set(names))
    assert all(name.startswith(transform.columns[0]) and name.isprintable() for name in names)
    whole = under(schema, "".join(lines))
    assert whole.parsed.rows.n_rows == len(lines)
    for row in range(len(lines)):
        ids = whole.parsed.rows.indices[slice(*whole.parsed.rows.indptr[row : row + 2])]
        assert (np.diff(ids) > 0).all()
    pieces = [under(schema, "".join(part)).x for part in (lines[:13], lines[13:14], lines[14:])]
    np.testing.assert_array_equal(np.vstack(pieces), whole.x)
    # the stored schema reads the same
    again = Schema.from_json(json.loads(json.dumps(schema.to_json(), allow_nan=False)))
    assert again == schema
    np.testing.assert_array_equal(under(again, "".join(lines)).x, whole.x)


@EACH
def test_how_a_field_is_quoted_is_no_matter(case: Case, options: TextOptions) -> None:
    lines = lines_of()
    quoted = [",".join(f' "{field}"' for field in line.strip().split(",")) + "\r\n" for line in lines]
    assert seen(seen_in(["".join(quoted).encode()], options)) == seen(seen_in(["".join(lines).encode()], options))
    schema = learnt(options, lines)
    np.testing.assert_array_equal(under(schema, "".join(quoted)).x, under(schema, "".join(lines)).x)


@EACH
def test_rows_without_a_value(case: Case, tmp_path: Path) -> None:
    """Refused, left out, or kept: the scan and the rows say the same, and what is learnt is of the kept ones."""
    lines = lines_of()
    text = HEADER + "\n" + "".join(lines)
    kept = table(tmp_path, file_of(case), text)
    assert kept.parsed.rows.n_rows == len(lines)
    columns = kept.schema.part.transforms[-1].transform.columns
    at = [HEADER.split(",").index(name) for name in columns]
    n_missing = sum(any(not line.split(",")[k] for k in at) for line in lines)
    assert 0 < n_missing < 30
    assert next(iter(kept.parsed.missing.values())) == n_missing
    for missing in ("error", "drop"):
        options = options_of(tmp_path, file_of(case, missing), HEADER)
        summary = seen_in(["".join(lines).encode()], options)
        schema = CSV.resolve(options, summary)
        parsed = under(schema, "".join(lines)).parsed
        assert summary.n_rows == parsed.rows.n_rows == len(lines) - n_missing
        assert summary.bad_counts == parsed.bad_counts == ({"missing_value": n_missing} if missing == "error" else {})
        assert summary.n_dropped == parsed.n_dropped == (n_missing if missing == "drop" else 0)
        rest = [line for line, is_kept in zip(lines, _is_kept(parsed, len(lines)), strict=True) if is_kept]
        assert seen(seen_in(["".join(rest).encode()], options)) == seen(summary)


def _is_kept(parsed: Any, n: int) -> list[bool]:
    kept = np.zeros(n, np.bool_)
    kept[parsed.rows.lines] = True
    found: list[bool] = kept.tolist()
    return found


@EACH
def test_an_empty_input_is_no_error_of_ours(case: Case, options: TextOptions) -> None:
    schema = learnt(options, lines_of())
    empty = under(schema, "")
    assert empty.x.shape == (0, schema.n_features)
    assert seen(seen_in([b""], options) + seen_in(["".join(lines_of()).encode()], options)) is not None


@EACH
def test_the_same_bytes_by_any_number_of_tasks_and_the_same_rows_in_predict(case: Case, tmp_path: Path) -> None:
    lines = lines_of(3000)
    (tmp_path / "rows.csv").write_text(HEADER + "\n" + "".join(lines), encoding="utf-8")
    halves = (lines[:700], lines[700:])
    for k, half in enumerate(halves):
        (tmp_path / f"part-{k}.csv").write_text(HEADER + "\n" + "".join(half), encoding="utf-8")
    (tmp_path / "schema.yaml").write_text(file_of(case), encoding="utf-8")
    common = ("--to", "d", "--schema", tmp_path / "schema.yaml", "--split", "train=0.5,test=0.5")
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    mr_ml("pack", tmp_path / "rows.csv", *common)
    mr_ml("pack", tmp_path / "rows.csv", *common, "-r", "local", "--workers", "3")
    mr_ml("pack", tmp_path / "part-1.csv", tmp_path / "part-0.csv", *common, "-r", "local", "--workers", "2")
    hashes = [mr_ml.partition_hashes(f"d@{k}") for k in (1, 2, 3)]
    assert hashes[0] == hashes[1] == hashes[2]
    schemas = [mr_ml.manifest(f"d@{k}")["schema"] for k in (1, 2, 3)]
    assert schemas[0] == schemas[1] == schemas[2]

    mr_ml("train", "d", "--model", "m", "--loss", "squared", "--l2", "1")
    mr_ml("predict", "m", tmp_path / "rows.csv", "--to", tmp_path / "out")
    schema = Schema.from_json(schemas[0])
    coef = mr_ml.coef("m")
    parsed = CSV.parse("".join(lines).encode(), schema, labels="required")
    expected = dense(parsed, schema.n_features) @ coef.coef[0] + coef.intercept[0]
    found = [float(line.split("\t")[-1]) for line in (tmp_path / "out").read_text().splitlines()[1:]]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
