"""mr-ml pack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mr_ml.cli.common import open_session, print_result
from mr_ml.cli.describe import summary, summary_text
from mr_ml.cli.spelling import spelled
from mr_ml.packing.choices import PackChoices
from mr_ml.packing.plan import parse_shares
from mr_ml.readers.base import format_named
from mr_ml.readers.registry import FORMATS

DRY_RUN = "dry run: nothing is published, and nothing of it is left; without --dry-run it would be"


def run(options: argparse.Namespace) -> None:
    """Pack text into a dataset and print its summary."""
    warnings: list[str] = []
    with open_session(options, warn=lambda text: warnings.append(spelled(text))) as session:
        dataset = session.pack(options.inputs, options.to, choices(options, options.split), dry_run=options.dry_run)
    text = f"{DRY_RUN}\n{summary_text(dataset)}" if options.dry_run else summary_text(dataset)
    said = {"dry_run": True} if options.dry_run else {}
    print_result(options, {**summary(dataset), **said, "warnings": warnings}, text)


def choices(options: argparse.Namespace, shares: str) -> PackChoices:
    """Return what the user chose, with the shares of the splits."""
    names = {name for format in map(format_named, FORMATS.built_in) for name in format.parameters}
    return PackChoices(
        split=parse_shares(shares),
        split_inputs=split_inputs(options.split_inputs),
        folds=options.folds,
        split_by=options.split_by,
        seed=options.seed,
        partitions=options.partitions,
        like=options.like,
        unseen_features=options.unseen_features,
        max_bad_rows=options.max_bad_rows,
        format=options.format,
        text={name: _said(getattr(options, name)) for name in names},
    )


def _said(value: object) -> object:
    """Return what an option says; of lists that may be given several times all of it."""
    return ",".join(value) if isinstance(value, list) else value


def split_inputs(named: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read ``NAME=INPUT``, as often as it was said."""
    inputs: dict[str, tuple[str, ...]] = {}
    for item in named:
        split, _, given = item.partition("=")
        inputs[split] = (*inputs.get(split, ()), given)
    return inputs
