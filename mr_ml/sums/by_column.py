"""Queries whose sums have a column for each feature: cut into slices where there are very many.

A block of sparse rows has few of the columns then, and is mapped over these alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from hdfs_layout.dataclass import dataclass
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
    def parts_together(cls, queries: Sequence[Self]) -> Callable[[Block], list[BlockParts]]:
        """Return what gives the `block_parts` of several queries about the same columns, to the last bit."""
        return lambda block: [query.block_parts(block) for query in queries]

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        (statistic,) = _mapped([self], block, lambda block: [self.block_parts(block)])
        return statistic

    @classmethod
    def together(cls, queries: Sequence[Self]) -> Callable[[Block], list[Statistic]]:
        """See `Query.together`."""
        by_width = {
            width: [k for k, query in enumerate(queries) if query.width == width]
            for width in dict.fromkeys(query.width for query in queries)
        }
        groups = [(numbers, [queries[k] for k in numbers]) for numbers in by_width.values()]
        parts = [cls.parts_together(some) for _, some in groups]

        def mapped(block: Block) -> list[Statistic]:
            found: dict[int, Statistic] = {}
            for (numbers, some), of_some in zip(groups, parts, strict=True):
                found.update(zip(numbers, _mapped(some, block, of_some), strict=True))
            return [found[k] for k in range(len(queries))]

        return mapped


def _mapped(
    queries: Sequence[ColumnQuery], block: Block, parts: Callable[[Block], list[BlockParts]]
) -> list[Statistic]:
    """Return the statistics of queries of one kind and width, whose parts over all columns are `parts`."""
    width, more_columns = queries[0].width, queries[0].more_columns
    n_features = width - more_columns
    if not is_wide(n_features):
        return [_whole(one) for one in parts(block)]
    check_width(block, n_features)
    compact = block.features.compact(below=_COMPACT_BELOW * n_features)
    if compact is None:
        return [_sliced(one, width=width) for one in parts(block)]
    ids, features = compact
    columns = np.append(ids, np.arange(n_features, width)) if more_columns else ids
    over = type(queries[0]).parts_together([query.over(columns) for query in queries])
    return [_sliced(one, width=width, columns=columns) for one in over(replace(block, features=features))]


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
