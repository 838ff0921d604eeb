"""mr-ml models."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from hdfs_layout import Root, list_versions
from mr_ml.catalog.model import load_model, read_manifest
from mr_ml.cli.common import names_in, print_result, report_damaged, root_of, table
from mr_ml.cli.spelling import spelled
from mr_ml.errors import BadDataError
from mr_ml.models.base import Model


def list_all(options: argparse.Namespace) -> int:
    """Print a table of all models; return the exit code, which says whether one is damaged."""
    root = root_of(options)
    names = names_in(root.store, root.layout.models, kind="model")
    entries = [entry for name in names for entry in _versions(root, name)]
    columns = ["model", "dataset", "objective", "passes", "converged", "run"]
    print_result(options, {"models": entries}, table(columns, map(_row, entries)))
    return report_damaged(m["damaged"] for m in entries if "damaged" in m)


def _row(entry: dict[str, Any]) -> list[str]:
    name = f"{entry['model']}@{entry['version']}"
    if "damaged" in entry:
        return [name, "?", "?", "?", "?", "damaged"]
    converged = "yes" if entry["converged"] else "no"
    return [name, entry["dataset"], f"{float(entry['objective']):.8g}", str(entry["passes"]), converged, entry["run"]]


def _versions(root: Root, name: str) -> Iterator[dict[str, Any]]:
    for number in list_versions(root.store, root.layout.model(name)):
        try:
            yield _summary(root, name, number)
        except BadDataError as error:
            # one damaged manifest must not hide the other models
            yield {"model": name, "version": number, "damaged": str(error)}


def _summary(root: Root, name: str, number: int) -> dict[str, Any]:
    manifest, _ = read_manifest(root, name, number)
    return {"model": name, "version": number, "dataset": manifest.dataset, "run": manifest.run, **manifest.training}


def show(options: argparse.Namespace) -> None:
    """Print one model: how it was trained, where its coefficients are, and some of them."""
    root = root_of(options)
    model = load_model(root, options.model)
    manifest = model.manifest
    names = model.schema.feature_names
    data: dict[str, Any] = {
        "model": model.name,
        "version": model.version,
        "run": manifest["run"],
        "dataset": manifest["dataset"],
        "spec": manifest["spec"],
        "training": manifest["training"],
        "n_rows": manifest["n_rows"],
        "n_features": model.n_features,
        "labels": model.label_texts,
        "feature_names": None if names is None else list(names),
        "coef_uri": root.store.uri(manifest["coef"]["uri"]),
        "coef_sha256": manifest["coef"]["sha256"],
    }
    print_result(options, data, _text(model, data, options.features))


def _text(model: Model, data: dict[str, Any], most: int) -> str:
    training, spec = data["training"], data["spec"]
    lines = [
        f"{model.reference}: {model.summary()}, "
        f"trained on {data['n_rows']} rows of {data['dataset']} {spec['split']} (run {data['run']})",
        f"objective {training['objective']:.10g} after {training['passes']} passes; {training['stop']}",
        f"coefficients: {data['coef_uri']}",
    ]
    lines.extend(f"warning: {warning}" for warning in training.get("warnings", ()))
    header, rows, below = model.parameters(most)
    return "\n".join([*lines, table(header, rows), *map(spelled, below)])
