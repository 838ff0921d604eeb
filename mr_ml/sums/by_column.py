"""Queries whose sums have a column for each feature: cut into slices where there are very many.

A block of sparse rows has few of the columns then, and is mapped over these alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from mr_ml.data.block import Block
from mr_ml.sums.parts import ColumnPart, Part
from mr_ml.sums.query import Array, Query, check_width
from mr_ml.sums.slices import is_wide, slices
from mr_ml.sums.statistic import Statistic

# A block with fewer entries than this share of the features is mapped over the columns that it has.
_COMPACT_BELOW = 1 / 4


@dataclass(frozen=True, eq=False)
class ByColumn:
    """Marks a part of a block as one with columns, on the last axis of its arrays."""

    part: ColumnPart


BlockParts = Mapping[str, Part | ByColumn]


class ColumnQuery(Query):
    """Base of the queries that have sums with a column for each feature.

    Attributes
    ----------
    more_columns
        Columns behind those of the features, such as the intercept's.
    """

    more_columns: ClassVar[int] = 0

    @abstractmethod
    def block_parts(self, block: Block) -> BlockParts:
        """Return the parts of a prepared block by name, those with `width` columns marked."""

    @abstractmethod
    def over(self, columns: Array) -> Self:
        """Return the query over some of its columns: ascending, with all those behind the features'."""

    @classmethod
    def parts_together(cls, queries: Sequence[Self], block: Block) -> list[BlockParts]:
        """Return `block_parts` of several queries, to the last bit."""
        return [query.block_parts(block) for query in queries]

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        (statistic,) = self.map_together([self], block)
        return statistic

    @classmethod
    def map_together(cls, queries: Sequence[Self], block: Block) -> list[Statistic]:
        """See `Query.map_together`."""
        found: dict[int, Statistic] = {}
        for width in dict.fromkeys(query.width for query in queries):
            numbers = [k for k, query in enumerate(queries) if query.width == width]
            found.update(zip(numbers, cls._of_width([queries[k] for k in numbers], block, width), strict=True))
        return [found[k] for k in range(len(queries))]

    @classmethod
    def _of_width(cls, queries: Sequence[Self], block: Block, width: int) -> list[Statistic]:
        n_features = width - cls.more_columns
        if not is_wide(n_features):
            return [_whole(parts) for parts in cls.parts_together(queries, block)]
        check_width(block, n_features)
        compact = block.features.compact(below=_COMPACT_BELOW * n_features)
        if compact is None:
            return [_sliced(parts, width=width) for parts in cls.parts_together(queries, block)]
        ids, features = compact
        columns = np.append(ids, np.arange(n_features, width)) if cls.more_columns else ids
        over = [query.over(columns) for query in queries]
        parts = cls.parts_together(over, replace(block, features=features))
        return [_sliced(one, width=width, columns=columns) for one in parts]


def _whole(parts: BlockParts) -> Statistic:
    return Statistic({name: part.part if isinstance(part, ByColumn) else part for name, part in parts.items()})


def _sliced(parts: BlockParts, *, width: int, columns: Array | None = None) -> Statistic:
    """Return a statistic with the parts that have columns, which are `columns` of `width`, in slices."""
    cut: dict[str, ColumnPart] = {}
    whole: dict[str, Part] = {}
    for name, part in parts.items():
        if isinstance(part, ByColumn):
            cut[name] = part.part
        else:
            whole[name] = part
    return Statistic(whole, slices=slices(cut, width=width, ids=columns))
