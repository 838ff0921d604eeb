"""Predicting raw text rows: what a map task does, and the driver that puts the lines back in order.

Every input line gives exactly one output line: `label TAB probability of each class` (or the predicted value), and an
empty line for a line that holds no row (blank, a comment, or a bad row within --max-bad-rows). The header of a CSV
file gives a header.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml import frame
from mr_ml.block import Block
from mr_ml.engine.blas import one_thread
from mr_ml.engine.jobs import JobRunner
from mr_ml.errors import BadDataError, StorageError, UsageError
from mr_ml.features import SparseFeatures
from mr_ml.loss import loss_named
from mr_ml.model import Model
from mr_ml.readers import formats
from mr_ml.readers.rows import BadRow, Parsed, Rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.source import TextFile, TextRange, expand, first_line, ranges
from mr_ml.rowspec import RowSpec

KIND = "predict"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PredictRequest:
    """Attributes
    ----------
    labels
        The classes as they are written out; empty for regression.
    unseen
        What to do with feature ids that the model does not know: "error" or "ignore".
    folder
        Where each task leaves its lines.
    """

    schema: Schema
    loss: str
    coef: Floats
    labels: tuple[str, ...]
    unseen: str
    folder: str

    def encode(self) -> bytes:
        meta = {
            "schema": self.schema.to_json(),
            "loss": self.loss,
            "labels": list(self.labels),
            "unseen": self.unseen,
            "folder": self.folder,
        }
        return frame.encode(KIND, meta, {"coef": self.coef})

    @classmethod
    def decode(cls, data: bytes) -> PredictRequest:
        opened = frame.decode(data, kind=KIND, where="the predict request")
        meta = dict(opened.meta)
        schema, labels = Schema.from_json(meta.pop("schema")), tuple(meta.pop("labels"))
        return cls(schema=schema, labels=labels, coef=opened.arrays["coef"], **meta)


@dataclass(frozen=True)
class RangeReport:
    """What one range of text came to: its output file, and how many rows and bad rows it had."""

    path: str
    n_lines: int
    n_rows: int
    bad_counts: dict[str, int]
    bad: tuple[BadRow, ...]

    def encode(self) -> bytes:
        data = {**vars(self), "bad": [row.to_json() for row in self.bad]}
        return json.dumps(data, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, line: bytes) -> RangeReport:
        data: dict[str, Any] = json.loads(line)
        return cls(**{**data, "bad": tuple(BadRow(*row) for row in data["bad"])})


def predict_range(request: PredictRequest, text: TextRange) -> RangeReport:
    """Write the output lines of one range to a file of their own."""
    handle, path = tempfile.mkstemp(dir=request.folder, prefix="lines-")
    n_lines, n_rows, counts, bad = 0, 0, dict[str, int](), list[BadRow]()
    with os.fdopen(handle, "wb") as out, one_thread():
        for chunk in text.chunks():
            parsed = formats.parse(chunk, request.schema, labels="optional")
            out.write(_lines(request, parsed))
            bad += [replace(row, line=row.line + n_lines) for row in parsed.bad]
            for kind, count in parsed.bad_counts.items():
                counts[kind] = counts.get(kind, 0) + count
            n_lines += parsed.n_lines
            n_rows += parsed.rows.n_rows
    return RangeReport(path, n_lines, n_rows, counts, tuple(bad[:60]))


def _lines(request: PredictRequest, parsed: Parsed) -> bytes:
    rows = parsed.rows
    texts = _row_texts(request, rows)
    lines = [""] * parsed.n_lines
    for at, line in zip(rows.lines.tolist(), texts, strict=True):
        lines[at] = line
    return ("\n".join(lines) + "\n").encode() if lines else b""


def _row_texts(request: PredictRequest, rows: Rows) -> list[str]:
    spec = RowSpec(request.loss, request.coef.shape[1] - 1)
    features = _known_features(request, rows)
    block = Block(features, np.zeros(rows.n_rows), None, rows.offsets)
    values = loss_named(request.loss).predict(spec.margins(block, request.coef))
    columns = [map(repr, column.tolist()) for column in values.T]
    if not request.labels:
        return list(columns[0])
    guesses = np.array(request.labels, dtype=object)[values.argmax(axis=1)].tolist()
    return list(map("\t".join, zip(guesses, *columns, strict=True)))


def _known_features(request: PredictRequest, rows: Rows) -> SparseFeatures:
    n_features = request.coef.shape[1] - 1
    known = rows.indices < n_features
    if known.all():
        return SparseFeatures(rows.indptr, rows.indices, rows.values)
    if request.unseen == "error":
        raise BadDataError(
            f"feature id {int(rows.indices.max())} (counted from 0) is not one of the model's {n_features}; "
            "retrain on data that has it, or leave such features out with --unseen-features ignore"
        )
    before = np.concatenate([[0], np.cumsum(known)])
    return SparseFeatures(before[rows.indptr], rows.indices[known], rows.values[known])


def predict(
    model: Model,
    inputs: Sequence[str],
    to: str,
    *,
    runner: JobRunner,
    max_bad_rows: int,
    unseen: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Predict every row of the inputs.

    One input file gives one output file `to`; several give a folder `to` with a file for each, of the same name.
    Nothing appears under `to` before everything is done.

    Raises
    ------
    BadDataError
        If there are more bad rows than allowed, or features that the model does not know.
    UsageError
        If `to` exists.
    """
    from mr_ml_jobs.predict_job import MRPredict

    target = Path(to)
    if target.exists():
        raise UsageError(f"--to {to} exists; choose another name or remove it")
    files = _with_headers(expand(inputs), model.schema)
    tasks = ranges(files, n_tasks=runner.n_tasks)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=target.parent, prefix=".predict-")
    except OSError as error:
        raise StorageError(f"cannot write beside {to}: {error.strerror}; choose another --to") from error
    try:
        labels = tuple(model.label_texts)
        request = PredictRequest(model.schema, model.loss, model.coef, labels, unseen, folder)
        found: dict[tuple[str, int], RangeReport] = {}
        lines = [TextRange.listing(task) for task in tasks]
        for key, value in runner.run(MRPredict, request=request.encode(), tasks=lines):
            file, start = json.loads(key)
            found[file, start] = RangeReport.decode(value)
        wanted = {(text.file, text.start) for task in tasks for text in task}
        if set(found) != wanted:
            raise BadDataError(f"no predictions came back for {sorted(wanted - set(found))[0]}; run it again")
        n_bad = _check_bad(found, max_bad_rows, model.schema, say)
        many = len(files) > 1
        whole = Path(folder) / "whole"
        names = _output_names(files) if many else [""]
        for file, name in zip(files, names, strict=True):
            _join(file, found, whole / name if many else whole, _header(model) if file.header_bytes else b"")
        whole.replace(target)
    except OSError as error:
        raise StorageError(f"cannot write {to}: {error.strerror}; free some space or choose another --to") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    n_rows = sum(report.n_rows for report in found.values())
    outputs = [str(target / name) for name in names] if many else [str(target)]
    return {"model": model.reference, "n_rows": n_rows, "bad_rows": n_bad, "outputs": outputs, "labels": list(labels)}


def _with_headers(files: Sequence[TextFile], schema: Schema) -> list[TextFile]:
    if schema.format != "csv" or not schema.options.header:
        return list(files)
    checked = []
    for file in files:
        line = first_line(file)
        formats.check_header(line, schema, where=file.path)
        checked.append(replace(file, header_bytes=len(line)))
    return checked


def _check_bad(
    found: dict[tuple[str, int], RangeReport], limit: int, schema: Schema, say: Callable[[str], None]
) -> int:
    n_bad = sum(sum(report.bad_counts.values()) for report in found.values())
    if not n_bad:
        return 0
    lines = [f"{n_bad} bad rows:"]
    at = dict.fromkeys((file for file, _ in found), int(schema.format == "csv" and schema.options.header))
    for (file, _), report in sorted(found.items()):
        lines += [f"  {row.kind}: {file}:{at[file] + row.line + 1}: {row.excerpt}" for row in report.bad]
        at[file] += report.n_lines
    text = "\n".join(lines[:21])
    if n_bad > limit:
        raise BadDataError(f"{text}\nNothing was written. Mend the rows, or allow them with --max-bad-rows {n_bad}")
    say(text)
    return n_bad


def _join(file: TextFile, found: dict[tuple[str, int], RangeReport], target: Path, header: bytes) -> None:
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as out:
        out.write(header)
        for key in sorted(key for key in found if key[0] == file.path):
            with open(found[key].path, "rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())


def _header(model: Model) -> bytes:
    labels = model.label_texts
    columns = ["label", *(f"probability_{label}" for label in labels)] if labels else ["prediction"]
    return ("\t".join(columns) + "\n").encode()


def _output_names(files: Sequence[TextFile]) -> list[str]:
    """File names, made distinct by their folders where they are not."""
    names = [os.path.basename(file.path) for file in files]
    if len(set(names)) == len(names):
        return names
    shared = os.path.commonpath([os.path.dirname(file.path) for file in files])
    return [os.path.relpath(file.path, shared).replace(os.sep, "__") for file in files]
