"""Predicting raw text rows: what a map task does with one range of text.

Every input line gives exactly one output line: `label TAB probability of each class` (or the predicted value), and an
empty line for a line that holds no row (blank, a comment, or a bad row within --max-bad-rows).
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml import frame
from mr_ml.block import Block
from mr_ml.engine.blas import one_thread
from mr_ml.errors import BadDataError
from mr_ml.features import SparseFeatures
from mr_ml.loss import loss_named
from mr_ml.readers import formats
from mr_ml.readers.rows import BadRow, Parsed, Rows
from mr_ml.readers.schema import Schema
from mr_ml.readers.source import TextRange
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
