"""mr-ml predict."""

from __future__ import annotations

import argparse

from mr_ml.cli.common import open_session, print_result


def run(options: argparse.Namespace) -> None:
    """Predict rows of text and print how many there were and where the output is."""
    with open_session(options) as session:
        summary = session.predict(
            options.model,
            options.inputs,
            options.to,
            max_bad_rows=options.max_bad_rows,
            unseen_features=options.unseen_features,
        )
    print_result(
        options, summary, f"{summary['n_rows']} rows predicted by {summary['model']}: {', '.join(summary['outputs'])}"
    )
