"""All commands and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hdfs_layout.limits import MAX_VERSION
from mr_ml import __version__
from mr_ml.cli.datasets_options import add_datasets
from mr_ml.cli.fitting import LOSS, LOSSES_HELP, add_fitting, add_tune
from mr_ml.cli.inference_options import add_infer, add_table
from mr_ml.cli.measuring_options import add_compare, add_evaluate
from mr_ml.cli.names import registered
from mr_ml.cli.numbers import not_negative, whole
from mr_ml.cli.options import (
    EXIT_CODES,
    MODEL,
    Once,
    Parser,
    add_bad_rows,
    add_command,
    add_config,
    add_dry_run,
    add_engine,
    add_everywhere,
    add_group,
    add_memory,
    add_runner,
    add_verify,
)
from mr_ml.cli.pack_options import add_files, add_pack
from mr_ml.exports import EXPORTS
from mr_ml.models.linear.losses import LOSSES, name_in
from mr_ml.models.predictor import PREDICTORS
from mr_ml.prediction.outputs import DEFAULT, OUTPUT_FORMATS
from mr_ml.readers.registry import FORMATS


def make_parser(alone: str | None = None) -> Parser:
    """Make the parser of all commands; what it parses names the function of the command.

    Parameters
    ----------
    alone
        The command that will be parsed, where that is known: the options of the others are not made, which would take
        most of the time that a small command takes.
    """
    parser = Parser(
        prog="mr-ml",
        description="Train linear models on data that lives on Hadoop: pack rows once, then iterate MapReduce passes.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"mr-ml {__version__}")
    add_everywhere(parser, here=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in COMMANDS.values() if alone is None else [COMMANDS[alone]]:
        add(commands)
    return parser


def parser_for(words: Sequence[str]) -> Parser:
    """Make the parser of a command line: of its command alone where that is the first word, of all otherwise."""
    return make_parser(words[0] if words and words[0] in COMMANDS else None)


def _demo(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        "demo",
        "run",
        "see it at work: rows are written, packed, trained on and predicted",
        "mr-ml demo",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        default="mr_ml_demo",
        metavar="FOLDER",
        help="to be made, for all of it (default mr_ml_demo)",
    )


def _describe(commands: Any) -> None:
    parser = add_command(commands, "describe", "describe", "run", "what is in a dataset", "mr-ml describe iris")
    parser.add_argument("dataset", help="name (its latest version), name@version or name@latest")
    parser.add_argument(
        "--features", type=whole(0), default=20, metavar="N", help="show the moments of N features (default 20)"
    )
    add_verify(parser)


def _train(commands: Any) -> None:
    parser = add_command(
        commands, "train", "train", "run", "fit a model to a dataset, or to rows in files, and publish it",
        "mr-ml train iris.libsvm --model iris --loss softmax --l2 1e-4",
    )  # fmt: skip
    parser.add_argument(
        "rows", nargs="*", metavar="DATASET|FILE",
        help="a dataset: name (its latest version), name@version or name@latest; or files, folders or globs, which are "
        "packed first, as by mr-ml pack. A name that is that of a dataset and of a file means the dataset, ./name the "
        "file",
    )  # fmt: skip
    parser.add_argument("--model", metavar="NAME", help="name to publish under")
    parser.add_argument(
        "--split", default="train", metavar="NAME|NAME=SHARE,...",
        help="to train on (default train); of files also their shares, of which train is trained on",
    )  # fmt: skip
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that was interrupted; takes no other choices")
    group = parser.add_argument_group("what is fitted")
    group.add_argument(
        "--loss",
        action=Once,
        type=registered(LOSSES, name_in),
        default="logistic",
        metavar=LOSS,
        help=f"{LOSSES_HELP} (default logistic)",
    )
    group.add_argument(
        "--l1", type=not_negative, default=0.0, metavar="X",
        help="L1 penalty relative to the mean loss, which makes coefficients 0; with --l2 the elastic net (default 0)",
    )  # fmt: skip
    group.add_argument(
        "--l2", type=not_negative, default=0.0, metavar="X", help="L2 penalty relative to the mean loss (default 0)"
    )
    group.add_argument("--class-weights", action=Once, metavar="SPEC", help="'balanced', or LABEL=FACTOR,...")
    group.add_argument(
        "--prior", metavar="MODEL[@V]",
        help="what an earlier model knows counts as well: its coefficients, by names of features, are the means of a "
        "Gaussian prior, as sure as their standard errors say",
    )  # fmt: skip
    group.add_argument(
        "--prior-precision", type=not_negative, metavar="X",
        help="with --prior: how sure all of them are, relative to the mean loss as --l2 is",
    )  # fmt: skip
    group.add_argument(
        "--inference", action="store_true",
        help="one more pass for standard errors, which mr-ml models show --table shows; without a penalty only",
    )  # fmt: skip
    add_fitting(parser, group)
    add_verify(parser)
    add_files(parser)


def _predict(commands: Any) -> None:
    parser = add_command(
        commands, "predict", "predict", "run", "labels and probabilities of raw rows: one output line per input line",
        "mr-ml predict iris-softmax new_rows.libsvm --to predictions",
    )  # fmt: skip
    parser.add_argument("model", help=MODEL)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="files, folders or globs, of the model's format; - for standard input",
    )
    parser.add_argument(
        "--to", required=True, metavar="PATH",
        help="output file for one file, else a folder; here or hdfs://...; - for standard output",
    )  # fmt: skip
    parser.add_argument(
        "--keep", action="append", default=[], metavar="COLUMN,...",
        help="carry columns of the input through to the output; of libsvm rows qid or comment",
    )  # fmt: skip
    parser.add_argument(
        "--output-format", type=registered(OUTPUT_FORMATS), metavar="NAME",
        help=f"{', '.join(OUTPUT_FORMATS.built_in)} (default: by how PATH ends, else {DEFAULT})",
    )  # fmt: skip
    parser.add_argument(
        "--unseen", "--unseen-features", choices=("error", "ignore"),
        help="features or categories that the model does not know (default: error, but for CSV that was packed with "
        "--unseen ignore)",
    )  # fmt: skip
    add_bad_rows(parser)
    add_runner(parser, jobs=("predict_job",), kinds=(PREDICTORS, LOSSES, FORMATS, OUTPUT_FORMATS))
    add_memory(parser)


def _export(commands: Any) -> None:
    parser = add_command(
        commands, "export", "export", "run", "a model for another program: a file that predicts the same",
        "mr-ml export iris-softmax --as sql --table flowers -o iris.sql",
    )  # fmt: skip
    parser.add_argument("model", help=MODEL)
    parser.add_argument(
        "--as", dest="kind", type=registered(EXPORTS), required=True, metavar="KIND",
        help=f"{', '.join(EXPORTS.built_in)}; see docs/exports.md",
    )  # fmt: skip
    parser.add_argument(
        "-o",
        "--to",
        dest="to",
        required=True,
        metavar="FILE",
        help="file, replaced if it is there; or hdfs://..., s3://...",
    )
    parser.add_argument("--dialect", metavar="NAME", help="sql: duckdb (default), sqlite or spark")
    parser.add_argument("--table", metavar="NAME", help="sql: the table of the rows (default: rows)")
    parser.add_argument(
        "--unseen", choices=("error", "ignore"),
        help="feature ids and categories that the model does not know: as of mr-ml predict",
    )  # fmt: skip
    add_config(parser)


def _models(commands: Any) -> None:
    actions = add_group(commands, "models", "published models")
    add_command(actions, "list", "model_list", "list_all", "all versions, how they were made, and which are promoted")
    show = add_command(actions, "show", "models", "show", "one version of a model", "mr-ml models show iris-softmax")
    show.add_argument("model", help=MODEL)
    add_table(show)
    add_infer(actions, MODEL)
    promote = add_command(
        actions, "promote", "promote", "promote", "let the plain name of a model mean a version",
        "mr-ml models promote ctr@8 --reason 'looked at by hand'",
    )  # fmt: skip
    promote.add_argument("model", help="name@version, or the name alone for its latest version")
    promote.add_argument("--reason", metavar="TEXT", help="why; it is recorded")
    promote.add_argument("--force", action="store_true", help="even if the gate refused that version; needs --reason")
    rollback = add_command(
        actions, "rollback", "promote", "rollback", "let the plain name of a model mean what it meant before",
        "mr-ml models rollback ctr --reason 'complaints since noon'",
    )  # fmt: skip
    rollback.add_argument("model", help="name")
    rollback.add_argument(
        "--to", type=whole(1, MAX_VERSION), metavar="VERSION",
        help="number of a version that was promoted before (default: the one before the present one)",
    )  # fmt: skip
    rollback.add_argument("--reason", metavar="TEXT", help="why; it is recorded")
    diff = add_command(
        actions, "diff", "diff", "run", "how two versions, or two models, differ", "mr-ml models diff ctr ctr@latest"
    )
    diff.add_argument("a", metavar="A", help=MODEL)
    diff.add_argument("b", metavar="B", help=MODEL)
    diff.add_argument(
        "--features", type=whole(0), default=20, metavar="N", help="show N features that differ most (default 20)"
    )
    delete = add_command(
        actions, "delete", "clean", "delete", "remove one version of a model that nothing needs",
        "mr-ml models delete ctr@3 --dry-run", aliases=("rm",),
    )  # fmt: skip
    delete.add_argument("model", help="name@version")
    delete.add_argument(
        "--force",
        action="store_true",
        help="even if a rollback would go to that version, or the name means it as none was ever promoted",
    )
    add_dry_run(delete)


def _report(commands: Any) -> None:
    parser = add_command(
        commands, "report", "report", "run", "all that is known of a run or a model, as one page of HTML",
        "mr-ml report iris-softmax -o iris.html",
    )  # fmt: skip
    parser.add_argument("reference", metavar="RUN|MODEL", help="a run, or a model: name, name@version or name@latest")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="report.html", help="file that is written (default report.html)"
    )


def _clean(commands: Any) -> None:
    parser = add_command(
        commands, "clean", "clean", "run",
        "remove what killed commands left behind, and, if rules are given, old versions and runs",
        "mr-ml clean --keep-versions 10 --keep-days 30 --dry-run",
    )  # fmt: skip
    parser.add_argument(
        "settings", nargs="?", metavar="FILE",
        help="retrain.yaml: its root, its model and dataset, and its section `retention`",
    )  # fmt: skip
    parser.add_argument("--model", metavar="NAME", help="only what belongs to this model (and to --dataset)")
    parser.add_argument("--dataset", metavar="NAME", help="only what belongs to this dataset (and to --model)")
    add_dry_run(parser)
    group = parser.add_argument_group(
        "what is kept, besides what is needed; without any of these all versions and runs"
    )
    group.add_argument(
        "--keep-versions",
        type=whole(1, MAX_VERSION),
        metavar="N",
        help="of each name the newest N versions (default 1)",
    )
    group.add_argument("--keep-days", type=not_negative, metavar="D", help="and all of the last D days (default 0)")
    group.add_argument("--keep-runs", type=not_negative, metavar="D", help="runs of the last D days")
    group.add_argument(
        "--orphans-days", type=not_negative, metavar="D",
        help="what nothing names goes after D days where nobody can see whether it is being written (default 1)",
    )  # fmt: skip
    add_config(parser)


def _schedule(commands: Any) -> None:
    parser = add_command(
        commands, "schedule", "schedule", "run",
        "a retraining as a line for cron or units for systemd, and when it would run",
        "mr-ml schedule retrain.yaml --cron '15 2 * * *'",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="retrain.yaml; see docs/retraining.md")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="EXPRESSION", help="minute, hour, day of the month, month, day of the week")
    when.add_argument("--at", metavar="HH:MM", help="every day at this time")
    parser.add_argument("--systemd", action="store_true", help="a service and a timer, in place of lines for cron")
    parser.add_argument("--timezone", metavar="ZONE", help="whose times these are (default: that of this machine)")
    parser.add_argument("--user", metavar="NAME", help="who runs it (default: you)")
    parser.add_argument("--log", metavar="PATH", help="cron: where output is appended (default: FILE's name with .log)")


def _env(commands: Any) -> None:
    actions = add_group(commands, "env", "the machines that run tasks")
    check = add_command(
        actions, "check", "env", "check", "can tasks run? one small job: Python, numpy, scipy, memory, write access",
        "mr-ml env check -r hadoop",
    )  # fmt: skip
    check.add_argument(
        "--tasks",
        type=whole(1, 100_000),
        default=4,
        metavar="N",
        help="more tasks reach more nodes of a cluster (default 4)",
    )
    add_runner(check, jobs=())
    build = add_command(
        actions, "build", "env", "build", "this Python's packages as an archive for the nodes of a cluster",
        "mr-ml env build --root hdfs:///user/me/mr_ml",
    )  # fmt: skip
    build.add_argument("--interpreter", action="store_true", help="with the Python itself, for nodes without it")
    build.add_argument("--tables", action="store_true", help="with what reads Parquet, ORC and Avro files")
    add_config(build)


def _cluster(commands: Any) -> None:
    actions = add_group(commands, "cluster", "clusters on Amazon EMR that several commands use; see docs/emr.md")
    create = add_command(
        actions, "create", "cluster", "create", "start a cluster; it costs money until it ends",
        "mr-ml cluster create --config emr.yaml",
    )  # fmt: skip
    shown = add_command(actions, "list", "cluster", "list_all", "clusters of mr-ml that run, and what they cost")
    cost = add_command(
        actions, "cost", "cluster", "cost", "what clusters have cost so far, by the prices in their settings",
        "mr-ml cluster cost j-1A2B3C4D5E6F7",
    )  # fmt: skip
    cost.add_argument("clusters", nargs="*", metavar="ID", help="of a cluster (default: all of mr-ml that run)")
    end = add_command(
        actions, "terminate", "cluster", "terminate", "end clusters, whatever runs on them",
        "mr-ml cluster terminate j-1A2B3C4D5E6F7",
    )  # fmt: skip
    end.add_argument("clusters", nargs="+", metavar="ID", help="of a cluster")
    for parser in (create, shown, cost, end):
        parser.add_argument(
            "--config", metavar="FILE", help="YAML settings, of which those that run need the region only"
        )


def _runs(commands: Any) -> None:
    actions = add_group(commands, "runs", "training runs")
    add_command(actions, "list", "runs", "list_all", "runs and how far they came")
    show = add_command(actions, "show", "runs", "show", "one run, pass by pass")
    show.add_argument("run")
    in_place = show.add_mutually_exclusive_group()
    in_place.add_argument("--plot", action="store_true", help="a plot of the gradient by pass, in place of the table")
    in_place.add_argument("--times", action="store_true", help="what each pass took and moved, in place of the table")
    resume = add_command(
        actions, "resume", "runs", "resume", "go on with a run that was interrupted, a training or a retraining",
        "mr-ml runs resume 20261123T061259-652dc8ec",
    )  # fmt: skip
    resume.add_argument("run")
    add_runner(resume, jobs=("pass_job",))
    add_engine(resume)
    add_memory(resume)


def _retrain(commands: Any) -> None:
    parser = add_command(
        commands, "retrain", "retrain", "run",
        "train on the newest days, compare with the published model, and promote what is good enough",
        "mr-ml retrain retrain.yaml",
    )  # fmt: skip
    parser.add_argument(
        "settings", metavar="FILE", help="retrain.yaml: what is retrained, and how; see docs/retraining.md"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; nothing is written")
    parser.add_argument(
        "--for",
        dest="last",
        metavar="DATE",
        help="the window that ends with this day (default: yesterday, or as `delay_days` says)",
    )
    parser.add_argument(
        "--force", metavar="REASON", help="promote the candidate even if the gate refuses it; the reason is recorded"
    )


def _status(commands: Any) -> None:
    status = add_command(
        commands, "status", "retrain", "status",
        "how the retraining of a model stands: last success, age, why the last candidate was refused",
        "mr-ml status retrain.yaml --json",
    )  # fmt: skip
    status.add_argument("settings", metavar="FILE", help="retrain.yaml, as for mr-ml retrain")


# in the order of the help
COMMANDS: dict[str, Callable[[Any], None]] = {
    "pack": add_pack,
    "describe": _describe,
    "datasets": add_datasets,
    "train": _train,
    "tune": add_tune,
    "evaluate": add_evaluate,
    "compare": add_compare,
    "predict": _predict,
    "export": _export,
    "models": _models,
    "report": _report,
    "runs": _runs,
    "retrain": _retrain,
    "status": _status,
    "clean": _clean,
    "schedule": _schedule,
    "env": _env,
    "cluster": _cluster,
    "demo": _demo,
}
