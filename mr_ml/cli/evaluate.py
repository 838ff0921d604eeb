"""mr-ml evaluate."""

from __future__ import annotations

import argparse
from typing import Any

from mr_ml.cli.common import open_session, print_result, table


def run(options: argparse.Namespace) -> None:
    """Print the metrics of a model on a dataset."""
    found = open_session(options).evaluate(
        options.model,
        options.dataset,
        split=options.split,
        row_weights=options.weights == "rows",
        unseen_features=options.unseen_features,
        verify_bytes=options.verify,
    )
    print_result(options, found, _text(found))


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
