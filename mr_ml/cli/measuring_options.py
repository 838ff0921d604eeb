"""The commands that measure models."""

from __future__ import annotations

from typing import Any

from mr_ml.cli.numbers import finite, share
from mr_ml.cli.options import (
    MODEL,
    Once,
    add_command,
    add_engine,
    add_memory,
    add_runner,
    add_unseen_features,
    add_verify,
)


def add_evaluate(commands: Any) -> None:
    """Add `evaluate`."""
    parser = add_command(
        commands, "evaluate", "evaluate", "run", "metrics of models on a dataset's split, in one pass",
        "mr-ml evaluate iris-softmax iris --split test",
    )  # fmt: skip
    parser.add_argument("models", nargs="+", metavar="MODEL", help=f"{MODEL}; without --data the dataset follows")
    parser.add_argument(
        "--data", metavar="DATASET",
        help="name (its latest version), name@version or name@latest; then all before are models, in one pass",
    )  # fmt: skip
    parser.add_argument("--split", default="test", help="(default test)")
    parser.add_argument(
        "--by",
        action=Once,
        metavar="COLUMN",
        help="also groups of rows: by the categories of a column, or whether a feature is 0",
    )
    parser.add_argument("--weights", choices=("rows", "none"), default="rows", help="use row weights, if any (default)")
    parser.add_argument(
        "--all", action="store_true", help="show all tables; of numbers, hold labels against predictions"
    )
    parser.add_argument(
        "--save", action="store_true", help="keep what is told beside the models; mr-ml models show has it"
    )
    group = parser.add_argument_group("where two labels are told apart (of the second label; as often as needed)")
    group.add_argument(
        "--threshold", action="append", type=finite, default=[], metavar="T",
        help="metrics where rows of at least this probability, or decision value, are taken for it",
    )  # fmt: skip
    group.add_argument(
        "--at-precision", action="append", type=share, default=[], metavar="P",
        help="the threshold with a precision of at least P and the most recall",
    )  # fmt: skip
    group.add_argument(
        "--at-recall", action="append", type=share, default=[], metavar="R",
        help="the threshold with a recall of at least R and the most precision",
    )  # fmt: skip
    add_unseen_features(parser, "features that a model does not know; if ignored, features are known by name")
    add_runner(parser, jobs=("pass_job",))
    add_engine(parser)
    add_verify(parser)
    add_memory(parser)


def add_compare(commands: Any) -> None:
    """Add `compare`."""
    parser = add_command(
        commands, "compare", "compare", "run", "how two models differ on the same rows, and how sure that is",
        "mr-ml compare ctr ctr@latest --data clicks",
    )  # fmt: skip
    parser.add_argument("a", metavar="A", help=MODEL)
    parser.add_argument("b", metavar="B", help=MODEL)
    parser.add_argument(
        "--data", required=True, metavar="DATASET", help="name (its latest version), name@version or name@latest"
    )
    parser.add_argument("--split", default="test", help="(default test)")
    parser.add_argument("--confidence", type=share, default=0.95, metavar="P", help="of the intervals (default 0.95)")
    parser.add_argument("--weights", choices=("rows", "none"), default="rows", help="use row weights, if any (default)")
    add_unseen_features(parser, "features that a model does not know; if ignored, features are known by name")
    add_runner(parser, jobs=("pass_job",))
    add_engine(parser)
    add_verify(parser)
    add_memory(parser)
