"""A format of rows of numbers between semicolons, the label first: ``1;0.5;2``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from mr_ml.data import stored
from mr_ml.errors import BadDataError, UsageError
from mr_ml.readers.base import Format, Labels
from mr_ml.readers.rows import BadRow, Parsed, Rows, excerpt
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import Summary, merge_labels
from mr_ml.readers.text.format import TextFormat

NAME: Literal["semicolons"] = "semicolons"


@dataclass(frozen=True)
class SemicolonOptions:
    """What a user can say of the format: nothing."""

    format: Literal["semicolons"] = NAME

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class SemicolonPart:
    """What a schema keeps beside features and labels."""

    options: SemicolonOptions

    has_weights = has_offsets = False

    @property
    def hashes(self) -> tuple[range, ...]:
        """Features that are hashes: none."""
        return ()

    @property
    def categories(self) -> dict[str, range]:
        """Columns of categories: none."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"options": self.options.to_json()}

    def check(self, schema: Schema) -> None:
        """See `Part.check`: anything fits."""


@dataclass(frozen=True)
class SemicolonFacts:
    """What a scan finds out: the numbers of features that rows have."""

    widths: frozenset[int] = frozenset()
    format: Literal["semicolons"] = NAME

    def __add__(self, other: SemicolonFacts) -> SemicolonFacts:
        """Return the facts of both inputs together."""
        return SemicolonFacts(self.widths | other.widths)

    def renamed(self, file: str) -> SemicolonFacts:
        """Return the same: they name no file."""
        return self

    def learning_from(self, part: SemicolonFacts) -> SemicolonFacts:
        """Return the same: nothing is learnt of values."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"widths": sorted(self.widths), "format": self.format}


class _Read(NamedTuple):
    """The good rows of a text, each with its line and its numbers, the label first; and the others."""

    rows: list[tuple[int, list[float]]]
    bad: tuple[BadRow, ...]
    n_lines: int


def _read(text: bytes, *, width: int | None = None, label: bool = True) -> _Read:
    """Read text; rows of another number of features than `width` are bad."""
    rows, bad, lines = [], [], text.splitlines()
    for number, line in enumerate(lines):
        fields = line.split(b";") if line.strip() else []
        if not fields:
            continue
        try:
            values = [float(field) if field or at or label else float("nan") for at, field in enumerate(fields)]
        except ValueError:
            values = []
        if not values or not np.isfinite(values[1:]).all() or width not in (None, len(values) - 1):
            bad.append(BadRow(number, "bad_value", excerpt(line)))
        else:
            rows.append((number, values))
    return _Read(rows, tuple(bad), len(lines))


class SemicolonFormat(TextFormat):
    """See the module."""

    name = NAME
    suffixes = (".ssv",)
    parameters: ClassVar[Mapping[str, Any]] = {}
    part = SemicolonPart
    facts = SemicolonFacts
    unseen = ("columns", "`unseen`")

    def options(self, said: Mapping[str, Any]) -> SemicolonOptions:
        """See `Format.options`."""
        if said.get("split_by") is not None:
            raise UsageError(f"`split_by`: rows of {NAME} have no groups")
        return SemicolonOptions()

    def options_from_json(self, document: Mapping[str, Any]) -> Any:
        """See `Format.options_from_json`."""
        return stored.read(SemicolonOptions, document, where=NAME)

    def draft(self, text: bytes, options: Any, *, file: str, seen: Summary | None = None) -> tuple[Summary, None]:
        """See `TextFormat.draft`: rows are read once the schema is known."""
        found = _read(text)
        summary = Summary(
            n_rows=len(found.rows),
            nnz=sum(len(values) - 1 for _, values in found.rows),
            n_lines=found.n_lines,
            labels=merge_labels(frozenset(values[0] for _, values in found.rows), frozenset()),
            bad_counts=dict(Counter(row.kind for row in found.bad)),
            examples=tuple((file, row) for row in found.bad),
            facts=SemicolonFacts(frozenset(len(values) - 1 for _, values in found.rows)),
        )
        return summary, None

    def resolve(self, options: Any, summary: Summary) -> Schema:
        """See `Format.resolve`."""
        if summary.facts is None or len(summary.facts.widths) != 1:
            raise BadDataError(f"expected rows of one number of features, found {summary.facts}")
        return Schema(
            format=NAME,
            n_features=max(summary.facts.widths),
            labels=tuple(sorted(summary.labels or ())),
            label_kind="continuous" if summary.labels is None else "numeric",
            part=SemicolonPart(options),
        )

    def parse(self, text: bytes, schema: Schema, *, labels: Labels) -> Parsed:
        """See `TextFormat.parse`."""
        found = _read(text, width=schema.n_features, label=labels == "required")
        n, table = len(found.rows), np.array([values for _, values in found.rows]).reshape(-1, schema.n_features + 1)
        rows = Rows(
            labels=table[:, 0].copy(),
            indptr=np.arange(n + 1) * schema.n_features,
            indices=np.tile(np.arange(schema.n_features, dtype=np.int32), n),
            values=table[:, 1:].ravel() + 0.0,
            lines=np.array([line for line, _ in found.rows], np.int64),
        )
        return Parsed(rows, found.bad, dict(Counter(row.kind for row in found.bad)), found.n_lines)

    def hints(self, options: Any, summary: Summary, *, is_said: bool) -> list[str]:
        """See `Format.hints`."""
        return []


FORMAT: Format = SemicolonFormat()
