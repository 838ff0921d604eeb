"""mr-ml datasets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hdfs_layout import NotFoundError, Root, list_versions, read_version
from hdfs_layout.paths import version_of
from mr_ml.catalog.dataset import load_dataset
from mr_ml.catalog.retention import carry_out, plan_deletion, plan_pruning
from mr_ml.cli.clean import print_removed
from mr_ml.cli.common import names_in, narrator, print_result, report_damaged, root_of, say_none, table
from mr_ml.errors import BadDataError
from mr_ml.sizes import size_text
from mr_ml.whoami import whoami

# Models that are named in a line of the table.
_MOST_NAMED = 3


def list_all(options: argparse.Namespace) -> int:
    """Print a table of all datasets; return the exit code, which says whether one is damaged."""
    root = root_of(options)
    users = _users(root)
    entries = [
        {**entry, "used_by": users.get(f"{name}@{entry['version']}", [])}
        for name in names_in(root.store, root.layout.datasets, kind="dataset")
        for entry in _versions(root, name)
    ]
    say_none(options, root, "datasets", found=entries)
    header = ["dataset", "rows", "features", "size", "packed", "used by"]
    print_result(options, {"datasets": entries}, table(header, map(_row, entries)))
    return report_damaged(entry["damaged"] for entry in entries if "damaged" in entry)


def remove(options: argparse.Namespace) -> None:
    """Remove one version of a dataset that nothing needs."""
    root, say = root_of(options), narrator(options)
    planned = [plan_deletion(root, options.dataset, kind="dataset", by=whoami(), say=say)]
    gone = planned if options.dry_run else carry_out(root, planned, lambda text: say(f"note: {text}"))
    print_removed(options, root.store.root, gone, ())


def prune(options: argparse.Namespace) -> None:
    """Remove all versions of a dataset but the newest, and those that something needs."""
    root, say = root_of(options), narrator(options)
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        say(f"note: {text}")

    planned, stays = plan_pruning(root, options.dataset, options.keep, say=note)
    for reference, reasons in stays.items():
        note(f"{reference} stays: {'; '.join(reasons)}")
    gone = planned if options.dry_run else carry_out(root, planned, note)
    print_removed(options, root.store.root, gone, notes)


def _versions(root: Root, name: str) -> Iterator[dict[str, Any]]:
    """Yield what the list says of each version of a dataset, the oldest first."""
    try:
        files = root.store.entries(root.layout.dataset(name))
    except NotFoundError:
        return
    written = {number: entry.modified for entry in files if (number := version_of(entry.name)) is not None}
    for number, modified in sorted(written.items()):
        packed = f"{datetime.fromtimestamp(modified, UTC):%Y-%m-%dT%H:%M:%SZ}"
        found = {"dataset": name, "version": number, "packed": packed}
        try:
            dataset = load_dataset(root, f"{name}@{number}")
        except NotFoundError:
            # removed at this moment
            continue
        except BadDataError as error:
            yield {**found, "damaged": str(error)}
            continue
        size = sum(partition.facts.n_bytes for partition in dataset.partitions)
        yield {**found, "rows": dataset.n_rows(), "features": dataset.schema.n_features, "bytes": size}


def _users(root: Root) -> dict[str, list[str]]:
    """Return the versions of models that were trained on each version of a dataset, by ``name@version``."""
    users: dict[str, list[str]] = {}
    for name in names_in(root.store, root.layout.models, kind="model"):
        folder = root.layout.model(name)
        for number in list_versions(root.store, folder):
            # what is damaged is said by `mr-ml models list`
            with suppress(BadDataError, NotFoundError):
                dataset = read_version(root.store, folder, number).document.get("dataset")
                users.setdefault(str(dataset), []).append(f"{name}@{number}")
    return users


def _row(entry: dict[str, Any]) -> list[str]:
    name, day = f"{entry['dataset']}@{entry['version']}", entry["packed"][:16].replace("T", " ")
    if "damaged" in entry:
        return [name, "?", "?", "?", day, "damaged"]
    used, more = entry["used_by"][-_MOST_NAMED:], len(entry["used_by"]) - _MOST_NAMED
    users = ", ".join(used) + (f" and {more} more" if more > 0 else "")
    return [name, str(entry["rows"]), str(entry["features"]), size_text(entry["bytes"]), day, users or "-"]
