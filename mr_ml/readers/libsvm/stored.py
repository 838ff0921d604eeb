"""What libsvm text adds to a schema and to the summary of a scan."""

from __future__ import annotations

from dataclasses import asdict, field
from typing import Any, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.readers.schema import Schema
from mr_ml.readers.text.options import TextOptions


@dataclass(frozen=True)
class LibsvmPart:
    """A schema's part: what was asked.

    Attributes
    ----------
    options : TextOptions
    vocabularies, columns : dict
        Always empty; schemas are stored with these keys, whatever their format.
    """

    options: TextOptions
    vocabularies: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def has_offsets(self) -> bool:
        """Whether a feature stands for the offset."""
        return self.options.offset_feature is not None

    @property
    def has_weights(self) -> bool:
        """Whether labels have weights behind them."""
        return self.options.label_weights

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
        return {"options": self.options.to_json(), "vocabularies": self.vocabularies, "columns": self.columns}

    def check(self, schema: Schema) -> None:
        """See `Part.check`: anything fits."""


@dataclass(frozen=True, kw_only=True)
class LibsvmFacts:
    """What a scan saw.

    Attributes
    ----------
    n_groups : int
        Rows that have a query id.
    max_index : int
        The largest feature id as written; -1 if there is none.
    min_index : dict of str to int
        The smallest feature id as written in each file that has one. Names of files need not be UTF-8.
    """

    n_groups: int = 0
    max_index: int = -1
    min_index: dict[Any, int] = field(default_factory=dict)
    format: Literal["libsvm"] = "libsvm"

    def __add__(self, other: LibsvmFacts) -> LibsvmFacts:
        """Return the facts of both texts together."""
        return LibsvmFacts(
            n_groups=self.n_groups + other.n_groups,
            max_index=max(self.max_index, other.max_index),
            min_index={
                file: min(s.min_index[file] for s in (self, other) if file in s.min_index)
                for file in sorted({*self.min_index, *other.min_index})
            },
        )

    def learning_from(self, part: LibsvmFacts) -> LibsvmFacts:
        """Return the same: nothing is learnt of values."""
        return self

    def renamed(self, file: str) -> LibsvmFacts:
        """Return the same, of one file, under another name of that."""
        least = {file: min(self.min_index.values())} if self.min_index else {}
        return LibsvmFacts(n_groups=self.n_groups, max_index=self.max_index, min_index=least)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)
