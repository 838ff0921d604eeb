"""mr-ml models promote and mr-ml models rollback."""

from __future__ import annotations

import argparse

from mr_ml.catalog import promoting
from mr_ml.catalog.promotions import Promotion
from mr_ml.cli.common import print_result, root_of
from mr_ml.cli.retrained import without_kind


def promote(options: argparse.Namespace) -> None:
    """Promote a version and print what the name means now."""
    entry = promoting.promote(root_of(options), options.model, reason=options.reason, force=options.force)
    _print(options, options.model.partition("@")[0], entry)


def rollback(options: argparse.Namespace) -> None:
    """Go back to an earlier version and print what the name means now."""
    entry = promoting.rollback(root_of(options), options.model, to=options.to, reason=options.reason)
    _print(options, options.model, entry)


def _print(options: argparse.Namespace, name: str, entry: Promotion) -> None:
    back = "" if entry.previous is None else f"; a rollback goes to {name}@{entry.previous}"
    text = f"{name} means {name}@{entry.version} (promotion {entry.number}, {entry.at}){back}"
    print_result(options, {"model": name, **without_kind(entry)}, text)
