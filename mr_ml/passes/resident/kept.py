"""The blocks that a task holds from pass to pass: in memory while there is room, else as text on its node's disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from mr_ml.data.block import Block, BlockAddress, StoredBlock
from mr_ml.data.partition_file import packed_block
from mr_ml.errors import BadDataError

Key = tuple[int, int]


class KeptBlocks:
    """Blocks by partition and index.

    Parameters
    ----------
    budget
        Bytes that decoded blocks may take.
    folder
        For the text of those that do not fit.
    """

    def __init__(self, *, budget: int, folder: Path) -> None:
        self._budget, self._folder = budget, folder
        self._held: dict[Key, StoredBlock | None] = {}
        self._where: dict[Key, str] = {}
        # prepared in one way, which a query names; those that are used as they are stored are not here twice
        self._reading = ""
        self._prepared: dict[Key, StoredBlock] = {}
        self.used = 0

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    @property
    def spilled(self) -> int:
        """How many of them are on disk."""
        return sum(block is None for block in self._held.values())

    def keep(self, line: bytes | memoryview, address: BlockAddress, *, where: str) -> None:
        """Decode a line, and keep its block.

        Raises
        ------
        BadDataError
            If it is not an undamaged block, or not the one of this address.
        OSError
            If it does not fit into memory and cannot be written.
        """
        key = address.partition, address.index
        if key in self._held:
            return
        stored = packed_block(line, where=where)
        if stored.address != address:
            raise _other(stored.address, address, where)
        size = stored.block.nbytes
        if self.used + size <= self._budget:
            self._held[key] = stored
            self.used += size
        else:
            with open(self._spill(key), "wb") as out:
                out.write(line)
            self._held[key] = None
        self._where[key] = where

    def clear(self, *, budget: int) -> None:
        """Keep none of them any longer, and from now on others within this budget."""
        for key in list(self._held):
            self.drop(key)
        self._budget = budget

    def drop(self, key: Key) -> None:
        """Keep a block no longer."""
        if key not in self._held:
            return
        stored = self._held.pop(key)
        del self._where[key]
        if stored is None:
            with contextlib.suppress(OSError):
                self._spill(key).unlink()
        else:
            self.used -= stored.block.nbytes
        self._forget(key)

    def blocks(
        self, partition: int, first: int, last: int, *, reading: str, prepare: Callable[[Block], Block]
    ) -> Iterator[StoredBlock]:
        """Yield the blocks of a range, which are all here, prepared now or before.

        Parameters
        ----------
        reading
            Says how blocks are prepared; another one than before forgets those that were.

        Raises
        ------
        KeyError
            If one is not here.
        BadDataError
            If its text on disk is not what it was.
        """
        if reading != self._reading:
            for key in list(self._prepared):
                self._forget(key)
            self._reading = reading
        for index in range(first, last):
            yield self._block((partition, index), prepare)

    def _block(self, key: Key, prepare: Callable[[Block], Block]) -> StoredBlock:
        known = self._prepared.get(key)
        if known is not None:
            return known
        stored = self._held[key]
        if stored is None:
            data = self._spill(key).read_bytes()
            stored = packed_block(data, where=self._where[key])
            if stored.address != BlockAddress(*key):
                raise _other(stored.address, BlockAddress(*key), self._where[key])
            return replace(stored, block=prepare(stored.block))
        block = prepare(stored.block)
        if block is stored.block:
            return stored
        made = replace(stored, block=block)
        if self.used + block.nbytes <= self._budget:
            self._prepared[key] = made
            self.used += block.nbytes
        return made

    def _forget(self, key: Key) -> None:
        made = self._prepared.pop(key, None)
        if made is not None:
            self.used -= made.block.nbytes

    def _spill(self, key: Key) -> Path:
        return self._folder / f"block-{key[0]}-{key[1]}-{os.getpid()}"


def _other(found: BlockAddress, expected: BlockAddress, where: str) -> BadDataError:
    return BadDataError(f"{where}: expected {expected}, found {found}; restore it, or pack the dataset again")
