"""mr-ml predict."""

from __future__ import annotations

import argparse

from mr_ml.catalog.model import load_model
from mr_ml.cli.common import job_runner, narrator, print_result, root_of
from mr_ml.cli.memory import longest_line, predict_budget
from mr_ml.predict.driver import predict
from mr_ml.predict.output import Output


def run(options: argparse.Namespace) -> None:
    root = root_of(options)
    runner = job_runner(options, root)
    model = load_model(root, options.model)
    # what a process has left over is for nothing but long lines
    rows_bytes = predict_budget(options, runner, model_bytes=model.nbytes)
    found = predict(
        model,
        options.inputs,
        runner=runner,
        output=Output(options.to),
        max_bad_rows=options.max_bad_rows,
        unseen=options.unseen_features,
        say=narrator(options),
        longest_line=longest_line(options, rows_bytes),
    )
    print_result(options, found, f"{found['n_rows']} rows predicted by {found['model']}: {', '.join(found['outputs'])}")
