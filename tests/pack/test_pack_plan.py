"""What packing decides: shares that are kept, partitions that are even, and nothing that depends on a machine."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from builders import make_rows
from hypothesis import given
from hypothesis import strategies as st

from mr_ml.data.rowhash import row_hashes
from mr_ml.errors import UsageError
from mr_ml.packing.plan import MAX_BLOCK_ROWS, PackPlan, make_plan, parse_shares, shares_of

N = 100_000


@pytest.fixture(scope="module")
def hashes() -> Any:
    return row_hashes(make_rows([(float(k % 3), {0: float(k), 1: 1.0}, None, None) for k in range(N)]))


def plan_for(shares: dict[str, float], **options: Any) -> PackPlan:
    return make_plan(**{"n_rows": N, "nnz": 2 * N, "n_features": 2, "shares": shares, **options})


def bound(share: float, n: int = N) -> float:
    return 6 * math.sqrt(n * share * (1 - share)) + 1


def by_segment(plan: PackPlan, partition: Any) -> Any:
    ends = [s.first_partition + s.n_partitions for s in plan.segments]
    return np.bincount(np.searchsorted(ends, partition, side="right"), minlength=len(ends)).tolist()


@pytest.mark.parametrize(
    "shares",
    [{"train": 1.0}, {"train": 0.8, "test": 0.2}, {"a": 0.1, "b": 0.2, "c": 0.7}, {"train": 0.999, "test": 0.001}],
)
@pytest.mark.parametrize("folds", [1, 2, 5])
def test_splits_and_folds_have_their_shares(hashes: Any, shares: dict[str, float], folds: int) -> None:
    plan = plan_for(shares, folds=folds, seed=7)
    partition, _ = plan.assign(hashes, None)
    counts = np.array(by_segment(plan, partition)).reshape(len(shares), folds)
    for row, share in zip(counts, shares.values(), strict=True):
        assert abs(row.sum() - N * share) <= bound(share)
        assert all(abs(count - N * share / folds) <= bound(share / folds) for count in row)
    assert [(s.split, s.fold) for s in plan.segments] == [
        (name, fold if folds > 1 else None) for name in shares for fold in range(folds)
    ]


@pytest.mark.parametrize("partitions", [1, 2, 7, 16])
def test_partitions_are_balanced(hashes: Any, partitions: int) -> None:
    plan = plan_for({"train": 1.0}, partitions=partitions)
    counts = np.bincount(plan.assign(hashes, None)[0], minlength=plan.n_partitions)
    assert len(counts) == partitions
    assert abs(counts - N / partitions).max() <= bound(1 / partitions)
    assert counts.max() / counts.min() < 1.1


def test_partitions_are_ranges_of_the_order(hashes: Any) -> None:
    plan = plan_for({"train": 1.0}, partitions=8)
    partition, order = plan.assign(hashes, None)
    assert (np.diff(partition[np.argsort(order)]) >= 0).all()


def test_the_split_of_a_row_depends_on_seed_and_content_alone(hashes: Any) -> None:
    plan = plan_for({"train": 0.8, "test": 0.2}, folds=2, partitions=9, seed=3)
    partition, order = plan.assign(hashes, None)
    some = np.random.default_rng(0).permutation(N)[:500]
    again, order_again = plan.assign(hashes[some], None)
    assert again.tolist() == partition[some].tolist()
    assert order_again.tolist() == order[some].tolist()
    other, _ = plan_for({"train": 0.8, "test": 0.2}, folds=2, partitions=9, seed=4).assign(hashes, None)
    assert by_segment(plan, other) != by_segment(plan, partition)


def test_other_partitions_do_not_change_the_split(hashes: Any) -> None:
    """A row of the test split stays there when the dataset grows and gets more partitions."""
    splits = []
    for partitions in (2, 10, 40):
        plan = plan_for({"train": 0.8, "test": 0.2}, partitions=partitions, seed=5)
        first_test = next(s.first_partition for s in plan.segments if s.split == "test")
        splits.append((plan.assign(hashes, None)[0] >= first_test).tolist())
    assert splits[0] == splits[1] == splits[2]


def test_split_fold_and_order_are_independent(hashes: Any) -> None:
    plan = plan_for({"train": 0.5, "test": 0.5}, folds=2, partitions=8, seed=1)
    partition, order = plan.assign(hashes, None)
    upper = order >= np.uint64(2**63)
    table = np.bincount(np.array(partition // 2) * 2 + upper, minlength=8)
    assert abs(table - N / 8).max() <= bound(1 / 8)


def test_groups_stay_together(hashes: Any) -> None:
    groups = row_hashes(make_rows([(float(k // 40), {}, None, None) for k in range(N)]))
    plan = plan_for({"train": 0.7, "test": 0.3}, folds=3, by_group=True, seed=2)
    partition, _ = plan.assign(hashes, groups)
    ends = [s.first_partition + s.n_partitions for s in plan.segments]
    segment = np.searchsorted(ends, partition, side="right").reshape(-1, 40)
    assert (segment == segment[:, :1]).all()
    n_groups = N // 40
    counts = np.bincount(segment[:, 0], minlength=6).reshape(2, 3)
    assert abs(counts[0] - n_groups * 0.7 / 3).max() <= bound(0.7 / 3, n_groups)


def test_equal_rows_meet_in_one_partition() -> None:
    rows = make_rows([(1.0, {0: float(k % 50)}, None, None) for k in range(1000)])
    plan = plan_for({"train": 0.5, "test": 0.5}, folds=3, partitions=30)
    partition, _ = plan.assign(row_hashes(rows), None)
    assert (partition.reshape(20, 50) == partition[:50]).all()


@given(
    n_rows=st.integers(0, 10**9),
    row_nnz=st.integers(0, 10**5),
    n_features=st.integers(0, 10**6),
    cuts=st.lists(st.integers(1, 99), max_size=3, unique=True),
    folds=st.integers(1, 5),
    partitions=st.none() | st.integers(1, 300),
    hashes=st.lists(st.integers(0, 2**64 - 1), max_size=20),
    seed=st.integers(-(2**70), 2**70),
)
def test_every_plan_is_sound(
    n_rows: int,
    row_nnz: int,
    n_features: int,
    cuts: list[int],
    folds: int,
    partitions: int | None,
    hashes: list[int],
    seed: int,
) -> None:
    ends = [0, *sorted(cuts), 100]
    shares = {f"s{k}": (b - a) / 100 for k, (a, b) in enumerate(pairwise(ends))}
    plan = make_plan(
        n_rows=n_rows,
        nnz=n_rows * row_nnz,
        n_features=n_features,
        shares=shares,
        folds=folds,
        seed=seed,
        partitions=partitions,
    )
    assert plan.block_rows & (plan.block_rows - 1) == 0
    assert 1 <= plan.block_rows <= MAX_BLOCK_ROWS
    at = 0
    for segment in plan.segments:
        assert segment.first_partition == at
        assert segment.n_partitions >= 1
        at += segment.n_partitions
    assert at == plan.n_partitions
    words = np.array([0, 2**64 - 1, *hashes], np.uint64)
    partition, _ = plan.assign(words, None)
    assert ((partition >= 0) & (partition < at)).all()
    assert PackPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_tiny_data_is_one_partition_and_large_data_grows_them() -> None:
    def partitions(n_rows: int) -> int:
        return plan_for({"train": 1.0}, n_rows=n_rows, nnz=80 * n_rows, n_features=10**6).n_partitions

    counts = [partitions(10**k) for k in range(10)]
    assert counts[:4] == [1] * 4
    assert counts == sorted(counts)
    assert all(count % 4 == 0 for count in counts if count > 8)
    # bytes a partition: about 16 MB first, 128 MB (an HDFS block) in the end
    stored = [10**k * (80 * 6 + 8) for k in range(10)]
    assert stored[6] / counts[6] <= 17e6
    assert 120e6 <= stored[9] / counts[9] <= 135e6


@pytest.mark.parametrize(("row_entries", "expected"), [(0, 1 << 16), (10, 1 << 14), (1000, 128), (10**4, 16)])
def test_wider_rows_make_fewer_rows_a_block(row_entries: int, expected: int) -> None:
    plan = plan_for({"train": 1.0}, n_rows=10**6, nnz=10**6 * row_entries, n_features=10**4)
    assert plan.block_rows == expected


@pytest.mark.parametrize(("n_features", "expected"), [(10**4, 1 << 11), (30_000, 1 << 13), (10**8, 1 << 13)])
def test_more_features_make_more_rows_a_block(n_features: int, expected: int) -> None:
    assert plan_for({"train": 1.0}, n_rows=10**6, nnz=73 * 10**6, n_features=n_features).block_rows == expected


def test_explicit_zeros_do_not_make_more_of_a_dataset_than_it_can_be() -> None:
    one = plan_for({"train": 1.0}, n_rows=10**7, nnz=10**12, n_features=3)
    assert one == plan_for({"train": 1.0}, n_rows=10**7, nnz=3 * 10**7, n_features=3)


def test_the_splits_of_files_have_partitions_by_what_is_in_them() -> None:
    rows = {"train": (9 * 10**6, 9 * 80 * 10**6), "late": (0, 0), "test": (10**6, 80 * 10**6)}
    shares = shares_of(rows)
    assert shares == pytest.approx({"train": 0.9, "late": 0.0, "test": 0.1})
    plan = plan_for(shares, n_rows=10**7, nnz=80 * 10**7, n_features=10**4, by_file=True, folds=2)
    counts = {split: len(numbers) for split, numbers in plan.partitions_by_split().items()}
    by_hash = plan_for({"train": 0.9, "test": 0.1}, n_rows=10**7, nnz=80 * 10**7, n_features=10**4, folds=2)
    assert counts == {**{s: len(of) for s, of in by_hash.partitions_by_split().items()}, "late": 2}
    assert plan.partition_bytes == by_hash.partition_bytes
    words = np.arange(1000, dtype=np.uint64) << np.uint64(50)
    for split, numbers in plan.partitions_by_split().items():
        partition, order = plan.of_split(split).assign(words, None)
        assert set(partition.tolist()) <= set(numbers)
        assert (order == by_hash.order(words)).all()
    assert PackPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert "by_file" not in by_hash.to_json()


# --- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train=0.8,test=0.2", {"train": 0.8, "test": 0.2}),
        (" train = 0.8 , test = 0.2 ", {"train": 0.8, "test": 0.2}),
        ("all=1", {"all": 1.0}),
        ("a=0.1,b=0.2,c=0.3,d-2=0.4", {"a": 0.1, "b": 0.2, "c": 0.3, "d-2": 0.4}),
        ("a=1e-3,b=0.999", {"a": 0.001, "b": 0.999}),
    ],
)
def test_shares_are_read(text: str, expected: dict[str, float]) -> None:
    assert parse_shares(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "train",
        "train=",
        "=1",
        "train=0.8",
        "train=0.8,test=0.3",
        "train=0.8,train=0.2",
        "train=1.2,test=-0.2",
        "train=0,test=1",
        "train=nan",
        "train=inf",
        "train=80%,test=20%",
        "train=0.8;test=0.2",
        "train=0.8,test=0.2,",
        "../../etc=1",
        "a/b=1",
        "a b=1",
        "tëst=1",
        "1st=1",
        "a\nb=1",
        ".=1",
        "train=0.8,test=0.1999",
    ],
)
def test_unusable_shares_are_the_users_mistake(text: str) -> None:
    with pytest.raises(UsageError, match="`split`"):
        parse_shares(text)


@given(text=st.text(max_size=30))
def test_any_text_is_shares_or_the_users_mistake(text: str) -> None:
    try:
        shares = parse_shares(text)
    except UsageError:
        return
    assert sum(shares.values()) == pytest.approx(1)


@given(ends=st.lists(st.integers(1, 10**6 - 1), max_size=5, unique=True))
def test_shares_of_any_size_add_up(ends: list[int]) -> None:
    bounds = [0, *sorted(ends), 10**6]
    text = ",".join(f"s{k}={(b - a) / 10**6}" for k, (a, b) in enumerate(pairwise(bounds)))
    plan = plan_for(parse_shares(text))
    assert plan.shares[-1][1] == 1.0
    assert plan.assign(np.array([2**64 - 1], np.uint64), None)[0][0] < plan.n_partitions
