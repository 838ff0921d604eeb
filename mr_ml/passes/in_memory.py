"""The in-memory engine: blocks in a list, summed in the tree's order. The oracle of the other engines."""

from __future__ import annotations

from dataclasses import replace

from hdfs_layout.dataclass import dataclass
from mr_ml import spent
from mr_ml.data.block import StoredBlock
from mr_ml.errors import BadDataError
from mr_ml.passes.base import Array, check_receipts
from mr_ml.sums.blas import one_thread
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Receipts, Statistic
from mr_ml.sums.tree import PartialSums, SumTree


def add_block(sums: PartialSums[Statistic], tree: SumTree, query: Query, stored: StoredBlock) -> None:
    """Map one prepared block and put its statistic, with the receipt, into its place in the tree.

    Raises
    ------
    BadDataError
        If the rows are not what the query expects: says in which block.
    """
    address, block = stored.address, stored.block
    receipt = Receipts.of_block(partition=address.partition, index=address.index, rows=block.n_rows, crc=stored.crc)
    try:
        statistic = query.map(block)
    except BadDataError as error:
        raise BadDataError(f"partition {address.partition}, block {address.index}: {error}") from error
    sums.add(tree.leaf(address.partition, address.index), replace(statistic, receipts=receipt))


@dataclass(frozen=True)
class InMemoryEngine:
    """An `Engine` over blocks in a list.

    Attributes
    ----------
    expected
        By partition number: rows and digest, as the manifest has them.
    dataset
        Its name, for messages.
    """

    tree: SumTree
    blocks: tuple[StoredBlock, ...]
    expected: dict[int, tuple[int, int]]
    dataset: str = "the dataset"

    def run(self, query: Query, *, columns: Array | None = None) -> Statistic:
        """See `Engine.run`."""
        sums: PartialSums[Statistic] = PartialSums(self.tree, Statistic.absorb)
        with one_thread(), spent.current().part("map"):
            for stored in self.blocks:
                over = stored if columns is None else stored.over(columns)
                add_block(sums, self.tree, query, replace(over, block=query.prepare(over.block)))
        total = sums.total()
        check_receipts(total, tree=self.tree, expected=self.expected, dataset=self.dataset)
        return total

    def close(self) -> None:
        """Do nothing: there are no processes, and the blocks are the caller's."""
        pass
