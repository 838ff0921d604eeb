"""The order of additions belongs to the dataset, and a sum is whole or refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.errors import BadDataError, InternalError
from mr_ml.sums.tree import Node, PartialSums, PartitionPlan, SumTree

T = TypeVar("T")

sizes_of_partitions = (
    st.lists(st.integers(0, 9), min_size=1, max_size=40)
    | st.lists(st.integers(1, 70), min_size=1, max_size=3)
    | st.just([1])
).filter(any)


def plan_of(sizes: Sequence[int]) -> SumTree:
    """Partitions numbered 7, 10, 13, ...: their numbers are not their positions."""
    return SumTree(tuple(PartitionPlan(7 + 3 * k, n) for k, n in enumerate(sizes)))


def sum_over(tree: SumTree, parts: Iterable[tuple[Node, T]], add: Callable[[T, T], T]) -> T:
    """Join node sums that arrive in any order into the total."""
    sums = PartialSums(tree, add)
    for node, value in parts:
        sums.add(node, value)
    return sums.total()


def addresses(tree: SumTree) -> list[tuple[int, int]]:
    return [(p.partition, i) for p in tree.plan for i in range(p.blocks)]


def by_definition(sizes: Sequence[int], values: dict[tuple[int, int], str]) -> str:
    """The sum written as a formula: halves of the least power of two, from the root down; nothing stays nothing."""

    def total(items: Sequence[str]) -> str:
        if len(items) == 1:
            return items[0]
        half = 1
        while 2 * half < len(items):
            half *= 2
        left, right = total(items[:half]), total(items[half:])
        return f"({left}+{right})" if left and right else left or right

    partitions = [
        total([values[p.partition, i] for i in range(p.blocks)]) if p.blocks else "" for p in plan_of(sizes).plan
    ]
    return total(partitions)


def formula(left: str, right: str) -> str:
    return f"({left}+{right})"


def spread(tree: SumTree, values: dict[tuple[int, int], T], add: Callable[[T, T], T], rng: random.Random) -> T:
    """Sum as a job does: blocks dealt to map tasks, their nodes to reduce tasks, theirs to the driver, in any order."""
    blocks = addresses(tree)
    n_tasks = rng.randint(1, len(blocks) + 1)
    neighbours = rng.random() < 0.5
    tasks: list[list[tuple[int, int]]] = [[] for _ in range(n_tasks)]
    for k, address in enumerate(blocks):
        tasks[k * n_tasks // len(blocks) if neighbours else rng.randrange(n_tasks)].append(address)
    layer: list[list[tuple[Node, T]]] = []
    for task in tasks:
        rng.shuffle(task)
        sums: PartialSums[T] = PartialSums(tree, add)
        for address in task:
            sums.add(tree.leaf(*address), values[address])
        layer.append(sums.items())
    while len(layer) > 1:
        rng.shuffle(layer)
        joined = []
        width = rng.randint(2, len(layer))
        for start in range(0, len(layer), width):
            nodes = [node for group in layer[start : start + width] for node in group]
            rng.shuffle(nodes)
            sums = PartialSums(tree, add)
            for node, value in nodes:
                sums.add(node, value)
            joined.append(sums.items())
        layer = joined
    return sum_over(tree, layer[0], add)


@given(sizes=sizes_of_partitions, seed=st.integers(0, 2**32))
def test_every_way_to_split_and_join_adds_in_the_defined_order(sizes: list[int], seed: int) -> None:
    tree = plan_of(sizes)
    names = {address: f"{address[0]}.{address[1]}" for address in addresses(tree)}
    assert spread(tree, names, formula, random.Random(seed)) == by_definition(sizes, names)


@given(sizes=sizes_of_partitions, seed=st.integers(0, 2**32))
def test_every_way_to_split_and_join_gives_the_same_bits(sizes: list[int], seed: int) -> None:
    rng = random.Random(seed)
    tree = plan_of(sizes)
    values = {address: rng.gauss(0, 1) * 10.0 ** rng.randint(-8, 8) for address in addresses(tree)}
    names = {address: f"values[{address[0]},{address[1]}]" for address in addresses(tree)}
    # the formula is evaluated by Python itself
    expected = eval(by_definition(sizes, names), {"values": values})
    first = spread(tree, values, float.__add__, rng)
    again = spread(tree, values, float.__add__, rng)
    assert first.hex() == again.hex() == expected.hex()


def test_the_order_matters_to_these_floats() -> None:
    """Without this the test above would show nothing."""
    rng = random.Random(1)
    values = [rng.gauss(0, 1) * 10.0 ** rng.randint(-8, 8) for _ in range(40)]
    assert len({sum(rng.sample(values, 40)) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1], "7.0"),
        ([3], "((7.0+7.1)+7.2)"),
        ([5], "(((7.0+7.1)+(7.2+7.3))+7.4)"),
        ([1, 3, 1], "((7.0+((10.0+10.1)+10.2))+13.0)"),
        ([0, 2, 0], "(10.0+10.1)"),
        ([2, 0, 0, 0, 1], "((7.0+7.1)+19.0)"),
    ],
)
def test_the_definition_by_hand(sizes: list[int], expected: str) -> None:
    tree = plan_of(sizes)
    names = {address: f"{address[0]}.{address[1]}" for address in addresses(tree)}
    assert by_definition(sizes, names) == expected
    assert sum_over(tree, [(tree.leaf(*a), name) for a, name in names.items()], formula) == expected


# --- completeness -----------------------------------------------------------------------------------------------------


@given(sizes=sizes_of_partitions, data=st.data())
def test_a_missing_block_is_an_error_that_names_its_partition(sizes: list[int], data: st.DataObject) -> None:
    tree = plan_of(sizes)
    blocks = data.draw(st.permutations(addresses(tree)))
    lost = blocks.pop()
    with pytest.raises(InternalError, match=rf"missing 1 block\(s\) of partition\(s\) {lost[0]}\b") as refused:
        sum_over(tree, [(tree.leaf(*a), 1.0) for a in blocks], float.__add__)
    assert "doubled" not in str(refused.value)
    assert f"{tree.n_blocks} blocks of {len(sizes)} partitions" in str(refused.value)


@given(sizes=sizes_of_partitions, data=st.data())
def test_a_doubled_block_is_an_error_that_names_its_partition(sizes: list[int], data: st.DataObject) -> None:
    tree = plan_of(sizes)
    twice = data.draw(st.sampled_from(addresses(tree)))
    blocks = data.draw(st.permutations([*addresses(tree), twice]))
    with pytest.raises(InternalError, match=rf"partition\(s\) {twice[0]}\b") as refused:
        sum_over(tree, [(tree.leaf(*a), 1.0) for a in blocks], float.__add__)
    assert "missing" not in str(refused.value)


@given(sizes=sizes_of_partitions.filter(lambda sizes: sum(sizes) > 1), data=st.data())
def test_a_block_in_anothers_place_is_an_error_that_names_a_partition(sizes: list[int], data: st.DataObject) -> None:
    tree = plan_of(sizes)
    blocks = data.draw(st.permutations(addresses(tree)))
    lost, twice = blocks[:2]
    blocks = data.draw(st.permutations([twice, *blocks[1:]]))
    with pytest.raises(InternalError) as refused:
        sum_over(tree, [(tree.leaf(*a), 1.0) for a in blocks], float.__add__)
    assert f"partition(s) {lost[0]}" in str(refused.value) or f"partition(s) {twice[0]}" in str(refused.value)


@given(sizes=sizes_of_partitions, seed=st.integers(0, 2**32))
def test_a_lost_or_doubled_partial_sum_is_an_error(sizes: list[int], seed: int) -> None:
    """Whole nodes, as reduce tasks emit them: the tile of one node is missing, or comes once more."""
    rng = random.Random(seed)
    tree = plan_of(sizes)
    sums: PartialSums[float] = PartialSums(tree, float.__add__)
    for address in addresses(tree):
        if rng.random() < 0.7:
            sums.add(tree.leaf(*address), 1.0)
    rest: PartialSums[float] = PartialSums(tree, float.__add__)
    held = {block for node, _ in sums.items() for block in range(*tree.blocks_of(node))}
    for ordinal, address in enumerate(addresses(tree)):
        if ordinal not in held:
            rest.add(tree.leaf(*address), 1.0)
    nodes = sums.items() + rest.items()
    chosen = rng.choice(nodes)
    first, last = tree.blocks_of(chosen[0])
    named = {addresses(tree)[ordinal][0] for ordinal in range(first, last)}
    rng.shuffle(nodes)
    assert sum_over(tree, nodes, float.__add__) == sum(sizes)
    for parts in ([node for node in nodes if node is not chosen], [*nodes, chosen]):
        with pytest.raises(InternalError) as refused:
            sum_over(tree, parts, float.__add__)
        listed = str(refused.value).partition("partition(s) ")[2]
        assert (
            set(map(int, listed.partition(".")[0].partition(";")[0].partition(" ")[0].rstrip(",").split(","))) <= named
        )


@pytest.mark.parametrize("sizes", [[], [0], [0, 0, 0], [1], [2, 3]])
def test_no_sums_at_all_are_an_error(sizes: list[int]) -> None:
    with pytest.raises(InternalError, match=rf"not complete: expected {sum(sizes)} blocks of {len(sizes)} partitions"):
        sum_over(plan_of(sizes), [], float.__add__)


def test_blocks_that_the_plan_does_not_list_are_bad_data() -> None:
    tree = plan_of([2, 0, 3])
    for partition, index in ((7, 2), (7, -1), (10, 0), (13, 3)):
        with pytest.raises(BadDataError, match=rf"partition {partition}\b.*block {index}"):
            tree.leaf(partition, index)
    for partition in (0, 8, 16, -1):
        with pytest.raises(BadDataError, match=rf"partition {partition} is not part of this pass"):
            tree.leaf(partition, 0)


def test_many_missing_partitions_are_counted_not_listed() -> None:
    with pytest.raises(InternalError, match=r"missing 39 block\(s\) of partition\(s\) 10, 13, 16, 19, 22 and 34 more"):
        sum_over(plan_of([1] * 40), [(Node(0, 0), 1.0)], float.__add__)


@given(sizes=sizes_of_partitions)
def test_nodes_cover_what_their_leaves_do(sizes: list[int]) -> None:
    tree = plan_of(sizes)
    assert tree.n_blocks == sum(sizes)
    assert tree.blocks_of(tree.root) == (0, sum(sizes))
    for ordinal, address in enumerate(addresses(tree)):
        node = tree.leaf(*address)
        assert tree.blocks_of(node) == (ordinal, ordinal + 1)
        assert tree.partitions_of(ordinal, ordinal + 1) == [address[0]]
        assert tree.blocks_of(Node(tree.partition_level, node.number >> tree.partition_level))[0] <= ordinal
