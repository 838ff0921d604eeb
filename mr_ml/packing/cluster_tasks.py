"""What the tasks of packing do on a cluster, where a reduce task's output file is the partition file.

map      text -> mini-blocks, whole, through the shuffle; reduce task p gets those of partition p
reduce   mini-blocks -> the lines of the partition file, and behind them rows that are equal to some of these; the
         reports of map tasks go to one more reduce task
inspect  partition file -> its facts and feature moments, by the driver or a map task, which reads all of it
spread   only where there are equal rows: the lines of all partition files once more through the shuffle
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mr_ml.data import frame
from mr_ml.data.block import BlockAddress, decode_line, encode_line
from mr_ml.data.partition_file import PartitionTally
from mr_ml.errors import BadDataError
from mr_ml.packing.dealing import dealt_again
from mr_ml.packing.equal_rows import line_of_others
from mr_ml.packing.miniblock import Array, RowSource, cut, joined, ranked
from mr_ml.packing.plan import PackPlan
from mr_ml.packing.split_moments import MOMENTS, SplitMoments
from mr_ml.packing.tasks import AGAIN, REPORT, PackRequest, facts_line
from mr_ml.runners import task_errors
from mr_ml.runners.reduce_keys import number_of, reduce_key
from mr_ml.sums.blas import one_thread
from mr_ml.sums.moments import MomentsQuery
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import PartialSums, PartitionPlan, SumTree

Pair = tuple[bytes, bytes]

# More blocks than any partition has; a power of two.
_MANY_BLOCKS = 1 << 30


def sent(partition: int, data: bytes, *, n_reducers: int) -> Pair:
    """Address a mini-block to the reduce task of its partition."""
    return reduce_key(partition, n_reducers=n_reducers), frame.to_text(data)


def reported(report: bytes, *, n_partitions: int) -> Pair:
    """Address a map task's report to the last reduce task."""
    return reduce_key(n_partitions, n_reducers=n_partitions + 1), report


class ShuffledReduceTask:
    """Answers with the lines of a partition file, or with the reports.

    Of equal rows the file has only the first, and the others behind its blocks: see `mr_ml.packing.equal_rows`.
    """

    def __init__(self, request: PackRequest) -> None:
        self._plan, self._most_bytes = request.plan, request.together_bytes

    def add(self, key: bytes, values: Iterable[bytes]) -> Iterator[Pair]:
        """Take the mini-blocks of a partition."""
        partition = number_of(key)
        if partition == self._plan.n_partitions:
            yield from ((REPORT, value) for value in values)
            return
        rows = _joined(partition, values)
        rank = ranked(rows)
        yield from _lines(rows, rank.firsts, partition, self._plan)
        again = dealt_again(rows, rank, self._plan, home=partition, most_bytes=self._most_bytes)
        yield from (line_of_others(number, data) for number, data in again)

    def results(self) -> Iterator[Pair]:
        """Nothing more: the files are read back, see `Inspection`."""
        yield from ()


class SpreadReduceTask:
    """Answers with the lines of a partition file in the second round, in which every row is where it belongs."""

    def __init__(self, request: PackRequest) -> None:
        self._plan = request.plan

    def add(self, key: bytes, values: Iterable[bytes]) -> Iterator[Pair]:
        """Take the mini-blocks of a partition."""
        partition = number_of(key)
        rows = _joined(partition, values)
        yield from _lines(rows, ranked(rows).rows, partition, self._plan)


def _joined(partition: int, values: Iterable[bytes]) -> RowSource:
    where = f"the shuffle of partition {partition}"
    return joined([frame.from_text(value, where=where) for value in values], where=where)


def _lines(rows: RowSource, rank: Array, partition: int, plan: PackPlan) -> Iterator[Pair]:
    for index, block in enumerate(cut(rows, rank, block_rows=plan.block_rows)):
        line = encode_line(block, BlockAddress(partition, index))
        number, _, rest = line.removesuffix(b"\n").partition(b"\t")
        yield number, rest


class Inspection:
    """Reads back a partition file as it is stored, line by line."""

    def __init__(self, request: PackRequest) -> None:
        self._plan = request.plan
        self._query = MomentsQuery(request.schema.n_features)
        self._tally: PartitionTally | None = None
        self._parts: PartialSums[Statistic] | None = None
        self._again = False

    def add(self, line: bytes) -> None:
        """Take the next line, without its line feed.

        Raises
        ------
        BadDataError
            If it is damaged, or not the next block of this partition.
        MrMlError
            What the reduce task that should have written the file says.
        """
        if line.startswith(task_errors.ERROR_KEY):
            raise task_errors.decode(line.partition(b"\t")[2])
        if line.startswith(AGAIN):
            self._again = True
            return
        whole = line + b"\n"
        stored = decode_line(whole, where="a partition file just written")
        if self._tally is None:
            self._tally = PartitionTally(stored.address.partition)
            self._tree = SumTree((PartitionPlan(stored.address.partition, _MANY_BLOCKS),))
            self._parts = PartialSums(self._tree, Statistic.absorb)
        expected = self._tally.next_address
        if stored.address != expected:
            raise BadDataError(f"a partition file just written: expected {expected}, found {stored.address}")
        self._tally.add(stored, [whole])
        assert self._parts is not None
        # moments that overflow are infinite, which describe and train show
        with one_thread(), np.errstate(all="ignore"):
            self._parts.add(self._tree.leaf(expected.partition, expected.index), self._query.map(stored.block))

    def results(self) -> Iterator[Pair]:
        """Facts and moments; nothing of a file without rows; only `AGAIN` of one that awaits the second round."""
        if self._again:
            yield AGAIN, b""
            return
        if self._tally is None or self._parts is None:
            return
        facts = self._tally.facts()
        # the tree over the blocks that there are has the same nodes, and joins those that lack a neighbour
        tree = SumTree((PartitionPlan(facts.partition, facts.blocks),))
        sums: PartialSums[Statistic] = PartialSums(tree, Statistic.absorb)
        with one_thread(), np.errstate(all="ignore"):
            for node, value in self._parts.items():
                sums.add(node, value)
        moments = SplitMoments(self._plan)
        moments.add(facts.partition, sums.total())
        yield b"%08d" % facts.partition, facts_line(facts)
        yield from ((MOMENTS, line) for line in moments.lines())
