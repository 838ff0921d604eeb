"""The options of standard errors: mr-ml models infer, and mr-ml models show --table."""

from __future__ import annotations

from typing import Any

from mr_ml.cli.numbers import below_one, whole
from mr_ml.cli.options import add_command, add_engine, add_memory, add_runner, add_verify

# Of confidence intervals, unless another one is asked for.
LEVEL = 0.95
# Of coefficients, see `mr_ml.models.parameters.Sort`; the first one unless another one is asked for.
SORTS = ("size", "name", "raw", "order")


def add_infer(actions: Any, model: str) -> None:
    """Add the command that finds standard errors; `model` says what a model can be named by."""
    parser = add_command(
        actions, "infer", "inference", "run",
        "standard errors, tests and intervals of the coefficients, in one pass over the rows of the training; kept",
        "mr-ml models infer claims-frequency",
    )  # fmt: skip
    parser.add_argument("model", help=model)
    _add_tests(parser)
    add_runner(parser, jobs=("pass_job",))
    add_engine(parser)
    add_verify(parser)
    add_memory(parser)


def add_table(parser: Any) -> None:
    """Add the two tables, of coefficients and of standard errors, to the command that shows a model."""
    parser.add_argument(
        "--features", type=whole(0), default=20, metavar="N", help="show N coefficients of each class (default 20)"
    )
    parser.add_argument(
        "--sort", choices=SORTS, default=SORTS[0],
        help="coefficients by |coefficient| x standard deviation of the feature (size, default), by |coefficient| "
        "(raw), by name, or in the order of the features",
    )  # fmt: skip
    parser.add_argument(
        "--table", action="store_true",
        help="coefficients with standard errors, tests and intervals, deviance and AIC; of a model trained with "
        "--inference, or after mr-ml models infer",
    )  # fmt: skip
    _add_tests(parser)


def _add_tests(parser: Any) -> None:
    parser.add_argument("--csv", action="store_true", help="the coefficients as CSV: all of them, every number in full")
    parser.add_argument(
        "--level", type=below_one, default=LEVEL, metavar="X", help=f"of confidence intervals (default {LEVEL})"
    )
    parser.add_argument(
        "--errors", choices=("model", "HC0", "HC1"),
        help="by which tests and intervals are made: of the likelihood (default, where there is one), or robust ones",
    )  # fmt: skip
    parser.add_argument(
        "--base", action="append", default=[], metavar="COLUMN=LEVEL",
        help="compare the categories of a column with this one (default: the first); may be given for each column",
    )  # fmt: skip
