"""mr-ml predict."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout

from mr_ml.cli.common import open_session, print_result
from mr_ml.prediction.choices import PredictChoices
from mr_ml.prediction.standard import STANDARD


def run(options: argparse.Namespace) -> None:
    """Predict rows of text and print how many there were and where the output is."""
    choices = PredictChoices(
        max_bad_rows=options.max_bad_rows,
        unseen=options.unseen,
        keep=tuple(name.strip() for given in options.keep for name in given.split(",") if name.strip()),
        output_format=options.output_format,
    )
    with open_session(options) as session:
        summary = session.predict(options.model, options.inputs, options.to, choices)
    text = f"{summary['n_rows']} rows predicted by {summary['model']}: {', '.join(summary['outputs'])}"
    if options.to != STANDARD:
        print_result(options, summary, text)
    elif options.json or not options.quiet:
        # what is on standard output are the predictions
        with redirect_stdout(sys.stderr):
            print_result(options, summary, text.removesuffix(f": {STANDARD}"))
