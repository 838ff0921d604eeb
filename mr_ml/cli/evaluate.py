"""mr-ml evaluate."""

from __future__ import annotations

import argparse
from typing import Any

from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.model import Model, load_model
from mr_ml.catalog.verify import verify
from mr_ml.cli.common import job_runner, narrator, print_result, root_of, table
from mr_ml.cli.memory import Needs, block_budget
from mr_ml.errors import BadDataError
from mr_ml.models.linear.class_metrics import TABLE_KEYS
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.training.evaluate import evaluate, unseen_features


def run(options: argparse.Namespace) -> None:
    root = root_of(options)
    runner = job_runner(options, root)
    model = load_model(root, options.model)
    dataset = load_dataset(root, options.dataset)
    if options.verify:
        verify(root.store, dataset.of_split(options.split))
    cache = block_budget(options, runner, _needs(model, dataset, options.split))
    engine = MapReduceEngine(dataset, options.split, root.store, runner, cache)
    unseen = unseen_features(model, dataset, root.store, split=options.split)
    if unseen:
        what = f"{len(unseen)} features that {model.reference} does not know, such as {unseen[0]}"
        if options.unseen_features == "error":
            raise BadDataError(
                f"{dataset.reference} {options.split} has {what}; leave them out with --unseen-features ignore, or "
                "train on data that has them"
            )
        narrator(options)(f"ignored: {what}")
    found = evaluate(model, dataset, engine=engine, row_weights=options.weights == "rows")
    found["unseen_features"] = len(unseen)
    found["split"] = options.split
    print_result(options, found, _text(found))


def _needs(model: Model, dataset: Dataset, split: str) -> Needs:
    """Partial sums are tables of scores with the weights of both sides."""
    partitions = dataset.of_split(split)
    n_blocks = sum(p.facts.blocks for p in partitions)
    most = -(-dataset.n_rows(split) // n_blocks) * len(model.coef) if model.classes else 1
    return Needs(
        block_sum_bytes=24 * most,
        sum_bytes=24 * min(most * n_blocks, TABLE_KEYS),
        n_blocks=n_blocks,
        # as it was read, and as it is sent
        state_bytes=2 * model.nbytes,
        query_bytes=model.nbytes,
    )


def _text(found: dict[str, Any]) -> str:
    lines = [f"{found['model']} on {found['dataset']} {found['split']}: {found['n_rows']} rows"]
    for name in ("accuracy", "log_loss", "auc", "root_mean_squared_error", "mean_absolute_error", "r2"):
        if found.get(name) is not None:
            within = f" (within {found['auc_error']:.1e})" if name == "auc" and found["auc_error"] else ""
            lines.append(f"  {name:<24}{found[name]:.6f}{within}")
    if "confusion" in found:
        labels = found["labels"]
        rows = [[label, *(f"{n:.15g}" for n in row)] for label, row in zip(labels, found["confusion"], strict=True)]
        lines.append(table(["truth \\ predicted", *labels], rows))
    return "\n".join(lines)
