"""mr-ml models show."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from mr_ml.catalog.evaluations import find_evaluations
from mr_ml.catalog.model import ModelManifest, load_model, read_manifest
from mr_ml.catalog.parameters import read_parameters
from mr_ml.catalog.promotions import Promotion, read_promotions
from mr_ml.cli.common import print_result, report_damaged, root_of
from mr_ml.cli.inference import published_inference, table_of
from mr_ml.cli.inference_options import LEVEL, SORTS
from mr_ml.cli.metrics_text import evaluated
from mr_ml.cli.model_list import meant_by, status_of
from mr_ml.cli.parameters import parameter_lines, parameters_csv, parameters_json
from mr_ml.cli.retrained import decision_lines, described_entry, history_lines, provenance_lines, without_kind
from mr_ml.errors import UsageError
from mr_ml.models.base import Model


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
        "status": status_of(model.version, meant_by(root, model.name), promotions),
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
    if manifest.spec.began_with is not None:
        yield f"began with {manifest.spec.began_with}"
    yield f"objective {training['objective']:.10g} after {training['passes']} passes; {training['stop']}"


def _standing(model: Model, status: str, promotions: tuple[Promotion, ...]) -> Iterator[str]:
    """Say what the model's name means, and who promoted this version."""
    brought = [entry for entry in promotions if entry.version == model.version and entry.action != "fence"]
    if brought:
        yield f"{status}: {described_entry(brought[-1])}"
    else:
        yield f"{status}: promote it with mr-ml models promote {model.reference}" if status == "candidate" else status
