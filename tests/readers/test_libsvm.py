"""libsvm text: what is a row, what is refused and how it is said, what a scan finds, and real files."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any, Literal

import chunks
import numpy as np
import pytest
from builders import scan
from reference_libsvm import read
from sklearn.datasets import load_svmlight_file

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.base import Labels, format_named
from mr_ml.readers.libsvm import reader as libsvm
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.rows import BAD_KINDS, MAX_EXAMPLES, BadRow, Parsed, concat_rows, empty_rows, excerpt
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import MAX_LABELS, Summary
from mr_ml.readers.text.options import TextOptions

pytestmark = pytest.mark.usefixtures("each_implementation")

OPTIONS = TextOptions(format="libsvm")
Base = Literal[0, 1]


def schema_of(text: bytes, **options: Any) -> Schema:
    asked = TextOptions(format="libsvm", **options)
    return chunks.resolve(asked, scan(text, asked, file="rows.libsvm"))


def parse(text: bytes, *, base: Base = 1, labels: Labels = "required", has_groups: bool = False) -> Parsed:
    schema = Schema(
        format="libsvm",
        part=LibsvmPart(OPTIONS),
        index_base=base,
        n_features=2**31,
        has_groups=has_groups,
    )
    return chunks.parse(text, schema, labels=labels)


def test_rows_as_arrays() -> None:
    rows = parse(b"+1 1:0.5 3:-2 # a comment\n\n-1\n# nothing here\n  2.5\t2:1e3   7:0 \r\n0 1:-0").rows
    assert rows.n_rows == 4
    assert rows.labels.tolist() == [1, -1, 2.5, 0]
    assert rows.indptr.tolist() == [0, 2, 2, 4, 5]
    assert rows.indices.tolist() == [0, 2, 1, 6, 0]
    assert rows.values.tolist() == [0.5, -2, 1000, 0, 0]
    assert rows.lines.tolist() == [0, 2, 4, 5]
    assert not np.signbit(rows.values[-1])
    assert (rows.weights, rows.offsets, rows.groups) == (None, None, None)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("bom", b"\xef\xbb\xbf1 1:1"),
        ("bom", b"\xef\xbb\xbf# comment"),
        ("nul", b"1 1:1\0"),
        ("nul", b"1\0\x001\0:\0"),
        ("not_utf8", b"1 1:1 # caf\xe9"),
        ("not_utf8", b"\xff\xfe1 1:1"),
        ("lone_cr", b"1 1:1\r1 1:2"),
        ("lone_cr", b"1 1:1\r\r"),
        ("no_label", b"1:1 2:1"),
        ("no_label", b"qid:1 1:1"),
        ("ragged_token", b"1 3:"),
        ("ragged_token", b"1 :2"),
        ("ragged_token", b"1 3:1:2"),
        ("ragged_token", b"1 3 :1"),
        ("ragged_token", b"1 3: # 1"),
        ("ragged_token", b"1 3: 4:1"),
        ("inexact_label", b"9007199254740993 1:1"),
        ("inexact_label", b"-18446744073709551615"),
        ("inexact_label", b"1" + b"0" * 308),
        ("overflow", b"1" * 5000),
        ("ragged_token", b"1 2 3:1"),
        ("ragged_token", b"1 3:1 2"),
        ("bad_qid", b"1 qid:a 1:1"),
        ("bad_qid", b"1 1:1 qid:1"),
        ("bad_qid", b"1 qid:1 qid:1 1:1"),
        ("non_ascii", "1 1:\uff11".encode()),
        ("non_ascii", "1 \u0661:1".encode()),
        ("non_ascii", "\u00b2 1:1".encode()),
        ("not_finite", b"1 1:nan"),
        ("not_finite", b"1 1:-Infinity"),
        ("not_finite", b"NaN 1:1"),
        ("overflow", b"1 1:1e400"),
        ("overflow", b"-1e400 1:1"),
        ("underscore", b"1 1:1_000"),
        ("underscore", b"1 1_0:1"),
        ("underscore", b"1_0 1:1"),
        ("bad_label", b"yes 1:1"),
        ("bad_label", b"0x1 1:1"),
        ("bad_label", b"1,0 1:1"),
        ("bad_value", b"1 1:x"),
        ("bad_value", b"1 1:0x1"),
        ("bad_value", b"1 1:1\x0b"),
        ("bad_id", b"1 a:1"),
        ("bad_id", b"1 +1:1"),
        ("bad_id", b"1 -1:1"),
        ("bad_id", b"1 1.0:1"),
        ("bad_id", b"1 1e2:1"),
        ("id_too_large", b"1 2147483649:1"),
        ("id_too_large", b"1 99999999999999999999999999999:1"),
        ("id_zero", b"1 0:1 1:1"),
        ("duplicate_id", b"1 3:1 3:1"),
        ("duplicate_id", b"1 3:1 03:1"),
        ("descending_ids", b"1 3:1 2:1"),
    ],
)
def test_each_bad_row_has_a_kind_and_leaves_its_neighbours_alone(kind: str, line: bytes) -> None:
    parsed = parse(b"1 1:1 2:2\n" + line + b"\n-1 2:3\n")
    assert parsed.bad_counts == {kind: 1}
    assert [(bad.line, bad.kind) for bad in parsed.bad] == [(1, kind)]
    assert parsed.rows.lines.tolist() == [0, 2]
    assert parsed.rows.labels.tolist() == [1, -1]
    assert parsed.rows.indices.tolist() == [0, 1, 1]
    assert parsed.rows.values.tolist() == [1, 2, 3]
    assert parsed.n_lines == 3
    assert BAD_KINDS[kind].endswith(".")


def test_a_row_with_several_faults_is_counted_once_under_the_first_kind() -> None:
    assert parse(b"x 0:nan 3 2:1 1:1_0\n\xff").bad_counts == {"ragged_token": 1, "not_utf8": 1}
    assert parse(b"x 0:nan 2:1 1:1_0\n").bad_counts == {"not_finite": 1}


def test_limits_of_ids() -> None:
    for base in (0, 1):
        largest = 2**31 - 1 + base
        parsed = parse(b"1 %d:1 %d:2\n1 %d:1\n" % (base, largest, largest + 1), base=base)
        assert parsed.rows.indices.tolist() == [0, 2**31 - 1]
        assert parsed.bad_counts == {"id_too_large": 1}


def test_ids_that_the_schema_does_not_have() -> None:
    schema = schema_of(b"1 1:1 3:1\n0 2:1\n")
    assert schema.n_features == 3
    text = b"1 2:1 4:4\n1 1:2 3:3\n0 900:1 # no other\n"
    parsed = chunks.parse(text, schema, labels="required")
    assert (parsed.bad_counts, [row.line for row in parsed.bad]) == ({"unseen_feature": 2}, [0, 2])
    assert parsed.rows.indices.tolist() == [0, 2]
    parsed = chunks.parse(text, format_named("libsvm").with_unseen(schema, "ignore"), labels="required")
    assert (parsed.bad_counts, parsed.n_unseen) == ({}, 2)
    assert parsed.rows.indptr.tolist() == [0, 1, 3, 3]
    assert parsed.rows.indices.tolist() == [1, 0, 2]
    assert parsed.rows.values.tolist() == [1, 2, 3]


def test_blanks_behind_a_colon_do_not_count() -> None:
    parsed = parse(b"1 1: 2 3:4\n0 1:\t 5 2: 6 # 7\n-1 qid: 8 4:   9\r\n")
    assert parsed.bad_counts == {}
    assert parsed.rows.indptr.tolist() == [0, 2, 4, 5]
    assert parsed.rows.indices.tolist() == [0, 2, 0, 1, 3]
    assert parsed.rows.values.tolist() == [2, 4, 5, 6, 9]


def test_labels_beyond_whole_doubles_are_kept_if_they_are_exact() -> None:
    """2^53 + 2, its neighbour without a double written as a target, and a number of many digits."""
    text = b"9007199254740994 1:1\n9007199254740993. 1:1\n9007199254740993e0 1:1\n1000000000000000000000\n"
    parsed = parse(text + b"0" * 5000 + b"7\n")
    assert parsed.rows.labels.tolist() == [2.0**53 + 2, 2.0**53, 2.0**53, 1e21, 7]


def test_optional_labels() -> None:
    parsed = parse(b"1:1 2:1\n-1 1:1\nx 1:1\nqid:4 2:1\n:1\n\n", labels="optional")
    np.testing.assert_array_equal(parsed.rows.labels, [np.nan, -1, np.nan])
    assert parsed.rows.lines.tolist() == [0, 1, 3]
    assert parsed.bad_counts == {"bad_label": 1, "ragged_token": 1}


def test_query_ids_become_groups() -> None:
    text = b"1 qid:7 1:1\n0 qid:7 2:1\n1 qid:123456789012345678901234567890\n2 qid:07 1:1\n"
    schema = schema_of(text)
    assert schema.has_groups
    rows = chunks.parse(text, schema, labels="required").rows
    assert rows.groups is not None
    assert rows.groups.dtype == np.uint64
    assert rows.groups[0] == rows.groups[1]
    assert len(set(rows.groups.tolist())) == 3
    assert rows.indptr.tolist() == [0, 1, 2, 2, 3]
    without = chunks.parse(b"1 1:1\n", schema, labels="required").rows
    assert without.groups is not None
    assert parse(text).rows.groups is None
    with pytest.raises(BadDataError, match="found it in 1 of 2 rows"):
        schema_of(b"1 qid:7 1:1\n1 1:1\n")


@pytest.mark.parametrize("text", [b"", b"\n", b"\n\r\n\n", b"# only a comment", b" \t "])
def test_text_without_rows(text: bytes) -> None:
    parsed = parse(text)
    assert parsed.rows.n_rows == 0
    assert parsed.rows.indptr.tolist() == [0]
    assert (parsed.bad, parsed.bad_counts, parsed.n_lines) == ((), {}, len(text.splitlines()))
    with pytest.raises(BadDataError, match="found none"):
        schema_of(text)


def test_ids_count_from_what_is_declared_or_found() -> None:
    assert schema_of(b"1 1:1 4:1\n").index_base == 1
    assert schema_of(b"1 1:1 4:1\n").n_features == 4
    assert schema_of(b"1 0:1 4:1\n").index_base == 0
    assert schema_of(b"1 0:1 4:1\n").n_features == 5
    assert schema_of(b"1 1:1 4:1\n", index_base=0).n_features == 5
    assert schema_of(b"1 2147483648:1\n").n_features == 2**31
    assert schema_of(b"1\n").n_features == 0
    declared = TextOptions(index_base=1)
    assert scan(b"1 0:1\n1 1:1\n", declared, file="f").bad_counts == {"id_zero": 1}
    with pytest.raises(BadDataError, match="up to 2147483647 where ids count from 0, found 2147483648"):
        schema_of(b"1 0:1 2147483648:1\n")


def test_files_that_disagree_about_the_first_id_are_both_named() -> None:
    def seen(text: bytes, file: str) -> Summary:
        return scan(text, OPTIONS, file=file)

    mixed = seen(b"1 1:1\n", "a.txt") + seen(b"1 3:1\n", "b.txt") + seen(b"1 0:1\n", "c.txt")
    with pytest.raises(BadDataError, match=r"an id 0 in 'c\.txt' and none in 'a\.txt' \(its ids begin at 1\)"):
        chunks.resolve(OPTIONS, mixed)
    assert chunks.resolve(TextOptions(index_base=0), mixed).n_features == 4
    # Two parts of one file, or a file without any id, prove nothing.
    assert chunks.resolve(OPTIONS, seen(b"1 1:1\n", "c.txt") + seen(b"1 0:1\n", "c.txt")).index_base == 0
    assert chunks.resolve(OPTIONS, seen(b"1\n", "a.txt") + seen(b"1 0:1\n", "c.txt")).index_base == 0


def test_labels_are_sorted_and_distinct_or_continuous() -> None:
    schema = schema_of(b"2 1:1\n-1\n2.0\n-0\n0\n")
    assert (schema.labels, schema.label_kind) == ((-1.0, 0.0, 2.0), "numeric")
    many = b"".join(b"%d 1:1\n" % i for i in range(MAX_LABELS))
    assert schema_of(many).label_kind == "numeric"
    more = schema_of(many + b"0.5\n")
    assert (more.labels, more.label_kind) == ((), "continuous")
    few, other = (scan(text, OPTIONS, file="f") for text in (many, b"0.5\n"))
    assert (few + other).labels is None
    assert (other + few).labels is None
    assert (few + other + other).labels is None
    assert (other + (other + few)).labels is None
    assert (few + few).labels == few.labels


def test_examples_are_few_but_counts_are_whole() -> None:
    text = b"1 1:x\n" * 50 + b"\0\n" + b"1 1:nan\n" * 30
    parsed = parse(text)
    assert parsed.bad_counts == {"bad_value": 50, "nul": 1, "not_finite": 30}
    expected = [*range(MAX_EXAMPLES), 50, *range(51, 51 + MAX_EXAMPLES)]
    assert [bad.line for bad in parsed.bad] == expected
    summary = scan(text, OPTIONS, file="b", first_line=100) + scan(text, OPTIONS, file="a")
    assert summary.n_bad == 162
    assert [(file, bad.line) for file, bad in summary.examples] == [("a", i) for i in expected] + [("b", 150)]


def test_excerpts_are_printable_and_show_the_fault() -> None:
    long = b"1 " + b" ".join(b"%d:1" % i for i in range(1, 200)) + b" 200:oops " + b"300:1 " * 50
    (bad,) = parse(long).bad
    assert "200:oops" in bad.excerpt
    assert bad.excerpt.startswith("...")
    assert bad.excerpt.endswith("...")
    (bad,) = parse(long + b" 900:last").bad
    assert "200:oops" in bad.excerpt
    (bad,) = parse(b"1 \x1b[31m:\\\xc3\xa9\x7f").bad
    assert bad.excerpt == r"1 \x1b[31m:\x5cé\x7f"
    for line in (b"\xff" * 500, b"x" * 80, b"x" * 81, b"\0\r", b"", b"\\" * 100):
        for at in (0, 30, 59, 60, 61, len(line)):
            text = excerpt(line, at=at)
            assert len(text) <= 80
            assert all(" " <= character <= "~" for character in text)
    assert excerpt(b"x" * 80) == "x" * 80
    assert excerpt(b"x" * 81) == "x" * 77 + "..."
    assert excerpt(b"1 1:1\r\n") == "1 1:1"


def test_rows_of_consecutive_texts_are_put_below_each_other() -> None:
    text = b"1 1:1 2:2\nx\n-1 3:1\n2 qid:1 1:5\n"
    whole = parse(text, has_groups=True)
    first, rest = parse(text[:12], has_groups=True), parse(text[12:], has_groups=True)
    assert first.n_lines == 2
    joined = concat_rows([first.rows, rest.rows], line_starts=[0, first.n_lines])
    for name in ("labels", "indptr", "indices", "values", "lines", "groups"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole.rows, name))
        assert getattr(joined, name).dtype == getattr(whole.rows, name).dtype
    assert concat_rows([], line_starts=[]).n_rows == empty_rows().n_rows == 0
    with pytest.raises(ValueError, match="every part"):
        concat_rows([first.rows, parse(text).rows], line_starts=[0, 2])


def test_stored_documents_that_were_changed_are_refused_cleanly() -> None:
    schema = schema_of(b"1 1:1\n")
    document = schema.to_json()
    for broken in (
        {**document, "surprise": 1},
        {**document, "options": 5},
        {**document, "labels": 5},
        *({key: value for key, value in document.items() if key != lost} for lost in ("options", "label_kind")),
    ):
        with pytest.raises(BadDataError):
            Schema.from_json(broken)
    assert Schema.from_json(document) == schema
    with pytest.raises(BadDataError):
        Summary.from_json({"examples": [["f", 1]]})
    assert BadRow(1, "nul", "x").to_json() == [1, "nul", "x"]


def test_an_unknown_format_is_refused() -> None:
    options = TextOptions(format="arff")
    with pytest.raises(UsageError, match="arff"):
        scan(b"", options, file="f")


def test_memory_is_that_of_the_result_and_a_few_megabytes() -> None:
    rng = np.random.default_rng(3)
    lines = [
        "1 "
        + " ".join(
            f"{i}:{v:.6f}"
            for i, v in zip(np.unique(rng.integers(1, 50_000, 70)).tolist(), rng.random(70), strict=False)
        )
        for _ in range(9_000)
    ]
    text = "\n".join(lines).encode()
    assert len(text) > 8 * 10**6
    tracemalloc.start()
    try:
        parsed = parse(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert parsed.rows.n_rows == 9_000
    assert peak < 4 * len(text)


@pytest.mark.parametrize(
    "name",
    [
        "a9a/a9a",
        "a9a/a9a.t",
        "heart_scale/heart_scale",
        "libsvm_small/breast-cancer",
        "libsvm_small/housing_scale",
        "dna/dna.scale",
        "agaricus/agaricus.txt.train",
        "abalone/abalone_8d_train.libsvm",
        "spark_mllib/sample_libsvm_data.txt",
        "spark_mllib/sample_multiclass_classification_data.txt",
    ],
)
def test_real_files_are_read_as_scikit_learn_does(data_dir: Path, name: str) -> None:
    path = data_dir / name
    text = path.read_bytes()
    parsed = chunks.parse(text, schema_of(text), labels="required")
    features, labels = load_svmlight_file(str(path))
    assert not parsed.bad_counts
    np.testing.assert_array_equal(parsed.rows.labels, labels)
    np.testing.assert_array_equal(parsed.rows.indptr, features.indptr)
    np.testing.assert_array_equal(parsed.rows.indices, features.indices)
    np.testing.assert_array_equal(parsed.rows.values, features.data)


def test_a_text_of_many_pieces_equals_the_reference() -> None:
    rng = np.random.default_rng(5)
    lines = [
        b"%d %s" % (rng.integers(0, 3), b" ".join(b"%d:%.*g" % (i, p, v) for i, p, v in zip(*row, strict=True)))
        for row in (
            (
                np.unique(rng.integers(1, 2**31, 20)).tolist(),
                rng.integers(1, 19, 20).tolist(),
                rng.normal(size=20).tolist(),
            )
            for _ in range(2_500)
        )
    ]
    lines[7], lines[1_900] = b"1 5:oops", b"\xff"
    text = b"\n".join(lines)
    assert len(text) > 1.5 * libsvm._PIECE_BYTES
    reference = read(text, base=1, labels="required")
    parsed = parse(text)
    assert {bad.line: bad.kind for bad in parsed.bad} == reference.bad == {7: "bad_value", 1_900: "not_utf8"}
    assert parsed.rows.lines.tolist() == [row[0] for row in reference.rows]
    assert parsed.rows.indices.tolist() == [i for row in reference.rows for i in row[2]]
    assert parsed.rows.values.tolist() == [value for row in reference.rows for value in row[3]]
