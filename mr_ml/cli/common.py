"""What the commands share: the store, the runner, and how results are printed."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hdfs_layout import NotFoundError, Root, Store, check_name, open_root
from hdfs_layout.faults import storage_error
from hdfs_layout.run_log import finite
from mr_ml.cli import printable
from mr_ml.errors import BadDataError, UsageError
from mr_ml.runners.base import RUNNERS, Runner, RunnerOptions

if TYPE_CHECKING:
    from mr_ml.runners.hadoop.settings import HadoopSettings

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def root_of(options: argparse.Namespace) -> Root:
    if getattr(options, "config", None) is not None:
        conf_dir = cluster_settings(options).conf_dir
        if conf_dir is not None:
            # the store and the jobs must mean the same cluster
            os.environ["HADOOP_CONF_DIR"] = conf_dir
    return open_root(options.root)


def cluster_settings(options: argparse.Namespace) -> HadoopSettings:
    from mr_ml.runners.hadoop.settings import load_settings

    return load_settings(options.config)


def job_runner(options: argparse.Namespace, root: Root) -> Runner:
    """The runner of -r; what the options of another runner say is refused."""
    said = {name: getattr(options, name, None) for name in ("workers", "memory", "config")}
    return RUNNERS.get(options.runner).open(root, RunnerOptions(**said))


def narrator(options: argparse.Namespace) -> Callable[[str], None]:
    """For what the user should know even in a log: stderr, unless --quiet."""
    return (lambda text: None) if options.quiet else lambda text: print(printable(text), file=sys.stderr, flush=True)


def shows_progress(options: argparse.Namespace) -> bool:
    """Progress is for people: only on a terminal."""
    return sys.stderr.isatty() and not options.quiet


def print_result(options: argparse.Namespace, data: Mapping[str, Any], text: str) -> None:
    """The result: text for people, or one JSON line, in which numbers that are not finite are null."""
    shown = json.dumps(finite(data, instead=lambda _: None), allow_nan=False) if options.json else printable(text)
    try:
        print(shown, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise storage_error(error, doing="write the result to", place="standard output") from error


def names_in(store: Store, folder: str, *, kind: str) -> list[str]:
    """Names of what lies in a folder of datasets, models or runs; those that can be none are left out with a note."""
    try:
        listed = store.list(folder)
    except NotFoundError:
        return []
    names = []
    for name in listed:
        try:
            names.append(check_name(name, kind=kind))
        except UsageError:
            where = store.uri(folder)
            print(printable(f"mr-ml: note: {name!r} in {where} is no name of a {kind}: left out"), file=sys.stderr)
    return names


def report_damaged(messages: Iterable[str]) -> int:
    """Say on stderr what a list shows as damaged; the exit code of a command that lists."""
    code = 0
    for message in messages:
        print(printable(f"mr-ml: {message}"), file=sys.stderr)
        code = BadDataError.exit_code
    return code


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
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE | re.ASCII)
    if not match:
        raise UsageError(f"expected a size such as 500M or 2G, found {text[:40]!r}")
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


def installed_memory() -> int:
    """Bytes that the machine has, or the control group allows."""
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
