"""Chunks of rows that are dealt together end in the blocks in which they end alone, by fewer mini-blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from builders import make_rows
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from miniblocks import partition_lines, plan_of

from mr_ml.data.narrow import narrow
from mr_ml.packing import dealing
from mr_ml.packing.dealing import Dealer
from mr_ml.packing.miniblock import MiniBlock, Stretch, encoded, joined, ranked, split_rows
from mr_ml.packing.plan import PackPlan
from mr_ml.readers.csv.draft import MatrixRows
from mr_ml.readers.rows import Rows

NUMBERS = st.sampled_from([0.0, 1.0, -2.5, 0.1, 70000.0, 1e300])
ENTRIES = st.lists(st.tuples(NUMBERS, st.dictionaries(st.integers(0, 5), NUMBERS, max_size=3), NUMBERS), max_size=12)
MATRICES = st.integers(0, 9).flatmap(
    lambda n: st.lists(st.lists(NUMBERS, min_size=4, max_size=4), min_size=n, max_size=n)
)


def as_entries(rows: Any, *, weighted: bool = False) -> Rows:
    return make_rows([(y, x, w if weighted else None, None) for y, x, w in rows])


def as_matrix(rows: Any) -> Rows:
    return MatrixRows(np.ones(len(rows)), *narrow(np.array(rows, np.float64).reshape(len(rows), 4)))


def dealt(chunks: Iterable[Rows], plan: PackPlan, *, most_bytes: int) -> list[MiniBlock]:
    dealer = Dealer(plan, most_bytes)
    found = [one for rows in chunks for one in dealer.add(rows)]
    return [*found, *dealer.rest()]


@given(
    sparse=st.lists(ENTRIES, max_size=5), dense=st.lists(MATRICES, max_size=5), partitions=st.integers(1, 6),
    most_bytes=st.sampled_from([1, 300, 2000, 1 << 20]), at_once=st.sampled_from([1, 500, 1 << 20]), data=st.data(),
)  # fmt: skip
@examples(150)
def test_the_blocks_are_those_of_chunks_alone(
    sparse: Any, dense: Any, partitions: int, most_bytes: int, at_once: int, data: st.DataObject
) -> None:
    plan = plan_of(partitions=partitions, block_rows=4)
    chunks = data.draw(st.permutations([*map(as_entries, sparse), *map(as_matrix, dense)]))
    alone = [one for rows in chunks for one in split_rows(rows, plan)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dealing, "_AT_ONCE_BYTES", at_once)
        together = dealt(chunks, plan, most_bytes=most_bytes)
    assert partition_lines(together, plan) == partition_lines(alone, plan)
    assert len(together) <= len(alone)


@given(chunks=st.lists(ENTRIES, max_size=4), most_bytes=st.sampled_from([1, 300, 1 << 20]))
@examples(60)
def test_weights_travel_with_their_rows(chunks: Any, most_bytes: int) -> None:
    plan = plan_of(partitions=3, block_rows=4)
    weighted = [as_entries(rows, weighted=True) for rows in chunks]
    alone = [one for rows in weighted for one in split_rows(rows, plan)]
    assert partition_lines(dealt(weighted, plan, most_bytes=most_bytes), plan) == partition_lines(alone, plan)


def many_rows(n: int, *, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return make_rows([(1.0, {int(k): float(rng.normal()) for k in range(6)}, None, None) for _ in range(n)])


def test_a_partition_gets_one_mini_block_of_many_chunks() -> None:
    plan = plan_of(partitions=4, block_rows=4)
    dealer = Dealer(plan, dealing.MOST_BYTES)
    assert [one for seed in range(20) for one in dealer.add(many_rows(50, seed=seed))] == []
    assert Counter(partition for partition, _ in dealer.rest()) == dict.fromkeys(range(4), 1)
    assert list(dealer.rest()) == []


def test_no_more_waits_than_may() -> None:
    plan = plan_of(partitions=4, block_rows=4)
    chunks = [many_rows(50, seed=seed) for seed in range(12)]
    (first, *_) = chunks
    size = dealing._held(first, plan).nbytes
    dealer = Dealer(plan, 3 * size)
    gave = [len(list(dealer.add(rows))) for rows in chunks]
    assert [n > 0 for n in gave] == [False, False, True] * 4
    # of one chunk that is enough by itself nothing waits
    assert list(Dealer(plan, 1).add(first)) == list(split_rows(first, plan))


def test_rows_with_and_without_weights_are_not_put_together() -> None:
    plan = plan_of(partitions=1, block_rows=4)
    rows = [(1.0, {0: 1.0}, 2.0)] * 3
    dealer = Dealer(plan, dealing.MOST_BYTES)
    assert list(dealer.add(as_entries(rows))) == []
    ((_, data),) = dealer.add(as_entries(rows, weighted=True))
    assert joined([data], where="here").take(np.arange(3)).weights is None


def test_neighbours_are_grouped_by_their_rows() -> None:
    bounds = [0, 3, 4, 9, 10, 20]
    stretches = [Stretch(k, a, b) for k, (a, b) in enumerate(pairwise(bounds))]
    grouped = [[one.partition for one in some] for some in dealing._grouped(stretches, 4)]
    assert grouped == [[0, 1], [2], [3], [4]]


@given(times=st.lists(st.integers(1, 30), min_size=1, max_size=4), most_bytes=st.sampled_from([1, 4000, 1 << 20]))
@examples(40)
def test_equal_rows_go_on_together_as_some_at_a_time(times: list[int], most_bytes: int) -> None:
    plan = plan_of(partitions=4, block_rows=4)
    rows = [(1.0, {0: float(k)}, 0.0) for k, n in enumerate(times) for _ in range(n)]
    source = joined([encoded(as_entries(rows), np.zeros(len(rows), np.uint64))], where="here")
    rank = ranked(source)
    alone = [
        one for chosen, met in rank.others(home=2, at_most=7) for one in split_rows(source.take(chosen), plan, met)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dealing, "MAX_BLOCK_ROWS", 7)
        together = list(dealing.dealt_again(source, rank, plan, home=2, most_bytes=most_bytes))
    assert partition_lines(together, plan) == partition_lines(alone, plan)
    assert len(together) <= len(alone)
