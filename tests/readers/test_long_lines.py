"""A line of megabytes, as a file of another kind is: refused by kind, in memory that follows from its size."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import chunks
import numpy as np
import pytest

from mr_ml.errors import BadDataError
from mr_ml.readers.csv.columns import split_header
from mr_ml.readers.csv.stored import CsvPart
from mr_ml.readers.libsvm.stored import LibsvmPart
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions

pytestmark = pytest.mark.usefixtures("each_implementation")

MEGABYTES = 3
SIZE = MEGABYTES << 20
GOOD = {"libsvm": b"1 1:1\n", "csv": b"1,2,1\n"}
CSV = TextOptions(format="csv", columns=("a", "b", "label"), label_column="label")
COLUMNS: dict[str, Any] = {
    name: {"kind": kind, "first": first} for name, kind, first in (("a", "numeric", 0), ("b", "numeric", 1))
} | {"label": {"kind": "label", "first": None}}
SCHEMAS = {
    "libsvm": Schema(format="libsvm", part=LibsvmPart(TextOptions()), index_base=1, n_features=10),
    "csv": Schema(
        format="csv", part=CsvPart(CSV, {}, COLUMNS), n_features=2, labels=(0.0, 1.0), feature_names=("a", "b"),
    ),
}  # fmt: skip


def filled(unit: bytes) -> bytes:
    return unit * (SIZE // len(unit))


LINES = [
    ("libsvm", filled(b":"), "long_line"),
    ("libsvm", filled(b"lorem ipsum "), "ragged_token"),
    ("libsvm", filled(b'{"id": 1, "v": [1,2]}, '), "no_label"),
    ("libsvm", filled(b"1 1:1\r"), "lone_cr"),
    ("libsvm", filled(b"1") + b"\xff", "not_utf8"),
    ("libsvm", b"1 2:" + filled(b"0") + b" 3:1", "long_line"),
    ("csv", filled(b","), "too_many_fields"),
    ("csv", filled(b'"'), "long_line"),
    ("csv", b'1,"' + filled(b'""') + b'",0', "long_line"),
    ("csv", filled(b"lorem ipsum "), "too_few_fields"),
    ("csv", filled(b"1,2,0\r"), "lone_cr"),
    ("csv", filled(b"\xc3\xa9") + b"\0", "nul"),
    ("csv", b"1," + filled(b"long words ") * 3 + b",0", "long_line"),
]


@pytest.mark.parametrize(("form", "line", "kind"), LINES, ids=[f"{form}-{n}" for n, (form, _, _) in enumerate(LINES)])
def test_long_lines_are_refused_in_little_memory(form: Any, line: bytes, kind: str) -> None:
    text = GOOD[form] + line + b"\n" + GOOD[form]
    tracemalloc.start()
    try:
        parsed = chunks.parse(text, SCHEMAS[form], labels="required")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        options = TextOptions() if form == "libsvm" else CSV
        summary, _ = chunks.draft(text, options, file="f")
        peak = max(peak, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert parsed.bad_counts == summary.bad_counts == {kind: 1}
    assert [(bad.line, len(bad.excerpt) <= 80) for bad in parsed.bad] == [(1, True)]
    assert parsed.rows.lines.tolist() == [0, 2]
    assert parsed.n_lines == summary.n_lines == 3
    # tokens took several hundred times the line
    assert peak < 40 << 20


@pytest.mark.parametrize("form", ["libsvm", "csv"])
def test_long_rows_are_read(form: Any) -> None:
    """However long: by stretches, where something in them is unusual."""
    n = 200_000
    values = np.random.default_rng(0).normal(size=n)
    unusual = b"0.12345678901234567890123"
    if form == "libsvm":
        entries = [b"%d:%s" % (i + 1, repr(value).encode()) for i, value in enumerate(values.tolist())]
        line = b"1 " + b" ".join(entries) + b" %d:%s # a comment" % (n + 1, unusual)
        wide = replace(SCHEMAS["libsvm"], n_features=n + 1)
        parsed = chunks.parse(line + b"\r\n" + line, wide, labels="required")
    else:
        names = tuple(f"c{i}" for i in range(n + 2))
        columns: dict[str, Any] = {name: {"kind": "numeric", "first": i} for i, name in enumerate(names[1:])}
        columns = {"c0": {"kind": "label", "first": None}, **columns}
        options = TextOptions(format="csv", header=False, columns=names, label_column="c0")
        schema = Schema(
            format="csv", part=CsvPart(options, {}, columns),
            n_features=n + 1, labels=(0.0, 1.0), feature_names=names[1:],
        )  # fmt: skip
        line = b"1," + b",".join([repr(value).encode() for value in values.tolist()]) + b',"%s"' % unusual
        parsed = chunks.parse(line + b"\r\n" + line, schema, labels="required")
    assert len(line) > 1 << 20
    assert parsed.rows.labels.tolist() == [1, 1]
    assert parsed.bad == ()
    row = [*values.tolist(), float(unusual)]
    assert parsed.rows.values.tolist() == row * 2
    assert parsed.rows.indices.tolist() == [*range(n + 1)] * 2


def test_a_header_of_too_many_columns() -> None:
    with pytest.raises(BadDataError, match="found long_line"):
        split_header(filled(b"a,") + b"\n", TextOptions(format="csv"))
