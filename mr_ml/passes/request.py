"""What a pass sends to its tasks: the query with the plan of partitions, and to each task its ranges of blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data import frame, stored
from mr_ml.data.block import Block
from mr_ml.data.partition_file import BlockRange, PartitionFacts
from mr_ml.sums.query import Query
from mr_ml.sums.query_kinds import query_from, query_parts
from mr_ml.sums.tree import PartitionPlan, SumTree

KIND = "pass"


@dataclass(frozen=True)
class _Outer:
    """What the header of a request says."""

    query: dict[str, Any]
    plan: tuple[tuple[stored.Count, stored.Count], ...]
    dataset: str
    cache_bytes: stored.Count


@dataclass(frozen=True, eq=False)
class PassRequest:
    """What the tasks of one pass are asked.

    Attributes
    ----------
    dataset
        Identity of the packed data, so that a warm process knows whose blocks it holds.
    cache_bytes
        Budget of decoded blocks for each task process.
    columns
        The features that the query is about, int32 and ascending; None for all.
    """

    query: Query
    tree: SumTree
    dataset: str
    cache_bytes: int
    columns: NDArray[Any] | None = None

    def prepare(self, block: Block) -> Block:
        """Return a stored block as the query wants it."""
        return self.query.prepare(block if self.columns is None else block.over(self.columns))

    def encode(self) -> bytes:
        """Return the file that is sent to every task."""
        meta, arrays = query_parts(self.query)
        plan = [list(p) for p in self.tree.plan]
        outer = {"query": meta, "plan": plan, "dataset": self.dataset, "cache_bytes": self.cache_bytes}
        if self.columns is not None:
            arrays = {**arrays, "columns": self.columns}
        return frame.encode(KIND, outer, arrays)

    @classmethod
    def decode(cls, data: bytes | memoryview, *, where: str = "the pass request") -> PassRequest:
        """Undo `encode`.

        Raises
        ------
        BadDataError
            If it is damaged, or asks for what this mr_ml does not know.
        """
        opened = frame.decode(data, kind=KIND, where=where)
        outer = stored.read(_Outer, opened.meta, where=where)
        tree = SumTree(tuple(PartitionPlan(*p) for p in outer.plan))
        query = query_from(outer.query, opened.arrays, where=where)
        return cls(query, tree, outer.dataset, outer.cache_bytes, opened.arrays.get("columns"))


def assign(partitions: Sequence[tuple[str, PartitionFacts]], *, n_tasks: int) -> list[list[BlockRange]]:
    """Cut (path, facts) of all partitions into at most `n_tasks` runs of neighbouring blocks of about equal bytes."""
    total = sum(facts.n_bytes for _, facts in partitions)
    tasks: list[list[BlockRange]] = [[] for _ in range(n_tasks)]
    before = 0
    for path, facts in partitions:
        offset, first = 0, 0
        while first < facts.blocks:
            task = min((before + offset) * n_tasks // max(total, 1), n_tasks - 1)
            last, end = first, offset
            while last < facts.blocks and min((before + end) * n_tasks // max(total, 1), n_tasks - 1) == task:
                end += facts.line_bytes[last]
                last += 1
            lines = facts.line_bytes[first:last]
            tasks[task].append(BlockRange(path, facts.partition, first, offset, lines, facts.n_bytes))
            first, offset = last, end
        before += facts.n_bytes
    return [ranges for ranges in tasks if ranges]


def task_line(ranges: Sequence[BlockRange]) -> bytes:
    """Return the one line of a task's input file."""
    return json.dumps([r.to_json() for r in ranges], separators=(",", ":")).encode() + b"\n"


def ranges_of(line: bytes) -> list[BlockRange]:
    """Undo `task_line`."""
    data: list[dict[str, Any]] = json.loads(line)
    return [BlockRange.from_json(item) for item in data]
