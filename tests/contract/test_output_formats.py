"""What is relied on of every output format: order, exact values, hostile texts, bytes that follow from the rows alone.

A new format joins by an entry in READERS: how somebody else's program reads its files.
"""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from mr_ml.data import kernels
from mr_ml.errors import UsageError
from mr_ml.prediction.outputs import DEFAULT, OUTPUT_FORMATS, output_format_of
from mr_ml.prediction.outputs.base import Columns, OutputFormat, Records

HOSTILE = (
    "plain", "", " blank at its ends ", "a,b", 'say "so"', "=1+cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "a\tb",
    "a\\tb", "back\\", "pipe|", "\x1b[31mred\x1b[0m", "<script>alert(1)</script>", "Grüße 你好 🎉",
    "line\x85end\u2028s", "null", "nan", "'; DROP TABLE x; --", "a\nb", "a\r\nb",
)  # fmt: skip
NUMBERS = (0.1, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 1 / 3, 1e16, 1e-5, 123456789.123, -2.0, 3.0)
Table = tuple[list[str], list[list[Any]]]


def read_tsv(data: bytes) -> Table:
    header, *lines = data.decode().split("\n")[:-1]
    names = [_plain(name) for name in header.split("\t")]
    rows = [[_plain(field) for field in line.split("\t")] if line else [None] * len(names) for line in lines]
    return names, rows


def _plain(text: str) -> str:
    pieces = text.replace("\\\\", "\0").replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r")
    return pieces.replace("\0", "\\")


def read_csv(data: bytes) -> Table:
    names, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
    # a record of nothing but empty fields
    return names, [[None] * len(names) if not any(row) else list(row) for row in rows]


def read_jsonl(data: bytes) -> Table:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    objects = [json.loads(line, parse_constant=refuse) for line in data.decode().split("\n")[:-1]]
    names = list(objects[0]) if objects else []
    assert all(list(one) == names for one in objects)
    return names, [list(one.values()) for one in objects]


def read_parquet(data: bytes) -> Table:
    table = parquet.read_table(io.BytesIO(data))
    return table.column_names, [list(row.values()) for row in table.to_pylist()]


READERS: dict[str, Callable[[bytes], Table]] = {
    "tsv": read_tsv, "csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet,
}  # fmt: skip


def test_every_format_is_tested() -> None:
    assert set(READERS) == set(OUTPUT_FORMATS.built_in)


@pytest.fixture(params=sorted(READERS))
def form(request: pytest.FixtureRequest) -> OutputFormat:
    return OUTPUT_FORMATS.get(request.param)


def written(form: OutputFormat, chunks: Sequence[Records]) -> bytes:
    lines = (bytes(form.lines(chunk)) for chunk in chunks)
    return b"".join(form.file(chunks[0].columns, lines, has_header=True))


def of_texts(texts: Sequence[str], *, labels: tuple[str, ...] = ("no", "yes")) -> Records:
    """A record for each text, with numbers that go round, and a line without a row behind every third."""
    n = len(texts)
    columns = Columns(("id", "n"), labels)
    n_values = max(len(labels), 1)
    values = np.array([NUMBERS[k % len(NUMBERS)] for k in range(n * n_values)]).reshape(n, n_values)
    lines = np.array([k + k // 3 for k in range(n)], np.int64)
    return Records(columns, n + n // 3, lines, (list(texts), [str(k) for k in range(n)]), values)


def check(form: OutputFormat, records: Records, data: bytes) -> None:
    """Hold what somebody else's program reads against the records."""
    columns, n_kept = records.columns, len(records.columns.kept)
    names, rows = READERS[form.name](data)
    assert len(rows) == records.n_lines
    if rows or form.name != "jsonl":
        assert names == list(columns.names)
    with_row = dict(zip(records.lines.tolist(), range(len(records.values)), strict=True))
    for line, row in enumerate(rows):
        if line not in with_row:
            assert row == [None] * len(columns.names)
            continue
        at = with_row[line]
        assert row[:n_kept] == [column[at] for column in records.kept]
        numbers = row[n_kept:]
        if columns.labels:
            assert numbers.pop(0) == columns.labels[int(np.argmax(records.values[at]))]
        bits = [struct.pack("<d", float(number)) for number in numbers]
        assert bits == [struct.pack("<d", value) for value in records.values[at].tolist()]


@pytest.mark.parametrize("labels", [("no", "yes"), HOSTILE, ()], ids=["two", "hostile", "none"])
@pytest.mark.parametrize("compiled", [True, False])
def test_values_and_hostile_texts_are_read_back_as_they_were(
    form: OutputFormat, labels: tuple[str, ...], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(kernels, "native", None)
    records = of_texts(HOSTILE, labels=labels)
    check(form, records, written(form, [records]))


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=7)
)
@pytest.mark.parametrize("name", sorted(READERS))
def test_any_text(name: str, texts: list[str]) -> None:
    form, records = OUTPUT_FORMATS.get(name), of_texts(texts)
    check(form, records, written(form, [records]))


def test_bytes_do_not_depend_on_the_cut(form: OutputFormat) -> None:
    texts = [HOSTILE[k % len(HOSTILE)] for k in range(60)]
    whole = of_texts(texts)
    lines = bytes(form.lines(whole))
    assert (lines.count(b"\n"), lines.count(b"\r")) == (whole.n_lines, 0)
    assert not any(line.endswith(b"|") for line in lines.split(b"\n"))
    parts = []
    for first in range(0, whole.n_lines, 7):
        low, high = np.searchsorted(whole.lines, [first, first + 7])
        n_lines = min(7, whole.n_lines - first)
        kept = tuple(column[low:high] for column in whole.kept)
        parts.append(Records(whole.columns, n_lines, whole.lines[low:high] - first, kept, whole.values[low:high]))
    assert b"".join(bytes(form.lines(part)) for part in parts) == lines
    assert written(form, parts) == written(form, [whole])


def test_groups_of_parquet_do_not_depend_on_the_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    from mr_ml.prediction.outputs import parquet as outputs_parquet

    monkeypatch.setattr(outputs_parquet, "_MOST_ROWS", 8)
    form, records = OUTPUT_FORMATS.get("parquet"), of_texts([str(k) for k in range(20)])
    lines = bytes(form.lines(records)).splitlines(keepends=True)

    def cut(size: int) -> Iterator[bytes]:
        yield from (b"".join(lines[k : k + size]) for k in range(0, len(lines), size))

    whole = b"".join(form.file(records.columns, iter([b"".join(lines)]), has_header=True))
    assert parquet.ParquetFile(io.BytesIO(whole)).num_row_groups == 4
    for size in (1, 5, 13):
        assert b"".join(form.file(records.columns, cut(size), has_header=True)) == whole
    check(form, records, whole)


def test_no_rows(form: OutputFormat) -> None:
    records = of_texts([])
    check(form, records, written(form, [records]))


def test_numbers_that_are_not_finite() -> None:
    """JSON has none; the others say which."""
    records = Records(Columns((), ("a", "b")), 1, np.zeros(1, np.int64), (), np.array([[np.inf, np.nan]]))
    found = {name: READERS[name](written(OUTPUT_FORMATS.get(name), [records]))[1][0][1:] for name in READERS}
    assert [list(map(float, found[name])) for name in ("tsv", "csv", "parquet")] == [
        [np.inf, pytest.approx(np.nan, nan_ok=True)]
    ] * 3
    assert found["jsonl"] == [None, None]


def test_a_column_of_the_input_keeps_its_name() -> None:
    columns = Columns(("label", "predicted_label", "probability_a"), ("a", "b"))
    assert columns.names == (
        "label", "predicted_label", "probability_a", "predicted_predicted_label", "predicted_probability_a",
        "probability_b",
    )  # fmt: skip
    assert Columns(("prediction",), ()).names == ("prediction", "predicted_prediction")


def test_which_format_is_taken() -> None:
    taken = {
        to: output_format_of(None, to=to).name for to in ("a.csv", "A.CSV", "a.jsonl", "b/a.parquet/", "a", "a.txt")
    }
    assert list(taken.values()) == ["csv", "csv", "jsonl", "parquet", DEFAULT, DEFAULT]
    assert output_format_of("jsonl", to="a.csv").name == "jsonl"
    with pytest.raises(UsageError, match=r"'parquett' is not known \(did you mean 'parquet'"):
        output_format_of("parquett", to="a")


def test_parquet_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'mr_ml\[columnar\]'"):
        output_format_of(None, to="a.parquet")
