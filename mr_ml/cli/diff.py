"""mr-ml models diff."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from hdfs_layout import Root
from mr_ml.catalog.model import ModelManifest, load_model, read_manifest
from mr_ml.cli.common import one_line, print_result, root_of, table
from mr_ml.models.base import Model
from mr_ml.models.difference import Change, Difference

# What is asked for or comes out otherwise in every training.
_NAMES = ("dataset", "model")


def run(options: argparse.Namespace) -> None:
    """Print how two models differ: what was asked, what came out, and the coefficients."""
    root = root_of(options)
    a, b = load_model(root, options.a), load_model(root, options.b)
    difference = a.difference(b, options.features)
    manifest_a, manifest_b = _manifest(root, a), _manifest(root, b)
    data: dict[str, Any] = {
        "a": a.reference,
        "b": b.reference,
        "dataset": [manifest_a.dataset, manifest_b.dataset],
        "n_rows": [manifest_a.n_rows, manifest_b.n_rows],
        "spec": _differing(a.manifest["spec"], b.manifest["spec"], without=_NAMES),
        "training": _differing(manifest_a.training, manifest_b.training),
        "metrics": _differing(_metrics(manifest_a), _metrics(manifest_b)),
        **difference.to_json(),
    }
    print_result(options, data, "\n".join(_lines(data, difference)))


def _manifest(root: Root, model: Model) -> ModelManifest:
    return read_manifest(root, model.name, model.version)[0]


def _metrics(manifest: ModelManifest) -> Mapping[str, Any]:
    """Return the metrics that the gate measured, each version on the rows of its own test."""
    return {} if manifest.decision is None else manifest.decision.metrics


def _differing(a: Mapping[str, Any], b: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Return what two mappings have by each key for which that is not the same; None where one has nothing."""
    keys = [key for key in dict.fromkeys([*a, *b]) if key not in without]
    return {key: [a.get(key), b.get(key)] for key in keys if a.get(key) != b.get(key)}


def _lines(data: dict[str, Any], difference: Difference) -> Iterator[str]:
    a, b = data["a"], data["b"]
    rows = [[name, *map(str, data[name])] for name in ("dataset", "n_rows")]
    for part in ("spec", "training", "metrics"):
        for name, values in data[part].items():
            rows.append([f"{part} {one_line(name)}", *map(_shown, values)])
    yield table(["", a, b], rows)
    for model, n, names, outputs in zip(
        (a, b), difference.n_only, difference.only, difference.outputs_only, strict=True
    ):
        if outputs:
            yield f"outputs of {model} only: {_listed(outputs, len(outputs))}"
        if n:
            yield f"features of {model} only: {_listed(names, n)}"
    changes = [*difference.intercepts, *difference.coefficients]
    yield table(["feature", "output", a, b, "difference"], map(_row, changes))
    if not difference.coefficients:
        yield "coefficients of the same features are the same, or none are shown"


def _row(change: Change) -> list[str]:
    first, second = change.values
    name = "(intercept)" if change.feature is None else one_line(change.feature)
    return [name, one_line(change.output), f"{first:.6g}", f"{second:.6g}", f"{second - first:+.6g}"]


def _listed(names: tuple[str, ...], n: int) -> str:
    return ", ".join(map(one_line, names)) + (f" and {n - len(names)} more" if n > len(names) else "")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.8g}" if isinstance(value, float) else one_line(value)
    return text if len(text) <= 60 else text[:57] + "..."
