"""mr-ml clean and mr-ml models delete: what is not kept is removed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hdfs_layout import Root, parse_reference
from hdfs_layout.lock import hold
from mr_ml.catalog.retention import KeepRuns, KeepVersions, Removal, RetentionRules, carry_out, plan, plan_deletion
from mr_ml.cli.common import narrator, print_result, root_of, table
from mr_ml.errors import UsageError
from mr_ml.sizes import size_text
from mr_ml.whoami import whoami

if TYPE_CHECKING:
    from mr_ml.retraining.config import RetrainConfig


def run(options: argparse.Namespace) -> None:
    """Remove what rules do not keep, or say what that would be."""
    if options.settings is None:
        _clean(options, root_of(options), _rules(options), options.model, options.dataset)
        return
    from mr_ml.retraining import requests
    from mr_ml.retraining.hiding import hidden

    config = _settings(options)
    root = requests.root_of(config, options.root)
    with hidden(config):
        _clean(options, root, config.retention, config.model, config.dataset_name, hide=config.hide)


def _clean(
    options: argparse.Namespace, root: Root, rules: RetentionRules, model: str | None, dataset: str | None, *,
    hide: Callable[[str], str] = str,
) -> None:  # fmt: skip
    say = narrator(options)
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(hide(text))
        say(f"note: {notes[-1]}")

    planned = plan(root, rules, model=model, dataset=dataset, say=note)
    gone = planned if options.dry_run else carry_out(root, planned, note)
    print_removed(options, hide(root.store.root), gone, notes)


def delete(options: argparse.Namespace) -> None:
    """Delete one version of a model."""
    root, say = root_of(options), narrator(options)
    name = parse_reference(options.model, kind="model").name
    if options.dry_run:
        print_removed(
            options,
            root.store.root,
            [plan_deletion(root, options.model, force=options.force, by=whoami(), say=say)],
            (),
        )
        return
    with hold(root.store, root.layout.lock(name), what=f"delete {options.model}") as lock:
        planned = plan_deletion(root, options.model, force=options.force, by=whoami(), say=say)
        print_removed(options, root.store.root, carry_out(root, [planned], say, held={name: lock}), ())


def _rules(options: argparse.Namespace) -> RetentionRules:
    versions, days = options.keep_versions, options.keep_days
    keep = None
    if versions is not None or days is not None:
        keep = KeepVersions(versions=1 if versions is None else versions, days=0.0 if days is None else days)
    return RetentionRules(
        models=keep,
        datasets=keep,
        runs=None if options.keep_runs is None else KeepRuns(days=options.keep_runs),
        orphans_days=RetentionRules.orphans_days if options.orphans_days is None else options.orphans_days,
    )


def _settings(options: argparse.Namespace) -> RetrainConfig:
    from mr_ml.retraining.config import load_config

    chosen = ("model", "dataset", "keep_versions", "keep_days", "keep_runs", "orphans_days", "config")
    given = [name for name in chosen if getattr(options, name) is not None]
    if given:
        raise UsageError(
            f"expected rules from {options.settings} or from options; found also {', '.join(f'`{n}`' for n in given)}: "
            "leave one of them out"
        )
    return load_config(options.settings)


def print_removed(options: argparse.Namespace, root: str, removals: Sequence[Removal], notes: Iterable[str]) -> None:
    """Print what was removed, or would be."""
    n_bytes = sum(removal.bytes for removal in removals)
    data: dict[str, Any] = {
        "root": root,
        "dry_run": options.dry_run,
        "removed": [{name: getattr(r, name) for name in ("path", "what", "reason", "bytes")} for r in removals],
        "bytes": n_bytes,
        "notes": list(notes),
    }
    rows = [[removal.what, size_text(removal.bytes), removal.path, removal.reason] for removal in removals]
    would = "would be removed" if options.dry_run else "removed"
    text = f"{len(removals)} {would}, {size_text(n_bytes)}"
    print_result(options, data, "\n".join([_lines(rows), text]) if rows else text)


def _lines(rows: Iterable[Sequence[str]]) -> str:
    """Return a table, in which reasons, the longest, stand under what they are of."""
    shown = []
    for what, size, path, reason in rows:
        shown += [[f"{what}  {path}", size], [f"  {reason}", ""]]
    return table(["what", "size"], shown)
