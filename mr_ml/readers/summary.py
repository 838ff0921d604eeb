"""What a scan found in the input, and how the findings of its pieces add up.

A summary is a sum: ``+`` is associative and commutative and exact, so what comes out does not depend on how the input
was cut or in which order the pieces were scanned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Protocol, Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import stored
from mr_ml.readers.registry import FORMATS
from mr_ml.readers.rows import MAX_EXAMPLES, BadRow

MAX_LABELS = 1000

# Of larger ids one of so many is kept, to tell about how many different ones there are.
_SAMPLED_FROM, _SAMPLED_OF = 1 << 18, 1 << 10


def sampled_ids(ids: NDArray[np.int32], *, highest: int) -> frozenset[int]:
    """Return those of the ids, up to `highest`, that are in the sample: which are does not depend on the others."""
    if highest < _SAMPLED_FROM:
        return frozenset()
    drawn = ids[ids.view(np.uint32) * np.uint32(0x9E3779B1) < np.uint32(2**32 // _SAMPLED_OF)]
    return frozenset(distinct(drawn[drawn >= _SAMPLED_FROM]).tolist())


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """As `np.unique`, which loads numpy's masked arrays first: of a small text that takes longer than to read it."""
    ordered = np.sort(values)
    return ordered[np.flatnonzero(np.append(len(ordered) > 0, ordered[1:] != ordered[:-1]))]


class Facts(Protocol):
    """What only one format asks of its input: a dataclass that `mr_ml.data.stored` reads."""

    def __add__(self, other: Any) -> Any:
        """Return the facts of both inputs together: associative, commutative and exact."""

    def renamed(self, file: str) -> Any:
        """Return the same, of one file, under another name of that."""

    def learning_from(self, part: Any) -> Any:
        """Return the same, but with what is learnt of values, such as means, as it is in a part of the input."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, with the name of the format as ``format``."""


class _Common(TypedDict):
    """A summary as JSON, without the facts of a format. `Any` are names of files, which need not be UTF-8."""

    n_rows: int
    nnz: int
    n_lines: int
    n_dropped: int
    n_unseen: int
    some_ids: frozenset[int]
    labels: frozenset[float] | None
    bad_counts: dict[str, int]
    examples: tuple[tuple[Any, int, str, str], ...]
    missing: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is in some input; ``a + b`` is the summary of both together.

    Attributes
    ----------
    n_rows, nnz, n_lines, n_dropped, n_unseen : int
        Good rows, their stored features, lines of any kind, rows left out on request, and categories or features that
        were ignored on request. Of CSV, nnz counts the fields of features that hold something else than the number 0, a
        good estimate.
    some_ids : frozenset of int
        Of the numbers of features those that `sampled_ids` draws.
    labels : frozenset of float, or None
        Distinct numeric labels; None once there are more than `MAX_LABELS`.
    bad_counts : dict of str to int
        Refused rows by kind.
    examples : tuple of (file, BadRow)
        The first `MAX_EXAMPLES` refused rows of each kind, by file and line.
    missing : dict of str to int
        Good rows without a value in a column, by its name, where there are some.
    facts : Facts or None
        What only the format of the input asks; None if nothing was scanned.
    """

    n_rows: int = 0
    nnz: int = 0
    n_lines: int = 0
    n_dropped: int = 0
    n_unseen: int = 0
    some_ids: frozenset[int] = frozenset()
    labels: frozenset[float] | None = frozenset()
    bad_counts: dict[str, int] = field(default_factory=dict)
    examples: tuple[tuple[str, BadRow], ...] = ()
    missing: dict[str, int] = field(default_factory=dict)
    facts: Any = None

    def __add__(self, other: Summary) -> Summary:
        """Return the summary of both texts together."""
        return Summary(
            n_rows=self.n_rows + other.n_rows,
            nnz=self.nnz + other.nnz,
            n_lines=self.n_lines + other.n_lines,
            n_dropped=self.n_dropped + other.n_dropped,
            n_unseen=self.n_unseen + other.n_unseen,
            some_ids=self.some_ids | other.some_ids,
            labels=merge_labels(self.labels, other.labels),
            bad_counts=_added_counts(self.bad_counts, other.bad_counts),
            examples=first_examples((*self.examples, *other.examples)),
            missing=_added_counts(self.missing, other.missing),
            facts=_added(self.facts, other.facts),
        )

    def shifted(self, *, by: int) -> Summary:
        """Return the same summary, its line numbers counted from `by` lines earlier."""
        return replace(self, examples=tuple((file, replace(row, line=row.line + by)) for file, row in self.examples))

    def renamed(self, file: str) -> Summary:
        """Return the same summary, of one file, under another name of that."""
        examples = tuple((file, row) for _, row in self.examples)
        return replace(self, examples=examples, facts=None if self.facts is None else self.facts.renamed(file))

    def learning_from(self, part: Summary) -> Summary:
        """Return the same, but with what is learnt of values, such as means, as it is in a part of the input."""
        facts = None if self.facts is None or part.facts is None else self.facts.learning_from(part.facts)
        return self if facts is None else replace(self, facts=facts)

    def n_columns(self, n_features: int) -> int:
        """Return about how many of the features occur."""
        return min(_SAMPLED_FROM + _SAMPLED_OF * len(self.some_ids), self.nnz, n_features)

    @property
    def n_bad(self) -> int:
        """Number of refused rows."""
        return sum(self.bad_counts.values())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` gives the same object back."""
        return {
            **{name: getattr(self, name) for name in _Common.__annotations__},
            "some_ids": sorted(self.some_ids),
            "labels": None if self.labels is None else sorted(self.labels),
            "examples": [[file, *row.to_json()] for file, row in self.examples],
            **({} if self.facts is None else self.facts.to_json()),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        BadDataError
            It is something else.
        UsageError
            There is no format of that name.
        """
        common = {name: value for name, value in document.items() if name in _Common.__annotations__}
        values: dict[str, Any] = dict(stored.read(_Common, common, where=cls.__name__))
        facts = {name: value for name, value in document.items() if name not in common}
        if facts:
            name = stored.read(str, facts.get("format"), where=f"{cls.__name__}: format")
            values["facts"] = stored.read(FORMATS.get(name).facts, facts, where=cls.__name__)
        values["examples"] = tuple((file, BadRow(line, kind, text)) for file, line, kind, text in values["examples"])
        return cls(**values)


def _added(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _added_counts(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return {name: a.get(name, 0) + b.get(name, 0) for name in sorted({*a, *b})}


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
