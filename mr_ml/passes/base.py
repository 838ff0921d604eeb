"""Engine: one pass over the data."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml.errors import BadDataError
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import SumTree

Array = NDArray[Any]


class Engine(Protocol):
    """Runs queries over one dataset, a pass each."""

    def run(self, query: Query, *, columns: Array | None = None) -> Statistic:
        """Sum the query's statistic over all blocks of the dataset.

        Parameters
        ----------
        query
            Of rows over `columns` where these are given.
        columns : int32, ascending
            The features that the query is about; rows are over these alone.

        Raises
        ------
        BadDataError
            If the data is not what the manifest lists.
        InternalError
            If the sums are not complete or a task failed.
        """

    def close(self) -> None:
        """Let go of processes and memory."""


def check_receipts(total: Statistic, *, tree: SumTree, expected: dict[int, tuple[int, int]], dataset: str) -> None:
    """Hold what was summed against the manifest.

    Parameters
    ----------
    total
        The root's statistic: its receipts list every block once (the tree saw to that).
    expected
        By partition number: rows and digest.

    Raises
    ------
    BadDataError
        Naming each partition whose rows or digest differ.
    """
    rows: dict[int, int] = {}
    digests: dict[int, int] = {}
    for (partition, _, _, n), digest in zip(total.receipts.runs.tolist(), total.receipts.digests, strict=True):
        rows[partition] = rows.get(partition, 0) + n
        digests[partition] = (digests.get(partition, 0) + int(np.uint64(digest))) % 2**64
    for plan in tree.plan:
        p, (n, digest) = plan.partition, expected[plan.partition]
        if plan.blocks and (rows.get(p, 0), digests.get(p, 0)) != (n, digest):
            raise BadDataError(
                f"{dataset}: partition {p} is not the one that was packed: expected {n} rows, digest {digest:016x}; "
                f"found {rows.get(p, 0)} rows, digest {digests.get(p, 0):016x}; pack the dataset again"
            )
