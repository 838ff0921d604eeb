"""Moments of a split are the same bits whichever tasks joined those of its partitions."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data.block import Block
from mr_ml.data.features import DenseFeatures
from mr_ml.errors import InternalError
from mr_ml.packing.plan import PackPlan, make_plan
from mr_ml.packing.split_moments import SplitMoments
from mr_ml.sums.moments import MomentsQuery, MomentSums
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node


def plan_of(partitions: int) -> PackPlan:
    """Splits a and b; fold after fold, so that the partitions of a split are no single range."""
    shares = {"a": 0.6, "b": 0.4}
    return make_plan(n_rows=100, nnz=300, n_features=2, shares=shares, folds=2, partitions=partitions)


def moments_of(partition: int) -> Statistic:
    """Of three rows whose sums depend on the order in which they are added."""
    rows = np.random.default_rng(partition).standard_normal((3, 2)) * 10.0**partition
    return MomentsQuery(2).map(Block(DenseFeatures(rows), np.array([0.0, 1.0, partition])))


def encoded(totals: dict[str, MomentSums]) -> dict[str, bytes]:
    return {split: found.total.encode(Node(0, 0)) for split, found in totals.items()}


def by_one_task(plan: PackPlan, filled: set[int]) -> dict[str, bytes]:
    whole = SplitMoments(plan, filled=filled)
    for partition in sorted(filled):
        whole.add(partition, moments_of(partition))
    return encoded(whole.totals())


@given(data=st.data(), partitions=st.integers(4, 24), n_tasks=st.integers(1, 5), seed=st.integers(0, 999))
def test_tasks_may_share_the_partitions_in_any_way(
    data: st.DataObject, partitions: int, n_tasks: int, seed: int
) -> None:
    plan = plan_of(partitions)
    filled = data.draw(st.sets(st.integers(0, plan.n_partitions - 1), min_size=1))
    rng = random.Random(seed)
    tasks = [SplitMoments(plan) for _ in range(n_tasks)]
    for partition in rng.sample(sorted(filled), len(filled)):
        rng.choice(tasks).add(partition, moments_of(partition))
    lines = [line for task in tasks for line in task.lines()]
    rng.shuffle(lines)
    joined = SplitMoments(plan, filled=filled)
    for line in lines:
        joined.add_line(line)
    assert encoded(joined.totals()) == by_one_task(plan, filled)


def test_a_task_with_neighbouring_partitions_answers_with_few_statistics() -> None:
    plan = make_plan(n_rows=100, nnz=300, n_features=2, shares={"all": 1.0}, partitions=64)
    task = SplitMoments(plan)
    for partition in range(32):
        task.add(partition, moments_of(partition % 4))
    assert len(list(task.lines())) == 1


def test_a_partition_that_is_missing_or_comes_twice_is_refused() -> None:
    plan = plan_of(8)
    filled = set(range(plan.n_partitions))
    task = SplitMoments(plan)
    for partition in sorted(filled - {3}):
        task.add(partition, moments_of(partition))
    joined = SplitMoments(plan, filled=filled)
    for line in task.lines():
        joined.add_line(line)
    with pytest.raises(InternalError, match=r"missing 1 block\(s\) of partition\(s\) 3"):
        joined.totals()
    with pytest.raises(InternalError, match="came twice"):
        joined.add(2, moments_of(2))


def test_moments_of_a_split_without_rows_are_refused() -> None:
    plan = plan_of(8)
    task = SplitMoments(plan)
    task.add(0, moments_of(0))
    (line,) = task.lines()
    with pytest.raises(InternalError, match="'a', which has no rows"):
        SplitMoments(plan, filled={plan.n_partitions - 1}).add_line(line)
