"""libsvm (svmlight) text: ``label[:weight] [qid:N] id:value ... [# comment]``, one row a line.

Tokens are separated by blanks or tabs, runs of them allowed, behind a colon too; labels are decimal numbers; ids are
plain decimal digits that ascend strictly within a row and count from 0 or from 1; lines that are blank or hold a
comment only are no rows. Everything else is a refused row of a kind named in `rows.BAD_KINDS`.

The text is read in pieces that fit the processor's cache: by a compiled loop, where that is there and the piece holds
nothing unusual, straight into the result; else with arrays that are made, used and dropped in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data import kernels
from mr_ml.errors import BadDataError
from mr_ml.readers.libsvm.long_lines import LongLine, has_long_token, read_long_line
from mr_ml.readers.libsvm.offsets import beyond, with_offsets
from mr_ml.readers.libsvm.stored import LibsvmFacts, LibsvmPart
from mr_ml.readers.libsvm.tokens import KINDS, NO_GROUP, Lines, read_lines
from mr_ml.readers.libsvm.weights import Weights, kept_rows, taken_out
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow, NarrowRows, Parsed, Rows, excerpt
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import MAX_LABELS, Summary, distinct, first_examples, sampled_ids
from mr_ml.readers.text.fields import U64
from mr_ml.readers.text.lines import long_line_before
from mr_ml.readers.text.options import TextOptions

MAX_ID = 2**31 - 1

_PIECE_BYTES = 1 << 19
_SHOWN = 200


def draft(text: bytes, options: TextOptions, *, file: str, seen: Summary | None = None) -> tuple[Summary, Draft]:
    """Read a text once: what is in it, and its rows; see `TextFormat.draft`. Rows must have labels."""
    # what ids count from unless they turn out to count from 0
    base = 1 if options.index_base is None else options.index_base
    bare, weights = taken_out(text) if options.label_weights else (text, None)
    read = _read(
        bare, lowest_id=min(options.index_base or 0, _offset_id(options, base)), highest_id=MAX_ID + base, base=base,
        labels_required=True,
    )  # fmt: skip
    if weights is not None:
        read = _weighted(read, weights)
    if options.offset_feature is not None:
        read = _offset(read, options.offset_feature)
    rows = read.rows
    assert isinstance(rows, Rows)
    found = distinct(rows.labels)
    summary = Summary(
        n_rows=rows.n_rows,
        nnz=len(rows.indices),
        n_lines=read.n_lines,
        facts=LibsvmFacts(
            n_groups=0 if rows.groups is None else int(np.count_nonzero(rows.groups != NO_GROUP)),
            max_index=read.highest,
            min_index={file: read.lowest} if read.highest >= 0 else {},
        ),
        some_ids=sampled_ids(rows.indices, highest=read.highest),
        labels=frozenset(found.tolist()) if len(found) <= MAX_LABELS else None,
        bad_counts=read.bad_counts,
        examples=first_examples(tuple((file, row) for row in read.bad)),
    )
    return summary, read


def resolve(options: TextOptions, summary: Summary) -> Schema:
    """Decide what ids count from and how many features there are; see `Format.resolve`.

    Raises
    ------
    BadDataError
        No row; ids that count from 0 in one file and seem to count from 1 in another; query ids in some rows only.
    """
    if not summary.n_rows:
        raise BadDataError(
            f"expected at least one libsvm row, found none in {summary.n_lines} lines (refused: {summary.bad_counts}); "
            "check the input and `format`"
        )
    facts: LibsvmFacts = summary.facts
    if facts.n_groups not in (0, summary.n_rows):
        raise BadDataError(
            f"expected a query id (qid:N) in every row or in none, found it in {facts.n_groups} of {summary.n_rows} "
            "rows; pack the files with and without query ids as separate datasets"
        )
    base = options.index_base if options.index_base is not None else _detect_base(facts)
    if facts.max_index - base > MAX_ID:
        raise BadDataError(
            f"expected feature ids up to {MAX_ID} where ids count from 0, found {facts.max_index}; "
            "ids count from 0 because an id 0 was found: hash the ids to a smaller range"
        )
    continuous = summary.labels is None
    return Schema(
        format="libsvm",
        index_base=base,
        n_features=max(facts.max_index + 1 - base, 0),
        has_groups=facts.n_groups > 0,
        labels=tuple(sorted(summary.labels or ())),
        label_kind="continuous" if continuous else "numeric",
        part=LibsvmPart(options),
    )


def parse(text: bytes, schema: Schema, *, labels: Literal["required", "optional"]) -> Parsed:
    """Turn text into rows; see `TextFormat.parse`.

    Feature ids beyond the schema's are refused or left out, as its options say. Query ids become groups if the schema
    has groups, and are checked and left out if not.

    Notes
    -----
    O(bytes) time. Memory: the result (12 bytes a feature, 24 a row) plus a few MB, whatever the size of the text.
    """
    base = schema.index_base
    part: LibsvmPart = schema.part
    bare, weights = taken_out(text) if part.options.label_weights else (text, None)
    known_id = schema.n_features - 1 + base if part.options.unseen == "error" else None
    # where the feature that is the offset is beyond those that are known, unknown ones are told from it afterwards
    tells = known_id is None or _offset_id(part.options, known_id) <= known_id
    read = _read(
        bare, lowest_id=min(base, _offset_id(part.options, base)), highest_id=base + MAX_ID, base=base,
        labels_required=labels == "required", known_id=known_id if tells else None,
    )  # fmt: skip
    if weights is not None:
        read = _weighted(read, weights) if labels == "required" else _surely_labelled(read, weights, schema)
    if part.options.offset_feature is not None:
        read = _offset(read, part.options.offset_feature)
    if not tells:
        read = _all_known(read, schema)
    parsed = read.under(schema)
    return parsed if read.highest - base < schema.n_features else _known(parsed, schema.n_features)


def _weighted(read: Draft, weights: Weights) -> Draft:
    """Return the rows with their weights; those without one are bad."""
    assert isinstance(read.rows, Rows)
    rows, bad, counts = weights.of(read.rows)
    return _refused(replace(read, rows=rows), bad, counts)


def _offset_id(options: TextOptions, otherwise: int) -> int:
    return otherwise if options.offset_feature is None else options.offset_feature


def _offset(read: Draft, feature: int) -> Draft:
    """Return the rows with their offsets, and what is left of the ids."""
    assert isinstance(read.rows, Rows)
    return _with_rows(read, with_offsets(read.rows, feature - read.base))


def _all_known(read: Draft, schema: Schema) -> Draft:
    """Return the rows that have no features but the schema's; the others are bad."""
    rows = read.rows
    assert isinstance(rows, Rows)
    is_bad, bad = beyond(rows, schema.n_features, base=read.base)
    counts = {"unseen_feature": int(np.count_nonzero(is_bad))} if bad else {}
    return _refused(replace(read, rows=kept_rows(rows, ~is_bad)) if bad else read, bad, counts)


def _surely_labelled(read: Draft, weights: Weights, schema: Schema) -> Draft:
    """Return rows to be predicted without those whose first token may be a feature that lacks its label.

    That is a number with a colon behind it which is none of the schema's labels, where these are known.
    """
    rows = read.rows
    assert isinstance(rows, Rows)
    if not schema.labels:
        return read
    is_strange = np.isin(rows.lines, weights.lines) & ~np.isin(rows.labels, schema.labels)
    if not is_strange.any():
        return read
    at = np.searchsorted(weights.lines, rows.lines[is_strange][:MAX_EXAMPLES])
    bad = [
        BadRow(int(weights.lines[i]), "unseen_label", excerpt(f"{label:g}".encode() + weights.texts[i]))
        for i, label in zip(at.tolist(), rows.labels[is_strange].tolist(), strict=False)
    ]
    counts = {"unseen_label": int(np.count_nonzero(is_strange))}
    return _refused(replace(read, rows=kept_rows(rows, ~is_strange)), bad, counts)


def _refused(read: Draft, bad: list[BadRow], counts: dict[str, int]) -> Draft:
    """Add rows that are refused although they could be read; they are in `read.rows` no more."""
    if not counts:
        return read
    assert isinstance(read.rows, Rows)
    return replace(
        _with_rows(read, read.rows), bad=tuple(sorted((*read.bad, *bad))),
        bad_counts=dict(sorted({**read.bad_counts, **counts}.items())),
    )  # fmt: skip


def _with_rows(read: Draft, rows: Rows) -> Draft:
    """Return the draft with some of its rows, or of what is in them."""
    has_some = len(rows.indices) > 0
    return replace(
        read, rows=rows, lowest=int(rows.indices.min()) + read.base if has_some else MAX_ID + 2,
        highest=int(rows.indices.max()) + read.base if has_some else -1,
    )  # fmt: skip


def _known(parsed: Parsed, n_features: int) -> Parsed:
    """Return the rows without the features that the schema does not have."""
    rows = parsed.rows
    known = rows.indices < n_features
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])
    kept = replace(rows, indptr=before[rows.indptr], indices=rows.indices[known], values=rows.values[known])
    return replace(parsed, rows=kept, n_unseen=len(known) - len(kept.indices))


@dataclass(frozen=True, eq=False)
class Draft:
    """The rows of a text, read before it was known what the ids of all texts count from.

    Attributes
    ----------
    rows
        Feature ids less `base`; groups where any row has a query id.
    lowest, highest
        Of the ids as written; highest is -1 where there are none.
    """

    rows: Rows | NarrowRows
    base: int
    lowest: int
    highest: int
    bad: tuple[BadRow, ...]
    bad_counts: dict[str, int]
    n_lines: int

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.rows.nbytes

    def fits(self, schema: Schema) -> bool:
        """Whether `parse` refuses no row that is here, and leaves nothing out."""
        base = schema.index_base
        return self.highest < 0 or base <= self.lowest <= self.highest < base + schema.n_features

    def narrowed(self) -> Draft:
        """Return the same in fewer bytes."""
        return replace(self, rows=NarrowRows.of(self.rows)) if isinstance(self.rows, Rows) else self

    def under(self, schema: Schema) -> Parsed:
        """Return what `parse` finds in the same text."""
        base, groups = schema.index_base, None
        rows = self.rows if isinstance(self.rows, Rows) else self.rows.wide()
        if schema.has_groups:
            groups = np.full(rows.n_rows, NO_GROUP) if rows.groups is None else rows.groups
        moved = rows.indices if base == self.base else rows.indices + np.int32(self.base - base)
        rows = replace(rows, indices=moved, groups=groups)
        return Parsed(rows=rows, bad=self.bad, bad_counts=self.bad_counts, n_lines=self.n_lines)


def _read(
    text: bytes, *, lowest_id: int, highest_id: int, base: int, labels_required: bool, known_id: int | None = None
) -> Draft:
    known_id = highest_id if known_id is None else known_id
    n_ends, n_colons = kernels.count_bytes(text, b"\n:") or (_count(text, b"\n"), _count(text, b":"))
    # a feature takes four bytes at least
    most_rows, most_values = n_ends + 1, min(n_colons, len(text) // 4 + 1)
    labels, row_lines = np.empty(most_rows), np.empty(most_rows, np.int64)
    indptr = np.zeros(most_rows + 1, np.int64)
    indices, values = np.empty(most_values, np.int32), np.empty(most_values)
    arrays = labels, row_lines, indptr, indices, values
    groups: U64 | None = None
    bad = _BadRows()
    n_rows = nnz = n_lines = 0
    lowest, highest = MAX_ID + 2, -1
    for start, stop in _pieces(text):
        is_long = long_line_before(text, start, stop) == start
        # whatever reads it, the line is refused then
        usual = None if is_long and has_long_token(text, start, stop) else kernels.read_libsvm(
            text, start, stop, lowest_id=lowest_id, highest_id=min(highest_id, known_id), base=base,
            labels_required=labels_required, filled=(n_rows, nnz, n_lines), arrays=arrays,
        )  # fmt: skip
        if usual is not None:
            n_rows, nnz, n_lines, least, largest = usual
            lowest, highest = min(lowest, least), max(highest, largest)
            continue
        if is_long:
            end = stop - text.endswith(b"\n", start, stop)
            line = read_long_line(
                text, start, end, lowest_id=lowest_id, highest_id=highest_id, known_id=known_id, base=base,
                labels_required=labels_required, indices=indices[nnz:], values=values[nnz:],
            )  # fmt: skip
            if line.bad is not None:
                bad.add_line(text, start, end, line, number=n_lines)
            elif line.is_row:
                labels[n_rows], row_lines[n_rows] = line.label, n_lines
                if line.group is not None:
                    groups = np.full(most_rows, NO_GROUP) if groups is None else groups
                    groups[n_rows] = line.group
                if line.n_values:
                    lowest, highest = min(lowest, line.lowest), max(highest, line.highest)
                n_rows, nnz = n_rows + 1, nnz + line.n_values
                indptr[n_rows] = nnz
            n_lines += 1
            continue
        piece = text[start:stop] if text.endswith(b"\n", start, stop) else text[start:stop] + b"\n"
        lines = read_lines(
            piece, lowest_id=lowest_id, highest_id=highest_id, known_id=known_id, labels_required=labels_required
        )
        bad.add(piece, lines, first_line=n_lines)
        row, entry = slice(n_rows, n_rows + len(lines.labels)), slice(nnz, nnz + len(lines.ids))
        labels[row] = lines.labels
        np.add(lines.row_lines, n_lines, out=row_lines[row])
        np.add(lines.row_ends, nnz, out=indptr[row.start + 1 : row.stop + 1])
        np.subtract(lines.ids, base, out=indices[entry], casting="unsafe")
        values[entry] = lines.values
        if lines.groups is not None:
            groups = np.full(most_rows, NO_GROUP) if groups is None else groups
            groups[row] = lines.groups
        lowest, highest = int(lines.ids.min(initial=lowest)), int(lines.ids.max(initial=highest))
        n_rows, nnz, n_lines = row.stop, entry.stop, n_lines + lines.n_lines
    rows = Rows(
        labels=labels[:n_rows],
        indptr=indptr[: n_rows + 1],
        indices=indices[:nnz],
        values=values[:nnz],
        lines=row_lines[:n_rows],
        groups=None if groups is None else groups[:n_rows],
    )
    counts = dict(sorted(bad.counts.items()))
    return Draft(rows, base, lowest, highest, tuple(sorted(bad.examples)), counts, n_lines)


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

    def add_line(self, text: bytes, start: int, stop: int, line: LongLine, *, number: int) -> None:
        """Count the long line text[start:stop]."""
        assert line.bad is not None
        name = KINDS[line.bad]
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.counts[name] <= MAX_EXAMPLES:
            # no copy of all that is not shown
            first = max(start + line.bad_at - _SHOWN, start)
            shown = excerpt(text[first : min(start + line.bad_at + _SHOWN, stop)], at=start + line.bad_at - first)
            self.examples.append(BadRow(number, name, shown))


def _detect_base(facts: LibsvmFacts) -> Literal[0, 1]:
    from_0 = min((file for file, lowest in facts.min_index.items() if lowest == 0), default=None)
    from_1 = min((file for file, lowest in facts.min_index.items() if lowest > 0), default=None)
    if from_0 is not None and from_1 is not None:
        raise BadDataError(
            f"expected feature ids that count from 0 in all files or from 1 in all files, found an id 0 in {from_0!r} "
            f"and none in {from_1!r} (its ids begin at {facts.min_index[from_1]}); say which by `index_base` 0 or 1"
        )
    return 1 if from_0 is None else 0


def _pieces(text: bytes) -> Iterator[tuple[int, int]]:
    """Cut a text after line feeds, and before long lines."""
    start = 0
    while start < len(text):
        stop = text.find(b"\n", start + _PIECE_BYTES - 1) + 1 or len(text)
        before = long_line_before(text, start, stop)
        stop = before if before > start else stop
        yield start, stop
        start = stop


def _count(text: bytes, character: bytes) -> int:
    buffer, step = np.frombuffer(text, np.uint8), _PIECE_BYTES
    return sum(int(np.count_nonzero(buffer[i : i + step] == character[0])) for i in range(0, len(buffer), step))
