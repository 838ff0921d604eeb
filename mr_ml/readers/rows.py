"""What a reader makes of text: rows as arrays, and the rows that it refused.

There is no Python object per row. Everything that is said about a refused row (kind, line, excerpt) is safe to print
on a terminal whatever bytes the row held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.narrow import narrow, narrow_ids, shared_ids, widen

MAX_EXAMPLES = 20
EXCERPT_CHARACTERS = 80
_LEAD_IN = 20

BAD_KINDS: dict[str, str] = {
    # What is wrong with the bytes of a line, whatever the format.
    "bom": "The line begins with a UTF-8 byte order mark; save the file as UTF-8 without one.",
    "nul": "The line holds a NUL byte; the file is binary, UTF-16 or damaged.",
    "not_utf8": "The line is not valid UTF-8; convert the file to UTF-8.",
    "lone_cr": "The line holds a carriage return that does not end it; end lines by LF or CR LF.",
    "long_line": "The line is too long for a row, or too much of it is one token or delimiters; write one row a line.",
    # Tokens of libsvm text that do not stand where they belong.
    "no_label": "The row begins with a feature where its label belongs.",
    "ragged_token": "A token is not id:value, such as '3:', ':2', '3:1:2', or a blank before the colon.",
    "bad_qid": "The query id is not 'qid:' and decimal digits, or does not stand between label and features.",
    "header_again": "The row is the header again, as in joined files; remove it, or say `header=False` if both are "
    "rows.",
    # What is wrong with a number.
    "non_ascii": "A character outside ASCII stands where a number belongs, such as a full-width digit.",
    "not_finite": "A number is NaN or infinite; leave the feature out, or clean the row.",
    "overflow": "A number is too large for a 64-bit float, such as 1e400.",
    "underscore": "A number holds an underscore, such as 1_000; write plain digits.",
    "thousands": "A number has separators, such as 1,037; `thousands` says which (and `decimal` which decimal mark).",
    "decimal_mark": "A number has another decimal mark than the others; `decimal` and `thousands` say which there are.",
    "percent": "A number ends with a percent sign; `percent` takes 12% as 0.12.",
    "date": "A date or time stands where a number belongs; write it as a number, or leave the column out by `drop`.",
    "bad_label": "The label is not a decimal number.",
    "inexact_label": (
        "An integer label beyond 2^53 is another number as a 64-bit float, so labels would merge: number the classes "
        "anew, or write a target with a decimal point."
    ),
    "bad_value": "A value is not a decimal number.",
    "bad_date": "A date or time is none, or is not written as its format in the schema file says.",
    "bad_id": "A feature id is not plain decimal digits.",
    "id_too_large": "A feature id is beyond 2147483647 (counted from 0).",
    "id_zero": "A feature id is 0 although ids are declared to count from 1.",
    "duplicate_id": "A feature id stands twice in the row.",
    "descending_ids": "The feature ids of the row do not ascend.",
    # CSV.
    "open_quote": "A quote is not closed in its line; a line is a row, so take line breaks out of quoted fields.",
    "stray_quote": "A quote stands in the middle of a field; quote the whole field and double the quotes in it.",
    "too_few_fields": "The row has fewer fields than there are columns.",
    "too_many_fields": "The row has more fields than there are columns; quote fields that hold the delimiter.",
    # Typed columns.
    "bad_head": "What stands before the first bar is not [label [importance [base]]] ['tag], or there is no bar.",
    "bad_feature": "A feature has no name, or a namespace has none or holds a ^.",
    "bad_record": "The line is not one JSON object with each of its names once.",
    "nested_value": "A value is a list, an object or bytes; write what is in it as columns of its own, or leave the "
    "column out by `drop`.",
    "line_break": "A text holds a line break; take it out, or leave the column out by `drop`.",
    "inexact_value": "An integer beyond 2^53 is another number as a 64-bit float; leave the column out by `drop`, "
    "or say `categorical` if it is a name.",
    "missing_label": "The label is missing.",
    "unseen_label": "The label is none of those that the schema was made from; write it as there, or pack anew.",
    "missing_weight": "The weight is missing.",
    "bad_weight": "The weight is not a finite decimal number of at least 0.",
    "missing_offset": "The offset is missing.",
    "bad_offset": "The offset is not a finite decimal number.",
    "missing_group": "The group is missing.",
    "missing_value": (
        "A feature has no value; pack with `missing` drop, zero or value:<x> to say what to do with such rows, and "
        "with `missing_markers` to say which texts mean that, in place of the default ones, if one of them is a name."
    ),
    "unseen_value": (
        "A category is none of those that the schema was made from; `unseen` ignore takes it as all zeros, when "
        "predicting or when the training data is packed."
    ),
    "unseen_feature": "A feature id is beyond those that the schema has; `unseen_features` ignore leaves it out.",
}


@dataclass(frozen=True)
class Rows:
    """n rows as arrays: features in CSR form and one number a row for everything else.

    Attributes
    ----------
    labels : float64, shape (n,)
        The numeric label, or the index into the schema's labels where labels are text. NaN where a row has no label
        (only where labels are optional).
    indptr, indices, values : int64 (n + 1,), int32 (nnz,), float64 (nnz,)
        Row i holds features ``indices[indptr[i]:indptr[i+1]]``, counted from 0 and strictly ascending. Explicit zeros
        are kept; -0.0 is stored as 0.0.
    lines : int64, shape (n,)
        0-based line of each row in the text that was parsed, ascending.
    weights, offsets : float64, shape (n,), or None
    groups : uint64, shape (n,), or None
        64-bit hash of the text of the group column or query id: equal text, equal hash.
    """

    labels: NDArray[np.float64]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float64]
    lines: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None
    offsets: NDArray[np.float64] | None = None
    groups: NDArray[np.uint64] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.labels)

    @property
    def matrix(self) -> tuple[NDArray[Any], int] | None:
        """The features once more as (n, n_features), as `mr_ml.data.narrow` holds numbers, if they came so.

        Then no value is an explicit zero: what is zero there is no entry.
        """
        return None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        columns = (self.labels, self.lines, self.weights, self.offsets, self.groups)
        entries = self.indptr.nbytes + self.indices.nbytes + self.values.nbytes
        return entries + sum(c.nbytes for c in columns if c is not None)


@dataclass(frozen=True, eq=False)
class NarrowRows:
    """Rows whose features are held in fewer bytes.

    Attributes
    ----------
    rows
        Everything but the features.
    indices
        See `narrow_ids`; of one row where all rows have the same.
    values, places
        See `narrow`.
    """

    rows: Rows
    indices: NDArray[Any]
    values: NDArray[Any]
    places: int

    @classmethod
    def of(cls, rows: Rows) -> NarrowRows:
        """Undone by `wide`."""
        bare = replace(rows, indices=rows.indices[:0].copy(), values=rows.values[:0].copy())
        shared = shared_ids(rows.indptr, rows.indices)
        return cls(bare, narrow_ids(rows.indices if shared is None else shared.copy()), *narrow(rows.values))

    def wide(self) -> Rows:
        """Return the rows with all arrays in their full width."""
        indices = self.indices.astype(np.int32)
        if len(indices) != len(self.values):
            indices = np.tile(indices, self.rows.n_rows)
        return replace(self.rows, indices=indices, values=widen(self.values, self.places))

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.rows.nbytes + self.indices.nbytes + self.values.nbytes


@dataclass(frozen=True, order=True)
class BadRow:
    """One refused row: a kind of `BAD_KINDS`, its 0-based line in the text, and up to 80 printable characters of it."""

    line: int
    kind: str
    excerpt: str

    def to_json(self) -> list[Any]:
        """``[line, kind, excerpt]``."""
        return [self.line, self.kind, self.excerpt]


@dataclass(frozen=True)
class Parsed:
    """Everything that a text held: rows, refused rows and how many lines there were.

    Attributes
    ----------
    rows : Rows
    bad : tuple of BadRow
        The first `MAX_EXAMPLES` refused rows of each kind, by line.
    bad_counts : dict
        Number of all refused rows of each kind. A row is counted once, under the first of its kinds in `BAD_KINDS`.
    n_lines : int
        Lines in the text, those without a row included.
    n_dropped : int
        Rows left out on request because a value is missing; they are not bad.
    n_unseen : int
        Features in the rows that the schema does not have and that were ignored, as asked.
    n_bytes : int
        Bytes of the input that were read for this, as far as the format counts them.
    missing : dict
        Number of the rows without a value in a column, by its name, where there are some and they are neither refused
        nor left out.
    kept : tuple of sequences of str
        For each column that was to be kept the text of each row.
    """

    rows: Rows
    bad: tuple[BadRow, ...]
    bad_counts: dict[str, int]
    n_lines: int
    n_dropped: int = 0
    n_unseen: int = 0
    n_bytes: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    kept: tuple[Sequence[str], ...] = ()


def concat_rows(parts: Sequence[Rows], *, line_starts: Sequence[int]) -> Rows:
    """Put the rows of consecutive texts below each other.

    Parameters
    ----------
    parts : sequence of Rows
        Either all or none have weights, offsets and groups.
    line_starts : sequence of int
        Number of lines before each part.
    """
    if not parts:
        return empty_rows()
    if len(parts) == 1 and line_starts[0] == 0:
        return parts[0]
    nnz_before = np.cumsum([0] + [len(part.indices) for part in parts])
    indptr = [np.zeros(1, np.int64)] + [part.indptr[1:] + nnz_before[i] for i, part in enumerate(parts)]
    return Rows(
        labels=np.concatenate([part.labels for part in parts]),
        indptr=np.concatenate(indptr),
        indices=np.concatenate([part.indices for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        lines=np.concatenate([part.lines + start for part, start in zip(parts, line_starts, strict=True)]),
        weights=_concat_optional([part.weights for part in parts]),
        offsets=_concat_optional([part.offsets for part in parts]),
        groups=_concat_optional([part.groups for part in parts]),
    )


def empty_rows() -> Rows:
    """Return no rows, without weights, offsets or groups."""
    return Rows(
        labels=np.zeros(0),
        indptr=np.zeros(1, np.int64),
        indices=np.zeros(0, np.int32),
        values=np.zeros(0),
        lines=np.zeros(0, np.int64),
    )


def _concat_optional(arrays: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    present = [array for array in arrays if array is not None]
    if not present:
        return None
    if len(present) != len(arrays):
        raise ValueError("either every part has this array or none has")
    return np.concatenate(present)


def excerpt(line: bytes, *, at: int = 0) -> str:
    r"""Render a line, or the part of it around byte `at`, as at most 80 printable characters.

    Control and invisible characters, bytes that are no UTF-8 and backslashes are written as ``\xNN``, so that nothing
    in a hostile file reaches a terminal that it would obey; what was cut off is marked by ``...``.
    """
    start = 0 if at < EXCERPT_CHARACTERS - _LEAD_IN else at - _LEAD_IN
    shown = line[start : start + EXCERPT_CHARACTERS].rstrip(b"\r\n")
    cut = start + len(shown) < len(line.rstrip(b"\r\n"))
    text = ("..." if start else "") + "".join(map(_printable, shown.decode(errors="surrogateescape")))
    if len(text) <= EXCERPT_CHARACTERS and not cut:
        return text
    return text[: EXCERPT_CHARACTERS - 3] + "..."


def listed(names: Sequence[str]) -> str:
    """Render names, such as those of columns, as one printable line; of many only the first."""
    shown = ", ".join(excerpt(name.encode()) for name in names[:20])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 20 else shown or "none"


def counted(n: int, noun: str) -> str:
    """Return a number of things, whose name takes an s where it is not one."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _printable(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))
