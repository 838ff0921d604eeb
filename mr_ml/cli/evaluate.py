"""mr-ml evaluate."""

from __future__ import annotations

import argparse

from mr_ml.cli.common import open_session, print_result
from mr_ml.cli.metrics_text import metrics_lines
from mr_ml.models.metric_choices import MetricChoices


def run(options: argparse.Namespace) -> None:
    """Print the metrics of a model on a dataset."""
    choices = MetricChoices(
        threshold=tuple(options.threshold),
        at_precision=tuple(options.at_precision),
        at_recall=tuple(options.at_recall),
        details=options.all,
    )
    with open_session(options) as session:
        metrics = session.evaluate(
            options.model,
            options.dataset,
            split=options.split,
            row_weights=options.weights == "rows",
            unseen_features=options.unseen_features,
            verify_bytes=options.verify,
            choices=choices,
        )
    print_result(options, metrics, "\n".join(metrics_lines(metrics, everything=options.all)))
