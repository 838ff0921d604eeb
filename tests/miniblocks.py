"""What reduce tasks make of mini-blocks, for tests of how rows travel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mr_ml.data.block import BlockAddress, encode_line
from mr_ml.packing.miniblock import MiniBlock, cut, joined, ranked
from mr_ml.packing.plan import PackPlan, make_plan


def plan_of(*, partitions: int, block_rows: int) -> PackPlan:
    plan = make_plan(n_rows=100, nnz=300, n_features=6, shares={"a": 0.6, "b": 0.4}, partitions=partitions, seed=3)
    return PackPlan(**{**vars(plan), "block_rows": block_rows})


def by_partition(mini_blocks: Iterable[MiniBlock]) -> dict[int, list[bytes]]:
    """Return the mini-blocks of each partition."""
    dealt: dict[int, list[bytes]] = {}
    for partition, data in mini_blocks:
        dealt.setdefault(partition, []).append(data)
    return dict(sorted(dealt.items()))


def lines_of(blocks: Any, *, partition: int = 0) -> list[bytes]:
    return [encode_line(block, BlockAddress(partition, k)) for k, block in enumerate(blocks)]


def partition_lines(mini_blocks: Iterable[MiniBlock], plan: PackPlan) -> dict[int, list[bytes]]:
    """Return the lines of each partition file."""
    made = {}
    for partition, parts in by_partition(mini_blocks).items():
        rows = joined(parts, where="here")
        made[partition] = lines_of(cut(rows, ranked(rows).rows, block_rows=plan.block_rows), partition=partition)
    return made
