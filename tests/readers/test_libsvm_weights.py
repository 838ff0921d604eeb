"""Row weights in libsvm text, behind the labels."""

from __future__ import annotations

from pathlib import Path

import chunks
import numpy as np
import pytest
from builders import scan
from commands import Commands

from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text.options import TextOptions

pytestmark = pytest.mark.usefixtures("each_implementation")

OPTIONS = TextOptions(format="libsvm", label_weights=True)
TEXT = b"1:0.5 1:2 3:-1\n0:2\t2:4 # a comment 1:1\n\n# nothing: here\n  +1:1e-1 qid:7 1:1\r\n-0:0"


def scanned(text: bytes) -> tuple[Summary, Schema]:
    summary = scan(text, OPTIONS, file="rows")
    return summary, chunks.resolve(OPTIONS, summary)


def test_weights_stand_behind_labels() -> None:
    text = TEXT.replace(b" qid:7", b"")
    summary, schema = scanned(text)
    rows = chunks.parse(text, schema, labels="required").rows
    assert (summary.n_rows, summary.bad_counts, schema.has_weights, schema.labels) == (4, {}, True, (0.0, 1.0))
    assert rows.weights is not None
    assert rows.weights.tolist() == [0.5, 2, 0.1, 0]
    assert rows.labels.tolist() == [1, 0, 1, 0]
    assert rows.indices.tolist() == [0, 2, 1, 0]
    assert rows.values.tolist() == [2, -1, 4, 1]
    assert rows.lines.tolist() == [0, 1, 4, 5]


def test_query_ids_may_follow() -> None:
    text = b"1:0.5 qid:7 1:1\n0:1 qid:7 1:3\n0:1 qid:8 1:3\n"
    rows = chunks.parse(text, scanned(text)[1], labels="required").rows
    assert rows.groups is not None
    assert (rows.groups[0] == rows.groups[1], rows.groups[1] == rows.groups[2]) == (True, False)


@pytest.mark.parametrize(
    ("row", "kind", "shown"),
    [
        (b"1 1:1", "missing_weight", "1"),
        (b"1: 1:1", "bad_weight", "1:"),
        (b"1:-1 1:1", "bad_weight", "1:-1"),
        (b"1:nan 1:1", "bad_weight", "1:nan"),
        (b"1:inf 1:1", "bad_weight", "1:inf"),
        (b"1:1:2 1:1", "bad_weight", "1:1:2"),
        (b"1:x 1:1", "bad_weight", "1:x"),
        (b":2 1:1", "no_label", ":2 1:1"),
        (b"x:2 1:1", "bad_label", "x   1:1"),
        (b"1:2 1:1 1:1", "duplicate_id", "1   1:1 1:1"),
    ],
)
def test_other_rows_are_refused(row: bytes, kind: str, shown: str) -> None:
    text = b"0:1 9:1\n" + row + b"\n1:1 2:1\n"
    summary, schema = scanned(text)
    found = chunks.parse(text, schema, labels="required")
    assert summary.bad_counts == found.bad_counts == {kind: 1}
    assert [(bad.line, bad.kind, bad.excerpt) for bad in found.bad] == [(1, kind, shown)]
    assert found.rows.weights is not None
    assert (found.rows.lines.tolist(), found.rows.weights.tolist()) == ([0, 2], [1, 1])
    assert [row for _, row in summary.examples] == list(found.bad)


def test_ids_of_refused_rows_do_not_count() -> None:
    summary, schema = scanned(b"1:1 2:1\n0 1000:1\n0:-1 0:1\n")
    assert (summary.n_rows, schema.n_features, schema.index_base) == (1, 2, 1)


def test_rows_to_be_predicted_need_no_weight() -> None:
    schema = scanned(TEXT.replace(b" qid:7", b""))[1]
    found = chunks.parse(b"1 1:2\n0:3 2:1\n3:1 2:7\n", schema, labels="optional")
    assert (found.rows.weights, found.rows.indices.tolist()) == (None, [0, 1])
    # which may be a feature that lacks its label
    assert [(bad.line, bad.kind, bad.excerpt) for bad in found.bad] == [(2, "unseen_label", "3:1")]


def test_without_the_option_a_row_begins_with_its_label() -> None:
    assert scan(b"1:0.5 2:1\n", TextOptions(format="libsvm"), file="rows").bad_counts == {"no_label": 1}


def test_a_model_is_the_one_of_the_same_rows_in_csv(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(80, 2)).round(3), rng.integers(0, 5, 80) / 2
    y = (x[:, 0] + rng.normal(size=80) > 0).astype(int)
    rows = list(zip(y.tolist(), weights.tolist(), x.tolist(), strict=True))
    (tmp_path / "rows.txt").write_text("".join(f"{y}:{w} 1:{a} 2:{b}\n" for y, w, (a, b) in rows))
    (tmp_path / "rows.csv").write_text("label,w,a,b\n" + "".join(f"{y},{w},{a},{b}\n" for y, w, (a, b) in rows))
    mr_ml = Commands(tmp_path / "root", ("-r", "inline"))
    mr_ml("pack", tmp_path / "rows.txt", "--label-weights", "--to", "libsvm")
    mr_ml("pack", tmp_path / "rows.csv", "--weight-column", "w", "--to", "csv")
    for name in ("libsvm", "csv"):
        mr_ml("train", name, "--model", name, "--l2", "0.1")
    one, other = mr_ml.coef("libsvm"), mr_ml.coef("csv")
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-9)
    refused = mr_ml.run("pack", tmp_path / "rows.csv", "--label-weights", "--to", "x")
    assert (refused.code, "--label-weights" in refused.err) == (2, True)
