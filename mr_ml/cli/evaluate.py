"""mr-ml evaluate."""

from __future__ import annotations

import argparse
from typing import Any

from mr_ml.cli.common import open_session, print_result, table

_SHOWN = (
    "accuracy", "log_loss", "mean_loss", "auc", "root_mean_squared_error", "mean_absolute_error", "r2", "mean_deviance",
    "d2",
)  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Print the metrics of a model on a dataset."""
    with open_session(options) as session:
        metrics = session.evaluate(
            options.model,
            options.dataset,
            split=options.split,
            row_weights=options.weights == "rows",
            unseen_features=options.unseen_features,
            verify_bytes=options.verify,
        )
    print_result(options, metrics, _text(metrics))


def _text(metrics: dict[str, Any]) -> str:
    lines = [f"{metrics['model']} on {metrics['dataset']} {metrics['split']}: {metrics['n_rows']} rows"]
    for name in _SHOWN:
        if metrics.get(name) is not None:
            within = f" (within {metrics['auc_error']:.1e})" if name == "auc" and metrics["auc_error"] else ""
            lines.append(f"  {name:<24}{metrics[name]:.6f}{within}")
    if "confusion" in metrics:
        labels = metrics["labels"]
        rows = [[label, *(f"{n:.15g}" for n in row)] for label, row in zip(labels, metrics["confusion"], strict=True)]
        lines.append(table(["truth \\ predicted", *labels], rows))
    return "\n".join(lines)
