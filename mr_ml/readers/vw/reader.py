"""Vowpal Wabbit's text to rows. Features are numbered by the sorted list of their names, or hashed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from mr_ml.errors import BadDataError
from mr_ml.readers.base import Labels
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow, Parsed, Rows, excerpt
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import MAX_LABELS, Summary, sampled_ids
from mr_ml.readers.vw.lines import Line, RefusedError, read_line, split_head
from mr_ml.readers.vw.stored import MAX_NAMES, VwFacts, VwOptions, VwPart, bounded

_REMEMBERED = 1 << 20


class _Bad:
    """Refused rows: counts, and examples of each kind."""

    def __init__(self) -> None:
        self.rows: list[BadRow] = []
        self.counts: Counter[str] = Counter()

    def add(self, line: int, error: RefusedError) -> None:
        self.counts[error.kind] += 1
        if self.counts[error.kind] <= MAX_EXAMPLES:
            self.rows.append(BadRow(line, error.kind, excerpt(error.culprit[:200])))

    @property
    def kinds(self) -> dict[str, int]:
        return dict(sorted(self.counts.items()))


def _lines(text: bytes) -> list[bytes]:
    return text.removesuffix(b"\n").split(b"\n") if text else []


def _read(lines: list[bytes], bad: _Bad, *, label_required: bool) -> Iterator[tuple[int, Line]]:
    for number, line in enumerate(lines):
        if line.isspace() or not line:
            continue
        try:
            yield number, read_line(line, label_required=label_required)
        except RefusedError as error:
            bad.add(number, error)


def scan(text: bytes, options: VwOptions, *, file: str) -> Summary:
    """Say what is in a text; see `TextFormat.draft`."""
    lines, bad, names, labels, ids = _lines(text), _Bad(), set[bytes](), set[float](), set[int]()
    n_rows = nnz = n_weights = n_bases = 0
    for _, line in _read(lines, bad, label_required=True):
        n_rows, nnz = n_rows + 1, nnz + len(line.features)
        n_weights += line.importance == line.importance
        n_bases += line.base == line.base
        labels.add(line.label)
        if options.hash_bits is None:
            names.update(line.features)
        else:
            ids.update(hashed(name, options.hash_bits) for name in line.features)
    found = np.array(sorted(ids), np.int32)
    return Summary(
        n_rows=n_rows,
        nnz=nnz,
        n_lines=len(lines),
        labels=frozenset(labels) if len(labels) <= MAX_LABELS else None,
        bad_counts=bad.kinds,
        examples=tuple((file, row) for row in sorted(bad.rows)),
        some_ids=sampled_ids(found, highest=int(found.max(initial=-1))),
        facts=VwFacts(n_weights=n_weights, n_bases=n_bases, names=bounded({name.decode() for name in names})),
    )


def resolve(options: VwOptions, summary: Summary) -> Schema:
    """Decide how features are numbered; see `Format.resolve`.

    Raises
    ------
    BadDataError
        No row, or too many names.
    """
    if not summary.n_rows:
        raise BadDataError(
            f"expected at least one row of Vowpal Wabbit's text, found none in {summary.n_lines} lines (refused: "
            f"{summary.bad_counts}); check the input and `format`"
        )
    facts: VwFacts = summary.facts
    if facts.names is None and options.hash_bits is None:
        raise BadDataError(
            f"expected at most {MAX_NAMES} different features, found more; hash them by `hash_bits`, such as 22"
        )
    names = facts.names if options.hash_bits is None else None
    return Schema(
        format="vw",
        n_features=1 << options.hash_bits if options.hash_bits is not None else len(names or ()),
        feature_names=names,
        labels=tuple(sorted(summary.labels or ())),
        label_kind="continuous" if summary.labels is None else "numeric",
        part=VwPart(options, facts.n_weights > 0, facts.n_bases > 0),
    )


def parse(text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
    """Turn text into rows; see `TextFormat.parse`.

    Raises
    ------
    BadDataError
        Rows have an importance or a base, and those that the schema was made from had none.
    """
    part: VwPart = schema.part
    number = _numbers(schema)
    lines, bad = _lines(text), _Bad()
    at: list[int] = []
    found: list[Line] = []
    ids: list[int] = []
    values: list[float] = []
    ends = [0]
    n_unseen = 0
    for line_number, line in _read(lines, bad, label_required=labels == "required"):
        _check_known(line, part, labels)
        features: dict[int, float] = {}
        unseen = None
        for name, value in line.features.items():
            feature = number(name)
            if feature is None:
                unseen, n_unseen = unseen or name, n_unseen + 1
            else:
                features[feature] = features.get(feature, 0.0) + value
        if unseen is not None and part.options.unseen == "error":
            bad.add(line_number, RefusedError("unseen_feature", unseen))
            continue
        at.append(line_number)
        found.append(line)
        ids += sorted(features)
        values += (features[feature] for feature in sorted(features))
        ends.append(len(ids))
    weights = np.array([line.importance for line in found]) if part.weighted else None
    offsets = np.array([line.base for line in found]) if part.based else None
    rows = Rows(
        labels=np.array([line.label for line in found], np.float64),
        indptr=np.array(ends, np.int64),
        indices=np.array(ids, np.int32),
        values=np.array(values, np.float64),
        lines=np.array(at, np.int64),
        weights=None if weights is None else np.where(np.isnan(weights), 1.0, weights),
        offsets=None if offsets is None else np.where(np.isnan(offsets), 0.0, offsets),
    )
    n_unseen = n_unseen if part.options.unseen == "ignore" else 0
    return Parsed(rows, tuple(sorted(bad.rows)), bad.kinds, n_lines=len(lines), n_unseen=n_unseen)


def _check_known(line: Line, part: VwPart, labels: Labels) -> None:
    for has, known, what in (
        (line.importance, part.weighted or labels == "optional", "importance"),
        (line.base, part.based, "base"),
    ):
        if has == has and not known:
            raise BadDataError(
                f"expected rows without {what}, as those that the schema was made from, found one of {has:g}; pack "
                "the data anew"
            )


def _numbers(schema: Schema) -> Callable[[bytes], int | None]:
    """Return what numbers features by their names; None for those that the schema does not have."""
    part: VwPart = schema.part
    bits = part.options.hash_bits
    if bits is not None:
        return lambda name: hashed(name, bits)
    return _vocabulary(schema.feature_names or ()).get


@lru_cache(maxsize=4)
def _vocabulary(names: tuple[str, ...]) -> dict[bytes, int]:
    return {name.encode(): number for number, name in enumerate(names)}


@lru_cache(maxsize=_REMEMBERED)
def hashed(name: bytes, bits: int) -> int:
    """Hash a name: the same everywhere and always, but not as Vowpal Wabbit does."""
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") & ((1 << bits) - 1)


def tags(text: bytes, rows: Rows) -> list[str]:
    """Return the tags of rows."""
    lines = _lines(text)
    return [split_head(lines[k].partition(b"|")[0])[1].decode() for k in rows.lines.tolist()]
