"""What --memory leaves for decoded blocks, and for the rows that a pack works on.

    driver + workers + partial sums + state of the optimizer + decoded blocks  <=  --memory
    driver + workers + a chunk of text and its arrays in each + rows           <=  --memory

Partial sums: a task holds one for each level of the tree over its blocks, and a few more while it computes and writes;
the driver sorts what all tasks wrote and holds the total.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from mr_ml.cli.common import free_memory, installed_memory, parse_size
from mr_ml.errors import UnavailableError, UsageError
from mr_ml.readers.text.chunks import MAX_LINE_BYTES
from mr_ml.runners.base import Runner
from mr_ml.runners.local.tasks import SORT_IN_MEMORY_BYTES

# What numpy, scipy and mrjob occupy and what the work on one block takes, of a driver with its fork server, of a
# worker, and of a driver that does all the work; measured by scripts/memory.py, which checks that the sum above holds.
DRIVER_BYTES = 150 << 20
WORKER_BYTES = 80 << 20
INLINE_BYTES = 110 << 20
CHUNK_BYTES = 60 << 20
LINE_COPIES = 6
QUERY_COPIES = 3


@dataclass(frozen=True)
class Needs:
    """What a command holds besides blocks.

    Attributes
    ----------
    block_sum_bytes, sum_bytes
        Of the sum of one block and of all; in between sums double from level to level until they have full size.
    n_blocks
        Blocks that are summed.
    state_bytes
        Of the driver's own.
    query_bytes
        Of what is sent to each task.
    """

    block_sum_bytes: int
    sum_bytes: int
    n_blocks: int
    state_bytes: int = 0
    query_bytes: int = 0

    @property
    def levels_bytes(self) -> int:
        """Of one sum of each level."""
        levels = range(self.n_blocks.bit_length() + 1)
        return sum(min(self.block_sum_bytes << level, self.sum_bytes) for level in levels)


def longest_line(options: argparse.Namespace, rows: int) -> int:
    """Bytes of a line of text that each process may read that has so many bytes for rows: what is made of it takes
    several times as many.

    Without --memory, all that can be read.
    """
    if options.memory is None:
        return MAX_LINE_BYTES
    return min((CHUNK_BYTES + rows) // LINE_COPIES, MAX_LINE_BYTES)


def predict_budget(options: argparse.Namespace, runner: Runner, *, model_bytes: int) -> int:
    """As `rows_budget`, of a prediction by a model whose coefficients take so many bytes.

    Raises
    ------
    UsageError
        If the memory asked for does not even hold the processes.
    """
    if not runner.tasks.share_memory:
        return 0
    base = CHUNK_BYTES + QUERY_COPIES * model_bytes
    if runner.tasks.in_driver:
        base += INLINE_BYTES + 2 * model_bytes
    else:
        base = DRIVER_BYTES + 2 * model_bytes + runner.tasks.n_tasks * (WORKER_BYTES + base)
    return _share(options, runner, base, taken_by="processes that each hold the model and some text")


def rows_budget(options: argparse.Namespace, runner: Runner) -> int:
    """Bytes of rows that each process of a pack may hold, from --memory for all processes together; 0 on a cluster.

    Raises
    ------
    UsageError
        If the memory asked for does not even hold the processes.
    """
    if not runner.tasks.share_memory:
        return 0
    if runner.tasks.in_driver:
        base = INLINE_BYTES + CHUNK_BYTES
    else:
        base = DRIVER_BYTES + runner.tasks.n_tasks * (WORKER_BYTES + CHUNK_BYTES)
    return _share(options, runner, base, taken_by="processes that each read some text")


def block_budget(options: argparse.Namespace, runner: Runner, needs: Needs) -> int:
    """Bytes of decoded blocks for each process that maps, from --memory for all processes together; 0 on a cluster.

    Raises
    ------
    UsageError
        If the memory asked for does not even hold the processes.
    UnavailableError
        If nothing was asked for and the machine has less.
    """
    if not runner.tasks.share_memory:
        return 0
    # two sums and what they are joined by; a sum, its bytes and its text
    sums = needs.levels_bytes + 5 * needs.sum_bytes
    # what the tasks wrote is sorted as text; the total is text, bytes and arrays
    shuffled = min(2 * needs.levels_bytes * runner.tasks.n_tasks, SORT_IN_MEMORY_BYTES) + 3 * needs.sum_bytes
    # as it is sent, and laid out for products
    sums += QUERY_COPIES * needs.query_bytes
    if runner.tasks.in_driver:
        base = INLINE_BYTES + sums + shuffled + needs.state_bytes
    else:
        base = DRIVER_BYTES + shuffled + needs.state_bytes + runner.tasks.n_tasks * (WORKER_BYTES + sums)
    return _share(options, runner, base, taken_by="worker(s) and by sums as large as the model")


def _share(options: argparse.Namespace, runner: Runner, base: int, *, taken_by: str) -> int:
    """What is left over `base` for each task."""
    n_tasks = runner.tasks.n_tasks
    if options.memory is None:
        if base > (installed := installed_memory()):
            raise UnavailableError(
                f"{base >> 20}M of memory are taken before there is any data, by {n_tasks} {taken_by}, and this "
                f"machine has {installed >> 20}M; use fewer --workers, a larger machine, or hash the ids to fewer"
            )
        return max((free_memory() // 2 - base) // n_tasks, 0)
    asked = parse_size(options.memory)
    if asked < base:
        raise UsageError(
            f"--memory {options.memory}: {base >> 20}M are taken before there is any data, by {n_tasks} "
            f"{taken_by}; give more, or fewer --workers"
        )
    return (asked - base) // n_tasks
