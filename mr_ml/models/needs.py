"""How much memory a command needs besides the blocks of a dataset."""

from __future__ import annotations

from hdfs_layout.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Memory that a command needs besides blocks, in bytes.

    Attributes
    ----------
    block_sum_bytes, sum_bytes
        Of the sum of one block and of all; in between sums double from level to level until they have full size.
    n_blocks
        Blocks that are summed.
    state_bytes
        Of the driver's own.
    begin_bytes
        Of the driver's own too, but before the first pass and no longer.
    query_bytes
        Of what is sent to each task.
    """

    block_sum_bytes: int
    sum_bytes: int
    n_blocks: int
    state_bytes: int = 0
    begin_bytes: int = 0
    query_bytes: int = 0

    @property
    def levels_bytes(self) -> int:
        """Of one sum of each level."""
        levels = range(self.n_blocks.bit_length() + 1)
        return sum(min(self.block_sum_bytes << level, self.sum_bytes) for level in levels)
