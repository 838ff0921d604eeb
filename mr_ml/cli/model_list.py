"""mr-ml models list."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hdfs_layout import NotFoundError, Root
from hdfs_layout.paths import version_of
from mr_ml.catalog.evaluations import find_evaluations
from mr_ml.catalog.model import ModelManifest, read_manifest
from mr_ml.catalog.promotions import Promotion, promoted_version, read_promotions
from mr_ml.cli.common import names_in, one_line, print_result, report_damaged, root_of, say_none, table
from mr_ml.cli.metrics_text import FIRST
from mr_ml.errors import BadDataError

# Of evaluations that are kept the one that is listed.
_SPLIT = "test"


def list_all(options: argparse.Namespace) -> int:
    """Print a table of all models; return the exit code, which says whether one is damaged."""
    root = root_of(options)
    entries: list[dict[str, Any]] = []
    damaged: list[str] = []
    for name in names_in(root.store, root.layout.models, kind="model"):
        promotions, faults = read_promotions(root, name)
        damaged.extend(faults)
        entries.extend(_versions(root, name, promotions, damaged))
    say_none(options, root, "models", found=entries)
    cells = [_cells(entry) for entry in entries]
    shown = {
        column: any(row.get(column) for row in cells) or column not in ("status", "gate", "metric", "warnings")
        for column in _COLUMNS
    }
    columns = [column for column in _COLUMNS if shown[column]]
    rows = [[row.get(column, "?") for column in columns] for row in cells]
    print_result(options, {"models": entries}, table(columns, rows))
    return report_damaged([*damaged, *(m["damaged"] for m in entries if "damaged" in m)])


_COLUMNS = (
    "model", "status", "gate", "loss", "penalty", "dataset", "rows", "objective", "metric", "passes", "published",
    "warnings", "converged", "run",
)  # fmt: skip


def _cells(entry: Mapping[str, Any]) -> dict[str, str]:
    name = {"model": f"{entry['model']}@{entry['version']}"}
    marks = {"status": entry["status"] or "", "gate": entry["gate"] or ""}
    if "damaged" in entry:
        return {**name, **marks, "metric": "", "warnings": "", "run": "damaged"}
    told = entry["evaluation"]
    return {
        **name,
        **marks,
        "loss": one_line(entry["loss"]),
        "penalty": one_line(entry["penalty"] or "none"),
        "dataset": entry["dataset"],
        "rows": str(entry["n_rows"]),
        "objective": f"{float(entry['objective']):.6g}",
        "metric": "" if told is None else f"{told['metric']} {told['value']:.4g} {told['split']}",
        "passes": str(entry["passes"]),
        "published": entry["published"].replace("T", " ")[:16],
        "warnings": str(len(entry["warnings"]) or ""),
        "converged": "yes" if entry["converged"] else "no",
        "run": entry["run"],
    }


def _versions(root: Root, name: str, promotions: tuple[Promotion, ...], damaged: list[str]) -> Iterator[dict[str, Any]]:
    meant = meant_by(root, name)
    for number, published in _published(root, name):
        standing = {"promoted": number == meant, "status": status_of(number, meant, promotions)}
        try:
            manifest, _ = read_manifest(root, name, number)
            evaluations, broken = find_evaluations(root, name, manifest.run)
            damaged.extend(broken)
            yield {**_summary(name, number, manifest, evaluations), "published": published, **standing}
        except BadDataError as error:
            # one damaged manifest must not hide the other models
            yield {"model": name, "version": number, "gate": None, **standing, "damaged": str(error)}


def _published(root: Root, name: str) -> list[tuple[int, str]]:
    """Return the versions of a model and when each was published, by the clock of the store."""
    try:
        entries = root.store.entries(root.layout.model(name))
    except NotFoundError:
        return []
    times = {number: entry.modified for entry in entries if (number := version_of(entry.name)) is not None}
    return [(number, f"{datetime.fromtimestamp(times[number], UTC):%Y-%m-%dT%H:%M:%SZ}") for number in sorted(times)]


def _summary(
    name: str, number: int, manifest: ModelManifest, evaluations: list[dict[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    decision, spec = manifest.decision, manifest.spec
    return {
        "model": name,
        "version": number,
        "dataset": manifest.dataset,
        "run": manifest.run,
        "loss": spec.title,
        "penalty": spec.penalty,
        "n_rows": manifest.n_rows,
        "warnings": [],
        **manifest.training,
        "evaluation": _main_metric(evaluations),
        "gate": None if decision is None else "accepted" if decision.accepted else "refused",
    }


def _main_metric(evaluations: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the metric that says most, of what is kept: of the split "test" where that was measured."""
    for told in sorted(evaluations, key=lambda told: told["split"] != _SPLIT):
        for metric in FIRST:
            if isinstance(told.get(metric), float):
                return {
                    "dataset": told["dataset"], "split": told["split"], "metric": metric, "value": told[metric],
                }  # fmt: skip
    return None


def status_of(number: int, meant: int | None, promotions: tuple[Promotion, ...]) -> str | None:
    """Return what a version is to its managed model; None if the model is not managed."""
    if not promotions:
        return None
    if number == meant:
        return "promoted"
    was_meant = number <= (promotions[0].version or 0) or any(entry.version == number for entry in promotions)
    return "former" if was_meant else "candidate"


def meant_by(root: Root, name: str) -> int | None:
    """Return the version that a name means; None also if the latest entry of its log is damaged, which is said."""
    with suppress(BadDataError):
        return promoted_version(root, name)
    return None
