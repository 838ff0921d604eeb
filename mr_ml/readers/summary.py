"""What a scan found in a text, and how the findings of its pieces add up.

A summary is a sum: ``+`` is associative and commutative and exact, so what comes out does not depend on how the text
was cut or in which order the pieces were scanned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mr_ml.errors import BadDataError
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow

MAX_LABELS = 1000

# Of larger ids one of so many is kept, to tell about how many different ones there are.
_SAMPLED_FROM, _SAMPLED_OF = 1 << 18, 1 << 10


def sampled_ids(ids: NDArray[np.int32], *, highest: int) -> frozenset[int]:
    """Those of the ids, up to `highest`, that are in the sample: which are does not depend on the others."""
    if highest < _SAMPLED_FROM:
        return frozenset()
    drawn = ids[ids.view(np.uint32) * np.uint32(0x9E3779B1) < np.uint32(2**32 // _SAMPLED_OF)]
    return frozenset(np.unique(drawn[drawn >= _SAMPLED_FROM]).tolist())


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is in a text; ``a + b`` is the summary of both together.

    Attributes
    ----------
    n_rows, nnz, n_lines, n_dropped, n_unseen : int
        Good rows, their stored features, lines of any kind, rows left out on request, and categories or features that
        were ignored on request. Of CSV, nnz counts the fields of features that hold something else than the number 0, a
        good estimate.
    n_groups : int
        libsvm: rows that have a query id.
    max_index : int
        libsvm: the largest feature id as written; -1 if there is none.
    min_index : dict of str to int
        libsvm: the smallest feature id as written in each file that has one.
    some_ids : frozenset of int
        libsvm: of the feature ids those that `sampled_ids` draws.
    labels : frozenset of float, or None
        Distinct numeric labels; None once there are more than `MAX_LABELS`.
    bad_counts : dict of str to int
        Refused rows by kind.
    examples : tuple of (file, BadRow)
        The first `MAX_EXAMPLES` refused rows of each kind, by file and line.
    columns : dict
        CSV: facts about each column, merged by ``csv_reader.merge_columns``.
    """

    n_rows: int = 0
    nnz: int = 0
    n_lines: int = 0
    n_dropped: int = 0
    n_unseen: int = 0
    n_groups: int = 0
    max_index: int = -1
    min_index: dict[str, int] = field(default_factory=dict)
    some_ids: frozenset[int] = frozenset()
    labels: frozenset[float] | None = frozenset()
    bad_counts: dict[str, int] = field(default_factory=dict)
    examples: tuple[tuple[str, BadRow], ...] = ()
    columns: dict[str, Any] = field(default_factory=dict)

    def __add__(self, other: Summary) -> Summary:
        """Return the summary of both texts together."""
        return Summary(
            n_rows=self.n_rows + other.n_rows,
            nnz=self.nnz + other.nnz,
            n_lines=self.n_lines + other.n_lines,
            n_dropped=self.n_dropped + other.n_dropped,
            n_unseen=self.n_unseen + other.n_unseen,
            n_groups=self.n_groups + other.n_groups,
            max_index=max(self.max_index, other.max_index),
            min_index={
                file: min(s.min_index[file] for s in (self, other) if file in s.min_index)
                for file in sorted({*self.min_index, *other.min_index})
            },
            some_ids=self.some_ids | other.some_ids,
            labels=merge_labels(self.labels, other.labels),
            bad_counts={
                kind: self.bad_counts.get(kind, 0) + other.bad_counts.get(kind, 0)
                for kind in sorted({*self.bad_counts, *other.bad_counts})
            },
            examples=first_examples((*self.examples, *other.examples)),
            columns=_merge_columns(self.columns, other.columns),
        )

    def n_columns(self, n_features: int) -> int:
        """About how many of the features occur."""
        return min(_SAMPLED_FROM + _SAMPLED_OF * len(self.some_ids), self.nnz, n_features)

    @property
    def n_bad(self) -> int:
        """Number of refused rows."""
        return sum(self.bad_counts.values())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` gives the same object back."""
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "some_ids": sorted(self.some_ids),
            "labels": None if self.labels is None else sorted(self.labels),
            "examples": [[file, *row.to_json()] for file, row in self.examples],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else. Fields that came later than what was written have their defaults.
        """
        with _reading(cls):
            values = _values_of(cls, document)
            labels = values["labels"]
            values["labels"] = None if labels is None else frozenset(float(label) for label in labels)
            values["some_ids"] = frozenset(values["some_ids"])
            values["examples"] = tuple(
                (file, BadRow(line, kind, text)) for file, line, kind, text in values["examples"]
            )
            return cls(**values)


def merge_labels(a: frozenset[float] | None, b: frozenset[float] | None) -> frozenset[float] | None:
    """Return the union of two label sets; None, for "continuous", if either is None or the union is too large."""
    if a is None or b is None:
        return None
    union = a | b
    return union if len(union) <= MAX_LABELS else None


def first_examples(examples: tuple[tuple[str, BadRow], ...]) -> tuple[tuple[str, BadRow], ...]:
    """Sort examples by file and line and keep the first `MAX_EXAMPLES` of each kind."""
    kept: list[tuple[str, BadRow]] = []
    count: dict[str, int] = {}
    for file, row in sorted(examples):
        count[row.kind] = count.get(row.kind, 0) + 1
        if count[row.kind] <= MAX_EXAMPLES:
            kept.append((file, row))
    return tuple(kept)


def _merge_columns(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    if not a or not b:
        return a or b
    # Imported here because csv_reader imports this module.
    from mr_ml.readers.csv import reader as csv_reader

    merged: dict[str, Any] = csv_reader.merge_columns(a, b)
    return merged


@contextmanager
def _reading(cls: type[Any]) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadDataError(
            f"{cls.__name__}: expected a JSON object as mr_ml writes it, found something else ({error!r}); "
            "the file was changed: pack the text or train the model again"
        ) from error


def _values_of(cls: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise BadDataError(
            f"{cls.__name__}: expected the fields {sorted(known)}, found also {unknown}; "
            "it was written by a later version of mr_ml: use that version"
        )
    defaults = {f.name: f.default for f in fields(cls) if f.default is not MISSING}
    made = {f.name: f.default_factory() for f in fields(cls) if f.default_factory is not MISSING}
    return {**defaults, **made, **document}
