"""What the commands share: the store, the runner, and how results are printed."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hdfs_layout import NotFoundError, Root, Store, check_name
from hdfs_layout.faults import storage_error
from hdfs_layout.run_log import finite
from mr_ml.cli import printable
from mr_ml.cli.spelling import spelled
from mr_ml.errors import BadDataError, UsageError
from mr_ml.runners.roots import use_config
from mr_ml.session import Session


def root_of(options: argparse.Namespace) -> Root:
    """Open the root that --root names, with the cluster settings of --config."""
    return use_config(options.root, getattr(options, "config_of", "hadoop"), getattr(options, "config", None))


def open_session(
    options: argparse.Namespace,
    *,
    warn: Callable[[str], None] = lambda text: None,
) -> Session:
    """Put together what a command needs that runs jobs.

    Parameters
    ----------
    warn
        Called with each warning, before it is printed.
    """
    say = narrator(options)

    def warned(text: str) -> None:
        warn(text)
        say(f"warning: {text}")

    return Session.open(
        options.root, runner=options.runner, workers=options.workers, memory=getattr(options, "memory", None),
        engine=getattr(options, "engine", None),
        config=options.config, cluster_id=options.cluster_id, master=options.master,
        max_hours=options.max_hours, max_cost=options.max_cost, say=say, warn=warned,
    )  # fmt: skip


def narrator(options: argparse.Namespace) -> Callable[[str], None]:
    """For what the user should know even in a log: stderr, unless --quiet."""
    if options.quiet:
        return lambda text: None
    return lambda text: print(printable(spelled(text)), file=sys.stderr, flush=True)


def print_result(options: argparse.Namespace, data: Mapping[str, Any], text: str) -> None:
    """Print a result: as text, or with --json as one line of JSON, in which numbers that are not finite are null."""
    shown = json.dumps(finite(data, instead=lambda _: None), allow_nan=False) if options.json else printable(text)
    try:
        print(shown, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise storage_error(error, doing="write the result to", place="standard output") from error


def names_in(store: Store, folder: str, *, kind: str) -> list[str]:
    """List the names in a folder of datasets, models or runs; what cannot be such a name is left out with a note."""
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


def say_none(options: argparse.Namespace, root: Root, what: str, *, found: Sequence[Any]) -> None:
    """Say of a list with nothing in it where that was looked for: most often the root is another one."""
    if not found:
        narrator(options)(f"no {what} in {root.store.root}; another folder is named by `root`, or MR_ML_ROOT")


def report_damaged(messages: Iterable[str]) -> int:
    """Say on stderr what a list shows as damaged; the exit code of a command that lists."""
    code = 0
    for message in messages:
        print(printable(spelled(f"mr-ml: {message}")), file=sys.stderr)
        code = BadDataError.exit_code
    return code


def one_line(text: object) -> str:
    """Return text that stays within its line and cell: reasons and names may have line feeds."""
    return re.sub(r"[\t\n]", lambda match: ascii(match[0])[1:-1], str(text))


def csv_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows of the same keys, one at least, as CSV with a header; every number in full, and nothing for None."""
    some = iter(rows)
    first = next(some)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(first), lineterminator="\n")
    writer.writeheader()
    writer.writerow(first)
    writer.writerows(some)
    return out.getvalue().rstrip("\n")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    first, *others = widths
    return "\n".join(
        "  ".join([line[0].ljust(first), *(cell.rjust(w) for cell, w in zip(line[1:], others, strict=True))]).rstrip()
        for line in lines
    )
