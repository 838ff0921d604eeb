"""libsvm (svmlight) text: ``label [qid:N] id:value ... [# comment]``, one row a line.

Tokens are separated by blanks or tabs, runs of them allowed; labels are decimal numbers; ids are plain decimal digits
that ascend strictly within a row and count from 0 or from 1; lines that are blank or hold a comment only are no rows.
Everything else is a refused row of a kind named in `rows.BAD_KINDS`.

The text is read in pieces that fit the processor's cache: the arrays of a piece are made, used and dropped there, and
only what is kept is written to memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from mr_ml.errors import BadDataError
from mr_ml.readers.libsvm_lines import KINDS, NO_GROUP, Lines, read_lines
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow, Parsed, Rows, excerpt
from mr_ml.readers.schema import MAX_LABELS, Schema, Summary, TextOptions, first_examples, merge_labels

MAX_ID = 2**31 - 1

_PIECE_BYTES = 1 << 19


def scan(text: bytes, options: TextOptions, *, file: str) -> Summary:
    """Read a text once and say what is in it; see `formats.scan`. Rows must have labels."""
    lowest_id = options.index_base or 0
    # An id of 2^31 is right if ids turn out to count from 1, which the scan of one text does not know.
    highest_id = MAX_ID + (1 if options.index_base is None else options.index_base)
    bad = _BadRows()
    labels: frozenset[float] | None = frozenset()
    n_rows = nnz = n_groups = n_lines = 0
    lowest, highest = MAX_ID + 2, -1
    for piece in _pieces(text):
        lines = read_lines(piece, lowest_id=lowest_id, highest_id=highest_id, labels_required=True)
        bad.add(piece, lines, first_line=n_lines)
        n_rows, nnz, n_lines = n_rows + len(lines.labels), nnz + len(lines.ids), n_lines + lines.n_lines
        n_groups += 0 if lines.groups is None else int(np.count_nonzero(lines.groups != NO_GROUP))
        lowest, highest = int(lines.ids.min(initial=lowest)), int(lines.ids.max(initial=highest))
        if labels is not None:
            distinct = np.unique(lines.labels)
            labels = merge_labels(labels, frozenset(distinct.tolist()) if len(distinct) <= MAX_LABELS else None)
    return Summary(
        n_rows=n_rows,
        nnz=nnz,
        n_lines=n_lines,
        n_groups=n_groups,
        max_index=highest,
        min_index={file: lowest} if highest >= 0 else {},
        labels=labels,
        bad_counts=dict(sorted(bad.counts.items())),
        examples=first_examples(tuple((file, row) for row in bad.examples)),
    )


def resolve(options: TextOptions, summary: Summary) -> Schema:
    """Decide what ids count from and how many features there are; see `formats.resolve`.

    Raises
    ------
    BadDataError
        No row; ids that count from 0 in one file and seem to count from 1 in another; query ids in some rows only.
    """
    if not summary.n_rows:
        raise BadDataError(
            f"expected at least one libsvm row, found none in {summary.n_lines} lines (refused: {summary.bad_counts}); "
            "check the input and --format"
        )
    if summary.n_groups not in (0, summary.n_rows):
        raise BadDataError(
            f"expected a query id (qid:N) in every row or in none, found it in {summary.n_groups} of {summary.n_rows} "
            "rows; pack the files with and without query ids as separate datasets"
        )
    base = options.index_base if options.index_base is not None else _detect_base(summary)
    if summary.max_index - base > MAX_ID:
        raise BadDataError(
            f"expected feature ids up to {MAX_ID} where ids count from 0, found {summary.max_index}; "
            "ids count from 0 because an id 0 was found: hash the ids to a smaller range"
        )
    continuous = summary.labels is None
    return Schema(
        format="libsvm",
        options=options,
        index_base=base,
        n_features=max(summary.max_index + 1 - base, 0),
        has_groups=summary.n_groups > 0,
        labels=tuple(sorted(summary.labels or ())),
        label_kind="continuous" if continuous else "numeric",
    )


def parse(text: bytes, schema: Schema, *, labels: Literal["required", "optional"]) -> Parsed:
    """Turn text into rows; see `formats.parse`.

    Feature ids beyond the schema's are kept as they are. Query ids become groups if the schema has groups, and are
    checked and left out if not.

    Notes
    -----
    O(bytes) time. Memory: the result (12 bytes a feature, 24 a row) plus a few MB, whatever the size of the text.
    """
    buffer = np.frombuffer(text, np.uint8)
    rows, features = _count(buffer, b"\n") + 1, _count(buffer, b":")
    all_labels, row_lines = np.empty(rows), np.empty(rows, np.int64)
    indptr = np.zeros(rows + 1, np.int64)
    indices, values = np.empty(features, np.int32), np.empty(features)
    groups = np.empty(rows, np.uint64) if schema.has_groups else None
    bad = _BadRows()
    n_rows = nnz = n_lines = 0
    base = schema.index_base
    for piece in _pieces(text):
        lines = read_lines(piece, lowest_id=base, highest_id=base + MAX_ID, labels_required=labels == "required")
        bad.add(piece, lines, first_line=n_lines)
        new_rows, new_features = len(lines.labels), len(lines.ids)
        row, feature = slice(n_rows, n_rows + new_rows), slice(nnz, nnz + new_features)
        all_labels[row] = lines.labels
        np.add(lines.row_lines, n_lines, out=row_lines[row])
        np.add(lines.row_ends, nnz, out=indptr[n_rows + 1 : n_rows + 1 + new_rows])
        np.subtract(lines.ids, base, out=indices[feature], casting="unsafe")
        values[feature] = lines.values
        if groups is not None:
            groups[row] = NO_GROUP if lines.groups is None else lines.groups
        n_rows, nnz, n_lines = n_rows + new_rows, nnz + new_features, n_lines + lines.n_lines
    return Parsed(
        rows=Rows(
            labels=all_labels[:n_rows],
            indptr=indptr[: n_rows + 1],
            indices=indices[:nnz],
            values=values[:nnz],
            lines=row_lines[:n_rows],
            groups=None if groups is None else groups[:n_rows],
        ),
        bad=tuple(sorted(bad.examples)),
        bad_counts=dict(sorted(bad.counts.items())),
        n_lines=n_lines,
    )


class _BadRows:
    """Counts of all refused rows and the first few of each kind."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: list[BadRow] = []

    def add(self, piece: bytes, lines: Lines, *, first_line: int) -> None:
        if not len(lines.bad_lines):
            return
        line_ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n"))
        for kind in np.unique(lines.bad_kinds).tolist():
            name, chosen = KINDS[kind], np.flatnonzero(lines.bad_kinds == kind)
            room = MAX_EXAMPLES - self.counts.get(name, 0)
            self.counts[name] = self.counts.get(name, 0) + len(chosen)
            for i in chosen[: max(room, 0)].tolist():
                line = int(lines.bad_lines[i])
                start = int(line_ends[line - 1]) + 1 if line else 0
                text = excerpt(piece[start : int(line_ends[line])], at=int(lines.bad_at[i]))
                self.examples.append(BadRow(first_line + line, name, text))


def _detect_base(summary: Summary) -> Literal[0, 1]:
    from_0 = min((file for file, lowest in summary.min_index.items() if lowest == 0), default=None)
    from_1 = min((file for file, lowest in summary.min_index.items() if lowest > 0), default=None)
    if from_0 is not None and from_1 is not None:
        raise BadDataError(
            f"expected feature ids that count from 0 in all files or from 1 in all files, found an id 0 in {from_0!r} "
            f"and none in {from_1!r} (its ids begin at {summary.min_index[from_1]}); say which by --index-base 0 or 1"
        )
    return 1 if from_0 is None else 0


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a text after line feeds; every piece ends with one."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _PIECE_BYTES - 1) + 1
        if end:
            yield text[start:end]
        else:
            yield text[start:] if text.endswith(b"\n") else text[start:] + b"\n"
            return
        start = end


def _count(buffer: np.ndarray, character: bytes) -> int:
    step = _PIECE_BYTES
    return sum(int(np.count_nonzero(buffer[i : i + step] == character[0])) for i in range(0, len(buffer), step))
