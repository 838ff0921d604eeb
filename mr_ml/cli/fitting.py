"""The options of `train` and `tune` that say what is fitted, and all of `tune`."""

from __future__ import annotations

from typing import Any

from hdfs_layout.limits import MAX_PASS
from mr_ml.cli.names import registered
from mr_ml.cli.numbers import not_negative, whole
from mr_ml.cli.options import add_command, add_engine, add_memory, add_runner
from mr_ml.coefficients import COEFFICIENT_FILES
from mr_ml.data.limits import MOST_CANDIDATES, MOST_FOLDS
from mr_ml.models.linear.losses import LOSSES, PARAMETERS, name_in
from mr_ml.optimize.built_in import BUILT_IN

LOSS = "NAME[:PARAMETER=VALUE,...]"


def _with_parameters(loss: str) -> str:
    return f"{loss}:{PARAMETERS[loss]}" if loss in PARAMETERS else loss


LOSSES_HELP = (
    f"one of {', '.join(map(_with_parameters, LOSSES.built_in))}, or of an installed package; see docs/models.md"
)


def add_fitting(parser: Any, group: Any) -> None:
    """Add what `train` and `tune` have in common."""
    group.add_argument("--non-negative", action="store_true", help="no coefficient may be negative")
    group.add_argument(
        "--per-feature", metavar="FILE",
        help="CSV with a line a feature: feature, and some of factor (of both penalties), lower, upper, prior_mean, "
        "prior_precision",
    )  # fmt: skip
    group.add_argument(
        "--penalty-space", choices=("raw", "scaled"), default="raw",
        help="whether the penalty acts on coefficients of raw (default) or of standardised features",
    )  # fmt: skip
    group.add_argument("--no-intercept", action="store_true")
    group.add_argument(
        "--weights",
        choices=("rows", "none"),
        default="rows",
        help="use the dataset's row weights, if any (default), or none",
    )
    group.add_argument(
        "--solver", default="auto", metavar="NAME",
        help=f"{', '.join(BUILT_IN)}, or one of an installed package; auto (default): newton up to 700 coefficients, "
        "else lbfgs-sampled, or lbfgs if a sample of the rows is too large; with --l1 or bounds the proximal ones",
    )  # fmt: skip
    group.add_argument(
        "--warm-start", metavar="MODEL[@V]",
        help="begin with the coefficients of an earlier model, by names of features",
    )  # fmt: skip
    group.add_argument(
        "--warm-start-from", metavar="FILE",
        help="begin with the coefficients in a file: of mr-ml export --as json, of numpy.savez (scikit-learn), of "
        "liblinear, or of Vowpal Wabbit (--invert_hash)",
    )  # fmt: skip
    group.add_argument(
        "--warm-start-format", type=registered(COEFFICIENT_FILES), metavar="NAME",
        help=f"of that file: {', '.join(COEFFICIENT_FILES.built_in)} (default: by how it begins)",
    )  # fmt: skip
    group = parser.add_argument_group("when to stop")
    group.add_argument(
        "--tolerance", type=not_negative, metavar="X",
        help="largest gradient component in units of the mean absolute slope (default 1e-6)",
    )  # fmt: skip
    group.add_argument("--max-passes", type=whole(1, MAX_PASS), metavar="N", help="(default 500)")
    add_runner(parser, jobs=("pass_job",))
    add_engine(parser)
    add_memory(parser)


def add_tune(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "tune", "tune", "run",
        "train and judge many models in the same passes, by folds or another split, and publish the best",
        "mr-ml tune iris --model iris-softmax --loss softmax --l2 1e-6:1e-1:8 --folds 5",
    )  # fmt: skip
    parser.add_argument("dataset", nargs="?", help="name (its latest version), name@version or name@latest")
    parser.add_argument("--model", metavar="NAME", help="name to publish under")
    parser.add_argument("--split", default="train", help="(default train)")
    parser.add_argument(
        "--resume", metavar="RUN", help="go on with a tuning that was interrupted; takes no other choices"
    )
    group = parser.add_argument_group("what is tried; every combination is a candidate")
    group.add_argument("--l1", action="append", metavar="X,...|LOW:HIGH:N", help="L1 penalties, as --l2 (default 0)")
    group.add_argument(
        "--l2", action="append", metavar="X,...|LOW:HIGH:N",
        help="L2 penalties relative to the mean loss: a list, or N from LOW to HIGH, even in their logarithms "
        "(default 1e-6:1e-1:8, with --l1 0)",
    )  # fmt: skip
    group.add_argument(
        "--loss", action="append", type=registered(LOSSES, name_in), metavar=LOSS,
        help=f"{LOSSES_HELP}; may be given several times (default logistic)",
    )  # fmt: skip
    group.add_argument(
        "--class-weights", action="append", metavar="SPEC",
        help="'none', 'balanced', or LABEL=FACTOR,...; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--draws", type=whole(1, MOST_CANDIDATES), metavar="N", help="draw N candidates, not all combinations"
    )
    group.add_argument("--seed", type=whole(0, 2**63 - 1), default=0, metavar="N", help="of the draws (default 0)")
    group.add_argument(
        "--halving", type=whole(2, 100), metavar="F",
        help="successive halving: after some passes only the best 1 of F candidates go on, and so on",
    )  # fmt: skip
    group.add_argument(
        "--first-passes",
        type=whole(1, MAX_PASS),
        metavar="N",
        help="with --halving: passes before the first cut (default 4)",
    )
    group = parser.add_argument_group("how candidates are judged")
    group.add_argument(
        "--folds", type=whole(2, MOST_FOLDS), metavar="K",
        help="each by K models, trained without one fold each and judged by it (default: those of the dataset, else 5)",
    )  # fmt: skip
    group.add_argument("--validation", metavar="SPLIT", help="by the rows of another split, instead of folds")
    group.add_argument("--metric", metavar="NAME", help="by which (default: what the loss minimises)")
    group.add_argument(
        "--rule", choices=("best", "one-se"), default="best",
        help="choose the best mean (default), or the largest penalties within one standard error of it",
    )  # fmt: skip
    add_fitting(parser, parser.add_argument_group("what all have in common"))
