"""What packing and predicting rely on, of every format that is built in and of one that comes from outside.

A new format joins by an entry in CASES. What a format makes of each kind of row is tested in tests/readers.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow
import pyarrow.orc
import pyarrow.parquet
import pytest
import record_format
from commands import Commands
from toys import install

from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.base import (
    Draft,
    Format,
    Opened,
    Piece,
    check_reaches_tasks,
    format_by_names,
    format_named,
    listed,
    listing,
)
from mr_ml.readers.registry import FORMATS
from mr_ml.readers.rows import Parsed, Rows, concat_rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary
from mr_ml.readers.text import source
from mr_ml.readers.text.source import TextFile

N_ROWS = 60
BAD_ROWS = (7, 31)


@dataclass(frozen=True)
class Case:
    """Input of one format.

    Attributes
    ----------
    write
        Makes a file's content of rows, (label, first feature, second feature) each; None for a bad row.
    bad_kind
        Kind of that bad row.
    said
        Parameters for these files.
    suffix
        How such a file is called.
    """

    write: Callable[[Sequence[tuple[int, float, float] | None]], bytes]
    bad_kind: str
    suffix: str
    n_header_lines: int
    said: dict[str, Any] = field(default_factory=dict)
    has_drafts: bool = True


def libsvm_text(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    return b"".join(b"1 1:x\n" if row is None else b"%d 1:%r 2:%r\n" % row for row in rows)


def csv_text(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    lines = [b"1,x,1\n" if row is None else b"%d,%r,%r\n" % row for row in rows]
    return b"".join([b"label,a,b\n", *lines])


def records(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    return np.array([(1, np.nan, 1) if row is None else row for row in rows], np.float64).tobytes()


def semicolons(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    return b"".join(b"1;x;1\n" if row is None else b"%d;%r;%r\n" % row for row in rows)


def table(rows: Sequence[tuple[int, float, float] | None]) -> Any:
    """As a table of Arrow."""
    label, a, b = zip(*[(1, math.inf, 1.0) if row is None else row for row in rows], strict=True)
    return pyarrow.table({"label": pyarrow.array(label, pyarrow.int32()), "a": a, "b": b})


def parquet(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    written = io.BytesIO()
    pyarrow.parquet.write_table(table(rows), written, row_group_size=11)
    return written.getvalue()


def orc(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    written = io.BytesIO()
    # stripes of at least so many rows
    pyarrow.orc.write_table(table(rows), written, stripe_size=1, batch_size=11)
    return written.getvalue()


def avro(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    fields = [{"name": "label", "type": "int"}, *({"name": name, "type": "double"} for name in "ab")]
    written = io.BytesIO()
    fastavro.writer(
        written, {"type": "record", "name": "row", "fields": fields}, table(rows).to_pylist(), sync_interval=64
    )
    return written.getvalue()


def json_lines(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    text = b'{"label": %d, "a": %r, "b": %r}\n'
    return b"".join(b'{"label": 1, "a": "x", "b": 1}\n' if row is None else text % row for row in rows)


def vowpal_wabbit(rows: Sequence[tuple[int, float, float] | None]) -> bytes:
    return b"".join(b"1 | a:x\n" if row is None else b"%d 'tag|n a:%r b:%r\n" % row for row in rows)


CASES = {
    "libsvm": Case(libsvm_text, "bad_value", ".txt", 0),
    "csv": Case(csv_text, "bad_value", ".csv", 1, {"numeric": "a,b"}),
    "records": Case(records, "not_finite", ".rec", 0, has_drafts=False),
    "semicolons": Case(semicolons, "bad_value", ".ssv", 0, has_drafts=False),
    "parquet": Case(parquet, "not_finite", ".parquet", 0),
    "orc": Case(orc, "not_finite", ".orc", 0),
    "avro": Case(avro, "not_finite", ".avro", 0),
    "vw": Case(vowpal_wabbit, "bad_value", ".vw", 0, has_drafts=False),
    "jsonl": Case(json_lines, "bad_value", ".jsonl", 0, {"numeric": "a,b"}),
}
ROWS = [(i % 2, i + 0.5, float(-i - 1)) for i in range(N_ROWS)]
WITH_BAD = [None if i in BAD_ROWS else row for i, row in enumerate(ROWS)]


@pytest.fixture(params=CASES)
def form(request: pytest.FixtureRequest) -> Iterator[Format]:
    if request.param == "semicolons":
        # of an installed package, see docs/extending.md
        install(request, FORMATS, request.param)
    if request.param != "records":
        yield format_named(request.param)
        return
    FORMATS.register(request.param, record_format.FORMAT)
    yield format_named(request.param)
    FORMATS.unregister(request.param)


@pytest.fixture
def case(form: Format) -> Case:
    return CASES[form.name]


def first_line(file: TextFile) -> bytes:
    return source.first_line(file)


def opened(form: Format, paths: Sequence[Path], *, like: Schema | None = None) -> Opened:
    files = source.expand([str(path) for path in paths])
    return form.open(files, form.options(CASES[form.name].said), like=like, first_line=first_line)


def pieces(form: Format, files: Sequence[TextFile], *, n_tasks: int = 2) -> list[Piece]:
    """As tasks get them: by way of the lines of their input."""
    tasks = form.pieces(files, n_tasks=n_tasks, longest_line=1 << 20)
    assert len(tasks) <= n_tasks
    return sorted((p for task in tasks for p in listed(listing(form.name, task))), key=lambda p: (p.file, p.start))


def scanned(form: Format, found: Opened) -> Summary:
    options = form.options_from_json(json.loads(json.dumps(found.options.to_json())))
    assert options == found.options
    summaries = [form.scan(piece, options) for piece in pieces(form, found.files)]
    whole = sum(summaries, Summary())
    assert sum(reversed(summaries), Summary()) == whole
    assert Summary.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    return whole


def resolved(form: Format, paths: Sequence[Path]) -> Schema:
    found = opened(form, paths)
    return form.resolve(found.options, scanned(form, found))


def read(form: Format, found: Opened, schema: Schema) -> list[Parsed]:
    return [part for piece in pieces(form, found.files) for part in form.rows(piece, schema, labels="required")]


def joined(parts: Sequence[Parsed]) -> Rows:
    starts = np.cumsum([0, *(part.n_lines for part in parts)]).tolist()
    return concat_rows([part.rows for part in parts], line_starts=starts[:-1])


def same(one: Rows, other: Rows) -> bool:
    names = ("labels", "indptr", "indices", "values", "lines")
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in names)


def dense(rows: Rows) -> list[list[float]]:
    return [[*row] for row in rows.values.reshape(rows.n_rows, -1).tolist()]


@pytest.fixture
def packed(form: Format, case: Case, tmp_path: Path) -> tuple[Opened, Schema]:
    path = tmp_path / f"rows{case.suffix}"
    path.write_bytes(case.write(ROWS))
    found = opened(form, [path])
    return found, form.resolve(found.options, scanned(form, found))


def test_every_format_has_a_case() -> None:
    assert set(CASES) == {*FORMATS.built_in, "records", "semicolons"}


def test_rows_are_what_was_written(form: Format, packed: tuple[Opened, Schema]) -> None:
    found, schema = packed
    rows = joined(read(form, found, schema))
    assert (schema.n_features, schema.labels, schema.format) == (2, (0.0, 1.0), form.name)
    assert rows.labels.tolist() == [row[0] for row in ROWS]
    assert dense(rows) == [list(row[1:]) for row in ROWS]


@pytest.mark.parametrize("range_bytes", [1, 17, 100, 10_000])
def test_any_cut_gives_the_same_summary_and_rows(
    form: Format, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_bytes: int
) -> None:
    path = tmp_path / f"rows{case.suffix}"
    path.write_bytes(case.write(WITH_BAD))
    found = opened(form, [path])
    whole, schema = scanned(form, found), form.resolve(found.options, scanned(form, found))
    rows = joined(read(form, found, schema))
    monkeypatch.setattr(source, "RANGE_BYTES", range_bytes)
    assert len(pieces(form, found.files)) > (1 if range_bytes <= 100 else 0)
    in_pieces = scanned(form, found)
    assert replace(in_pieces, examples=()) == replace(whole, examples=())
    parts = read(form, found, schema)
    assert same(joined(parts), rows)
    assert rows.n_rows == whole.n_rows == N_ROWS - len(BAD_ROWS)
    assert sum(part.n_lines for part in parts) == whole.n_lines
    assert sum(sum(part.bad_counts.values()) for part in parts) == whole.n_bad == len(BAD_ROWS)
    assert sum(part.n_bytes for part in parts) == path.stat().st_size - found.files[0].header_bytes


def test_bad_rows_have_their_place(form: Format, case: Case, tmp_path: Path) -> None:
    path = tmp_path / f"rows{case.suffix}"
    path.write_bytes(case.write(WITH_BAD))
    found = opened(form, [path])
    summary = scanned(form, found).shifted(by=form.header_lines(found.options))
    assert form.header_lines(found.options) == case.n_header_lines
    lines = [case.n_header_lines + at for at in BAD_ROWS]
    assert [(file, row.line, row.kind) for file, row in summary.examples] == [
        (str(path), line, case.bad_kind) for line in lines
    ]
    assert {file for file, _ in summary.renamed("other").examples} == {"other"}


def test_what_a_scan_keeps_are_the_rows(form: Format, case: Case, packed: tuple[Opened, Schema]) -> None:
    found, schema = packed
    kept: list[Draft | None] = []
    for piece in pieces(form, found.files):
        form.scan(piece, found.options, keep=kept.append)
    drafts = [draft for draft in kept if draft is not None and draft.fits(schema)]
    assert len(drafts) == (len(kept) if case.has_drafts else 0)
    if not drafts:
        return
    assert same(joined([draft.narrowed().under(schema) for draft in drafts]), joined(read(form, found, schema)))


def test_a_schema_is_read_from_what_is_stored(packed: tuple[Opened, Schema]) -> None:
    _, schema = packed
    stored = json.dumps(schema.to_json(), sort_keys=True)
    assert Schema.from_json(json.loads(stored)) == schema
    assert json.dumps(Schema.from_json(json.loads(stored)).to_json(), sort_keys=True) == stored
    # what came later is not in what earlier releases wrote
    later = {"transforms"} & set(schema.to_json())
    for key in set(schema.to_json()) - later:  # all others are needed
        with pytest.raises(BadDataError, match=key):
            Schema.from_json({name: value for name, value in schema.to_json().items() if name != key})
    assert Schema.from_json({name: value for name, value in schema.to_json().items() if name not in later}) == schema
    with pytest.raises(BadDataError, match="later"):
        Schema.from_json({**schema.to_json(), "later": 1})


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed_input(
    form: Format, case: Case, packed: tuple[Opened, Schema], tmp_path: Path, suffix: str,
    compress: Callable[[bytes], bytes],
) -> None:  # fmt: skip
    if not form.has_lines:
        pytest.skip("only text is compressed as a whole")
    plain, schema = packed
    path = tmp_path / f"packed{case.suffix}{suffix}"
    path.write_bytes(compress(case.write(ROWS)))
    found = opened(form, [path])
    assert form.resolve(found.options, scanned(form, found)) == schema
    assert same(joined(read(form, found, schema)), joined(read(form, plain, schema)))


def test_empty_files_have_no_rows(form: Format, case: Case, tmp_path: Path) -> None:
    empty, full = tmp_path / f"a{case.suffix}", tmp_path / f"b{case.suffix}"
    empty.write_bytes(b"")
    full.write_bytes(case.write(ROWS))
    found = opened(form, [empty, full])
    assert scanned(form, found).n_rows == N_ROWS
    empty_too = tmp_path / f"c{case.suffix}"
    empty_too.write_bytes(b"")
    with pytest.raises(BadDataError, match="row"):
        resolved(form, [empty, empty_too])


def test_a_borrowed_schema_reads_other_files(
    form: Format, case: Case, packed: tuple[Opened, Schema], tmp_path: Path
) -> None:
    _, schema = packed
    path = tmp_path / f"others{case.suffix}"
    path.write_bytes(case.write([(1, 9.0, 8.0)]))
    found = opened(form, [path], like=schema)
    assert found.like is not None
    assert form.unknown_columns(schema, found.like) == ()
    assert dense(joined(read(form, found, found.like))) == [[9.0, 8.0]]
    files, bound = form.bind(source.expand([str(path)]), schema, first_line=first_line)
    assert (files, bound) == (found.files, found.like)


def test_commands_take_every_format(form: Format, case: Case, tmp_path: Path) -> None:
    path = tmp_path / f"rows{case.suffix}"
    path.write_bytes(case.write(WITH_BAD))
    mr_ml = Commands(tmp_path / "root", runner=("-r", "inline"))
    said = [text for name, value in case.said.items() for text in (f"--{name}", value)]
    refused = mr_ml.run("pack", path, "--format", form.name, "--to", "d", *said)
    places = [f"{path}:{case.n_header_lines + at + 1}: " for at in BAD_ROWS]
    assert (refused.code, [place in refused.err for place in places]) == (65, [True, True])
    packed = mr_ml("pack", path, "--format", form.name, "--to", "d", "--max-bad-rows", 2, *said)
    assert (packed["format"], packed["n_rows"], packed["n_features"]) == (form.name, N_ROWS - 2, 2)
    assert mr_ml("describe", "d")["columns"] == packed["columns"]
    mr_ml("train", "d", "--model", "m", "--l2", "0.1")
    path.write_bytes(case.write(ROWS))
    assert mr_ml("predict", "m", path, "--to", tmp_path / "out")["n_rows"] == N_ROWS
    lines = (tmp_path / "out").read_text().splitlines()
    assert len(lines) == N_ROWS + case.n_header_lines


def test_lines_and_what_is_read_at_addresses_reach_tasks_on_a_cluster(form: Format) -> None:
    with (
        contextlib.nullcontext()
        if form.has_lines or form.reads_addresses
        else pytest.raises(UsageError, match=form.name)
    ):
        check_reaches_tasks(form)


def test_names_say_the_format(form: Format, case: Case) -> None:
    for suffix in form.suffixes if form.name in FORMATS.built_in else ():
        assert format_by_names([f"a{suffix}", f"b{suffix.upper()}.gz"]) == form.name
        assert format_by_names([f"a{suffix}", "b.unknown"]) is None
    assert form.parameters.keys() >= case.said.keys()


def test_an_unknown_format_is_refused_by_the_registry(packed: tuple[Opened, Schema], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"format 'arff' is not known; choose one of libsvm, csv"):
        format_named("arff")
    refused = Commands(tmp_path / "root").run("pack", tmp_path, "--format", "arff", "--to", "d")
    assert (refused.code, "choose one of libsvm, csv" in refused.err) == (2, True)
    with pytest.raises(BadDataError, match=r"format 'arff', known are libsvm, csv"):
        Schema.from_json({**packed[1].to_json(), "format": "arff"})
