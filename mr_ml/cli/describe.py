"""mr-ml describe."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.verify import verify
from mr_ml.cli.common import print_result, root_of, table
from mr_ml.cli.spelling import spelled
from mr_ml.readers.base import format_named
from mr_ml.readers.labels import label_texts
from mr_ml.readers.rows import counted

MOST_COLUMNS = 200
SHOWN_COLUMNS = 20


def run(options: argparse.Namespace) -> None:
    """Print what a dataset is made of, and with --verify check its bytes first."""
    root = root_of(options)
    dataset = load_dataset(root, options.dataset)
    n_verified = len(dataset.partitions) if options.verify else 0
    if options.verify:
        verify(root.store, dataset.partitions)
    moments = {split: FeatureMoments.load(root.store, dataset, split) for split in dataset.moments}
    features = {split: _features(dataset, of_split, options.features) for split, of_split in moments.items()}
    data = {**summary(dataset), "verified_partitions": n_verified, "features": features}
    text = summary_text(dataset)
    if options.verify:
        text += f"\n{counted(n_verified, 'partition')} verified: every byte is as it was packed"
    for split, of_split in moments.items():
        text += f"\n\n{split}: features\n{_feature_table(dataset, of_split, options.features)}"
    print_result(options, data, text)


def summary(dataset: Dataset) -> dict[str, Any]:
    """Return what `describe --json` prints, without the features."""
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
        "dropped_rows": dataset.packing.get("dropped_rows", 0),
        "unseen_values": dataset.packing.get("unseen_values", 0),
        "columns": format_named(dataset.schema.format).columns(dataset.schema, most=MOST_COLUMNS),
        "seed": dataset.packing["seed"],
    }


def summary_text(dataset: Dataset) -> str:
    """Return the lines that `describe` and `pack` print: size, labels, splits and partitions."""
    data = summary(dataset)
    density = data["nnz"] / max(data["n_rows"] * data["n_features"], 1)
    schema = dataset.schema
    codes = range(len(schema.labels)) if schema.label_kind == "text" else schema.labels
    first = label_texts(schema, tuple(map(float, codes[:10])))
    labels = ", ".join(first) + (", ..." if len(codes) > 10 else "") or "continuous"
    lines = [
        f"{dataset.reference}: {counted(data['n_rows'], 'row')} x {counted(data['n_features'], 'feature')}, "
        f"{counted(data['nnz'], 'value')} "
        f"({density:.1%} of all), {data['bytes']} bytes in {counted(data['blocks'], 'block')} of "
        f"{counted(data['partitions'], 'partition')}, read as {data['format']}",
        f"labels: {labels}",
    ]
    for split, rows in data["splits"].items():
        counts = data["label_counts"].get(split, {})
        shown = ", ".join(f"{label}: {n}" for label, n in list(counts.items())[:10])
        lines.append(f"  {split}: {counted(rows, 'row')}" + (f" ({shown})" if shown else ""))
    form = format_named(schema.format)
    columns = form.columns_text(schema, most=SHOWN_COLUMNS)
    if columns:
        lines.append(columns)
    n_bad = sum(data["bad_rows"].values())
    if n_bad:
        lines.append(f"left out as bad rows: {counted(n_bad, 'row')}")
    if data["dropped_rows"]:
        lines.append(f"left out for missing values (--missing drop): {counted(data['dropped_rows'], 'row')}")
    if data["unseen_values"]:
        what, option = map(spelled, form.unseen)
        lines.append(f"unseen values ignored, of {what} ({option} ignore): {data['unseen_values']}")
    return "\n".join(lines)


def _features(dataset: Dataset, moments: FeatureMoments, most: int) -> list[dict[str, Any]]:
    """Describe the first `most` features; where only a few occur in the rows, the first of those."""
    names, base = dataset.schema.feature_names, dataset.schema.index_base
    return [
        {
            "feature": moments.feature(k) + base if names is None else names[moments.feature(k)],
            "mean": float(moments.mean[k]),
            "std": float(np.sqrt(moments.variance[k])),
            "min": float(moments.minimum[k]),
            "max": float(moments.maximum[k]),
            "nonzero": int(moments.nonzero[k]),
        }
        for k in range(min(most, moments.n_features))
    ]


def _feature_table(dataset: Dataset, moments: FeatureMoments, most: int) -> str:
    features = _features(dataset, moments, most)
    numbers = ("mean", "std", "min", "max")
    rows = [[str(f["feature"]), *(f"{f[k]:.6g}" for k in numbers), str(f["nonzero"])] for f in features]
    text = table(["feature", *numbers, "nonzero"], rows)
    more, absent = moments.n_features - len(features), dataset.schema.n_features - moments.n_features
    text += f"\n... and {more} more (--features N)" if more else ""
    return text + (f"\n{absent} others are zero in all rows" if absent else "")
