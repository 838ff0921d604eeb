"""Decoded blocks kept in memory between the passes that one process serves.

Passes read the same blocks in the same order every time, so the first blocks that fit are kept and the rest is
decoded again each pass; dropping the least recently used would drop exactly what comes next.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Hashable
from dataclasses import replace

from mr_ml.data.block import Block, StoredBlock
from mr_ml.data.partition_file import FED, BlockRange, packed_block


class BlockCache:
    """At most `budget` bytes of decoded blocks of one dataset, prepared in one way."""

    def __init__(self) -> None:
        self._dataset = ""
        self._kept: dict[Hashable, tuple[Hashable, StoredBlock]] = {}
        self._used = 0

    def blocks(
        self,
        block_range: BlockRange,
        *,
        dataset: str,
        budget: int,
        prepare: Callable[[Block], Block] = lambda block: block,
    ) -> Generator[StoredBlock, None, None]:
        """Yield the blocks of a range, decoded and prepared now or before.

        Parameters
        ----------
        dataset
            Says of what the blocks are and how they are prepared; another one empties the cache.
        budget
            Bytes that decoded blocks may occupy in all.

        Raises
        ------
        BadDataError
            If the file changed since the dataset was packed.
        """
        self._begin(dataset)
        signature = block_range.signature()
        n_known = 0
        for index in range(block_range.first, block_range.first + len(block_range.line_bytes)):
            known = self._kept.get((block_range.root, block_range.path, index))
            if known is None or known[0] != signature:
                break
            n_known += 1
            yield known[1]
        for read in block_range.read(skip=n_known):
            stored = replace(read, block=prepare(read.block))
            self._keep((block_range.root, block_range.path, stored.address.index), signature, stored, budget)
            yield stored

    def block(self, line: bytes, *, dataset: str, budget: int, prepare: Callable[[Block], Block]) -> StoredBlock:
        """Give the block of a line that was fed to the process; arguments are those of `blocks`.

        Raises
        ------
        BadDataError
            If the line is damaged.
        """
        if not budget:
            return _packed(line, prepare)
        self._begin(dataset)
        address = line[: line.find(b"\t", line.find(b"\t") + 1)]
        signature = zlib.crc32(line), len(line)
        known = self._kept.get(address)
        if known is not None and known[0] == signature:
            return known[1]
        stored = _packed(line, prepare)
        self._keep(address, signature, stored, budget)
        return stored

    def _begin(self, dataset: str) -> None:
        if dataset != self._dataset:
            self._dataset, self._kept, self._used = dataset, {}, 0

    def _keep(self, key: Hashable, signature: Hashable, stored: StoredBlock, budget: int) -> None:
        size = stored.block.nbytes
        if key in self._kept:
            self._used -= self._kept.pop(key)[1].block.nbytes
        if self._used + size <= budget:
            self._kept[key] = signature, stored
            self._used += size


def _packed(line: bytes, prepare: Callable[[Block], Block]) -> StoredBlock:
    stored = packed_block(line, where=FED)
    return replace(stored, block=prepare(stored.block))


CACHE = BlockCache()
"""The process's own."""
