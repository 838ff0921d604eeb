"""CSV text: what its fields mean."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import scan
from csv_tables import bad_of, dense, options_of, read, schema_of

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.csv import reader as csv_reader
from mr_ml.readers.csv import schema as csv_schema
from mr_ml.readers.csv.numbers import kind_like_number
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions


class TestFeatures:
    TEXT = b"2.5,red,1\n0,blue,0\n-1e3, red ,1\n"

    def test_numbers_keep_their_column_and_categories_get_one_each(self) -> None:
        schema, parsed = read(self.TEXT)
        assert schema.feature_names == ("a", "b=blue", "b=red")
        assert schema.n_features == 3
        assert schema.part.vocabularies == {"b": ("blue", "red")}
        assert schema.part.columns == {
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
        assert schema.part.columns["b"]["detected"] is False
        assert [row[1:] for row in dense(parsed, 5)] == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]

    def test_numbers_in_a_detected_category_are_categories(self) -> None:
        schema, _ = read(b"1,10,0\n1,x,0\n")
        assert schema.part.vocabularies == {"b": ("10", "x")}

    def test_what_float_reads_is_no_category_but_a_bad_number(self) -> None:
        schema, parsed = read("1,2,0\n1,inf,0\n1,1e400,0\n1,1_0,0\n1,٣,0\n1,-nAn,0\n1,-NAN,0\n".encode())
        assert schema.part.vocabularies == {}
        kinds = [row.kind for row in parsed.bad]
        assert kinds == ["not_finite", "overflow", "underscore", "non_ascii", "not_finite", "missing_value"]

    @pytest.mark.parametrize(
        ("cell", "kind"),
        [
            ("1,037", "thousands"),
            ("1.037,5", "thousands"),
            ("12 345 678", "thousands"),
            ("1\u202f000", "thousands"),
            ("12,34,567", "thousands"),
            ("2,5", "decimal_mark"),
            ("12%", "percent"),
            ("1.5 %", "percent"),
            ("$1,200", "thousands"),
            ("$12", "bad_value"),
            ("\u22125", "bad_value"),
        ],
    )
    def test_numbers_in_another_writing_are_no_categories(self, cell: str, kind: str) -> None:
        """Not even where all of a column are written so."""
        for text in (f"1;{cell};0\n1;{cell};1\n", f"1;2;0\n1;{cell};1\n1;3;0\n"):
            schema, parsed = read(text.encode(), delimiter=";")
            assert schema.feature_names == ("a", "b")
            assert set(parsed.bad_counts) == {kind}

    @pytest.mark.parametrize(
        "cell", ["1-2", "1.2.3", "10.0.0.1", "2024-01-05", "12:30", "A1", "1,2,3", "007x", "0x1F", "1 2"]
    )
    def test_other_texts_with_digits_are_categories(self, cell: str) -> None:
        schema, _ = read(f"1;{cell};0\n1;{cell}x;1\n1;5;1\n".encode(), delimiter=";")
        assert schema.part.vocabularies == {"b": tuple(sorted(["5", cell, f"{cell}x"]))}

    def test_nine_numbers_to_a_text_make_a_column_of_numbers(self) -> None:
        text = "".join(f"1,{i},0\n" for i in range(9)).encode()
        schema, parsed = read(text + b"1,2024-01-05,0\n")
        assert (schema.feature_names, parsed.bad_counts) == (("a", "b"), {"date": 1})
        assert read(text[6:] + b"1,2024-01-05,0\n")[0].part.vocabularies["b"][-1] == "8"
        assert "b" in read(text + b"1,oops,0\n", categorical_columns=("b",))[0].part.vocabularies

    def test_marks_that_are_said(self) -> None:
        marks: dict[str, Any] = {
            "decimal": ",",
            "thousands": ".",
            "percent": True,
            "delimiter": ";",
            "numeric_columns": ("a",),
        }
        text = b"1.234.567,5;12,5%;-1,5\n-1.234;7 %;+2.000\n0,5;1e2;3\n1.23;0;0\n1,5,5;0;0\n1234.567;0;0\n1.5e3;0;0\n"
        schema, parsed = read(text, **marks)
        assert schema.label_kind == "numeric"
        assert parsed.rows.labels.tolist() == [-1.5, 2000, 3]
        assert dense(parsed, 2) == [[1234567.5, 0.125], [-1234, 0.07], [0.5, 100]]
        assert [row.line for row in parsed.bad] == [3, 4, 5, 6]
        assert csv_reader.parse(b"9,5;1%;0\n", schema, labels="optional").rows.values.tolist() == [9.5, 0.01]

    @pytest.mark.parametrize(
        ("cell", "thousands"),
        [("1 234", " "), ("1\u00a0234", " "), ("1\u202f234", " "), ("1'234", "'"), ("1\u2019234", "'"), ("1_234", "_")],
    )
    def test_separators(self, cell: str, thousands: str) -> None:
        text = f"{cell},{cell}.5,{cell}{cell[1:]}\n".encode()
        _, parsed = read(text, "a,b,label", thousands=thousands)
        assert (dense(parsed, 2), parsed.rows.labels.tolist()) == ([[1234, 1234.5]], [1234234])

    @pytest.mark.parametrize(
        ("decimal", "thousands"), [(";", ""), ("", ""), (".", "."), (",", ","), (".", "x"), (".", "  ")]
    )
    def test_marks_that_cannot_be(self, decimal: str, thousands: str) -> None:
        with pytest.raises(UsageError, match="`decimal`"):
            read(b"1,2,3\n", decimal=decimal, thousands=thousands)

    def test_whole_numbers_meet_however_they_are_written(self) -> None:
        schema, parsed = read(b"1,1,0\n1,2.0,0\n1,1.0,0\n1,-3.,0\n1,+1,0\n1,0,0\n", categorical_columns=("b",))
        assert schema.part.vocabularies["b"] == (
            "+1",
            "-3.",
            "0",
            "1",
            "1.0",
            "2.0",
        )  # a sign is no number's own spelling
        schema, parsed = read(b"1,1,0\n1,2.0,0\n1,1.0,0\n1,-3.,0\n1,0,0\n", categorical_columns=("b",))
        assert schema.part.vocabularies["b"] == ("-3.", "0", "1", "2.0")
        assert [row.index(1) for row in (line[1:] for line in dense(parsed, 5))] == [2, 3, 2, 0, 1]
        text = b"1,+1.000,0\n1,2,0\n1,-0.0,0\n1,-3,0\n1,1.5,0\n1,01,0\n1,1.0e0,0\n1,.0,0\n"
        parsed = csv_reader.parse(text, schema, labels="required")
        assert [row.index(1) for row in (line[1:] for line in dense(parsed, 5))] == [2, 3, 1, 0]
        assert parsed.bad_counts == {"unseen_value": 4}

    @pytest.mark.parametrize(
        ("values", "other"),
        [
            (["01569", "1569"], "1569.0"),
            (["9007199254740992", "9007199254740993"], "9007199254740994.0"),
            (["1.1", "1.10"], "1.100"),
            (["x", "1"], "1.0"),
        ],
    )
    def test_codes_and_long_ids_stay_apart(self, values: list[str], other: str) -> None:
        text = "".join(f"1,{value},0\n" for value in values).encode()
        schema, _ = read(text, categorical_columns=("b",))
        assert schema.part.vocabularies["b"] == tuple(sorted(values))
        parsed = csv_reader.parse(f"1,{other},0\n".encode(), schema, labels="required")
        assert parsed.bad_counts == {"unseen_value": 1}

    def test_unseen_values_that_are_ignored_are_counted(self) -> None:
        schema, _ = read(b"1,x,0\n2,y,0\n", unseen="ignore", missing="zero")
        parsed = csv_reader.parse(b"1,z,0\n2,y,0\n,,0\n", schema, labels="required")
        assert (parsed.n_unseen, parsed.rows.n_rows, parsed.bad_counts) == (2, 3, {})

    def test_without_detection_a_text_is_a_bad_number(self) -> None:
        schema, parsed = read(self.TEXT + b"1,2,3\n", detect_categorical=False)
        assert schema.feature_names == ("a", "b")
        assert bad_of(parsed)[0] == (0, "bad_value", "b=red")
        assert parsed.bad_counts == {"bad_value": 3}
        assert dense(parsed, 2) == [[1, 2]]

    def test_a_declared_number_is_never_detected_as_a_category(self) -> None:
        options = options_of("a,b,label", numeric_columns=("b",))
        summary = scan(b"1,red,0\n1,2,0\n", options, file="f")
        assert summary.bad_counts == {"bad_value": 1}
        assert csv_schema.resolve(options, summary).feature_names == ("a", "b")

    def test_two_of_one_name(self) -> None:
        with pytest.raises(BadDataError, match="found twice: b=x;"):
            read(b"1,x,0\n", "b=x,b,label")

    def test_order_is_that_of_code_points(self) -> None:
        schema, _ = read("1,b,0\n1,B,0\n1,é,0\n1,a,0\n1,10,0\n1,9,0\n".encode())
        assert schema.part.vocabularies["b"] == ("10", "9", "B", "a", "b", "é")


class TestMissing:
    TEXT = b"1,x,0\n,y,0\n3,?,1\n"

    def test_is_refused_unless_said(self) -> None:
        schema, parsed = read(self.TEXT)
        assert bad_of(parsed) == [(1, "missing_value", "a="), (2, "missing_value", "b=?")]
        assert schema.feature_names == ("a", "b=x")
        assert dense(parsed, 2) == [[1, 1]]

    def test_can_be_left_out(self) -> None:
        options = options_of("a,b,label", missing="drop")
        summary = scan(self.TEXT, options, file="f")
        assert (summary.n_rows, summary.n_dropped, summary.n_bad) == (1, 2, 0)
        parsed = csv_reader.parse(self.TEXT, csv_schema.resolve(options, summary), labels="required")
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
        summary = scan(text, options, file="f")
        parsed = csv_reader.parse(text, csv_schema.resolve(options, summary), labels="required")
        assert summary.n_dropped == parsed.n_dropped == 2
        assert summary.bad_counts == parsed.bad_counts == {"missing_label": 1}

    @pytest.mark.parametrize("policy", ["", "none", "value", "value:", "value:x", "value:inf", "value:1e999", "zero:1"])
    def test_unknown_policies(self, policy: str) -> None:
        with pytest.raises(UsageError, match="`missing`"):
            read(self.TEXT, missing=policy)

    @pytest.mark.parametrize("cell", ["", "  ", '""', '" "', "NA", "?", "nan", "NaN", "null", '"NA"', " NA "])
    def test_is_empty_or_a_marker(self, cell: str) -> None:
        _, parsed = read(f"1,1,1\n{cell},1,1\n".encode())
        assert parsed.bad_counts == {"missing_value": 1}

    @pytest.mark.parametrize("cell", ["N.A.", "nothing", "N A", "---", "0"])
    def test_and_nothing_else(self, cell: str) -> None:
        _, parsed = read(f"1,1,1\n{cell},1,1\n".encode(), numeric_columns=("a",))
        assert "missing_value" not in parsed.bad_counts

    @pytest.mark.parametrize("cell", ["-", "None", "NAN", "+nan", "#DIV/0!", ".", "na"])
    def test_is_what_would_be_a_name_in_a_column_of_numbers(self, cell: str) -> None:
        """And a category elsewhere, or nothing but a bad number where the markers were said."""
        _, parsed = read(f"1,1,1\n{cell},1,1\n".encode())
        assert parsed.bad_counts == {"missing_value": 1}
        schema, parsed = read(f"1,1,1\n{cell},1,1\nx,1,1\n".encode())
        assert (schema.part.vocabularies["a"], parsed.bad_counts) == (tuple(sorted(["1", cell, "x"])), {})
        said: dict[str, Any] = {"missing_markers": ("NA",), "number_markers": (), "numeric_columns": ("a",)}
        _, parsed = read(f"1,1,1\n{cell},1,1\n".encode(), **said)
        assert set(parsed.bad_counts) <= {"bad_value", "not_finite"}
        assert parsed.rows.n_rows == 1

    def test_markers_may_be_numbers(self) -> None:
        _, parsed = read(b"-999,1,1\n-999.0,1,1\n7,1,1\n", missing="zero", missing_markers=("-999",))
        assert dense(parsed, 2) == [[0, 1], [-999, 1], [7, 1]]

    def test_a_marker_that_is_a_number_is_no_category(self) -> None:
        schema, parsed = read(b"1,x,1\n1,0,1\n1,0.0,1\n", missing="zero", missing_markers=("0",))
        assert schema.part.vocabularies["b"] == ("0.0", "<missing>", "x")
        assert dense(parsed, 4) == [[1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]]

    def test_labels_weights_offsets_and_groups_are_always_needed(self) -> None:
        text = b"1,2,3,4,0\n?,2,3,4,0\n1,,3,4,0\n1,2,NA,4,0\n1,2,3,null,0\n"
        roles = {"label_column": "l", "weight_column": "w", "offset_column": "o", "group_column": "g"}
        _, parsed = read(text, "l,w,o,g,a", missing="zero", **roles)
        kinds = ["missing_label", "missing_weight", "missing_offset", "missing_group"]
        assert [row.kind for row in parsed.bad] == kinds
        assert scan(text, options_of("l,w,o,g,a", **roles), file="f").bad_counts == dict.fromkeys(sorted(kinds), 1)

    def test_a_category_that_is_spelled_like_the_missing_one(self) -> None:
        with pytest.raises(BadDataError, match="<missing>"):
            read(b"1,<missing>,0\n1,,0\n", missing="zero")
        schema, _ = read(b"1,<missing>,0\n1,x,0\n", missing="zero")
        assert schema.part.vocabularies["b"] == ("<missing>", "x")

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
        ignoring = replace(schema, part=replace(schema.part, options=replace(schema.part.options, unseen="ignore")))
        parsed = csv_reader.parse(b"1,x,0\n2,z,1\n", ignoring, labels="required")
        assert dense(parsed, 3) == [[1, 1, 0], [2, 0, 0]]

    def test_policy_must_be_known(self) -> None:
        with pytest.raises(UsageError, match="`unseen`"):
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

    @pytest.mark.parametrize("n_numbers", [0, 801])
    def test_many_texts_are_no_labels(self, n_numbers: int) -> None:
        labels = [*map(str, range(n_numbers)), *(f"x{i}" for i in range(1001 - n_numbers))]
        with pytest.raises(BadDataError, match="label column 'label'"):
            read("".join(f"1,{label}\n" for label in labels).encode(), "a,label")

    def test_may_be_said_to_be_texts_or_numbers(self) -> None:
        schema, parsed = read(b"1,1\n1,2\n1,1.0\n", "a,label", categorical_columns=("label",))
        assert (schema.label_kind, schema.labels) == ("text", ("1", "1.0", "2"))
        assert parsed.rows.labels.tolist() == [0, 2, 1]
        assert schema.feature_names == ("a",)
        options = options_of("a,label", numeric_columns=("label",))
        assert scan(b"1,1\n1,x\n1,y\n", options, file="f").bad_counts == {"bad_label": 2}
        with pytest.raises(UsageError, match="`numeric` and `categorical`"):
            read(b"1,1\n", "a,label", categorical_columns=("label",), numeric_columns=("label",))

    def test_a_text_among_many_numbers_is_bad(self) -> None:
        _, parsed = read("".join(f"1,{i}\n" for i in range(9)).encode() + b"1,x\n", "a,label")
        assert parsed.bad_counts == {"bad_label": 1}

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


def test_options_of_earlier_versions_read_as_they_did() -> None:
    """Texts that mean a missing value now were bad numbers then."""
    document = TextOptions(format="csv", columns=("a", "label"), numeric_columns=("a",)).to_json()
    for name in ("number_markers", "decimal", "thousands", "percent"):
        del document[name]
    options = TextOptions.from_json({**document, "missing_markers": ["NA", "?", "nan", "NaN", "null"]})
    assert scan(b"-,1\nNULL,1\nnull,1\n", options, file="f").bad_counts == {"bad_value": 2, "missing_value": 1}


@pytest.mark.parametrize("text", ["--1", "1-2", "-$-5", "1,037", "-1,037.5", "1,5", "$5", "5%", "1,5 %", "1_0", "x"])
def test_blanks_that_quotes_keep_make_nothing_a_number(text: str) -> None:
    assert {kind_like_number(f"{blank}{text}{blank}") for blank in (" ", "\t", " \t")} == {kind_like_number(text)}
