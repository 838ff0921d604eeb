"""mr-ml evaluate."""

from __future__ import annotations

import argparse

from mr_ml.catalog.evaluations import save_evaluation
from mr_ml.cli.common import narrator, open_session, print_result
from mr_ml.cli.metrics_text import metrics_lines, side_by_side
from mr_ml.errors import UsageError
from mr_ml.models.metric_choices import MetricChoices


def run(options: argparse.Namespace) -> None:
    """Print the metrics of models on a dataset."""
    models, dataset = options.models, options.data
    if dataset is None:
        if len(models) != 2:
            raise UsageError(f"expected MODEL and DATASET, or models and --data DATASET, found {len(models)} names")
        *models, dataset = models
    choices = MetricChoices(
        threshold=tuple(options.threshold),
        at_precision=tuple(options.at_precision),
        at_recall=tuple(options.at_recall),
        # what is kept is kept whole
        details=options.all or options.save,
    )
    with open_session(options) as session:
        found = session.evaluate_several(
            models,
            dataset,
            split=options.split,
            row_weights=options.weights == "rows",
            unseen_features=options.unseen_features,
            verify_bytes=options.verify,
            choices=choices,
            by=options.by,
        )
        if options.save:
            say = narrator(options)
            for metrics in found:
                save_evaluation(session.root, metrics)
                say(f"kept beside {metrics['model']}: `mr-ml models show` has it, and `mr-ml report`")
    if options.data is None:
        print_result(options, found[0], "\n".join(metrics_lines(found[0], everything=options.all)))
        return
    lines = list(side_by_side(found, everything=options.all))
    if options.all or options.by is not None or choices.of_two_classes:
        for metrics in found:
            lines += ["", *metrics_lines(metrics, everything=options.all)]
    shared = {name: found[0][name] for name in ("dataset", "split", "n_rows")}
    print_result(options, {**shared, "models": found}, "\n".join(lines))
