"""mr-ml compare."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from mr_ml.cli.common import open_session, print_result, table
from mr_ml.cli.metrics_text import FIRST
from mr_ml.comparing import Comparison, compare


def run(options: argparse.Namespace) -> None:
    """Print how two models differ on the rows of a dataset."""
    with open_session(options) as session:
        found = compare(
            session,
            options.a,
            options.b,
            options.data,
            split=options.split,
            row_weights=options.weights == "rows",
            unseen_features=options.unseen_features,
            confidence=options.confidence,
            verify_bytes=options.verify,
        )
    print_result(options, found.to_json(), "\n".join(_lines(found)))


def _lines(found: Comparison) -> Iterator[str]:
    one, other = found.metrics
    yield f"{found.a} and {found.b} on {found.dataset} {found.split}: {one['n_rows']} rows"
    names = [name for name in FIRST if one.get(name) is not None and other.get(name) is not None]
    shown = [*(name for name in names if name in found.differences), *(n for n in names if n not in found.differences)]
    shown += [name for name in found.differences if name not in shown]
    rows = []
    for name in shown:
        interval, better = "-", ""
        if name in found.differences:
            low, high = found.interval(name)
            interval = f"{low:+.3g} to {high:+.3g}"
            winner = found.better(name)
            better = {"a": found.a, "b": found.b}[winner] if winner else "neither"
        numbers = one[name], other[name], one[name] - other[name]
        rows.append([name, f"{numbers[0]:.6g}", f"{numbers[1]:.6g}", f"{numbers[2]:+.3g}", interval, better])
    yield table(["", "a", "b", "a - b", f"{100 * found.confidence:g} % interval", "better"], rows)
