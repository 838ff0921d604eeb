"""Some columns of the rows for a query, and its answer for groups of the rows too.

A row is in the group of a feature if it has a value there that is not zero; what is in none of the groups is in the
last one. So groups are the categories of a column, whose features are one-hot, or the rows that have a feature at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.sums.parts import Part, Sum
from mr_ml.sums.query import Array, Query
from mr_ml.sums.query_kinds import query_from, query_parts
from mr_ml.sums.statistic import Receipts, Statistic


@dataclass(frozen=True, eq=False)
class GroupsQuery(Query):
    """A query about some columns of rows, answered for all of them and for each group; `read` gives these in a tuple.

    The parts of all rows have the names that they have in `query`, those of group k are called "groupk:name".

    Attributes
    ----------
    query
        Without sums that have a column for each feature.
    columns
        The features that it is about, int32 and ascending; None for all.
    groups
        Features whose rows are a group each, int32 and ascending; of none there are no groups.
    """

    kind: ClassVar[str] = "rows_by_group"

    query: Query
    columns: Array | None = None
    groups: Array = field(default_factory=lambda: np.empty(0, np.int32))

    def map(self, block: Block) -> Statistic:
        """Return the statistic of a block as it is stored, without receipts."""
        prepared = self.query.prepare(block if self.columns is None else block.over(self.columns))
        parts: dict[str, Part] = dict(self.query.map(prepared).parts)
        if not len(self.groups):
            return Statistic(parts)
        inside = block.features.over(self.groups).toarray(n_features=len(self.groups)) != 0
        inside = np.concatenate([inside, ~inside.any(axis=1, keepdims=True)], axis=1)
        parts["group_rows"] = Sum(inside.sum(axis=0).astype(np.float64))
        for k in range(inside.shape[1]):
            of_group = self.query.map(prepared.rows(np.flatnonzero(inside[:, k])))
            parts.update({f"group{k}:{name}": part for name, part in of_group.parts.items()})
        return Statistic(parts)

    def statistics(self, total: Statistic) -> tuple[Statistic, ...]:
        """Return what `query` would have found of all rows, and of the rows of each group in their order."""
        grouped = "group_rows" in total
        names = [name for name in total.parts if not name.startswith("group")] if grouped else list(total.parts)
        found = [Statistic({name: total.parts[name] for name in names}, total.receipts)]
        for k, n in enumerate(total.sum("group_rows").tolist() if grouped else []):
            rows = Receipts(np.array([[0, 0, 0, int(n)]], np.int64), np.zeros(1, np.uint64))
            found.append(Statistic({name: total.parts[f"group{k}:{name}"] for name in names}, rows))
        return tuple(found)

    def read(self, total: Statistic) -> tuple[Any, ...]:
        """Return what `query` reads of all rows, and of the rows of each group."""
        return tuple(map(self.query.read, self.statistics(total)))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""
        meta, mine = query_parts(self.query)
        arrays = {f"query:{name}": array for name, array in mine.items()}
        columns = {} if self.columns is None else {"columns": self.columns}
        return {"query": meta}, {**arrays, **columns, "groups": self.groups}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> GroupsQuery:
        """Undo `to_parts`."""
        mine = {name.removeprefix("query:"): of for name, of in arrays.items() if name.startswith("query:")}
        query = query_from(meta["query"], mine, where="the query of groups")
        return cls(query, arrays.get("columns"), arrays["groups"])
