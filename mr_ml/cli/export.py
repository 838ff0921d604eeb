"""mr-ml export."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from mr_ml.cli.common import narrator, print_result, root_of
from mr_ml.exports.api import export


def run(options: argparse.Namespace) -> None:
    """Write a model for another program, and say what must be known of it."""
    given = {"dialect": options.dialect, "table": options.table}
    result = export(
        root_of(options), options.model, options.to, kind=options.kind, unseen=options.unseen,
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip
    say = narrator(options)
    for note in result.notes:
        say(f"note: {note}")
    print_result(options, asdict(result), f"{result.model} as {options.kind}: {result.uri} ({result.n_bytes} bytes)")
