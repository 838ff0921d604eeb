"""The coefficients of a model on the command line: mr-ml models show."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from mr_ml.cli.common import csv_of, one_line, table
from mr_ml.cli.spelling import spelled
from mr_ml.models.inference import INTERCEPT
from mr_ml.models.parameters import Parameters

#: How the heads of the columns are written.
_HEADS = {"std_error": "std. error"}
_BY = {
    "size": "by |coefficient| x standard deviation of the feature", "raw": "by |coefficient|", "name": "by name",
    "order": "in the order of the features",
}  # fmt: skip


def parameters_json(parameters: Parameters, options: argparse.Namespace) -> dict[str, Any]:
    """Return what --json has of them."""
    most = options.features
    return {
        "parameters": list(parameters.rows(sort=options.sort, most=most)),
        "n_parameters": parameters.n_features,
        "parameters_left_out": max(0, parameters.n_features - most),
        "notes": list(parameters.notes),
    }


def parameters_csv(parameters: Parameters, options: argparse.Namespace) -> str:
    """Return all of them as CSV."""
    return csv_of(parameters.rows(sort=options.sort))


def parameter_lines(parameters: Parameters, options: argparse.Namespace) -> Iterator[str]:
    """Yield the table, and how many are left out."""
    keys = parameters.columns()[1:]
    found = parameters.rows(sort=options.sort, most=options.features)
    cells = list[list[str]]()
    for output, rows in groupby(found, key=lambda row: row["output"]):
        if len(parameters.outputs) > 1:
            cells.append([f"{one_line(output)}:", *[""] * (len(keys) - 1)])
        cells.extend([one_line(row["feature"]), *(_cell(key, row[key]) for key in keys[1:])] for row in rows)
    yield table(["feature", *(_HEADS.get(key, key.replace("_", " ")) for key in keys[1:])], cells)
    n, shown = parameters.n_features, min(options.features, parameters.n_features)
    each = " of each class" if len(parameters.outputs) > 1 else ""
    known = parameters.deviations is not None
    by = _BY[options.sort if known or options.sort != "size" else "raw"]
    if shown < n:
        left = spelled(f"{n - shown} are left out: `features` N for more, `csv` for all")
        yield f"{shown} of {n} coefficients{each}, {by}; {left}"
    else:
        yield f"all {n} coefficients{each}, {by}"
    if not known:
        yield "standardized is not known: the moments of the dataset are gone"
    tests = parameters.tests
    if tests is not None and tests.inference.bases:
        yield spelled(f"standard errors of categories, each less its base, and of {INTERCEPT} at the bases: `table`")
    if parameters.n_absent:
        yield f"those of {parameters.n_absent} others, which no row had, are 0"
    yield from (spelled(f"note: {note}") for note in parameters.notes)


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if value != value:
        return "NA"
    if key == "p":
        return "<2e-16" if value < 2e-16 else f"{value:.3g}"
    return f"{value:.3f}" if key in ("z", "t") else f"{value:.6g}"
