"""Units of resident tasks: they tile the tree, and neighbours are held together."""

from __future__ import annotations

import itertools
import random

from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data.partition_file import PartitionFacts
from mr_ml.passes.resident.units import cut, next_unit, runs_of
from mr_ml.sums.tree import PartialSums, PartitionPlan, SumTree

LINES = st.lists(st.lists(st.integers(1, 50), max_size=40), min_size=1, max_size=8)


def tree_of(lines: list[list[int]]) -> tuple[list[PartitionFacts], SumTree]:
    # numbers of partitions need not be their places
    facts = [PartitionFacts(3 * k + 1, 0, 0, "", 0, tuple(sizes)) for k, sizes in enumerate(lines)]
    return facts, SumTree(tuple(PartitionPlan(one.partition, one.blocks) for one in facts))


@given(lines=LINES, unit_bytes=st.integers(1, 400))
def test_units_are_nodes_that_tile_the_tree(lines: list[list[int]], unit_bytes: int) -> None:
    facts, tree = tree_of(lines)
    units = cut(facts, tree, unit_bytes=unit_bytes)
    at = 0
    for unit in units:
        assert tree.blocks_of(unit.node) == (at, at + unit.last - unit.first)
        at += unit.last - unit.first
        sizes = next(one.line_bytes for one in facts if one.partition == unit.partition)
        assert unit.line_bytes == sizes[unit.first : unit.last]
        assert unit.offset == sum(sizes[: unit.first])
        assert unit.n_bytes <= unit_bytes or unit.last - unit.first == 1
    assert at == tree.n_blocks
    # no two of them fit into one: else there would be more answers than there need be
    for one, other in itertools.pairwise(units):
        if one.node.level == other.node.level and one.node.number ^ 1 == other.node.number:
            assert one.n_bytes + other.n_bytes > unit_bytes or one.partition != other.partition
    blocks = [(p, i) for p, first, last in runs_of(units) for i in range(first, last)]
    assert blocks == [(one.partition, i) for one in facts for i in range(one.blocks)]
    assert len(runs_of(units)) == sum(1 for one in facts if one.blocks)


@examples(40)
@given(n=st.integers(1, 200), n_tasks=st.integers(1, 6), seed=st.integers(0, 1000))
def test_tasks_get_runs_and_so_their_answers_have_few_nodes(n: int, n_tasks: int, seed: int) -> None:
    """Whoever asks next: in one partition of one block a unit, a run has at most two nodes of each level."""
    facts, tree = tree_of([[1] * n])
    units = cut(facts, tree, unit_bytes=1)
    free, mine = list(range(n)), [set[int]() for _ in range(n_tasks)]
    chance = random.Random(seed)
    while free:
        task = chance.randrange(n_tasks)
        unit = next_unit(free, mine[task])
        free.remove(unit)
        mine[task].add(unit)
    nodes = n_runs = 0
    for held in mine:
        sums: PartialSums[int] = PartialSums(tree, lambda one, other: one + other)
        for unit in sorted(held):
            sums.add(units[unit].node, 1)
        nodes += len(sums.items())
        n_runs += len(runs_of([units[unit] for unit in sorted(held)]))
    assert sorted(set().union(*mine)) == list(range(n))
    # a task whose run others have closed in starts in the middle of the longest that is left
    assert n_runs <= n_tasks * (n.bit_length() + 1)
    assert nodes <= n_runs * 2 * max(tree.root.level, 1)
