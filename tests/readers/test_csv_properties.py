"""CSV text of every kind, hostile kinds included: the reader agrees with a slow and obvious one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

import chunks
import numpy as np
import pytest
import reference_csv as reference
from builders import scan
from examples import examples
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from mr_ml.errors import BadDataError
from mr_ml.readers.csv import fields as csv_fields
from mr_ml.readers.csv import reader as csv_reader
from mr_ml.readers.csv import scan as csv_scan
from mr_ml.readers.csv import schema as csv_schema
from mr_ml.readers.csv import table as csv_table
from mr_ml.readers.csv import values as csv_values
from mr_ml.readers.csv.draft import Draft
from mr_ml.readers.rows import MAX_EXAMPLES, Parsed, Rows, concat_rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.fields import hash_fields
from mr_ml.readers.text.options import TextOptions

COLUMNS = ("a", "b", "c", "label", "w", "o", "g")

finite = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.one_of(
    finite.map(repr),
    finite.map(lambda x: f"{x:.17e}"),
    st.decimals(-1000, 1000, places=4).map(str),
    st.integers(-3, 3).map(str),
    st.sampled_from(["0", "-0.0", "+1", "1.", ".5", "1e-400", "1E5", "007", "123456789012345678901"]),
)
categories = st.one_of(
    st.sampled_from(
        ["x", "y", "z", "Ñandú", "a,b", 'say "hi"', "1;2", "a|b", "p q", "<50K", "x" * 300, "12345678", "123456789"]
    ),
    st.text(st.sampled_from('xyz," ;|é\t'), min_size=1, max_size=10).filter(lambda s: s.strip(" \t") != ""),
)
markers = st.sampled_from(["", "NA", "?", "nan", "null", "-", "None"])
strange_numbers = st.sampled_from(
    [
        "inf",
        "-Infinity",
        "NAN",
        "1e400",
        "-1e999",
        "1_000",
        "_",
        "\uff11",
        "٣",
        "0x10",
        "1 2",
        "1e",
        "\x0b1",
        "1\u00a0",
        "--1",
        "1,037",
        "1.037,5",
        "1.037.000",
        "2,5",
        "12%",
        "1,5 %",
        "$5",
        "2024-01-05",
        "12:30",
        "-",
    ]
)
marks: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({}),
    st.sampled_from([(".", ","), (",", ""), (",", "."), (".", " "), (",", "'")]).flatmap(
        lambda pair: st.booleans().map(lambda p: {"decimal": pair[0], "thousands": pair[1], "percent": p})
    ),
    st.just({"percent": True}),
)
policies = st.sampled_from(["error", "drop", "zero", "value:-1.5", "value:0"])
delimiters = st.sampled_from([",", ",", ";", "\t", "|", " "])


@st.composite
def options_of(draw: st.DrawFn) -> TextOptions:
    """Options for `COLUMNS`: some of them with a role, some declared, some dropped."""
    declared = draw(st.permutations(["a", "b", "c"]))
    n_categorical, n_numeric = draw(st.sampled_from([(0, 0), (0, 0), (1, 0), (1, 1), (0, 2)]))
    used = {role: draw(st.booleans()) for role in ("w", "o", "g")}
    return TextOptions(
        format="csv",
        columns=COLUMNS,
        delimiter=draw(delimiters),
        label_column="label",
        weight_column="w" if used["w"] else None,
        offset_column="o" if used["o"] else None,
        group_column="g" if used["g"] else None,
        drop_columns=tuple(name for name, is_used in used.items() if not is_used),
        categorical_columns=tuple(declared[:n_categorical]),
        numeric_columns=tuple(declared[n_categorical : n_categorical + n_numeric]),
        detect_categorical=draw(st.sampled_from([True, True, True, False])),
        missing=draw(policies),
        missing_markers=draw(st.sampled_from([("NA", "?", "nan", "null"), ("-999", "0"), ()])),
        unseen=draw(st.sampled_from(["error", "ignore"])),
        **draw(marks),
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, TextOptions]:
    """A table as a csv writer writes it: numbers, categories, few missing values, few strange cells."""
    options = draw(options_of())
    of_column = {name: draw(st.sampled_from([decimals, decimals, categories])) for name in ("a", "b", "c", "label")}
    for name in options.categorical_columns:
        of_column[str(name)] = categories
    for name in options.numeric_columns:
        of_column[str(name)] = decimals
    of_column |= {"w": st.sampled_from(["0", "1", "2.5"]), "o": decimals, "g": categories}
    missing = draw(st.sampled_from([0, 0, 1, 5]))
    strange = draw(st.sampled_from([0, 0, 0, 1]))
    # as most files are, for which there is a way of their own
    tidy = draw(st.booleans())
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=options.delimiter,
        lineterminator="\n" if tidy else draw(st.sampled_from(["\n", "\r\n"])),
        quoting=csv.QUOTE_MINIMAL if tidy else draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    for _ in range(draw(st.integers(1, 12))):
        row = []
        for name in COLUMNS:
            dice = draw(st.integers(0, 39))
            cell = draw(markers if dice < missing else strange_numbers if dice >= 40 - strange else of_column[name])
            blank = "" if tidy else draw(st.sampled_from(["", "", "", " ", "\t"]))
            row.append(blank + cell + blank if '"' not in cell and options.delimiter not in cell else cell)
        writer.writerow(row if draw(st.integers(0, 39)) else COLUMNS)
    text = out.getvalue()
    return (text if draw(st.booleans()) else text.rstrip("\r\n")).encode(), options


three_columns = TextOptions(format="csv", columns=("a", "label", "b"), label_column="label")
good_or_strange = ["0", "1", "1.0", "-1.5", "a", "b", "NA", "?", "<missing>", "inf", "1e400", "1_0", "\uff11", "é", "-"]
quotes = ['"a"', '"a,b"', '"a""b"', '""', '"', '"a', 'a"', 'a"b', '"a"b', '""a', '""""']
hostile_cells = st.one_of(
    st.sampled_from(good_or_strange).map(str.encode),
    st.sampled_from(quotes).map(str.encode),
    st.sampled_from([b"", b" ", b"\t", b" 1 ", b' "a" ', b'"a" "b"', b'" a "']),
    st.sampled_from([b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"a\rb"]),
    st.binary(max_size=5),
)
hostile_lines = st.tuples(
    st.sampled_from([0, 1, 2, 3, 3, 3, 3, 3, 4]).flatmap(lambda n: st.lists(hostile_cells, min_size=n, max_size=n)),
    st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b""]),
).map(lambda line: b",".join(line[0]) + line[1])
hostile_texts = st.lists(
    st.one_of(hostile_lines, st.just(b"1,1,1\n"), st.just(b"a,1,1\n"), st.just(b"a,label,b\n")), max_size=15
).map(b"".join)
hostile_options = st.builds(
    lambda missing, categorical, numeric, detect: replace(
        three_columns,
        missing=missing,
        categorical_columns=categorical,
        numeric_columns=numeric,
        detect_categorical=detect,
    ),
    policies,
    st.sampled_from([("a",), ("a", "label"), (), ()]),
    st.sampled_from([("b",), (), ()]),
    st.booleans(),
)


def check_rows(rows: Rows, expected: reference.Reference) -> None:
    assert rows.lines.tolist() == [row[0] for row in expected.rows]
    labels = [np.nan if row[1] is None else row[1] for row in expected.rows]
    np.testing.assert_array_equal(bits(rows.labels), bits(np.array(labels, np.float64)))
    assert rows.indptr.dtype == np.int64
    assert rows.indices.dtype == np.int32
    assert rows.values.dtype == rows.labels.dtype == np.float64
    assert rows.indptr.tolist() == np.cumsum([0] + [len(row[2]) for row in expected.rows]).tolist()
    assert rows.indices.tolist() == [feature for row in expected.rows for feature in sorted(row[2])]
    values = [row[2][feature] for row in expected.rows for feature in sorted(row[2])]
    np.testing.assert_array_equal(bits(rows.values), bits(np.array(values, np.float64)))


def check_extras(rows: Rows, expected: reference.Reference, options: TextOptions) -> None:
    for at, column, found in ((3, options.weight_column, rows.weights), (4, options.offset_column, rows.offsets)):
        assert (found is None) == (column is None)
        if found is not None:
            np.testing.assert_array_equal(bits(found), bits(np.array([row[at] for row in expected.rows], np.float64)))
    assert (rows.groups is None) == (options.group_column is None)
    if rows.groups is not None:
        assert rows.groups.dtype == np.uint64
        assert rows.groups.tolist() == [hash_of(str(row[5])) for row in expected.rows]


def hash_of(value: str) -> int:
    raw = np.frombuffer(value.encode(), np.uint8)
    return int(hash_fields(raw, np.array([0]), np.array([len(raw)]))[0])


def bits(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


def check_bad(parsed: Parsed, expected: reference.Reference) -> None:
    kinds = list(expected.bad.values())
    assert parsed.bad_counts == {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    of_kind: dict[str, list[int]] = {}
    for line, kind in sorted(expected.bad.items()):
        of_kind.setdefault(kind, []).append(line)
    shown = sorted((line, kind) for kind, lines in of_kind.items() for line in lines[:MAX_EXAMPLES])
    assert [(row.line, row.kind) for row in parsed.bad] == shown
    for row in parsed.bad:
        assert len(row.excerpt) <= 80
        assert row.excerpt.isprintable()


def check(text: bytes, options: TextOptions) -> None:
    """Scan, resolve and parse a text, with and without labels, and compare everything with the reference."""
    asked = options
    while True:
        summary, draft = csv_scan.draft(text, asked, file="f")
        good, bad, n_dropped = reference.scan(text, asked)
        assert (summary.n_rows, summary.n_dropped) == (len(good), n_dropped)
        assert summary.n_lines == len(reference.lines_of(text))
        assert summary.bad_counts == {kind: list(bad.values()).count(kind) for kind in sorted(set(bad.values()))}
        assert all(bad[row.line] == row.kind for _, row in summary.examples)
        more, reasons = csv_schema.declared(asked, summary)
        assert more == reference.declared(text, asked)
        assert bool(reasons) == (more != asked)
        if more == asked:
            break
        event("another scan")
        asked = more
    try:
        expected = reference.resolve(text, asked)
    except reference.RefusedText:
        with pytest.raises(BadDataError):
            csv_schema.resolve(options, summary)
        return
    schema = csv_schema.resolve(options, summary)
    assert list(schema.feature_names or ()) == expected.feature_names
    assert schema.n_features == len(expected.feature_names)
    assert {name: list(values) for name, values in schema.part.vocabularies.items()} == expected.vocabularies
    assert list(schema.labels) == expected.labels
    assert schema.label_kind == expected.label_kind
    assert {name: column["kind"] for name, column in schema.part.columns.items()} == expected.kinds
    assert schema == Schema.from_json(json.loads(json.dumps(schema.to_json(), sort_keys=True)))
    for labels in ("required", "optional"):
        parsed = csv_reader.parse(text, schema, labels=labels)
        rows = reference.read(text, options, expected, labels=labels)
        assert (parsed.n_lines, parsed.n_dropped) == (rows.n_lines, rows.n_dropped)
        if labels == "required":
            # What a scan takes for a row, its own schema takes too; what it refuses may be bad for more reasons, one of
            # them a missing value for which the row is left out.
            assert len(rows.rows) == summary.n_rows
            assert rows.bad.keys() <= bad.keys()
            assert rows.n_dropped == n_dropped + len(bad.keys() - rows.bad.keys())
            assert options.missing == "drop" or rows.n_dropped == 0
        check_bad(parsed, rows)
        check_rows(parsed.rows, rows)
        check_extras(parsed.rows, rows, options)
        if labels == "required" and draft is not None:
            check_draft(draft, schema, parsed)


def check_draft(draft: Draft, schema: Schema, parsed: Parsed) -> None:
    """What a scan kept is what would be read again, if it is taken for that."""
    for kept in (draft, draft.narrowed()):
        assert kept.fits(schema) == (not schema.part.vocabularies and schema.label_kind != "text")
        if kept.fits(schema):
            event("a draft that fits")
            found = kept.under(schema)
            assert replace(found, rows=parsed.rows) == parsed
            for name, expected in vars(parsed.rows).items():
                array = getattr(found.rows, name)
                assert (array is expected is None) or (array.dtype, array.tobytes()) == (
                    expected.dtype,
                    expected.tobytes(),
                )


@examples(150)
@given(tables())
def test_tables_as_a_csv_writer_writes_them(table: tuple[bytes, TextOptions]) -> None:
    check(*table)


@examples(200)
@given(hostile_texts, hostile_options)
@example(b"1,2,3\n\n\n1,2\n", three_columns)
@example(b"\xef\xbb\xbf1,2,3\n1,2,3\r", three_columns)
def test_hostile_bytes(text: bytes, options: TextOptions) -> None:
    check(text, options)


@examples(200)
@given(st.text(st.sampled_from('a, "\t\r\n'), max_size=40), st.integers(1, 3))
def test_fields(text: str, n_columns: int) -> None:
    options = TextOptions(format="csv", columns=("a", "b", "c")[:n_columns])
    fields = csv_fields.split_fields(text.encode(), delimiter=ord(","), n_columns=n_columns)
    rows, bad = reference.cells_of_lines(text.encode(), options)
    spans = [list(zip(*span, strict=True)) for span in zip(fields.starts.tolist(), fields.ends.tolist(), strict=True)]
    cells = [[fields.buffer[start:end].tobytes().decode() for start, end in row] for row in spans]
    assert dict(zip(fields.lines.tolist(), cells, strict=True)) == {n: list(row.values()) for n, row in rows.items()}
    found = {
        n: csv_fields.KINDS[code] for n, code in enumerate(fields.defects.tolist()) if code != csv_fields.NO_DEFECT
    }
    assert found == bad


@examples(100)
@given(st.one_of(tables(), st.tuples(hostile_texts, hostile_options)), st.data())
def test_cutting_at_lines_and_order_change_nothing(table: tuple[bytes, TextOptions], data: st.DataObject) -> None:
    text, options = table
    lines = text.splitlines(keepends=True) if b"\r" not in text else [line + b"\n" for line in text.split(b"\n")]
    text = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=4)))
    bounds = list(zip([0, *cuts], [*cuts, len(lines)], strict=True))
    whole = scan(text, options, file="f")
    parts = [scan(b"".join(lines[a:b]), options, file="f", first_line=a) for a, b in bounds]
    so_far = Summary()
    for a, b in bounds:
        so_far += chunks.draft(b"".join(lines[a:b]), options, file="f", seen=so_far)[0]
    assert replace(so_far, examples=whole.examples) == whole
    shuffled = data.draw(st.permutations(parts))
    assert reduce(Summary.__add__, shuffled, Summary()) == whole
    if len(parts) > 2:
        assert parts[0] + (parts[1] + parts[2]) == (parts[0] + parts[1]) + parts[2]
    assert Summary.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    try:
        schema = chunks.resolve(options, whole)
    except BadDataError:
        return
    at_once = chunks.parse(text, schema, labels="required")
    in_parts = [chunks.parse(b"".join(lines[a:b]), schema, labels="required") for a, b in bounds]
    merged = concat_rows([part.rows for part in in_parts], line_starts=[a for a, _ in bounds])
    for name in ("labels", "indptr", "indices", "values", "lines", "weights", "offsets", "groups"):
        one, other = getattr(at_once.rows, name), getattr(merged, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()
    assert sum(part.n_lines for part in in_parts) == at_once.n_lines
    assert sum(part.n_dropped for part in in_parts) == at_once.n_dropped


@examples(50)
@given(tables(), st.integers(1, 200))
def test_pieces_change_nothing(table: tuple[bytes, TextOptions], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_table, "_PIECE_BYTES", size)
        patch.setattr(csv_table, "_PIECE_BYTES_PER_COLUMN", 0)
        check(*table)


def colliding(buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    return np.zeros(len(starts), np.uint64)


@pytest.fixture
def _collisions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    csv_values.vocabulary.cache_clear()
    monkeypatch.setattr(csv_values, "hash_fields", colliding)
    yield
    csv_values.vocabulary.cache_clear()


@pytest.mark.usefixtures("_collisions")
@examples(50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(tables())
def test_colliding_hashes_change_nothing(table: tuple[bytes, TextOptions]) -> None:
    check(*table)


few_values = ["", "a", "b", "ab", "12345678", "123456789", "223456789", "x" * 300, "y" + "x" * 299, "x" * 301]


def check_values(rows: list[list[str]]) -> None:
    """Distinct values of two columns, and where each value stands in a vocabulary."""
    cells = [cell.encode() for row in rows for cell in row]
    buffer = np.frombuffer(b"".join(cells), np.uint8)
    ends = np.cumsum([len(cell) for cell in cells], dtype=np.int64).reshape(-1, 2)
    starts = ends - np.array([len(cell) for cell in cells], np.int64).reshape(-1, 2)
    chosen = np.arange(ends.size).reshape(-1, 2) % 5 != 0
    found = csv_values.distinct(buffer, starts, ends, chosen)
    for column in (0, 1):
        expected = {row[column].encode() for row, is_chosen in zip(rows, chosen[:, column], strict=True) if is_chosen}
        assert found[column] == expected
    known = few_values[1:]
    codes = csv_values.Vocabulary(known).find(buffer, starts.ravel(), ends.ravel())
    assert codes.tolist() == [known.index(cell.decode()) if cell else -1 for cell in cells]


some_rows = st.lists(st.lists(st.sampled_from(few_values), min_size=2, max_size=2))


@given(some_rows)
def test_values(rows: list[list[str]]) -> None:
    check_values(rows)


@pytest.mark.usefixtures("_collisions")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some_rows)
def test_values_of_colliding_hashes(rows: list[list[str]]) -> None:
    check_values(rows)
