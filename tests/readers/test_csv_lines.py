"""CSV text: its lines, quotes and blanks."""

from __future__ import annotations

from typing import Any

import chunks
import pytest
from builders import scan
from csv_tables import bad_of, dense, options_of, read, schema_of

from mr_ml.errors import BadDataError
from mr_ml.readers.csv import reader as csv_reader
from mr_ml.readers.csv import schema as csv_schema
from mr_ml.readers.rows import BAD_KINDS


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
            (b"a,b,label", "header_again", "a,b,label"),
            (b'"a", "b" ,label\r', "header_again", '"a", "b" ,label'),
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
        summary = scan(text, options, file="f")
        assert [(file, row.line, row.kind, row.excerpt) for file, row in summary.examples] == [("f", 1, kind, excerpt)]
        parsed = csv_reader.parse(text, csv_schema.resolve(options, summary), labels="required")
        assert bad_of(parsed) == [(1, kind, excerpt)]
        assert dense(parsed, 2) == [[1, 2], [4, 5]]
        assert parsed.rows.lines.tolist() == [0, 2]

    @pytest.mark.parametrize(
        ("columns", "given", "line", "is_bad"),
        [
            ("a,b,label", {}, b"a,b,label", True),
            ("a,b,label", {"weight_column": "b"}, b"a,b,label", True),
            ("b,7,label", {"drop_columns": ("b",), "label_column": "7"}, b"b,7,label", True),
            ("b,2,7", {"drop_columns": ("b",), "label_column": "7"}, b"b,2,7", True),
            ("x,x2,label", {"missing": "zero", "missing_markers": ("x",)}, b"x,x2,label", True),
            ("a,b,label", {}, b"b,a,label", False),
            ("1,2,7", {"label_column": "7"}, b"1,2,7", False),
            ("a,b,label", {"header": False}, b"a,b,label", False),
        ],
    )
    @pytest.mark.parametrize("row", [b"p,1,7\n", b"'p q',1,7\n", b'"p","1","7"\n'])
    def test_the_header_once_more(
        self, columns: str, given: dict[str, Any], row: bytes, line: bytes, is_bad: bool
    ) -> None:
        """Scan and parse agree on it, whatever else stands around."""
        options = options_of(columns, **given)
        text = 2 * row + line + b"\n" + 2 * row
        if "weight_column" in given or "7" in columns:
            text = text.replace(b"p q", b"3").replace(b"p", b"3").replace(b"'", b"")
        summary, found = chunks.draft(text, options, file="f")
        schema = csv_schema.resolve(options, summary)
        parsed = csv_reader.parse(text, schema, labels="required")
        assert parsed.bad_counts == summary.bad_counts == ({"header_again": 1} if is_bad else {})
        assert parsed.rows.n_rows == summary.n_rows == 5 - is_bad
        assert found is None or not is_bad

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
        assert schema.part.vocabularies["b"] == ('"', "<missing>", "a,b", "c", 'say "hi"')
        assert [row[0] for row in dense(parsed, 6)] == [1, 2, 3, 4, 5]
        assert [row[1:].index(1) for row in dense(parsed, 6)] == [2, 4, 1, 3, 0]

    def test_long_runs_of_blanks(self) -> None:
        blanks = b" " * 1000
        _, parsed = read(blanks + b"1" + blanks + b",\t2,3" + blanks + b"\n" + blanks + b"\n")
        assert dense(parsed, 2) == [[1, 2]]

    def test_long_runs_of_blanks_in_quotes(self) -> None:
        blanks = b" " * 1000
        schema, parsed = read(b'1,"' + blanks + b'" ,3\n1,"' + blanks + b"x" + blanks + b'" ,3\n', missing="zero")
        assert schema.part.vocabularies["b"] == ("<missing>", "x")
        assert dense(parsed, 3) == [[1, 1, 0], [1, 0, 1]]

    def test_header_only(self) -> None:
        options = options_of("a,b,label")
        for text in (b"", b"\n\n", b"1,2\n"):
            with pytest.raises(BadDataError, match="expected a CSV row"):
                csv_schema.resolve(options, scan(text, options, file="f"))

    def test_nothing_parses_to_nothing(self) -> None:
        schema = schema_of(b"1,x,3\n", options_of("a,b,label", weight_column="a"))
        parsed = csv_reader.parse(b"", schema, labels="required")
        assert (parsed.rows.n_rows, parsed.n_lines, parsed.rows.indptr.tolist()) == (0, 0, [0])
        assert parsed.rows.weights is not None
