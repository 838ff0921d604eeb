"""Predicting raw text rows: what a map task does with one range of text.

Every input line gives exactly one output line, also one that holds no row (blank, a comment, or a bad row within
`max_bad_rows`); what stands in it is for the output format, see `mr_ml.prediction.outputs`. Numbers are the shortest
that read back as the same double.

A task leaves its lines in a file, or, if Hadoop streams its text, in its own output: `mr_ml.runners.base.Runner.left`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from hdfs_layout.faults import storage_error
from mr_ml.data import frame
from mr_ml.data.block import Block
from mr_ml.data.features import SparseFeatures, narrow_indptr
from mr_ml.models.predictor import PREDICTORS, Predictor
from mr_ml.prediction.outputs import DEFAULT, OUTPUT_FORMATS
from mr_ml.prediction.outputs.base import Columns, Records
from mr_ml.readers.base import Piece, format_named
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow, Rows
from mr_ml.readers.schema import Schema
from mr_ml.sums.blas import one_thread

KIND = "predict"
# Of a range; there are a few dozen kinds.
_EXAMPLES = 3 * MAX_EXAMPLES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PredictRequest:
    """A prediction, as the tasks of its job read it.

    Attributes
    ----------
    schema
        Of the text.
    predictor
        Of the rows.
    columns
        What the output consists of.
    folder
        Where each task that opens its text leaves its lines; empty on a cluster, where they are the task's output.
    output
        Name of the output format.
    """

    schema: Schema
    predictor: Predictor
    columns: Columns
    folder: str
    output: str = DEFAULT

    def encode(self) -> bytes:
        """Return the bytes that `decode` turns into the same request."""
        predictor, arrays = self.predictor.to_parts()
        meta = {
            "schema": self.schema.to_json(),
            "kind": self.predictor.kind,
            "predictor": predictor,
            "columns": self.columns.to_json(),
            "folder": self.folder,
            "output": self.output,
        }
        return frame.encode(KIND, meta, arrays)

    @classmethod
    def decode(cls, data: bytes) -> PredictRequest:
        """Undo `encode`."""
        opened = frame.decode(data, kind=KIND, where="the predict request")
        meta = opened.meta
        predictor = PREDICTORS.get(meta["kind"]).from_parts(meta["predictor"], opened.arrays)
        columns = Columns.from_json(meta["columns"])
        return cls(Schema.from_json(meta["schema"]), predictor, columns, meta["folder"], meta["output"])


@dataclass(frozen=True, kw_only=True)
class RangeReport:
    """The result of predicting one range of text.

    Attributes
    ----------
    file, start
        The range.
    n_read
        Bytes of text read in it; of streamed text, the bytes that Hadoop sent, the header's included.
    n_lines, n_rows
        Lines and rows in it; the header is neither.
    n_unseen
        Features that the model does not know and that were ignored, as asked.
    bad_counts, bad
        Refused rows by kind, and examples, whose lines count from the start of the range.
    n_lost, lost_line
        Rows whose prediction is not finite, and the line of the first of them, from the start of the range.
    n_written
        Bytes of the output lines, of which there are n_lines.
    """

    file: str
    start: int
    n_read: int = 0
    n_lines: int = 0
    n_rows: int = 0
    n_unseen: int = 0
    bad_counts: dict[str, int] = field(default_factory=dict)
    bad: tuple[BadRow, ...] = ()
    n_lost: int = 0
    lost_line: int = -1
    n_written: int = 0

    def encode(self) -> bytes:
        """Return one line of JSON, which `decode` reads."""
        data = {**vars(self), "bad": [row.to_json() for row in self.bad]}
        return json.dumps(data, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, line: bytes) -> RangeReport:
        """Undo `encode`."""
        data: dict[str, Any] = json.loads(line)
        return cls(**{**data, "bad": tuple(BadRow(*row) for row in data["bad"])})


def predict_to_file(request: PredictRequest, text: Piece) -> tuple[bytes, bytes]:
    """Write the output lines of one range to a file of their own; its path in JSON, and the report.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    try:
        handle, path = tempfile.mkstemp(dir=request.folder, prefix="lines-")
        with os.fdopen(handle, "wb") as out:
            report = predict_text(request, text, out.write)
        return json.dumps(path).encode(), report.encode()
    except OSError as error:
        raise storage_error(error, doing="write predictions to", place=request.folder) from error


def predict_text(request: PredictRequest, text: Piece, write: Callable[[bytes | memoryview], object]) -> RangeReport:
    """Write the output lines of one range of text."""
    report = RangeReport(file=text.file, start=text.start)
    form, output, keep = format_named(request.schema.format), OUTPUT_FORMATS.get(request.output), request.columns.kept
    keeping = {"keep": keep} if keep else {}
    n_read = 0
    # numbers that overflow show in the output
    with one_thread(), np.errstate(all="ignore"):
        for parsed in form.rows(text, request.schema, labels="optional", **keeping):
            n_read += parsed.n_bytes
            values = predicted(request.predictor, parsed.rows)
            records = Records(request.columns, parsed.n_lines, parsed.rows.lines, parsed.kept, values)
            lines = output.lines(records)
            write(lines)
            if not np.isfinite(values).all():
                report = _with_lost(report, parsed.rows.lines[~np.isfinite(values).all(axis=1)])
            counts = dict(report.bad_counts)
            for kind, count in parsed.bad_counts.items():
                counts[kind] = counts.get(kind, 0) + count
            bad = [*report.bad, *(replace(row, line=row.line + report.n_lines) for row in parsed.bad)]
            report = replace(
                report, n_lines=report.n_lines + parsed.n_lines, n_rows=report.n_rows + parsed.rows.n_rows,
                n_unseen=report.n_unseen + parsed.n_unseen,
                bad_counts=counts, bad=tuple(bad[:_EXAMPLES]), n_written=report.n_written + len(lines),
            )  # fmt: skip
    _, _, *streamed = json.loads(text.key())
    return replace(report, n_read=streamed[0] if streamed else n_read)


def _with_lost(report: RangeReport, lines: Ints) -> RangeReport:
    """Add rows whose prediction is not finite, of a chunk that begins where the report ends so far."""
    first = report.lost_line if report.n_lost else report.n_lines + int(lines[0])
    return replace(report, n_lost=report.n_lost + len(lines), lost_line=first)


def predicted(predictor: Predictor, rows: Rows) -> Floats:
    """Probabilities of each class (n_rows, n_classes), or values (n_rows, 1)."""
    features = SparseFeatures(narrow_indptr(rows.indptr), rows.indices, rows.values)
    return predictor.values(Block(features, np.zeros(rows.n_rows), None, rows.offsets))
