"""mr-ml predict."""

from __future__ import annotations

import argparse

from mr_ml.catalog.model import load_model
from mr_ml.cli.common import job_runner, narrator, print_result, root_of
from mr_ml.cli.memory import longest_line, predict_budget
from mr_ml.predict.driver import predict
from mr_ml.predict.output import open_output
from mr_ml.predict.scorers import LocalScorer, Scorer
from mr_ml.runners.base import LocalJobRunner


def run(options: argparse.Namespace) -> None:
    root = root_of(options)
    runner = job_runner(options, root)
    scorer: Scorer
    model = load_model(root, options.model)
    # what a process has left over is for nothing but long lines
    rows_bytes = predict_budget(options, runner, model_bytes=model.nbytes)
    if isinstance(runner, LocalJobRunner):
        scorer = LocalScorer(runner, longest_line=longest_line(options, rows_bytes))
    else:
        from mr_ml.predict.cluster import ClusterScorer
        from mr_ml.runners.hadoop.runner import HadoopJobRunner

        assert isinstance(runner, HadoopJobRunner)
        scorer = ClusterScorer(runner)
    found = predict(
        model,
        options.inputs,
        scorer=scorer,
        output=open_output(options.to),
        max_bad_rows=options.max_bad_rows,
        unseen=options.unseen_features,
        say=narrator(options),
    )
    print_result(options, found, f"{found['n_rows']} rows predicted by {found['model']}: {', '.join(found['outputs'])}")
