"""Rows in memory, an array, a matrix or a data frame, as a block of a schema's features."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.data.features import SparseFeatures, narrow_indptr
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.sparse_rows import sparse_rows
from mr_ml.readers.base import format_named
from mr_ml.readers.frames import Frame, frame_of
from mr_ml.readers.rows import BAD_KINDS, Rows
from mr_ml.readers.schema import Schema

Floats = NDArray[np.float64]
Unseen = Literal["error", "ignore"]

_SHOWN = 3


def block_of(schema: Schema, x: Any, *, offsets: Floats | None, unseen: Unseen | None) -> Block:
    """Return rows in memory as a block whose labels mean nothing; see `mr_ml.models.base.Model.predict_proba`.

    Raises
    ------
    UsageError
        If these are not rows of so many features, or offsets are not one for each, or are given twice.
    BadDataError
        If a data frame lacks columns or has bad rows.
    """
    if unseen not in (None, "error", "ignore"):
        raise UsageError(f"`unseen`: expected 'error' or 'ignore', found {unseen!r}")
    frame = frame_of(x)
    if frame is None:
        features, found = sparse_rows(x, schema.n_features), None
        _check_numbers(features, schema)
    else:
        rows = _frame_rows(frame, schema, unseen)
        features, found = SparseFeatures(narrow_indptr(rows.indptr), rows.indices, rows.values), rows.offsets
    if offsets is not None:
        if found is not None:
            raise UsageError("expected offsets in the data frame or as an argument, found both")
        found = np.asarray(offsets, np.float64)
        if found.shape != (features.n_rows,):
            raise UsageError(f"expected offsets of {features.n_rows} rows; found shape {found.shape}")
    return Block(features, np.zeros(features.n_rows), None, found)


def _check_numbers(features: SparseFeatures, schema: Schema) -> None:
    """Refuse what is no number: NaN in a margin would choose a class."""
    wrong = np.flatnonzero(~np.isfinite(features.values))
    if len(wrong):
        first = int(wrong[0])
        row = int(np.searchsorted(features.indptr, first, side="right")) - 1
        name = schema.name_of(int(features.indices[first]))
        raise BadDataError(
            f"expected numbers, found {len(wrong)} that are none, the first in row {row}, counted from 0, of feature "
            f"{name!r}: {features.values[first]}; fill them in, or leave such rows out"
        )


def _frame_rows(frame: Frame, schema: Schema, unseen: Unseen | None) -> Rows:
    form = format_named(schema.format)
    parsed = form.frame_rows(frame, form.with_unseen(schema, unseen))
    n_bad = sum(parsed.bad_counts.values())
    if n_bad:
        lines = [f"{n_bad} bad rows in the data frame, whose rows count from 0:"]
        for kind, count in parsed.bad_counts.items():
            shown = [f"    row {row.line}: {row.excerpt}" for row in parsed.bad if row.kind == kind]
            lines += [f"  {kind} ({count}): {BAD_KINDS[kind]}", *shown[:_SHOWN]]
        raise BadDataError("\n".join(lines))
    if parsed.n_dropped:
        raise BadDataError(
            f"{parsed.n_dropped} rows of the data frame lack values, and the model leaves such rows out (`missing` "
            "drop); leave them out of the data frame, or fill them in"
        )
    return parsed.rows
