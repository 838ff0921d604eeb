"""Feature moments of each split: those of its partitions, joined along a tree with the partitions as leaves.

That is the upper part of the tree over the split's blocks, so it does not matter which task joins what. A task joins
those of its own partitions, so that few statistics, each as large as a model, reach the driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from mr_ml.data import frame
from mr_ml.errors import InternalError
from mr_ml.packing.plan import PackPlan
from mr_ml.sums.moments import MomentSums
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node, PartialSums, PartitionPlan, SumTree

MOMENTS = b"moments"


class SplitMoments:
    """Statistics of `MomentsQuery` by split, as far as they are there.

    Parameters
    ----------
    plan
        Of the pack.
    filled
        Numbers of the partitions that have rows; None where that is not known, which leaves more to be joined.
    """

    def __init__(self, plan: PackPlan, *, filled: Set[int] | None = None) -> None:
        by_split = plan.partitions_by_split()
        self._split_of = {number: split for split, numbers in by_split.items() for number in numbers}
        self._trees: dict[str, SumTree] = {}
        # of each piece, by its first feature
        self._sums: dict[str, dict[int, PartialSums[Statistic]]] = {}
        for split, numbers in by_split.items():
            if filled is None or not filled.isdisjoint(numbers):
                leaves = (PartitionPlan(number, int(filled is None or number in filled)) for number in numbers)
                self._trees[split] = SumTree(tuple(leaves))
                self._sums[split] = {}

    def add(self, partition: int, moments: Statistic) -> None:
        """Take the moments of a whole partition."""
        split = self._split_of[partition]
        for piece in moments.pieces():
            self._add(split, self._trees[split].leaf(partition, 0), piece)

    def _add(self, split: str, node: Node, piece: Statistic) -> None:
        empty = PartialSums(self._trees[split], Statistic.absorb)
        self._sums[split].setdefault(piece.first_feature, empty).add(node, piece)

    def add_line(self, line: bytes) -> None:
        """Take what the `lines` of another task said.

        Raises
        ------
        InternalError
            If they are of a split without rows, or of partitions that came before.
        """
        split, _, text = line.partition(b" ")
        if split.decode() not in self._sums:
            raise InternalError(f"moments of the split {split.decode()!r}, which has no rows, came; run it again")
        where = "a task's moments"
        self._add(split.decode(), *Statistic.decode(frame.from_text(text, where=where), where=where))

    def lines(self) -> Iterator[bytes]:
        """Yield the sums as text without tabs: the split, a blank, the statistic of a node.

        Where there are many features, a line holds a piece of the statistic, so that never all of it is text at once.
        """
        for split, pieces in self._sums.items():
            for sums in pieces.values():
                for node, moments in sums.items():
                    yield split.encode() + b" " + frame.to_text(moments.encode(node))

    def totals(self) -> dict[str, MomentSums]:
        """Return the moments of each split that has rows.

        Raises
        ------
        InternalError
            If a partition is missing.
        """
        return {
            split: MomentSums(Statistic.joined(sums.total() for sums in pieces.values()))
            for split, pieces in self._sums.items()
        }
