"""The fixed tree in which every sum is added, and the proof that a sum is complete.

Block i of partition p is leaf p * 2^L + i of one binary tree, 2^L >= blocks of the largest partition. Node
(level, k) covers leaves [k 2^level, (k+1) 2^level); its sum is the sum of its two children, and where a child covers
no block at all, the other child's sum unchanged. So the order of additions belongs to the dataset, not to the
scheduler: a task with a range of blocks adds up the whole nodes inside it, joining ranges goes on from there,
and the bits are the same for one process and for a thousand tasks. A sum that reached the root covers every block once.

Nodes below level L are inside one partition; node (L, p) is partition p; the root is (L + ceil(log2 P), 0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import BadDataError, InternalError


class Node(NamedTuple):
    """A node of the tree: its level, 0 for leaves, and its number within the level."""

    level: int
    number: int


class PartitionPlan(NamedTuple):
    """What a pass must find: a partition's number and how many blocks it has."""

    partition: int
    blocks: int


@dataclass(frozen=True)
class SumTree:
    """The tree over the partitions of a plan, in the plan's order."""

    plan: tuple[PartitionPlan, ...]

    @cached_property
    def partition_level(self) -> int:
        """L: the level at which a node is one partition."""
        return _ceil_log2(max((p.blocks for p in self.plan), default=1))

    @cached_property
    def root(self) -> Node:
        """The node over everything."""
        return Node(self.partition_level + _ceil_log2(len(self.plan)), 0)

    @cached_property
    def _position(self) -> dict[int, int]:
        return {p.partition: k for k, p in enumerate(self.plan)}

    @cached_property
    def _blocks_before(self) -> list[int]:
        return [0, *accumulate(p.blocks for p in self.plan)]

    @property
    def n_blocks(self) -> int:
        """How many blocks all partitions have."""
        return self._blocks_before[-1]

    def leaf(self, partition: int, index: int) -> Node:
        """Return the leaf of a block.

        Raises
        ------
        BadDataError
            If the plan has no such block.
        """
        at = self._position.get(partition)
        if at is None:
            raise BadDataError(f"partition {partition} is not part of this pass: a file of another dataset or split?")
        expected = self.plan[at].blocks
        if not 0 <= index < expected:
            raise BadDataError(f"partition {partition}: found block {index}, expected blocks 0 to {expected - 1}")
        return Node(0, (at << self.partition_level) + index)

    def blocks_of(self, node: Node) -> tuple[int, int]:
        """Return the half-open range of block ordinals (counted in tree order) that a node covers."""
        return self._ordinal(node.number << node.level), self._ordinal((node.number + 1) << node.level)

    def _ordinal(self, leaf: int) -> int:
        at = leaf >> self.partition_level
        if at >= len(self.plan):
            return self.n_blocks
        return self._blocks_before[at] + min(leaf & ((1 << self.partition_level) - 1), self.plan[at].blocks)

    def is_empty(self, node: Node) -> bool:
        """Return whether a node covers no blocks."""
        first, last = self.blocks_of(node)
        return first == last

    def partitions_of(self, first: int, last: int) -> list[int]:
        """Numbers of the partitions that hold any of the block ordinals [first, last)."""
        before = self._blocks_before
        return [p.partition for k, p in enumerate(self.plan) if before[k] < last and before[k + 1] > first]


Sum = TypeVar("Sum")


class PartialSums(Generic[Sum]):
    """Sums of tree nodes, joined as soon as their neighbour is there.

    Parameters
    ----------
    tree
        The tree of the pass.
    add
        (left, right) -> sum, in this order.
    """

    def __init__(self, tree: SumTree, add: Callable[[Sum, Sum], Sum]) -> None:
        self._tree = tree
        self._add = add
        self._nodes: dict[Node, Sum] = {}

    def add(self, node: Node, value: Sum) -> None:
        """Take the sum of one node.

        Raises
        ------
        InternalError
            If the same node comes twice.
        """
        while node not in self._nodes and node.level < self._tree.root.level:
            sibling = Node(node.level, node.number ^ 1)
            if sibling in self._nodes:
                other = self._nodes.pop(sibling)
                value = self._add(value, other) if node.number < sibling.number else self._add(other, value)
            elif not self._tree.is_empty(sibling):
                break
            node = Node(node.level + 1, node.number >> 1)
        if node in self._nodes:
            raise InternalError(f"{self._name(node)} came twice in one pass; its sums were not used")
        self._nodes[node] = value

    def items(self) -> list[tuple[Node, Sum]]:
        """Return what there is so far, in tree order."""
        return sorted(self._nodes.items(), key=lambda item: (item[0].number << item[0].level, item[0].level))

    def total(self) -> Sum:
        """Return the sum of the root.

        Raises
        ------
        InternalError
            If the nodes do not tile the plan exactly; names the partitions that are missing or doubled.
        """
        if set(self._nodes) == {self._tree.root}:
            return self._nodes[self._tree.root]
        tree, at, faults = self._tree, 0, []
        for node, _ in self.items():
            first, last = tree.blocks_of(node)
            if first > at:
                faults.append(_fault("missing", tree, at, first))
            if first < at:
                faults.append(_fault("doubled", tree, first, min(at, last)))
            at = max(at, last)
        if at < tree.n_blocks:
            faults.append(_fault("missing", tree, at, tree.n_blocks))
        raise InternalError(
            f"the pass is not complete: expected {tree.n_blocks} blocks of {len(tree.plan)} partitions, each once; "
            + "; ".join(faults[:10])
            + ". No model was made of it; run it again, and if it happens again, look at the tasks' logs"
        )

    def _name(self, node: Node) -> str:
        return _fault("", self._tree, *self._tree.blocks_of(node)).strip()


def _fault(word: str, tree: SumTree, first: int, last: int) -> str:
    partitions = tree.partitions_of(first, last)
    return f"{word} {last - first} block(s) of partition(s) {_listed(partitions)}"


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return shown if len(numbers) <= 5 else f"{shown} and {len(numbers) - 5} more"


def _ceil_log2(n: int) -> int:
    return max(n - 1, 0).bit_length()
