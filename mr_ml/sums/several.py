"""Several queries side by side in one pass: paths of penalties, folds, several models.

The parts of query k are called "k:name". Sums of very many features share their slices: those with fewer columns than
others are given empty ones, which `read` takes off again. A pass over several queries gives each of them the very bits
that a pass of its own gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.sums.parts import ColumnPart, Part
from mr_ml.sums.query import Array, Query
from mr_ml.sums.query_kinds import query_from, query_parts
from mr_ml.sums.slices import first_columns, held_columns, held_part, slices, spread_columns
from mr_ml.sums.statistic import Statistic


@dataclass(frozen=True, eq=False)
class SeveralQueries(Query):
    """Queries about the same columns of the same rows, answered in one pass; `read` gives a tuple, in their order."""

    kind: ClassVar[str] = "several"

    queries: tuple[Query, ...]

    @property
    def reading(self) -> str:
        """What `prepare` depends on, as text."""
        # else blocks are kept as they are stored, and prepared for each reading in every pass
        return self._readings[0] if self._read_alike else ""

    @cached_property
    def _readings(self) -> tuple[str, ...]:
        return tuple(query.reading for query in self.queries)

    @cached_property
    def _alike(self) -> list[tuple[list[int], Callable[[Block], list[Statistic]]]]:
        """Numbers of the queries that are of one kind and read rows alike, and what maps blocks for them."""
        groups: dict[tuple[type[Query], str], list[int]] = {}
        for k, query in enumerate(self.queries):
            groups.setdefault((type(query), self._readings[k]), []).append(k)
        return [(group, kind.together([self.queries[k] for k in group])) for (kind, _), group in groups.items()]

    @property
    def width(self) -> int:
        """How many columns the sums have that may be in slices."""
        return max((query.width for query in self.queries), default=0)

    def prepare(self, block: Block) -> Block:
        """Return a stored block as `map` wants it."""
        return self.queries[0].prepare(block) if self._read_alike else block

    @property
    def _read_alike(self) -> bool:
        return len(set(self._readings)) == 1

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts."""
        prepared: dict[str, Block] = {self._readings[0]: block} if self._read_alike else {}
        answers: dict[int, Statistic] = {}
        for numbers, mapped in self._alike:
            reading = self._readings[numbers[0]]
            if reading not in prepared:
                prepared[reading] = self.queries[numbers[0]].prepare(block)
            answers.update(zip(numbers, mapped(prepared[reading]), strict=True))
        return _side_by_side([answers[k] for k in range(len(self.queries))])

    def statistics(self, total: Statistic) -> tuple[Statistic, ...]:
        """Return what each query would have found in a pass of its own."""
        return tuple(_of_query(total, k, width=query.width) for k, query in enumerate(self.queries))

    def read(self, total: Statistic) -> tuple[Any, ...]:
        """Return what each query reads, in their order."""
        return tuple(query.read(mine) for query, mine in zip(self.queries, self.statistics(total), strict=True))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        metas, arrays = [], {}
        for k, query in enumerate(self.queries):
            meta, mine = query_parts(query)
            metas.append(meta)
            arrays.update({f"{k}:{name}": array for name, array in mine.items()})
        return {"queries": metas}, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> SeveralQueries:
        """Undo `to_parts`."""
        return cls(
            tuple(
                query_from(mine, _stripped(arrays, k), where=f"query {k} of several")
                for k, mine in enumerate(meta["queries"])
            )
        )


def _stripped(named: Mapping[str, Any], k: int) -> dict[str, Any]:
    """Return what is called "k:name", by name."""
    prefix = f"{k}:"
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}


def _side_by_side(answers: Sequence[Statistic]) -> Statistic:
    """Return one statistic with the parts of all; columns that one has and another has not are empty there."""
    whole: dict[str, Part] = {f"{k}:{name}": part for k, of in enumerate(answers) for name, part in of.parts.items()}
    in_slices = {k: of for k, of in enumerate(answers) if of.slices}
    if not in_slices:
        return Statistic(whole)
    width = max(of.slices[0].width for of in in_slices.values())
    held = {k: held_columns(of.slices) for k, of in in_slices.items()}
    columns = np.unique(np.concatenate(list(held.values())))
    cut: dict[str, ColumnPart] = {}
    for k, of in in_slices.items():
        for name in of.slices[0].parts:
            cut[f"{k}:{name}"] = spread_columns(held_part(of.slices, name), held[k], columns)
    return Statistic(whole, slices=slices(cut, width=width, ids=None if len(columns) == width else columns))


def _of_query(total: Statistic, k: int, *, width: int) -> Statistic:
    """Return the parts of one query, over so many columns."""
    mine = tuple(first_columns(one, width, _stripped(one.parts, k)) for one in total.slices if one.first < width)
    return Statistic(_stripped(total.parts, k), total.receipts, mine if mine and mine[0].parts else ())
