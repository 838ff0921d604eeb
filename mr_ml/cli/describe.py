"""mr-ml describe."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from mr_ml.cli.common import open_root, print_result, table
from mr_ml.dataset import Dataset, FeatureMoments, load_dataset
from mr_ml.model import label_texts


def run(options: argparse.Namespace) -> None:
    store, layout = open_root(options)
    dataset = load_dataset(store, layout, options.dataset)
    moments = {split: FeatureMoments.load(store, path) for split, path in dataset.moments.items()}
    data = {**summary(dataset), "features": {s: _features(dataset, m, options.features) for s, m in moments.items()}}
    text = summary_text(dataset)
    for split, found in moments.items():
        text += f"\n\n{split}: features\n{_feature_table(dataset, found, options.features)}"
    print_result(options, data, text)


def summary(dataset: Dataset) -> dict[str, Any]:
    """What `describe --json` says, without the features."""
    schema = dataset.schema
    return {
        "dataset": dataset.name,
        "version": dataset.version,
        "format": schema.format,
        "n_rows": dataset.n_rows(),
        "n_features": schema.n_features,
        "nnz": dataset.nnz,
        "labels": list(schema.labels),
        "label_kind": schema.label_kind,
        "splits": {split: dataset.n_rows(split) for split in dataset.splits},
        "label_counts": {split: dict(counts) for split, counts in dataset.label_counts.items()},
        "partitions": len(dataset.partitions),
        "blocks": sum(p.facts.blocks for p in dataset.partitions),
        "bytes": sum(p.facts.n_bytes for p in dataset.partitions),
        "bad_rows": dataset.packing["bad_rows"],
        "seed": dataset.packing["seed"],
    }


def summary_text(dataset: Dataset) -> str:
    data = summary(dataset)
    density = data["nnz"] / max(data["n_rows"] * data["n_features"], 1)
    schema = dataset.schema
    codes = range(len(schema.labels)) if schema.label_kind == "text" else schema.labels
    first = label_texts(schema, tuple(map(float, codes[:10])))
    labels = ", ".join(first) + (", ..." if len(codes) > 10 else "") or "continuous"
    lines = [
        f"{dataset.reference}: {data['n_rows']} rows x {data['n_features']} features, {data['nnz']} values "
        f"({density:.1%} of all), {data['bytes']} bytes in {data['blocks']} block(s) of "
        f"{data['partitions']} partition(s)",
        f"labels: {labels}",
    ]
    for split, rows in data["splits"].items():
        counts = data["label_counts"].get(split, {})
        shown = ", ".join(f"{label}: {n}" for label, n in list(counts.items())[:10])
        lines.append(f"  {split}: {rows} rows" + (f" ({shown})" if shown else ""))
    return "\n".join(lines)


def _features(dataset: Dataset, moments: FeatureMoments, most: int) -> list[dict[str, Any]]:
    names = dataset.schema.feature_names
    return [
        {
            "feature": j + dataset.schema.index_base if names is None else names[j],
            "mean": float(moments.mean[j]),
            "std": float(np.sqrt(moments.variance[j])),
            "min": float(moments.minimum[j]),
            "max": float(moments.maximum[j]),
            "nonzero": int(moments.nonzero[j]),
        }
        for j in range(min(most, dataset.schema.n_features))
    ]


def _feature_table(dataset: Dataset, moments: FeatureMoments, most: int) -> str:
    features = _features(dataset, moments, most)
    numbers = ("mean", "std", "min", "max")
    rows = [[str(f["feature"]), *(f"{f[k]:.6g}" for k in numbers), str(f["nonzero"])] for f in features]
    text = table(["feature", *numbers, "nonzero"], rows)
    more = dataset.schema.n_features - len(features)
    return f"{text}\n... and {more} more (--features N)" if more else text
