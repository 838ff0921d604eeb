"""What `memory` leaves for decoded blocks, and for the rows that a pack works on.

    driver + workers + partial sums + state of the optimizer + decoded blocks  <=  memory
    driver + first rows that a search begins by                                <=  memory
    driver + workers + a chunk of text and its arrays in each + rows           <=  memory

Partial sums: a task holds one for each level of the tree over its blocks, and a few more while it computes and writes;
the driver sorts what all tasks wrote and holds the total.
"""

from __future__ import annotations

import os
import re

from mr_ml.errors import UnavailableError, UsageError
from mr_ml.models.needs import Needs
from mr_ml.readers.text.chunks import MAX_LINE_BYTES
from mr_ml.runners.base import Runner
from mr_ml.runners.local.tasks import SORT_IN_MEMORY_BYTES
from mr_ml.sizes import parse_size

# What numpy, scipy and mrjob occupy and what the work on one block takes, of a driver with its fork server, of a
# worker, and of a driver that does all the work; measured by scripts/memory.py, which checks that the sum above holds.
DRIVER_BYTES = 150 << 20
WORKER_BYTES = 80 << 20
INLINE_BYTES = 110 << 20
CHUNK_BYTES = 60 << 20
LINE_COPIES = 6
QUERY_COPIES = 3

# Of all processes together: bytes, or a size such as 2G; None for half of what is free.
Memory = int | str | None


def longest_line(memory: Memory, rows: int) -> int:
    """Return bytes of a line of text that each process may read that has so many bytes for rows.

    What is made of a line takes several times as many. Without a limit, all that can be read.
    """
    if memory is None:
        return MAX_LINE_BYTES
    return min((CHUNK_BYTES + rows) // LINE_COPIES, MAX_LINE_BYTES)


def predict_budget(memory: Memory, runner: Runner, *, model_bytes: int) -> int:
    """Return the same as `rows_budget`, of a prediction by a model whose coefficients take so many bytes.

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
    return _share(memory, runner, base, taken_by="processes that each hold the model and some text")


def rows_budget(memory: Memory, runner: Runner) -> int:
    """Return bytes of rows that each process of a pack may hold, of what all may take together.

    On a cluster, what the driver may hold should it do the work itself.

    Raises
    ------
    UsageError
        If the memory asked for does not even hold the processes.
    """
    if not runner.tasks.share_memory:
        return max(free_memory() // 2 - INLINE_BYTES - CHUNK_BYTES, 0)
    if runner.tasks.in_driver:
        base = INLINE_BYTES + CHUNK_BYTES
    else:
        base = DRIVER_BYTES + runner.tasks.n_tasks * (WORKER_BYTES + CHUNK_BYTES)
    return _share(memory, runner, base, taken_by="processes that each read some text")


def block_budget(memory: Memory, runner: Runner, needs: Needs) -> int:
    """Return bytes of decoded blocks for each process that maps, of what all may take together.

    On a cluster, what its settings say.

    Raises
    ------
    UsageError
        If the memory asked for does not even hold the processes.
    UnavailableError
        If nothing was asked for and the machine has less.
    """
    if not runner.tasks.share_memory:
        return runner.tasks.cache_bytes
    # two sums and what they are joined by; a sum, its bytes and its text
    sums = needs.levels_bytes + 5 * needs.sum_bytes
    # what the tasks wrote is sorted as text; the total is text, bytes and arrays
    shuffled = min(2 * needs.levels_bytes * runner.tasks.n_tasks, SORT_IN_MEMORY_BYTES) + 3 * needs.sum_bytes
    # as it is sent, and laid out for products
    sums += QUERY_COPIES * needs.query_bytes
    driver = (INLINE_BYTES if runner.tasks.in_driver else DRIVER_BYTES) + needs.state_bytes
    base = driver + shuffled + (sums if runner.tasks.in_driver else runner.tasks.n_tasks * (WORKER_BYTES + sums))
    # no task has begun
    begun = driver + sums + needs.begin_bytes
    return _share(memory, runner, base, before=begun, taken_by="worker(s) and by sums as large as the model")


def _share(memory: Memory, runner: Runner, base: int, *, before: int = 0, taken_by: str) -> int:
    """Return what is left over `base` for each task; `before` any begins so much is taken."""
    n_tasks = runner.tasks.n_tasks
    base += runner.tasks.taken_bytes
    least = max(base, before + runner.tasks.taken_bytes)
    if memory is None:
        if least > (installed := installed_memory()):
            raise UnavailableError(
                f"{least >> 20}M of memory are taken before there is any data, by {n_tasks} {taken_by}, and "
                f"this machine has {installed >> 20}M; use fewer `workers`, a larger machine, or hash the ids to fewer"
            )
        return max((free_memory() // 2 - base) // n_tasks, 0)
    total = memory if isinstance(memory, int) else _parsed(memory)
    if total < least:
        raise UsageError(
            f"`memory` {memory}: {least >> 20}M are taken before there is any data, by {n_tasks} "
            f"{taken_by}; give more, or fewer `workers`"
        )
    return (total - base) // n_tasks


def _parsed(memory: str) -> int:
    try:
        return parse_size(memory)
    except UsageError as error:
        raise UsageError(f"`memory`: {error}") from None


def free_memory() -> int:
    """Return bytes that can be had without swapping: what Linux says, or the control group if that allows less."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    available = _number("/proc/meminfo", r"MemAvailable:\s+([0-9]+) kB")
    if available is not None:
        free = available * 1024
    limit = _number("/sys/fs/cgroup/memory.max", r"([0-9]+)")
    used = _number("/sys/fs/cgroup/memory.current", r"([0-9]+)")
    return free if limit is None or used is None else max(min(free, limit - used), 0)


def installed_memory() -> int:
    """Return bytes that the machine has, or the control group allows."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _number("/sys/fs/cgroup/memory.max", r"([0-9]+)")
    return whole if limit is None else min(whole, limit)


def _number(path: str, pattern: str) -> int | None:
    try:
        with open(path) as source:
            match = re.search(pattern, source.read())
    except OSError:
        return None
    return int(match[1]) if match else None
