"""Standard errors on the command line: mr-ml models infer, and the table of mr-ml models show."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from hdfs_layout import Root
from mr_ml.catalog.inference import find_inference
from mr_ml.cli.common import csv_of, one_line, open_session, print_result, table
from mr_ml.errors import NotFoundError, UsageError
from mr_ml.models.base import Model, TrainSpec
from mr_ml.models.inference import Inference

# Of p values, as R has it.
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))


def run(options: argparse.Namespace) -> None:
    """Find standard errors, and print the table."""
    with open_session(options) as session:
        found = session.infer(options.model, verify_bytes=options.verify).rebased(*options.base)
    print_result(options, found.to_json(options.level, options.errors), table_of(found, options))


def published_inference(root: Root, model: Model, spec: TrainSpec) -> Inference:
    """Return what is kept of a model.

    Raises
    ------
    UsageError
        If such a model has no standard errors.
    NotFoundError
        If nobody asked for them.
    """
    found = find_inference(root, model)
    if found is None:
        if spec.no_inference is not None:
            raise UsageError(f"{model.reference} has no standard errors: {spec.no_inference}")
        raise NotFoundError(
            f"{model.reference} has no standard errors yet: find them by `mr-ml models infer {model.reference}`, one "
            "pass, or train with --inference"
        )
    return found


def table_of(found: Inference, options: argparse.Namespace) -> str:
    """Return the table in the form that the options ask for."""
    return csv_of(found.rows(options.level, options.errors)) if options.csv else "\n".join(_lines(found, options))


def _lines(found: Inference, options: argparse.Namespace) -> Iterator[str]:
    errors, statistics = options.errors or found.errors, found.statistics
    name = found.statistic
    yield f"{found.model} on {found.dataset} {found.split}: {statistics.n_rows} rows of positive weight"
    percent = f"{100 * options.level:.6g} %"
    header = ["", "estimate", "std. error", "robust s.e.", f"{name} value", f"Pr(>|{name}|)", "", percent, ""]
    output, rows = found.outputs[0], list[list[str]]()
    for row in found.rows(options.level, options.errors):
        if len(found.outputs) > 1 and (row["output"] != output or not rows):
            output = row["output"]
            rows.append([f"{one_line(output)}:", *[""] * (len(header) - 1)])
        values = [row["estimate"], row["std_error"], row["robust_std_error"]]
        cells = [*map(_number, values), _fixed(row[name]), _p_value(row["p"]), _stars(row["p"])]
        rows.append([one_line(row["feature"]), *cells, _number(row["low"]), _number(row["high"])])
    yield table(header, rows)
    yield (
        "*** p < 0.001, ** p < 0.01, * p < 0.05, . p < 0.1; "
        + {
            "model": "by the standard errors of the likelihood",
            "HC0": "by the robust standard errors HC0 (those that are shown are HC1)",
            "HC1": "by the robust standard errors (HC1)",
        }[errors]
    )
    if found.bases:
        yield (
            f"base levels: {', '.join(map(one_line, found.bases))}; other levels of these columns are less these, and "
            f"{_at_bases(found)} at them"
        )
    yield ""
    if statistics.dispersion is not None:
        how = "Pearson / residual degrees of freedom" if statistics.is_dispersion_estimated else "known"
        yield f"dispersion         {_long(statistics.dispersion)} ({how})"
    if statistics.deviance is not None:
        yield f"null deviance      {_long(statistics.null_deviance)} on {statistics.df_null} degrees of freedom"
        yield f"residual deviance  {_long(statistics.deviance)} on {statistics.df_residual} degrees of freedom"
        yield f"log-likelihood     {_long(statistics.log_likelihood)}"
        yield f"AIC, BIC           {_long(statistics.aic)}, {_long(statistics.bic)}"
    yield f"rank               {statistics.rank} of {len(found.estimates)} coefficients"
    yield from (f"note: {note}" for note in found.notes)


def _at_bases(found: Inference) -> str:
    names = [one_line(found.features[k]) for k in found.contrasts.at_bases]
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} to {names[-1]} are"


def _number(value: float) -> str:
    return "NA" if value != value else f"{value:.6g}"


def _fixed(value: float) -> str:
    return "NA" if value != value else f"{value:.3f}"


def _p_value(value: float) -> str:
    if value != value:
        return "NA"
    return "<2e-16" if value < 2e-16 else f"{value:.3g}"


def _stars(value: float) -> str:
    return next((stars for below, stars in _STARS if value < below), "")


def _long(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.8g}"
