"""mr-ml models list and mr-ml models show."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hdfs_layout import Root, list_versions
from mr_ml.catalog.evaluations import find_evaluations
from mr_ml.catalog.model import ModelManifest, load_model, read_manifest
from mr_ml.catalog.parameters import read_parameters
from mr_ml.catalog.promotions import Promotion, promoted_version, read_promotions
from mr_ml.cli.common import names_in, print_result, report_damaged, root_of, table
from mr_ml.cli.inference import published_inference, table_of
from mr_ml.cli.inference_options import LEVEL, SORTS
from mr_ml.cli.metrics_text import evaluated
from mr_ml.cli.parameters import parameter_lines, parameters_csv, parameters_json
from mr_ml.cli.retrained import decision_lines, described_entry, history_lines, provenance_lines, without_kind
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.base import Model


def list_all(options: argparse.Namespace) -> int:
    """Print a table of all models; return the exit code, which says whether one is damaged."""
    root = root_of(options)
    entries: list[dict[str, Any]] = []
    damaged: list[str] = []
    for name in names_in(root.store, root.layout.models, kind="model"):
        promotions, faults = read_promotions(root, name)
        damaged.extend(faults)
        entries.extend(_versions(root, name, promotions))
    columns = ["model", "dataset", "objective", "passes", "converged", "run"]
    rows = [_row(entry) for entry in entries]
    if any(entry["gate"] or entry["status"] for entry in entries):
        columns[1:1] = ["status", "gate"]
        for row, entry in zip(rows, entries, strict=True):
            row[1:1] = [entry["status"] or "", entry["gate"] or ""]
    print_result(options, {"models": entries}, table(columns, rows))
    return report_damaged([*damaged, *(m["damaged"] for m in entries if "damaged" in m)])


def _row(entry: dict[str, Any]) -> list[str]:
    name = f"{entry['model']}@{entry['version']}"
    if "damaged" in entry:
        return [name, "?", "?", "?", "?", "damaged"]
    converged = "yes" if entry["converged"] else "no"
    return [name, entry["dataset"], f"{float(entry['objective']):.8g}", str(entry["passes"]), converged, entry["run"]]


def _versions(root: Root, name: str, promotions: tuple[Promotion, ...]) -> Iterator[dict[str, Any]]:
    meant = _meant(root, name)
    for number in list_versions(root.store, root.layout.model(name)):
        standing = {"promoted": number == meant, "status": _status(number, meant, promotions)}
        try:
            yield {**_summary(root, name, number), **standing}
        except BadDataError as error:
            # one damaged manifest must not hide the other models
            yield {"model": name, "version": number, "gate": None, **standing, "damaged": str(error)}


def _status(number: int, meant: int | None, promotions: tuple[Promotion, ...]) -> str | None:
    """Return what a version is to its managed model; None if the model is not managed."""
    if not promotions:
        return None
    if number == meant:
        return "promoted"
    was_meant = number <= (promotions[0].version or 0) or any(entry.version == number for entry in promotions)
    return "former" if was_meant else "candidate"


def _summary(root: Root, name: str, number: int) -> dict[str, Any]:
    manifest, _ = read_manifest(root, name, number)
    decision = manifest.decision
    return {
        "model": name,
        "version": number,
        "dataset": manifest.dataset,
        "run": manifest.run,
        **manifest.training,
        "gate": None if decision is None else "accepted" if decision.accepted else "refused",
    }


def show(options: argparse.Namespace) -> int:
    """Print one model: how it was made and promoted, where its coefficients are, and some of them."""
    root = root_of(options)
    model = load_model(root, options.model)
    manifest, _ = read_manifest(root, model.name, model.version)
    promotions, damaged = read_promotions(root, model.name)
    names = model.schema.feature_names
    data: dict[str, Any] = {
        "model": model.name,
        "version": model.version,
        "run": manifest.run,
        "dataset": manifest.dataset,
        "spec": model.manifest["spec"],
        "training": manifest.training,
        "n_rows": manifest.n_rows,
        "n_features": model.n_features,
        "labels": model.label_texts,
        "feature_names": None if names is None else list(names),
        "coef_uri": root.store.uri(manifest.coef["uri"]),
        "coef_sha256": manifest.coef["sha256"],
        "status": _status(model.version, _meant(root, model.name), promotions),
        "decision": manifest.decision and manifest.decision.to_json(),
        "provenance": manifest.provenance and manifest.provenance.to_json(),
        "promotions": [without_kind(entry) for entry in promotions],
    }
    _check_options(options)
    data["evaluations"], broken = find_evaluations(root, model.name, manifest.run)
    damaged = (*damaged, *broken)
    if options.table:
        found = published_inference(root, model, manifest.spec).rebased(*options.base)
        data["inference"] = found.to_json(options.level, options.errors)
        head = _head(model, manifest) if not options.csv else ()
        print_result(options, data, "\n".join([*head, table_of(found, options)]))
        return report_damaged(damaged)
    parameters, broken = read_parameters(root, model, manifest)
    damaged = (*damaged, *broken)
    data |= parameters_json(parameters, options)
    if options.csv:
        print_result(options, data, parameters_csv(parameters, options))
    else:
        below = parameter_lines(parameters, options)
        print_result(options, data, "\n".join([*_lines(model, manifest, data, promotions, below)]))
    return report_damaged(damaged)


def _check_options(options: argparse.Namespace) -> None:
    """Raise UsageError for what only the table of standard errors can have, or only the other one."""
    if options.table and options.sort != SORTS[0]:
        raise UsageError("--sort is for coefficients without standard errors; leave out --table")
    asked = {
        "--level": options.level != LEVEL, "--errors": options.errors is not None, "--base": bool(options.base),
    }  # fmt: skip
    given = [name for name, is_given in asked.items() if is_given]
    if given and not options.table:
        raise UsageError(f"{given[0]} is for the table of standard errors; give --table too")


def _meant(root: Root, name: str) -> int | None:
    """Return the version that a name means; None also if the latest entry of its log is damaged, which is said."""
    with suppress(BadDataError):
        return promoted_version(root, name)
    return None


def _lines(
    model: Model, manifest: ModelManifest, data: dict[str, Any], promotions: tuple[Promotion, ...],
    coefficients: Iterator[str],
) -> Iterator[str]:  # fmt: skip
    yield from _head(model, manifest)
    yield f"coefficients: {data['coef_uri']}"
    training = manifest.training
    yield from (f"warning: {warning}" for warning in training.get("warnings", ()))
    if data["status"] is not None:
        yield from _standing(model, data["status"], promotions)
    if manifest.provenance is not None:
        yield from provenance_lines(manifest.provenance)
    if manifest.decision is not None:
        yield from decision_lines(manifest.decision)
    yield from (f"evaluated on {evaluated(told)}" for told in data["evaluations"])
    yield from coefficients
    if promotions:
        yield from history_lines(model.name, promotions)


def _head(model: Model, manifest: ModelManifest) -> Iterator[str]:
    training = manifest.training
    yield (
        f"{model.reference}: {model.summary()}, "
        f"trained on {manifest.n_rows} rows of {manifest.dataset} {manifest.spec.split} (run {manifest.run})"
    )
    yield f"objective {training['objective']:.10g} after {training['passes']} passes; {training['stop']}"


def _standing(model: Model, status: str, promotions: tuple[Promotion, ...]) -> Iterator[str]:
    """Say what the model's name means, and who promoted this version."""
    brought = [entry for entry in promotions if entry.version == model.version and entry.action != "fence"]
    if brought:
        yield f"{status}: {described_entry(brought[-1])}"
    else:
        yield f"{status}: promote it with mr-ml models promote {model.reference}" if status == "candidate" else status
