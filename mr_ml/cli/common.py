"""What the commands share: the store, the runner, and how results are printed."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hdfs_layout import Layout, Store, open_store
from mr_ml.cli import printable
from mr_ml.engine.jobs import LocalJobRunner
from mr_ml.errors import UsageError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def open_root(options: argparse.Namespace) -> tuple[Store, Layout]:
    return open_store(options.root), Layout(options.root)


def job_runner(options: argparse.Namespace) -> LocalJobRunner:
    return LocalJobRunner.of(options.runner, workers=options.workers)


def narrator(options: argparse.Namespace) -> Callable[[str], None]:
    """For what the user should know even in a log: stderr, unless --quiet."""
    return (lambda text: None) if options.quiet else lambda text: print(printable(text), file=sys.stderr, flush=True)


def shows_progress(options: argparse.Namespace) -> bool:
    """Progress is for people: only on a terminal."""
    return sys.stderr.isatty() and not options.quiet


def print_result(options: argparse.Namespace, data: Mapping[str, Any], text: str) -> None:
    """The result: text for people, or one JSON line, in which numbers that are not finite are null."""
    print(json.dumps(_finite(data), allow_nan=False) if options.json else printable(text), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    first, *others = widths
    return "\n".join(
        "  ".join([line[0].ljust(first), *(cell.rjust(w) for cell, w in zip(line[1:], others, strict=True))]).rstrip()
        for line in lines
    )


def parse_size(text: str) -> int:
    """Bytes of a size such as 500M or 2G (powers of 1024).

    Raises
    ------
    UsageError
        If it is not one.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE | re.ASCII)
    if not match:
        raise UsageError(f"expected a size such as 500M or 2G, found {text!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def free_memory() -> int:
    """Bytes that can be had without swapping: what Linux says, or the control group if that allows less."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    found = _number("/proc/meminfo", r"MemAvailable:\s+([0-9]+) kB")
    if found is not None:
        free = found * 1024
    limit = _number("/sys/fs/cgroup/memory.max", r"([0-9]+)")
    used = _number("/sys/fs/cgroup/memory.current", r"([0-9]+)")
    return free if limit is None or used is None else max(min(free, limit - used), 0)


def _number(path: str, pattern: str) -> int | None:
    try:
        with open(path) as source:
            match = re.search(pattern, source.read())
    except OSError:
        return None
    return int(match[1]) if match else None


# What a process with numpy, scipy and mrjob loaded occupies before it holds any block, and what it needs to work on
# one block; measured by scripts/memory.py, which also checks that the sum holds.
PROCESS_BYTES = 100 << 20


def cache_bytes(options: argparse.Namespace, runner: LocalJobRunner) -> int:
    """Budget of decoded blocks for each process that maps, from --memory for all processes together.

    Raises
    ------
    UsageError
        If the memory asked for does not even hold the processes.
    """
    processes = 1 if runner.runner == "inline" else 1 + runner.n_tasks
    base = PROCESS_BYTES * processes
    if options.memory is None:
        return max((free_memory() // 2 - base) // runner.n_tasks, 0)
    asked = parse_size(options.memory)
    if asked < base:
        raise UsageError(
            f"--memory {options.memory}: {processes} processes take {base >> 20}M before they hold any data; "
            "give more, or fewer --workers"
        )
    return (asked - base) // runner.n_tasks
