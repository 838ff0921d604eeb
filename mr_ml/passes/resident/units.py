"""Units: what a task is given to hold, each a node of the tree of sums, so that what is added up of one is one sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hdfs_layout.dataclass import dataclass
from mr_ml.data.partition_file import PartitionFacts
from mr_ml.sums.tree import Node, SumTree

UNIT_BYTES = 32 << 20


@dataclass(frozen=True)
class Unit:
    """Neighbouring blocks of one partition.

    Attributes
    ----------
    node
        Of the tree, which covers exactly these blocks.
    first, last
        The half-open range of the blocks.
    offset, line_bytes
        Where the line of the first one starts in the file, and the lengths of all.
    """

    node: Node
    partition: int
    first: int
    last: int
    offset: int
    line_bytes: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Of the lines."""
        return sum(self.line_bytes)

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Partition, first and last."""
        return self.partition, self.first, self.last


def cut(partitions: Sequence[PartitionFacts], tree: SumTree, *, unit_bytes: int = UNIT_BYTES) -> list[Unit]:
    """Cut the partitions of a tree into units of at most so many bytes, or one block; in the order of the tree."""
    return [unit for facts in partitions if facts.blocks for unit in _cut(facts, tree, unit_bytes)]


def _cut(facts: PartitionFacts, tree: SumTree, unit_bytes: int) -> Iterator[Unit]:
    starts = [0]
    for size in facts.line_bytes:
        starts.append(starts[-1] + size)
    waiting = [(tree.partition_level, 0)]
    while waiting:
        level, number = waiting.pop()
        first, last = number << level, min((number + 1) << level, facts.blocks)
        if first >= facts.blocks:
            continue
        if level and starts[last] - starts[first] > unit_bytes and last - first > 1:
            waiting += [(level - 1, 2 * number + 1), (level - 1, 2 * number)]
            continue
        at = tree.leaf(facts.partition, 0).number >> level
        lines = facts.line_bytes[first:last]
        yield Unit(Node(level, at + number), facts.partition, first, last, starts[first], lines)


def next_unit(free: Sequence[int], mine: set[int], *, first: int = 0) -> int:
    """Choose a unit for a task among the free ones (ascending): beside its own, so that their sums join in the task.

    With none beside its own, the first of the second half of the longest run of free ones: whoever has the units before
    that run may take those of the first half. Before `first` there are none.
    """
    beside = next((unit for unit in free if unit - 1 in mine or unit + 1 in mine), None)
    if beside is not None:
        return beside
    runs: list[list[int]] = []
    for unit in free:
        if runs and runs[-1][-1] == unit - 1:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    longest = max(runs, key=len)
    return longest[0] if longest[0] == first else longest[len(longest) // 2]


def runs_of(units: Sequence[Unit]) -> list[tuple[int, int, int]]:
    """Return partition, first and last of runs of neighbouring blocks in units that stand in the order of the tree."""
    runs: list[tuple[int, int, int]] = []
    for unit in units:
        if runs and (runs[-1][0], runs[-1][2]) == (unit.partition, unit.first):
            runs[-1] = (unit.partition, runs[-1][1], unit.last)
        else:
            runs.append(unit.blocks)
    return runs
