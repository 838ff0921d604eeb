"""Vowpal Wabbit's text, held against what its own parser makes of the same lines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chunks
import numpy as np
import pytest
import vowpalwabbit
from builders import scan
from commands import Commands
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.errors import BadDataError
from mr_ml.readers.base import format_named
from mr_ml.readers.rows import BAD_KINDS
from mr_ml.readers.schema import Schema
from mr_ml.readers.vw.stored import VwOptions

LINES = [
    "1 | a b:2 c:-.5",
    "-1 0.5 | a",
    "1 2 0.25 'tagged|ns x:1e-1 y|other:2 x:3 z",
    "1 'tag | a",
    "1 tag|f a",
    "1 0.5 -1 'tag|f a|f b",
    "1|f a",
    "| a:2",
    "|f a:2 |g a:3",
    "|a b",
    "'only| x",
    "0.5 |f a a:2",
    "1 |f a:0",
    "1  2 0.5   |f  a:1\t b ",
    "1 |",
    "1 |f",
    "1 |f:0.5 a:2 b",
    "1 |s é:1 ü",
]


def schema_of(text: bytes, **said: Any) -> Schema:
    options: Any = VwOptions(**said)
    return chunks.resolve(options, scan(text, options, file="rows.vw"))


Read = tuple[float, float, float, str, list[float]]


@pytest.fixture(scope="module")
def theirs() -> Iterator[Callable[[str], Read]]:
    """Label, importance, base, tag and sorted values of a line as Vowpal Wabbit has them."""
    # -b 30: no two names of a line have one hash
    workspace = vowpalwabbit.Workspace("--quiet --noconstant -b 30")

    def read(line: str) -> Read:
        example = workspace.parse(line)
        values: dict[int, float] = {}
        for i in range(example.num_namespaces()):
            for k in range(example.num_features_in(i)):
                feature = example.feature(i, k)
                values[feature] = values.get(feature, 0.0) + example.feature_weight(i, k)
        found = (
            example.get_simplelabel_label(), example.get_simplelabel_weight(), example.get_simplelabel_initial(),
            example.get_tag(), sorted(values.values()),
        )  # fmt: skip
        workspace.finish_example(example)
        return found

    yield read
    workspace.finish()


def ours(line: str, label: float) -> Read:
    text = line.encode()
    labelled = text if label < 1e30 else b"0 " + text
    schema = schema_of(b"1 1 0 | a\n" + labelled)
    found = format_named("vw").parse(text, schema, labels="optional")  # type: ignore[attr-defined]
    rows = found.rows
    assert rows.n_rows == 1, found.bad
    (tag,) = format_named("vw").kept(text, schema, rows, ["tag"])  # type: ignore[attr-defined]
    assert rows.weights is not None
    assert rows.offsets is not None
    mine = float(rows.labels[0])
    return (
        mine if mine == mine else label, float(rows.weights[0]), float(rows.offsets[0]), tag[0],
        sorted(rows.values.tolist()),
    )  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_lines_are_what_vowpal_wabbit_reads(theirs: Callable[[str], Read], line: str) -> None:
    expected = theirs(line)
    found = ours(line, expected[0])
    assert found[3] == expected[3]
    assert found[:3] == pytest.approx(expected[:3], rel=1e-6)
    # it has no features of value 0
    assert [value for value in found[4] if value] == pytest.approx(expected[4], rel=1e-6)


numbers = st.floats(-100, 100).map(lambda value: f"{value:.3f}")
names = st.text("abcxyz_^-0123456789", min_size=1, max_size=4)
features = names | st.tuples(names, numbers).map(":".join)
spaces = st.tuples(st.sampled_from(["", "f", "g", "user:2"]), st.lists(features, max_size=4))


@examples(200)
@given(numbers, st.none() | st.floats(0, 9), st.lists(spaces, min_size=1, max_size=3))
def test_any_line(
    theirs: Callable[[str], Read], label: str, weight: float | None, parts: list[tuple[str, list[str]]]
) -> None:
    head = label if weight is None else f"{label} {weight:.2f}"
    line = f"{head} {' '.join(' '.join([f'|{space}', *tokens]) for space, tokens in parts)}"
    expected, found = theirs(line), ours(line, 0)
    assert found[3] == expected[3]
    assert found[:3] == pytest.approx(expected[:3], rel=1e-5)
    assert sum(found[4]) == pytest.approx(sum(expected[4]), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("1 2:3 4:5", "bad_head"),
        ("1 2 3 4 | a", "bad_head"),
        ("1\t2 | a", "bad_head"),
        ("| a", "missing_label"),
        ("x | a", "bad_label"),
        ("1:0.5 2:1 | a", "bad_label"),
        ("nan | a", "bad_label"),
        ("1e400 | a", "overflow"),
        ("9007199254740993 | a", "inexact_label"),
        ("1 -1 | a", "bad_weight"),
        ("1 x | a", "bad_weight"),
        ("1 1 x | a", "bad_offset"),
        ("1 | a:", "bad_value"),
        ("1 | a:x", "bad_value"),
        ("1 | a:inf", "bad_value"),
        ("1 | a:1:2", "bad_value"),
        ("1 | a:1e400", "overflow"),
        ("1 | :1", "bad_feature"),
        ("1 |:2 a", "bad_feature"),
        ("1 |n^m a", "bad_feature"),
        ("1 |n:x a", "bad_value"),
        ("1 | a\0", "nul"),
        ("\ufeff1 | a", "bom"),
        ("1 | a\rb", "lone_cr"),
    ],
)
def test_what_is_not_understood_is_refused_by_line(line: str, kind: str) -> None:
    assert kind in BAD_KINDS
    text = b"1 | a\n\n" + line.encode() + b"\n0 | b"
    options: Any = VwOptions()
    summary = scan(text, options, file="rows.vw")
    assert (summary.bad_counts, summary.n_rows, summary.n_lines) == ({kind: 1}, 2, 4)
    assert [(row.line, row.kind) for _, row in summary.examples] == [(2, kind)]
    found = chunks.parse(text, chunks.resolve(options, summary), labels="required")
    assert (found.bad_counts, found.rows.lines.tolist()) == ({kind: 1}, [0, 3])


def test_features_by_name() -> None:
    text = b"1 |f a b^c |g a\n0 | a x^y\r\n"
    schema = schema_of(text)
    assert schema.feature_names == ("^x^y", "a", "f^a", "f^b^c", "g^a")
    rows = chunks.parse(text, schema, labels="required").rows
    assert (rows.indices.tolist(), rows.values.tolist()) == ([2, 3, 4, 0, 1], [1.0] * 5)
    assert (rows.weights, rows.offsets, schema.has_weights, schema.has_offsets) == (None, None, False, False)


def test_features_that_are_unseen() -> None:
    schema = schema_of(b"1 | a b\n0 | a\n")
    found = chunks.parse(b"1 | a c\n0 | b\n", schema, labels="required")
    assert (found.bad_counts, found.rows.n_rows) == ({"unseen_feature": 1}, 1)
    ignoring = format_named("vw").with_unseen(schema, "ignore")
    found = chunks.parse(b"1 | a c d\n0 | b\n", ignoring, labels="required")
    assert (found.bad_counts, found.n_unseen, found.rows.indices.tolist()) == ({}, 2, [0, 1])


def test_hashed_features() -> None:
    text = b"1 | a b:2\n0 | c a:3\n"
    schema = schema_of(text, hash_bits=18)
    assert (schema.n_features, schema.feature_names) == (2**18, None)
    rows = chunks.parse(text, schema, labels="required").rows
    # for ever the same: BLAKE2b of the name
    assert sorted(rows.indices[:2].tolist()) == sorted([HASHES["a"], HASHES["b"]])
    both = schema_of(b"1 | a b:2\n", hash_bits=1)
    rows = chunks.parse(b"1 |" + b" ".join(b" n%d" % k for k in range(50)), both, labels="required").rows
    assert (len(rows.indices), rows.values.sum()) == (2, 50)
    unseen = chunks.parse(b"1 | never\n", schema, labels="required")
    assert (unseen.bad_counts, unseen.rows.n_rows) == ({}, 1)


HASHES = {"a": 194624, "b": 160388}


def test_a_base_that_the_schema_does_not_know() -> None:
    schema = schema_of(b"1 | a\n0 | a\n")
    with pytest.raises(BadDataError, match="without base"):
        chunks.parse(b"1 1 0.5 | a\n", schema, labels="optional")
    with pytest.raises(BadDataError, match="without importance"):
        chunks.parse(b"1 2 | a\n", schema, labels="required")
    assert chunks.parse(b"1 2 | a\n", schema, labels="optional").rows.n_rows == 1


def test_a_model_is_the_one_of_the_same_rows_in_csv(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 120
    x, weights, bases = rng.normal(size=(n, 2)).round(3), rng.integers(0, 5, n) / 2, rng.normal(size=n).round(3)
    y = (x[:, 0] + bases + rng.normal(size=n) > 0).astype(int)
    rows = list(zip(y.tolist(), weights.tolist(), bases.tolist(), x.tolist(), strict=True))
    lines = [f"{y} {w} {o} 'row{i}|f a:{a} b:{b}" for i, (y, w, o, (a, b)) in enumerate(rows)]
    (tmp_path / "rows.vw").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "rows.csv").write_text(
        "label,w,o,f^a,f^b\n" + "".join(f"{y},{w},{o},{a},{b}\n" for y, w, o, (a, b) in rows)
    )
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    packed = mr_ml("pack", tmp_path / "rows.vw", "--to", "vw")
    assert (packed["format"], packed["n_rows"]) == ("vw", n)
    mr_ml("pack", tmp_path / "rows.csv", "--weight-column", "w", "--offset-column", "o", "--to", "csv")
    objectives = {n: mr_ml("train", n, "--model", n, "--l2", "0.1")["objective"] for n in ("vw", "csv")}
    one, other = mr_ml.coef("vw"), mr_ml.coef("csv")
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-9)
    mr_ml("predict", "vw", tmp_path / "rows.vw", "--to", tmp_path / "out.csv", "--keep", "tag")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("row0,")
    mr_ml("pack", tmp_path / "rows.vw", "--to", "hashed", "--hash-bits", 20)
    trained = mr_ml("train", "hashed", "--model", "hashed", "--l2", "0.1")
    assert math.isclose(trained["objective"], objectives["csv"], rel_tol=1e-9)
    in_workers = Commands(tmp_path / "root", ("-r", "local", "--workers", "2"))
    in_workers("pack", tmp_path / "rows.vw", "--to", "vw")
    assert json.dumps(in_workers("describe", "vw@2")["features"]) == json.dumps(mr_ml("describe", "vw@1")["features"])


def test_it_is_known_by_how_it_begins(tmp_path: Path) -> None:
    form = format_named("vw")
    for head in (b"1 |f a\n", b"| a", b"1 0.5 'tag | a:2\n"):
        assert form.begins(head)
    for head in (b"a|b|c\n", b"1|2|3\n", b"1 2:3\n", b"x | a\n", b"a |b\n", b""):
        assert not form.begins(head)
    (tmp_path / "rows").write_text("1 |f a\n0 |f b\n")
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    assert mr_ml("pack", tmp_path / "rows", "--to", "d")["format"] == "vw"
