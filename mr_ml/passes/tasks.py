"""What the map and reduce tasks of a pass do; the job hands over lines and yields what comes back.

A map task's input is either block lines themselves (streamed from a partition file) or a line that lists ranges of
blocks to read, which lets a warm process keep them decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mr_ml.data import frame
from mr_ml.data.block import StoredBlock
from mr_ml.passes.cache import CACHE
from mr_ml.passes.in_memory import add_block
from mr_ml.passes.request import PassRequest, ranges_of
from mr_ml.runners.reduce_keys import NUMBER_DIGITS, reduce_key, sent_to
from mr_ml.sums.blas import one_thread
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node, PartialSums


class MapTask:
    """Adds up the tree nodes that its blocks fill, for `n_reducers` reduce tasks.

    They share the partitions, or the features where there are so many that sums are in pieces.
    """

    def __init__(self, request: PassRequest, *, n_reducers: int = 1) -> None:
        self._request = request
        self._n_reducers = n_reducers
        self._sums: PartialSums[Statistic] = PartialSums(request.tree, Statistic.absorb)

    def add(self, line: bytes) -> None:
        """Add the blocks of a line: one block, or the ranges of blocks to read."""
        # numbers that overflow show in the sums
        with one_thread(), np.errstate(all="ignore"):
            for stored in self._blocks(line):
                add_block(self._sums, self._request.tree, self._request.query, stored)

    def _blocks(self, line: bytes) -> Iterator[StoredBlock]:
        request = self._request
        dataset, budget = f"{request.dataset} {request.query.reading}", request.cache_bytes
        if not line.startswith(b"["):
            yield CACHE.block(line, dataset=dataset, budget=budget, prepare=request.prepare)
            return
        for blocks in ranges_of(line):
            yield from CACHE.blocks(blocks, dataset=dataset, budget=budget, prepare=request.prepare)

    def results(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys for the reduce tasks, and statistics with their nodes."""
        n = self._n_reducers
        for node, value in self._sums.items():
            pieces = value.pieces()
            for k, piece in enumerate(pieces):
                reducer = k * n // len(pieces)
                key = self._key(node) if len(pieces) == 1 else _key_of(piece, reducer=reducer, n_reducers=n)
                yield key, frame.to_text(piece.encode(node))

    def _key(self, node: Node) -> bytes:
        tree, n = self._request.tree, self._n_reducers
        # neighbours in the tree meet in the same reduce task
        position = (node.number << node.level) >> tree.partition_level
        return reduce_key(position * n // len(tree.plan), n_reducers=n)


def _key_of(piece: Statistic, *, reducer: int, n_reducers: int) -> bytes:
    return sent_to(b"%0*d" % (NUMBER_DIGITS, piece.first_feature), reducer, n_reducers=n_reducers)


def reduce_sums(request: PassRequest, key: bytes, values: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Join the nodes of many map tasks; all are of the same piece."""
    sums: PartialSums[Statistic] = PartialSums(request.tree, Statistic.absorb)
    for value in values:
        sums.add(*decode_value(value))
    for node, total in sums.items():
        yield key, frame.to_text(total.encode(node))


def decode_value(value: bytes) -> tuple[Node, Statistic]:
    """Read a node and its statistic from a value that `results` gave.

    Raises
    ------
    BadDataError
        If it is none.
    """
    where = "a partial sum"
    return Statistic.decode(frame.from_text(value, where=where), where=where)
