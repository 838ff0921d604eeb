"""CSV text: what each option, each kind of bad row and each refusal means, and real files."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_csv as reference
from test_csv_properties import check_bad, check_rows

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers import csv_reader, csv_scan, csv_schema, csv_table, formats
from mr_ml.readers.rows import BAD_KINDS, Parsed
from mr_ml.readers.schema import Schema, Summary, TextOptions


def options_of(columns: str, **given: Any) -> TextOptions:
    return TextOptions(format="csv", columns=tuple(columns.split(",")), **given)


def schema_of(text: bytes, options: TextOptions) -> Schema:
    return csv_reader.resolve(options, csv_reader.scan(text, options, file="f"))


def read(text: bytes, columns: str = "a,b,label", **given: Any) -> tuple[Schema, Parsed]:
    schema = schema_of(text, options_of(columns, **given))
    return schema, csv_reader.parse(text, schema, labels="required")


def dense(parsed: Parsed, n_features: int) -> list[list[float]]:
    rows = parsed.rows
    matrix = np.zeros((rows.n_rows, n_features))
    matrix[np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr)), rows.indices] = rows.values
    return matrix.tolist()


def bad_of(parsed: Parsed) -> list[tuple[int, str, str]]:
    return [(row.line, row.kind, row.excerpt) for row in parsed.bad]


class TestHeader:
    OPTIONS = TextOptions(format="csv")

    @pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n"])
    def test_names_the_columns(self, line_end: bytes) -> None:
        line = b'a, b ,"c,""d""",\xc3\xa9' + line_end
        assert csv_reader.split_header(line, self.OPTIONS) == ("a", "b", 'c,"d"', "é")

    def test_is_reached_through_formats(self) -> None:
        assert formats.split_header(b"a;b\n", replace(self.OPTIONS, delimiter=";")) == ("a", "b")

    def test_without_one_columns_have_numbers(self) -> None:
        options = replace(self.OPTIONS, header=False)
        assert csv_reader.split_header(b'1,"x,y",,3\n', options) == ("c0", "c1", "c2", "c3")

    def test_names_may_be_integers(self) -> None:
        assert csv_reader.split_header(b"0,1,label\n", self.OPTIONS) == ("0", "1", "label")
        assert csv_reader.split_header(b"0,1,2\n", self.OPTIONS) == ("0", "1", "2")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b"", "expected one line"),
            (b"\n", "expected one line"),
            (b"a\nb\n", "expected one line"),
            (b"a,b,a\n", "'a' twice"),
            (b'a, "a"\n', "'a' twice"),
            (b"a,,b\n", "no name for column 1"),
            (b'a,"",b\n', "no name for column 1"),
            (b"a,b,\n", "no name for column 2"),
            (b"\xef\xbb\xbfa,b\n", "byte order mark"),
            (b"a,\xff\n", "UTF-8"),
            (b"a\0,b\n", "NUL"),
            (b"a\rb,c\r", "carriage return"),
            (b'a,"b\n', "quote is not closed"),
            (b'a,b"c"\n', "quote stands in the middle"),
            (b"a,b\x1b[31m\n", "control character"),
            (b"0.5,1,-2\n", "numbers only"),
        ],
    )
    def test_refuses(self, line: bytes, message: str) -> None:
        with pytest.raises(BadDataError, match=message) as error:
            csv_reader.split_header(line, self.OPTIONS)
        assert str(error.value).isprintable()

    def test_without_one_a_broken_first_line_is_refused_too(self) -> None:
        with pytest.raises(BadDataError, match="quote is not closed"):
            csv_reader.split_header(b'1,"2\n', replace(self.OPTIONS, header=False))

    @pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "\0", "a", "1", ".", "-", "é"])
    def test_delimiters_that_cannot_be(self, delimiter: str) -> None:
        with pytest.raises(UsageError, match="--delimiter"):
            csv_reader.split_header(b"a\n", replace(self.OPTIONS, delimiter=delimiter))


class TestColumns:
    @pytest.mark.parametrize("name", ["label", "target", "y"])
    def test_the_label_has_a_usual_name(self, name: str) -> None:
        _, parsed = read(b"1,7,2\n", f"a,{name},b")
        assert parsed.rows.labels.tolist() == [7]

    @pytest.mark.parametrize("columns", ["a,b,c", "a,label,y", "label,target,y", "a,LABEL,b"])
    def test_else_it_must_be_named(self, columns: str) -> None:
        with pytest.raises(UsageError, match=f"found .* in {columns.replace(',', ', ')}.*--label-column"):
            csv_reader.scan(b"1,2,3\n", options_of(columns), file="f")

    @pytest.mark.parametrize("column", ["b", 1, -2, "1", "-2"])
    def test_by_name_or_number(self, column: str | int) -> None:
        schema, parsed = read(b"1,7,2\n", "a,b,c", label_column=column)
        assert parsed.rows.labels.tolist() == [7]
        assert schema.feature_names == ("a", "c")

    def test_a_name_goes_before_a_number(self) -> None:
        _, parsed = read(b"5,6,7\n", "2,1,0", label_column="0")
        assert parsed.rows.labels.tolist() == [7]

    @pytest.mark.parametrize("column", ["z", 3, -4, "3", "", "1.0"])
    def test_that_are_not_there(self, column: str | int) -> None:
        with pytest.raises(UsageError, match="there are a, b, label"):
            csv_reader.scan(b"", options_of("a,b,label", weight_column=column), file="f")

    @pytest.mark.parametrize(
        "given",
        [
            {"label_column": "a", "weight_column": "a"},
            {"weight_column": "a", "offset_column": 0},
            {"categorical_columns": ("a",), "numeric_columns": ("a",)},
            {"drop_columns": ("label",)},
            {"group_column": "label"},
        ],
    )
    def test_with_two_uses(self, given: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="expected one use"):
            csv_reader.scan(b"", options_of("a,b,label", **given), file="f")

    def test_must_be_known(self) -> None:
        with pytest.raises(UsageError, match="split_header"):
            csv_reader.scan(b"", TextOptions(format="csv"), file="f")

    def test_none_left_for_features(self) -> None:
        with pytest.raises(UsageError, match="column for features"):
            read(b"1,2\n", "label,b", drop_columns=("b",))

    def test_dropped_columns_may_hold_anything(self) -> None:
        schema, parsed = read(b"1,nan,0\n2,1e999,1\n", drop_columns=("b",))
        assert schema.feature_names == ("a",)
        assert dense(parsed, 1) == [[1], [2]]
        assert parsed.bad == ()


class TestFeatures:
    TEXT = b"2.5,red,1\n0,blue,0\n-1e3, red ,1\n"

    def test_numbers_keep_their_column_and_categories_get_one_each(self) -> None:
        schema, parsed = read(self.TEXT)
        assert schema.feature_names == ("a", "b=blue", "b=red")
        assert schema.n_features == 3
        assert schema.vocabularies == {"b": ("blue", "red")}
        assert schema.columns == {
            "a": {"kind": "numeric", "detected": True, "first": 0},
            "b": {"kind": "categorical", "detected": True, "first": 1},
            "label": {"kind": "label", "detected": False, "first": None},
        }
        assert dense(parsed, 3) == [[2.5, 0, 1], [0, 1, 0], [-1000, 0, 1]]

    def test_order_is_that_of_the_columns_even_if_a_file_sorts_the_schema(self) -> None:
        schema = schema_of(b"x,5,1,v\ny,6,0,w\n", options_of("c,b,label,a"))
        assert schema.feature_names == ("c=x", "c=y", "b", "a=v", "a=w")
        stored = Schema.from_json(json.loads(json.dumps(schema.to_json(), sort_keys=True)))
        parsed = csv_reader.parse(b"y,5,1,v\n", stored, labels="required")
        assert parsed.rows.indices.tolist() == [1, 2, 3]
        assert parsed.rows.values.tolist() == [1, 5, 1]

    def test_zeros_are_not_stored(self) -> None:
        _, parsed = read(b"0,-0.0,1\n1e-400,3,1\n")
        assert parsed.rows.indptr.tolist() == [0, 0, 1]
        assert parsed.rows.indices.tolist() == [1]
        assert parsed.rows.values.tolist() == [3]

    def test_declared_categories_may_look_like_numbers(self) -> None:
        schema, parsed = read(b"1,10,0\n1,9,0\n1,1.0,0\n1,inf,0\n", categorical_columns=("b",))
        assert schema.feature_names == ("a", "b=1.0", "b=10", "b=9", "b=inf")
        assert schema.columns["b"]["detected"] is False
        assert [row[1:] for row in dense(parsed, 5)] == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]

    def test_numbers_in_a_detected_category_are_categories(self) -> None:
        schema, _ = read(b"1,10,0\n1,x,0\n")
        assert schema.vocabularies == {"b": ("10", "x")}

    def test_what_float_reads_is_no_category_but_a_bad_number(self) -> None:
        schema, parsed = read("1,2,0\n1,inf,0\n1,1e400,0\n1,1_0,0\n1,٣,0\n1,-NAN,0\n".encode())
        assert schema.vocabularies == {}
        kinds = [(row.line, row.kind) for row in parsed.bad]
        assert kinds == [(1, "not_finite"), (2, "overflow"), (3, "underscore"), (4, "non_ascii"), (5, "not_finite")]

    def test_without_detection_a_text_is_a_bad_number(self) -> None:
        schema, parsed = read(self.TEXT + b"1,2,3\n", detect_categorical=False)
        assert schema.feature_names == ("a", "b")
        assert bad_of(parsed)[0] == (0, "bad_value", "b=red")
        assert parsed.bad_counts == {"bad_value": 3}
        assert dense(parsed, 2) == [[1, 2]]

    def test_a_declared_number_is_never_detected_as_a_category(self) -> None:
        options = options_of("a,b,label", numeric_columns=("b",))
        summary = csv_reader.scan(b"1,red,0\n1,2,0\n", options, file="f")
        assert summary.bad_counts == {"bad_value": 1}
        assert csv_reader.resolve(options, summary).feature_names == ("a", "b")

    def test_two_of_one_name(self) -> None:
        with pytest.raises(BadDataError, match="found twice: b=x;"):
            read(b"1,x,0\n", "b=x,b,label")

    def test_order_is_that_of_code_points(self) -> None:
        schema, _ = read("1,b,0\n1,B,0\n1,é,0\n1,a,0\n1,10,0\n1,9,0\n".encode())
        assert schema.vocabularies["b"] == ("10", "9", "B", "a", "b", "é")


class TestMissing:
    TEXT = b"1,x,0\n,y,0\n3,?,1\n"

    def test_is_refused_unless_said(self) -> None:
        schema, parsed = read(self.TEXT)
        assert bad_of(parsed) == [(1, "missing_value", "a="), (2, "missing_value", "b=?")]
        assert schema.feature_names == ("a", "b=x")
        assert dense(parsed, 2) == [[1, 1]]

    def test_can_be_left_out(self) -> None:
        options = options_of("a,b,label", missing="drop")
        summary = csv_reader.scan(self.TEXT, options, file="f")
        assert (summary.n_rows, summary.n_dropped, summary.n_bad) == (1, 2, 0)
        parsed = csv_reader.parse(self.TEXT, csv_reader.resolve(options, summary), labels="required")
        assert (parsed.rows.n_rows, parsed.n_dropped, parsed.bad_counts) == (1, 2, {})

    @pytest.mark.parametrize(("policy", "value"), [("zero", 0), ("value:-2.5", -2.5), ("value:0", 0)])
    def test_can_be_a_number_and_a_category(self, policy: str, value: float) -> None:
        schema, parsed = read(self.TEXT, missing=policy)
        assert schema.feature_names == ("a", "b=<missing>", "b=x", "b=y")
        assert dense(parsed, 4) == [[1, 0, 1, 0], [value, 0, 0, 1], [3, 1, 0, 0]]
        assert parsed.bad == ()

    def test_left_out_is_left_out_whatever_else_is_wrong(self) -> None:
        text = b"1,x,0\n,y,0\n,x,\n1,x,\n"
        options = options_of("a,b,label", missing="drop")
        summary = csv_reader.scan(text, options, file="f")
        parsed = csv_reader.parse(text, csv_reader.resolve(options, summary), labels="required")
        assert summary.n_dropped == parsed.n_dropped == 2
        assert summary.bad_counts == parsed.bad_counts == {"missing_label": 1}

    @pytest.mark.parametrize("policy", ["", "none", "value", "value:", "value:x", "value:inf", "value:1e999", "zero:1"])
    def test_unknown_policies(self, policy: str) -> None:
        with pytest.raises(UsageError, match="--missing"):
            read(self.TEXT, missing=policy)

    @pytest.mark.parametrize("cell", ["", "  ", '""', '" "', "NA", "?", "nan", "NaN", "null", '"NA"', " NA "])
    def test_is_empty_or_a_marker(self, cell: str) -> None:
        _, parsed = read(f"1,1,1\n{cell},1,1\n".encode())
        assert parsed.bad_counts == {"missing_value": 1}

    @pytest.mark.parametrize("cell", ["NAN", "na", "Null", "N A"])
    def test_and_nothing_else(self, cell: str) -> None:
        _, parsed = read(f"1,1,1\n{cell},1,1\n".encode(), numeric_columns=("a",))
        assert "missing_value" not in parsed.bad_counts

    def test_markers_may_be_numbers(self) -> None:
        _, parsed = read(b"-999,1,1\n-999.0,1,1\n7,1,1\n", missing="zero", missing_markers=("-999",))
        assert dense(parsed, 2) == [[0, 1], [-999, 1], [7, 1]]

    def test_a_marker_that_is_a_number_is_no_category(self) -> None:
        schema, parsed = read(b"1,x,1\n1,0,1\n1,0.0,1\n", missing="zero", missing_markers=("0",))
        assert schema.vocabularies["b"] == ("0.0", "<missing>", "x")
        assert dense(parsed, 4) == [[1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]]

    def test_labels_weights_offsets_and_groups_are_always_needed(self) -> None:
        text = b"1,2,3,4,0\n?,2,3,4,0\n1,,3,4,0\n1,2,NA,4,0\n1,2,3,null,0\n"
        roles = {"label_column": "l", "weight_column": "w", "offset_column": "o", "group_column": "g"}
        _, parsed = read(text, "l,w,o,g,a", missing="zero", **roles)
        kinds = ["missing_label", "missing_weight", "missing_offset", "missing_group"]
        assert [row.kind for row in parsed.bad] == kinds
        assert csv_reader.scan(text, options_of("l,w,o,g,a", **roles), file="f").bad_counts == dict.fromkeys(
            sorted(kinds), 1
        )

    def test_a_category_that_is_spelled_like_the_missing_one(self) -> None:
        with pytest.raises(BadDataError, match="<missing>"):
            read(b"1,<missing>,0\n1,,0\n", missing="zero")
        schema, _ = read(b"1,<missing>,0\n1,x,0\n", missing="zero")
        assert schema.vocabularies["b"] == ("<missing>", "x")

    def test_a_missing_category_that_the_schema_does_not_have_is_unseen(self) -> None:
        schema = schema_of(b"1,x,0\n", options_of("a,b,label", missing="zero"))
        parsed = csv_reader.parse(b"1,,0\n", schema, labels="required")
        assert parsed.bad_counts == {"unseen_value": 1}

    def test_markers_must_be_text(self) -> None:
        with pytest.raises(UsageError, match="UTF-8"):
            read(b"1,1,1\n", missing_markers=("\udcff",))


class TestUnseen:
    def test_categories_are_refused_unless_said(self) -> None:
        schema = schema_of(b"1,x,0\n2,y,1\n", options_of("a,b,label"))
        parsed = csv_reader.parse(b"1,x,0\n2,z,1\n3,xx,1\n", schema, labels="required")
        assert bad_of(parsed) == [(1, "unseen_value", "b=z"), (2, "unseen_value", "b=xx")]
        ignoring = replace(schema, options=replace(schema.options, unseen="ignore"))
        parsed = csv_reader.parse(b"1,x,0\n2,z,1\n", ignoring, labels="required")
        assert dense(parsed, 3) == [[1, 1, 0], [2, 0, 0]]

    def test_policy_must_be_known(self) -> None:
        with pytest.raises(UsageError, match="--unseen"):
            read(b"1,1,1\n", unseen="x")

    def test_labels_are_always_refused(self) -> None:
        schema = schema_of(b"1,no\n2,yes\n", options_of("a,label"))
        parsed = csv_reader.parse(b"1,maybe\n2,yes\n", schema, labels="required")
        assert bad_of(parsed) == [(0, "unseen_label", "label=maybe")]
        assert parsed.rows.labels.tolist() == [1]


class TestLabels:
    def test_numbers(self) -> None:
        schema, parsed = read(b"1,2\n1,-0.0\n1,1e0\n1,2.0\n", "a,label")
        assert (schema.label_kind, schema.labels) == ("numeric", (0.0, 1.0, 2.0))
        assert parsed.rows.labels.tolist() == [2, 0, 1, 2]
        assert not np.signbit([*parsed.rows.labels, *schema.labels]).any()

    def test_texts(self) -> None:
        schema, parsed = read(b'1, >50K\n1,<=50K\n1,">50K "\n', "a,label")
        assert (schema.label_kind, schema.labels) == ("text", ("<=50K", ">50K"))
        assert parsed.rows.labels.tolist() == [1, 0, 1]

    def test_numbers_beside_texts_are_texts(self) -> None:
        schema, _ = read(b"1,1\n1,x\n1,1.0\n", "a,label")
        assert (schema.label_kind, schema.labels) == ("text", ("1", "1.0", "x"))

    def test_many_numbers_are_continuous(self) -> None:
        thousand = "".join(f"1,{i}\n" for i in range(1000)).encode()
        assert read(thousand, "a,label")[0].label_kind == "numeric"
        schema, parsed = read(thousand + b"1,1000\n", "a,label")
        assert (schema.label_kind, schema.labels) == ("continuous", ())
        assert parsed.rows.labels.tolist() == list(range(1001))

    @pytest.mark.parametrize("labels", [[f"x{i}" for i in range(1001)], [*map(str, range(1001)), "x"]])
    def test_many_texts_are_no_labels(self, labels: list[str]) -> None:
        with pytest.raises(BadDataError, match="label column 'label'"):
            read("".join(f"1,{label}\n" for label in labels).encode(), "a,label")

    def test_that_are_no_numbers(self) -> None:
        _, parsed = read(b"1,1\n1,inf\n1,1e999\n1,1_0\n", "a,label")
        assert [row.kind for row in parsed.bad] == ["not_finite", "overflow", "underscore"]
        schema = schema_of(b"1,1\n1,2\n", options_of("a,label"))
        assert bad_of(csv_reader.parse(b"1,x\n", schema, labels="required")) == [(0, "bad_label", "label=x")]

    @pytest.mark.parametrize("text", [b"1,1\n1,2\n", b"1,no\n1,yes\n"])
    def test_that_nobody_needs_may_be_anything(self, text: bytes) -> None:
        parsed = csv_reader.parse(b"1,x\n", schema_of(text, options_of("a,label")), labels="optional")
        assert not parsed.bad_counts
        assert math.isnan(parsed.rows.labels[0])

    def test_optional(self) -> None:
        for text in (b"1,0\n2,1\n", b"1,no\n2,yes\n"):
            schema = schema_of(text, options_of("a,label"))
            parsed = csv_reader.parse(text + b"3,\n", schema, labels="optional")
            assert parsed.rows.labels.tolist()[:2] == [0, 1]
            assert math.isnan(parsed.rows.labels[2])
            assert csv_reader.parse(text + b"3,\n", schema, labels="required").bad_counts == {"missing_label": 1}


class TestWeightsOffsetsGroups:
    def test_are_read(self) -> None:
        text = b"0.5,-2,g1,1,0\n0,1e2,g2,2,1\n3,-0,g1,3,1\n"
        schema, parsed = read(text, "w,o,g,a,label", weight_column="w", offset_column="o", group_column="g")
        rows = parsed.rows
        assert schema.feature_names == ("a",)
        assert schema.has_groups
        assert rows.weights is not None
        assert rows.offsets is not None
        assert rows.groups is not None
        assert rows.weights.tolist() == [0.5, 0, 3]
        assert rows.offsets.tolist() == [-2, 100, 0]
        assert not np.signbit(rows.offsets[2])
        assert rows.groups[0] == rows.groups[2] != rows.groups[1]

    @pytest.mark.parametrize("weight", ["-1", "-1e-300", "inf", "x", "1e999", "1_0"])
    def test_weights_that_are_none(self, weight: str) -> None:
        _, parsed = read(f"1,1,0\n{weight},1,0\n".encode(), "w,a,label", weight_column="w")
        assert bad_of(parsed) == [(1, "bad_weight", f"w={weight}")]

    @pytest.mark.parametrize("offset", ["-inf", "x", "1e999"])
    def test_offsets_that_are_none(self, offset: str) -> None:
        _, parsed = read(f"1,1,0\n{offset},1,0\n".encode(), "o,a,label", offset_column="o")
        assert bad_of(parsed) == [(1, "bad_offset", f"o={offset}")]

    def test_groups_follow_the_text(self) -> None:
        """Quotes and blanks around it are no part of it."""
        _, parsed = read(b'g,1,0\n"g",1,0\n g ,1,0\nG,1,0\n', "g,a,label", group_column="g")
        assert parsed.rows.groups is not None
        assert len(set(parsed.rows.groups.tolist())) == 2


class TestLines:
    @pytest.mark.parametrize(
        ("line", "kind", "excerpt"),
        [
            (b"1,2", "too_few_fields", "expected 3 fields, found 2: 1,2"),
            (b"1,2,3,4", "too_many_fields", "expected 3 fields, found 4: 1,2,3,4"),
            (b'1,"2,3', "open_quote", '1,"2,3'),
            (b'1,2"x",3', "stray_quote", '1,2"x",3'),
            (b'1,"2"x,3', "stray_quote", '1,"2"x,3'),
            (b'1,"2" "x",3', "stray_quote", '1,"2" "x",3'),
            (b"1,2\r,3", "lone_cr", r"1,2\x0d,3"),
            (b"1,2\r\r", "lone_cr", "1,2"),
            (b"1,\0,3", "nul", r"1,\x00,3"),
            (b"1,\xff,3", "not_utf8", r"1,\xff,3"),
            (b"\xef\xbb\xbf1,2,3", "bom", r"\xef\xbb\xbf1,2,3"),
            (b"1,x,3", "bad_value", "b=x"),
            (b"1,1e400,3", "overflow", "b=1e400"),
            (b"1,0x10,3", "bad_value", "b=0x10"),
            (b"1,1 2,3", "bad_value", "b=1 2"),
            (b"1,\x1b[31m,3", "bad_value", r"b=\x1b[31m"),
        ],
    )
    def test_bad_ones_are_named_and_shown(self, line: bytes, kind: str, excerpt: str) -> None:
        assert kind in BAD_KINDS
        text = b"1,2,3\n" + line + b"\n4,5,6\n"
        options = options_of("a,b,label", detect_categorical=False)
        summary = csv_reader.scan(text, options, file="f")
        assert [(file, row.line, row.kind, row.excerpt) for file, row in summary.examples] == [("f", 1, kind, excerpt)]
        parsed = csv_reader.parse(text, csv_reader.resolve(options, summary), labels="required")
        assert bad_of(parsed) == [(1, kind, excerpt)]
        assert dense(parsed, 2) == [[1, 2], [4, 5]]
        assert parsed.rows.lines.tolist() == [0, 2]

    @pytest.mark.parametrize(
        ("line", "kind", "excerpt"),
        [
            (b"x,y,3", "bad_value", "a=x"),
            (b"1,inf,nan", "not_finite", "b=inf"),
            (b"x,1e400,1", "overflow", "b=1e400"),
            (b",,", "missing_label", "label="),
            (b",,1", "missing_value", "a="),
        ],
    )
    def test_of_many_reasons_the_first_kind_and_column_count(self, line: bytes, kind: str, excerpt: str) -> None:
        _, parsed = read(b"1,2,3\n" + line + b"\n", detect_categorical=False)
        assert bad_of(parsed) == [(1, kind, excerpt)]

    def test_excerpts_are_short(self) -> None:
        _, parsed = read(b"1,1,1\n" + b"x" * 10**6 + b"\n1,inf" + b"0" * 1000 + b",2\n", numeric_columns=("b",))
        assert [len(row.excerpt) for row in parsed.bad] == [80, 80]

    def test_a_line_break_in_quotes_makes_bad_lines(self) -> None:
        _, parsed = read(b'1,2,3\n1,"2\n",3\n4,5,6\n')
        assert [(row.line, row.kind) for row in parsed.bad] == [(1, "open_quote"), (2, "open_quote")]
        assert parsed.rows.lines.tolist() == [0, 3]

    @pytest.mark.parametrize(
        "text", [b"1,2,3\n\n4,5,6\n\n", b"1,2,3\r\n\r\n4,5,6", b"1,2,3\n \t \n4,5,6\n", b"1,2,3\n\n4,5,6\r"]
    )
    def test_blank_ones_are_no_rows(self, text: bytes) -> None:
        _, parsed = read(text)
        assert parsed.bad == ()
        assert parsed.rows.lines.tolist() == [0, 2]
        assert parsed.rows.labels.tolist() == [3, 6]

    def test_with_tabs_for_delimiters_are_not_blank(self) -> None:
        _, parsed = read(b"1\t2\t3\n\t\t\n", delimiter="\t", missing="zero")
        assert parsed.bad_counts == {"missing_label": 1}

    def test_quotes(self) -> None:
        text = b'"1","a,b",3\n 2 , "say ""hi""" ,3\n"3","",3\n4," c\t",3\n5,"""",3\n'
        schema, parsed = read(text, missing="zero")
        assert schema.vocabularies["b"] == ('"', "<missing>", "a,b", "c", 'say "hi"')
        assert [row[0] for row in dense(parsed, 6)] == [1, 2, 3, 4, 5]
        assert [row[1:].index(1) for row in dense(parsed, 6)] == [2, 4, 1, 3, 0]

    def test_long_runs_of_blanks(self) -> None:
        blanks = b" " * 1000
        _, parsed = read(blanks + b"1" + blanks + b",\t2,3" + blanks + b"\n" + blanks + b"\n")
        assert dense(parsed, 2) == [[1, 2]]

    def test_long_runs_of_blanks_in_quotes(self) -> None:
        blanks = b" " * 1000
        schema, parsed = read(b'1,"' + blanks + b'" ,3\n1,"' + blanks + b"x" + blanks + b'" ,3\n', missing="zero")
        assert schema.vocabularies["b"] == ("<missing>", "x")
        assert dense(parsed, 3) == [[1, 1, 0], [1, 0, 1]]

    def test_header_only(self) -> None:
        options = options_of("a,b,label")
        for text in (b"", b"\n\n", b"1,2\n"):
            with pytest.raises(BadDataError, match="expected a CSV row"):
                csv_reader.resolve(options, csv_reader.scan(text, options, file="f"))

    def test_nothing_parses_to_nothing(self) -> None:
        schema = schema_of(b"1,x,3\n", options_of("a,b,label", weight_column="a"))
        parsed = csv_reader.parse(b"", schema, labels="required")
        assert (parsed.rows.n_rows, parsed.n_lines, parsed.rows.indptr.tolist()) == (0, 0, [0])
        assert parsed.rows.weights is not None


class TestLimits:
    def test_categories(self) -> None:
        text = "".join(f"1,v{i},0\n" for i in range(6)).encode()
        assert len(read(text, max_categories=6)[0].vocabularies["b"]) == 6
        for given in ({}, {"categorical_columns": ("b",)}):
            with pytest.raises(BadDataError, match=r"at most 5 categories.*'b'.*--drop"):
                read(text, max_categories=5, **given)

    def test_numbers_that_are_categories_count_too(self) -> None:
        text = b"1,x,0\n" + "".join(f"1,{i},0\n" for i in range(5)).encode()
        with pytest.raises(BadDataError, match="at most 5 categories"):
            read(text, max_categories=5)

    def test_characters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = b"1,abcdef,0\n1,abcdeg,0\n"
        monkeypatch.setattr(csv_schema, "MAX_CHARACTERS", 12)
        assert read(text)[0].n_features == 3
        monkeypatch.setattr(csv_schema, "MAX_CHARACTERS", 11)
        with pytest.raises(BadDataError, match="characters"):
            read(text)

    @pytest.mark.parametrize("numbers", [range(1001), [f"1.{'0' * i}" for i in range(1001)]])
    def test_many_numbers_and_a_text_are_no_category(self, numbers: Any) -> None:
        text = "".join(f"1,{number},0\n" for number in numbers).encode()
        assert read(text)[0].feature_names == ("a", "b")
        with pytest.raises(BadDataError, match=r"'b'.*such as oops.*--categorical"):
            read(text + b"1,oops,0\n")
        with pytest.raises(BadDataError, match=r"'b'.*such as oops.*--categorical"):
            read(b"1,oops,0\n" + text)
        schema, parsed = read(text + b"1,oops,0\n", numeric_columns=("b",))
        assert parsed.bad_counts == {"bad_value": 1}
        assert "oops" in read(text + b"1,oops,0\n", categorical_columns=("b",))[0].vocabularies["b"]
        assert schema.feature_names == ("a", "b")

    def test_a_thousand_numbers_and_a_text_are_categories(self) -> None:
        text = "".join(f"1,{i},0\n" for i in range(1, 1001)).encode()
        assert len(read(text + b"1,x,0\n")[0].vocabularies["b"]) == 1001
        assert len(read(b"1,x,0\n" + text)[0].vocabularies["b"]) == 1001

    def test_do_not_depend_on_the_cut(self) -> None:
        options = options_of("a,b,label", max_categories=5)
        lines = [f"{i},v{i % 7},0\n".encode() for i in range(1200)] + [b"x,1,0\n"]
        whole = csv_reader.scan(b"".join(lines), options, file="f")
        assert whole.columns["a"]["numbers"] is None
        assert whole.columns["b"]["texts"] is None
        for step in (7, 400, 1199):
            parts = [
                formats.scan(b"".join(lines[i : i + step]), options, file="f", first_line=i)
                for i in range(0, len(lines), step)
            ]
            assert sum(parts, Summary()) == whole

    def test_a_wide_text_remembers_less(self) -> None:
        n = 50_000
        options = TextOptions(format="csv", columns=("label", *(f"x{i}" for i in range(n))))
        lines = [",".join(map(str, range(row, row + n + 1))).encode() for row in range(12)]
        summary = csv_reader.scan(b"\n".join(lines), options, file="f")
        assert all(summary.columns[f"x{i}"]["numbers"] is None for i in range(n))
        assert csv_reader.resolve(options, summary).n_features == n


class TestBind:
    OPTIONS = options_of("a,b,label,w,o,junk", weight_column="w", offset_column="o", drop_columns=("junk",))
    TEXT = b"1,x,no,1,0,?\n2,y,yes,2,1,?\n"

    def test_columns_are_known_by_name(self) -> None:
        schema = csv_reader.bind(schema_of(self.TEXT, self.OPTIONS), ("o", "b", "a"))
        parsed = csv_reader.parse(b"0,y,7\n", schema, labels="optional")
        assert dense(parsed, 3) == [[7, 0, 1]]
        assert math.isnan(parsed.rows.labels[0])
        assert parsed.rows.weights is None
        with pytest.raises(BadDataError, match="label"):
            csv_reader.parse(b"0,y,7\n", schema, labels="required")

    def test_same_columns_same_schema(self) -> None:
        schema = schema_of(self.TEXT, self.OPTIONS)
        assert csv_reader.bind(schema, self.OPTIONS.columns or ()) == schema

    @pytest.mark.parametrize(
        ("columns", "message"), [("b,o", "lack a;"), ("a,b", "lack o;"), ("a,b,o,z", "unknown are z")]
    )
    def test_what_does_not_fit(self, columns: str, message: str) -> None:
        with pytest.raises(BadDataError, match=message):
            csv_reader.bind(schema_of(self.TEXT, self.OPTIONS), tuple(columns.split(",")))

    def test_without_a_header_the_label_may_be_left_out(self) -> None:
        options = options_of("c0,c1,c2", header=False, label_column="c1")
        schema = schema_of(b"1,0,2\n", options)
        parsed = csv_reader.parse(b"5,6\n", csv_reader.bind(schema, ("c0", "c1")), labels="optional")
        assert dense(parsed, 2) == [[5, 6]]
        assert csv_reader.bind(schema, ("c0", "c1", "c2")) == schema
        with pytest.raises(BadDataError, match="found 4"):
            csv_reader.bind(schema, ("c0", "c1", "c2", "c3"))


def real_tables(folder: Path) -> Iterator[tuple[str, bytes, TextOptions]]:
    """Real files: name, text without header, options with the last column as label."""
    with_header = sorted(
        [*folder.glob("statsmodels/*.csv"), *folder.glob("glm_r/*.csv"), folder / "sklearn/linnerud_exercise.csv"]
    )
    without = sorted([*folder.glob("uci_csv/*.csv"), *folder.glob("adult/*.csv")])
    counted = [folder / f"sklearn/{name}.csv" for name in ("breast_cancer", "iris", "wine_data")]
    packed = [folder / "sklearn/digits.csv.gz", folder / "sklearn/diabetes_data_raw.csv.gz"]
    for path in [*sorted(with_header), *without, *counted, *packed]:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        delimiter = " " if b"," not in text.split(b"\n", 1)[0] else ","
        options = TextOptions(
            format="csv", delimiter=delimiter, header=path in with_header, label_column=-1, missing="zero"
        )
        if path in counted:  # the first line holds the numbers of rows and columns
            text = text.split(b"\n", 1)[1]
        first, rest = text.split(b"\n", 1)
        options = replace(options, columns=csv_reader.split_header(first, options))
        text = rest if options.header else text
        yield path.name, b"".join(text.splitlines(keepends=True)[:5000]), options


def test_real_files_read_as_the_reference_reads_them(data_dir: Path) -> None:
    n_tables = 0
    for name, text, given in real_tables(data_dir):
        columns = given.columns or ()
        options = replace(given, label_column=columns[-1])
        schema = schema_of(text, given)
        expected = reference.resolve(text, options)
        assert list(schema.feature_names or ()) == expected.feature_names, name
        assert list(schema.labels) == expected.labels, name
        parsed = csv_reader.parse(text, schema, labels="required")
        rows = reference.read(text, options, expected, labels="required")
        check_rows(parsed.rows, rows)
        check_bad(parsed, rows)
        assert parsed.rows.n_rows > 0, name
        assert parsed.bad_counts == {}, name
        n_tables += 1
    assert n_tables >= 30


@pytest.mark.parametrize(
    ("file", "n_rows", "n_high"), [("adult-train.csv", 32561, 7841), ("adult-test.csv", 16281, 3846)]
)
def test_adult_against_sums_by_the_csv_module(data_dir: Path, file: str, n_rows: int, n_high: int) -> None:
    path = data_dir / "adult" / file
    text = path.read_bytes()
    options = TextOptions(format="csv", header=False, label_column=14, missing="zero")
    options = replace(options, columns=csv_reader.split_header(text.split(b"\n", 1)[0], options))
    schema = schema_of(text, options)
    parsed = csv_reader.parse(text, schema, labels="required")
    assert parsed.rows.n_rows == n_rows
    assert int(parsed.rows.labels.sum()) == n_high
    expected: Counter[str] = Counter()
    with path.open(newline="") as stream:
        for row in csv.reader(stream, skipinitialspace=True):
            for i, cell in enumerate(row[:14]):
                if i in (0, 2, 4, 10, 11, 12):
                    expected[f"c{i}"] += int(cell)
                else:
                    expected[f"c{i}=" + ("<missing>" if cell == "?" else cell)] += 1
    sums = np.bincount(parsed.rows.indices, weights=parsed.rows.values, minlength=schema.n_features)
    assert dict(zip(schema.feature_names or (), sums.tolist(), strict=True)) == dict(expected)


def test_adult_says_what_is_missing(data_dir: Path) -> None:
    text = (data_dir / "adult" / "adult-train.csv").read_bytes()
    options = TextOptions(format="csv", header=False, label_column=14)
    options = replace(options, columns=csv_reader.split_header(text.split(b"\n", 1)[0], options))
    n_incomplete = sum(b" ?" in line for line in text.splitlines())
    assert csv_reader.scan(text, options, file="f").bad_counts == {"missing_value": n_incomplete}
    summary = csv_reader.scan(text, replace(options, missing="drop"), file="f")
    assert (summary.n_rows, summary.n_dropped) == (32561 - n_incomplete, n_incomplete)


def test_labels_of_another_spelling_are_named(data_dir: Path) -> None:
    """The test file ends its labels by a dot, the training file does not."""
    train, test = ((data_dir / "adult" / f"adult-{part}.csv").read_bytes() for part in ("train", "test"))
    options = TextOptions(format="csv", header=False, label_column=14, missing="zero")
    options = replace(options, columns=csv_reader.split_header(train.split(b"\n", 1)[0], options))
    parsed = csv_reader.parse(test, schema_of(train, options), labels="required")
    assert parsed.bad_counts == {"unseen_label": 16281}
    assert bad_of(parsed)[0] == (0, "unseen_label", "c14=<=50K.")
    assert len(parsed.bad) == 20


def test_a_look_at_the_first_rows_spares_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of many different numbers is not searched for categories: that is what makes a scan fast."""
    looked_at: list[str] = []
    distinct = csv_table.Table.distinct

    def spy(table: csv_table.Table, names: list[str], chosen: Any) -> list[set[str]]:
        looked_at.extend(names)
        return distinct(table, names, chosen)

    monkeypatch.setattr(csv_scan.Table, "distinct", spy)
    text = "".join(f"{i},{i % 3},0\n" for i in range(2000)).encode()
    csv_reader.scan(text, options_of("many,few,label"), file="f")
    assert looked_at == ["few", "label"]
