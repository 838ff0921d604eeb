"""CSV text: its header, what its columns are for, and their limits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import chunks
import pytest
from builders import scan
from csv_tables import dense, options_of, read, schema_of

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.csv import columns as csv_columns
from mr_ml.readers.csv import facts as csv_facts
from mr_ml.readers.csv import header as csv_header
from mr_ml.readers.csv import reader as csv_reader
from mr_ml.readers.csv import schema as csv_schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.options import TextOptions


class TestHeader:
    OPTIONS = TextOptions(format="csv")

    @pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n"])
    def test_names_the_columns(self, line_end: bytes) -> None:
        line = b'a, b ,"c,""d""",\xc3\xa9' + line_end
        assert csv_columns.split_header(line, self.OPTIONS) == ("a", "b", 'c,"d"', "é")

    def test_is_reached_through_formats(self) -> None:
        assert csv_columns.split_header(b"a;b\n", replace(self.OPTIONS, delimiter=";")) == ("a", "b")

    def test_without_one_columns_have_numbers(self) -> None:
        options = replace(self.OPTIONS, header=False)
        assert csv_columns.split_header(b'1,"x,y",,3\n', options) == ("c0", "c1", "c2", "c3")

    def test_names_may_be_integers(self) -> None:
        assert csv_columns.split_header(b"0,1,label\n", self.OPTIONS) == ("0", "1", "label")
        assert csv_columns.split_header(b"0,1,2\n", self.OPTIONS) == ("0", "1", "2")

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
            (b"a,,\n", "no name for column 1"),
            (b",,a\n", "no name for column 1"),
            (b",a,\n", "no name for column 2"),
            (b'""\n', "no name for column 0"),
            (b"\xef\xbb\xbfa,b\n", "byte order mark"),
            (b"a,\xff\n", "UTF-8"),
            (b"a\0,b\n", "NUL"),
            (b"a\rb,c\r", "carriage return"),
            (b'a,"b\n', "quote is not closed"),
            (b'a,b"c"\n', "quote stands in the middle"),
            (b"a,b\x1b[31m\n", "control character"),
        ],
    )
    def test_refuses(self, line: bytes, message: str) -> None:
        with pytest.raises(BadDataError, match=message) as error:
            csv_columns.split_header(line, self.OPTIONS)
        assert str(error.value).isprintable()

    def test_without_one_a_broken_first_line_is_refused_too(self) -> None:
        with pytest.raises(BadDataError, match="quote is not closed"):
            csv_columns.split_header(b'1,"2\n', replace(self.OPTIONS, header=False))

    @pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "\0", "a", "1", ".", "-", "é"])
    def test_delimiters_that_cannot_be(self, delimiter: str) -> None:
        with pytest.raises(UsageError, match="`delimiter`"):
            csv_columns.split_header(b"a\n", replace(self.OPTIONS, delimiter=delimiter))


class TestColumns:
    @pytest.mark.parametrize("name", ["label", "target", "y"])
    def test_the_label_has_a_usual_name(self, name: str) -> None:
        _, parsed = read(b"1,7,2\n", f"a,{name},b")
        assert parsed.rows.labels.tolist() == [7]

    @pytest.mark.parametrize("columns", ["a,b,c", "a,label,y", "label,target,y", "a,LABEL,b"])
    def test_else_it_must_be_named(self, columns: str) -> None:
        with pytest.raises(UsageError, match=f"found .* in {columns.replace(',', ', ')}.*`label_column`"):
            scan(b"1,2,3\n", options_of(columns), file="f")

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
            scan(b"", options_of("a,b,label", weight_column=column), file="f")

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
            scan(b"", options_of("a,b,label", **given), file="f")

    def test_must_be_known(self) -> None:
        with pytest.raises(UsageError, match="split_header"):
            scan(b"", TextOptions(format="csv"), file="f")

    def test_none_left_for_features(self) -> None:
        schema, parsed = read(b"1,2\n3,x\n", "label,b", drop_columns=("b",))
        assert (schema.n_features, schema.labels) == (0, (1, 3))
        assert (parsed.rows.labels.tolist(), parsed.rows.indptr.tolist()) == ([1, 3], [0, 0, 0])

    def test_a_delimiter_at_the_end_of_every_line(self) -> None:
        columns = csv_columns.split_header(b"label,b,\n", TextOptions(format="csv"))
        options = TextOptions(format="csv", columns=columns, drop_columns=(-1,))
        assert csv_schema.resolve(options, scan(b"1,4,\n", options, file="f")).feature_names == ()
        options = replace(options, drop_columns=())
        text = b'1,4,\n2,5,""\n3,6,7\n4,7\n'
        summary = scan(text, options, file="f")
        parsed = csv_reader.parse(text, csv_schema.resolve(options, summary), labels="required")
        assert parsed.bad_counts == summary.bad_counts == {"too_few_fields": 1, "too_many_fields": 1}
        assert dense(parsed, 1) == [[4], [5]]
        # of numbers only, which a scan keeps as rows
        summary, rows = chunks.draft(b"1,4,\n3,6,7\n4,7,\n", options, file="f")
        assert (summary.bad_counts, rows) == ({"too_many_fields": 1}, None)

    @pytest.mark.parametrize("given", [{}, {"drop_columns": (0,)}, {"drop_columns": ("0",), "label_column": -2}])
    def test_a_first_one_without_a_name_is_left_out(self, given: dict[str, Any]) -> None:
        columns = csv_columns.split_header(b'"",label,b\n', TextOptions(format="csv"))
        options = TextOptions(format="csv", columns=columns, **given)
        text = b"0,1,4\nx,2,5\n,1,\n"
        schema = csv_schema.resolve(options, scan(text, options, file="f"))
        parsed = csv_reader.parse(text, schema, labels="required")
        assert (schema.feature_names, parsed.bad_counts) == (("b",), {"missing_value": 1})
        assert dense(parsed, 1) == [[4], [5]]
        for columns in (("b",), ("b", ""), ("", "b"), ("", "label", "b")):
            lines = "".join(",".join({"b": "7", "label": "1", "": "n" * (columns[0] == "")}[name] for name in columns))
            assert dense(csv_reader.parse(lines.encode(), csv_schema.bind(schema, columns), labels="optional"), 1) == [
                [7]
            ]

    @pytest.mark.parametrize("given", [{"label_column": 0}, {"weight_column": "0"}, {"numeric_columns": (0,)}])
    def test_one_without_a_name_has_no_use(self, given: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="column 0 has no name"):
            scan(b"1,2,3\n", options_of(",label,b", **given), file="f")

    def test_dropped_columns_may_hold_anything(self) -> None:
        schema, parsed = read(b"1,nan,0\n2,1e999,1\n", drop_columns=("b",))
        assert schema.feature_names == ("a",)
        assert dense(parsed, 1) == [[1], [2]]
        assert parsed.bad == ()


class TestWhetherItIsOne:
    """Whether the first line is a header."""

    def check(self, header: str, text: bytes, **given: Any) -> None:
        columns = csv_columns.split_header(header.encode(), TextOptions(format="csv"))
        options = TextOptions(format="csv", columns=columns, **given)
        csv_header.check_header(options, csv_schema.resolve(options, scan(text, options, file="f")))

    @pytest.mark.parametrize(
        ("header", "text"),
        [
            ("0.02,0.0371,R", b"0.05,0.1,R\n0.1,0.3,M\n"),
            ("28.7,16,1e2,g", b"3.5,15,7,g\n28,1,3,h\n"),
            ("1,5,3", b"2,6,4\n3,7,5\n"),
            ("1,?,3", b"2,6,4\n3,7,5\n"),
            ("39,State-gov,77516,<=50K", b"50,State-gov,83311,<=50K\n38,Private,1,>50K\n"),
            ("1,John Smith,M,23", b"2,Jane Doe,F,24\n3,Joe Bloggs,M,31\n"),
            ("low,2,small,bad", b"high,3,small,bad\nlow,x,big,good\nlow,2,big,good\n"),
        ],
    )
    def test_looks_like_a_row(self, header: str, text: bytes) -> None:
        with pytest.raises(BadDataError, match=r"looks like a row.*`header=False`.*`header=True`"):
            self.check(header, text, label_column=-1)

    @pytest.mark.parametrize(
        ("header", "text", "given"),
        [
            ("0,1,label", b"2,6,4\n3,7,5\n", {}),
            ("id,1990,1991", b"1,6,4\n3,7,5\n", {"label_column": -1}),
            ("country,1990,1991,y", b"NO,6,4,a\nSE,7,5,b\n", {}),
            ("country,1990,1991", b"NO,6,4\nSE,7,5\n", {"categorical_columns": ("country",), "label_column": -1}),
            ("sex,smoker,outcome", b"f,no,a\nm,yes,b\n", {"label_column": -1}),
            ("label,b,", b"1,2,\n", {}),
        ],
    )
    def test_is_one(self, header: str, text: bytes, given: dict[str, Any]) -> None:
        self.check(header, text, **given)

    def test_a_row_without_a_label_leads_to_the_right_option(self) -> None:
        with pytest.raises(UsageError, match="say `header=False`"):
            self.check("1.5,2,x", b"1,2,x\n")


class TestLimits:
    def test_categories(self) -> None:
        text = "".join(f"1,v{i},0\n" for i in range(6)).encode()
        assert len(read(text, max_categories=6)[0].part.vocabularies["b"]) == 6
        choices: tuple[dict[str, Any], ...] = ({}, {"categorical_columns": ("b",)})
        for given in choices:
            with pytest.raises(BadDataError, match=r"at most 5 categories.*'b'.*`drop`"):
                read(text, max_categories=5, **given)

    def test_numbers_that_are_categories_count_too(self) -> None:
        text = b"1,x,0\n" + "".join(f"1,{i},0\n" for i in range(5)).encode()
        with pytest.raises(BadDataError, match="at most 5 categories"):
            read(text, max_categories=5)

    def test_characters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = b"1,abcdef,0\n1,abcdeg,0\n"
        monkeypatch.setattr(csv_facts, "MAX_CHARACTERS", 12)
        assert read(text)[0].n_features == 3
        monkeypatch.setattr(csv_facts, "MAX_CHARACTERS", 11)
        with pytest.raises(BadDataError, match="characters"):
            read(text)

    @pytest.mark.parametrize("numbers", [range(1001), [f"1.{'0' * i}" for i in range(1001)]])
    def test_many_numbers_and_texts_are_no_category(self, numbers: Any) -> None:
        text = "".join(f"1,{number},0\n" for number in numbers).encode()
        texts = b"1,oops,0\n" * 200
        assert read(text)[0].feature_names == ("a", "b")
        for mixed in (text + texts, texts + text):
            with pytest.raises(BadDataError, match=r"'b'.*such as oops.*`categorical`"):
                read(mixed)
        schema, parsed = read(text + texts, numeric_columns=("b",))
        assert parsed.bad_counts == {"bad_value": 200}
        assert "oops" in read(text + texts, categorical_columns=("b",))[0].part.vocabularies["b"]
        assert schema.feature_names == ("a", "b")

    def test_a_thousand_numbers_and_texts_are_categories(self) -> None:
        text, texts = "".join(f"1,{i},0\n" for i in range(1, 1001)).encode(), b"1,x,0\n" * 200
        assert len(read(text + texts)[0].part.vocabularies["b"]) == 1001
        assert len(read(texts + text)[0].part.vocabularies["b"]) == 1001

    def test_do_not_depend_on_the_cut(self) -> None:
        options = options_of("a,b,label", max_categories=5)
        lines = [f"{i},v{i % 7},0\n".encode() for i in range(1200)] + [b"x,1,0\n"]
        whole = scan(b"".join(lines), options, file="f")
        assert whole.facts.columns["a"]["numbers"] is None
        assert whole.facts.columns["b"]["texts"] is None
        for step in (7, 400, 1199):
            parts = [
                scan(b"".join(lines[i : i + step]), options, file="f", first_line=i) for i in range(0, len(lines), step)
            ]
            assert sum(parts, Summary()) == whole

    def test_a_wide_text_remembers_less(self) -> None:
        n = 50_000
        options = TextOptions(format="csv", columns=("label", *(f"x{i}" for i in range(n))))
        lines = [",".join(map(str, range(row, row + n + 1))).encode() for row in range(12)]
        summary = scan(b"\n".join(lines), options, file="f")
        assert all(summary.facts.columns[f"x{i}"]["numbers"] is None for i in range(n))
        assert csv_schema.resolve(options, summary).n_features == n


class TestBind:
    OPTIONS = options_of("a,b,label,w,o,junk", weight_column="w", offset_column="o", drop_columns=("junk",))
    TEXT = b"1,x,no,1,0,?\n2,y,yes,2,1,?\n"

    def test_columns_are_known_by_name(self) -> None:
        schema = csv_schema.bind(schema_of(self.TEXT, self.OPTIONS), ("o", "b", "a"))
        parsed = csv_reader.parse(b"0,y,7\n", schema, labels="optional")
        assert dense(parsed, 3) == [[7, 0, 1]]
        assert math.isnan(parsed.rows.labels[0])
        assert parsed.rows.weights is None
        with pytest.raises(BadDataError, match="label"):
            csv_reader.parse(b"0,y,7\n", schema, labels="required")

    def test_same_columns_same_schema(self) -> None:
        schema = schema_of(self.TEXT, self.OPTIONS)
        assert csv_schema.bind(schema, self.OPTIONS.columns or ()) == schema

    def test_columns_that_are_not_known_are_left_out(self) -> None:
        schema = csv_schema.bind(schema_of(self.TEXT, self.OPTIONS), ("z", "b", "a", "o"))
        assert dense(csv_reader.parse(b"?,y,7,0\n", schema, labels="optional"), 3) == [[7, 0, 1]]

    @pytest.mark.parametrize(
        ("columns", "message"), [("b,o", "lack a;"), ("a,b", "lack o;"), ("1,x,3", "is there a header")]
    )
    def test_what_does_not_fit(self, columns: str, message: str) -> None:
        with pytest.raises(BadDataError, match=message):
            csv_schema.bind(schema_of(self.TEXT, self.OPTIONS), tuple(columns.split(",")))

    @pytest.mark.parametrize(("column", "lacks"), [("label", "label"), ("w", "w")])
    def test_training_can_spare_nothing(self, column: str, lacks: str) -> None:
        columns = [name for name in self.OPTIONS.columns or () if name not in (column, "junk")]
        schema = schema_of(self.TEXT, self.OPTIONS)
        with pytest.raises(BadDataError, match=f"lack {lacks};"):
            csv_schema.bind(schema, columns, needs_all=True)
        assert csv_schema.bind(schema, columns).part.columns == schema.part.columns

    def test_numbers_of_columns_become_names(self) -> None:
        """So that a scan of the other text reads the same columns."""
        schema = schema_of(b"1,2,0,7\n", options_of("a,b,c,d", label_column=2, weight_column="3", drop_columns=("0",)))
        options = csv_schema.bind(schema, ("d", "c", "b", "a", "e"), needs_all=True).options
        assert isinstance(options, TextOptions)
        assert csv_columns.roles_of(options) == {
            "d": "weight", "c": "label", "b": "numeric", "a": "dropped", "e": "dropped",
        }  # fmt: skip

    def test_without_a_header_it_must_be_certain_what_lacks(self) -> None:
        options = options_of("c0,c1,c2,c3", header=False, label_column="c1", weight_column="c3")
        schema = schema_of(b"5,0,6,1\n", options)
        parsed = csv_reader.parse(b"5,6\n", csv_schema.bind(schema, ("c0", "c1")), labels="optional")
        assert dense(parsed, 2) == [[5, 6]]
        with pytest.raises(BadDataError, match=r"expected 4 columns, or the 2 that are needed.*found 3"):
            csv_schema.bind(schema, ("c0", "c1", "c2"))
        with pytest.raises(BadDataError, match="expected 4 columns"):
            csv_schema.bind(schema, ("c0", "c1"), needs_all=True)

    def test_without_a_header_the_label_may_be_left_out(self) -> None:
        options = options_of("c0,c1,c2", header=False, label_column="c1")
        schema = schema_of(b"1,0,2\n", options)
        parsed = csv_reader.parse(b"5,6\n", csv_schema.bind(schema, ("c0", "c1")), labels="optional")
        assert dense(parsed, 2) == [[5, 6]]
        assert csv_schema.bind(schema, ("c0", "c1", "c2")) == schema
        with pytest.raises(BadDataError, match="found 4"):
            csv_schema.bind(schema, ("c0", "c1", "c2", "c3"))
