"""mr-ml predict."""

from __future__ import annotations

import argparse

from mr_ml.cli.common import local_runner, narrator, open_root, print_result
from mr_ml.model import load_model
from mr_ml.predict import predict


def run(options: argparse.Namespace) -> None:
    store, layout = open_root(options)
    model = load_model(store, layout, options.model)
    found = predict(
        model,
        options.inputs,
        options.to,
        runner=local_runner(options),
        max_bad_rows=options.max_bad_rows,
        unseen=options.unseen_features,
        say=narrator(options),
    )
    print_result(options, found, f"{found['n_rows']} rows predicted by {found['model']}: {', '.join(found['outputs'])}")
