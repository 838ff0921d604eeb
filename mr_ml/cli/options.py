"""What commands have in common on the command line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from hdfs_layout.registry import Registry
from hdfs_layout.suggestions import did_you_mean
from mr_ml.cli import printable
from mr_ml.cli.numbers import not_negative, whole
from mr_ml.cli.project import MOST_WORKERS, setting
from mr_ml.errors import UsageError

DEFAULT_ROOT = "./mr_ml_data"
PROGRESS = ("auto", "bar", "plain", "none")

MODEL = "name (its promoted version, or the latest if none ever was), name@version or name@latest"

EXIT_CODES = """\
exit codes: 0 done, 2 usage, 3 gate refused, 65 bad data, 69 cluster or memory unavailable, 70 internal,
74 input/output, 75 locked (try later), 128 + N ended by signal N (130: Ctrl-C)"""


class Parser(argparse.ArgumentParser):
    """Takes options by their whole names only: an abbreviation means another one when there are more.

    What is wrong is said in a line or two, with what may have been meant; without a command it shows its help.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self.set_defaults(parser=self)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all arguments, or say which one is not known."""
        options, others = self.parse_known_args(args, namespace)
        parser: Parser = options.parser
        if others:
            parser.error(f"{others[0]!r} is no argument of this command{parser._like(others[0])}")
        if not hasattr(options, "command_module"):
            parser.print_help(sys.stderr)
            parser.exit(UsageError.exit_code)
        return options

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse what is known, and keep the words for `error`."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where to read more."""
        said = message.removeprefix("argument ")
        text = f"{self.prog}: {said}{self._joined(said)}\nsee {self.prog} --help\n"
        self.exit(UsageError.exit_code, printable(text))

    def _joined(self, message: str) -> str:
        # argparse takes a value that begins with a hyphen for an option
        options, _, wrong = message.partition(": ")
        for word, value in zip(self._words, self._words[1:], strict=False):
            if wrong.startswith("expected ") and word in options.split("/") and value.startswith("-"):
                known = value.partition("=")[0] in self._option_string_actions
                return "" if known else f"; a value that begins with - is written behind a =: {word}={value}"
        return ""

    def _like(self, argument: str) -> str:
        name = argument.partition("=")[0]
        return did_you_mean(name, self._option_string_actions) if name.startswith("-") else ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        guess = did_you_mean(str(value), choices)
        raise argparse.ArgumentError(action, f"{value!r} is none of {', '.join(choices)}{guess}")


class Once(argparse.Action):
    """Stores a value, and refuses a second one: it would take the place of the first without a word."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value."""
        given = vars(namespace).setdefault("_given", set())
        if self.dest in given:
            raise argparse.ArgumentError(self, "is given twice; it can be given once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def add_group(commands: Any, name: str, summary: str) -> Any:
    """Add what has commands of its own; returns what these are added to."""
    parser = commands.add_parser(name, help=summary, description=summary)
    add_everywhere(parser)
    return parser.add_subparsers(title="commands", metavar="ACTION")


def add_command(
    commands: Any, name: str, module: str, function: str, summary: str, example: str = "", aliases: Sequence[str] = ()
) -> Any:  # fmt: skip
    """Add a command, with what every command takes; returns its parser."""
    epilog = f"example: {example}\n\n{EXIT_CODES}" if example else EXIT_CODES
    parser = commands.add_parser(
        name, help=summary, description=summary, epilog=epilog, aliases=aliases,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(command_module=_lazy(module, function))
    add_everywhere(parser)
    return parser


def add_everywhere(parser: Any, *, here: bool = False) -> None:
    """Add what can be said before a command and behind it; the parser of all commands, `here`, has the defaults."""

    def default(value: Any) -> Any:
        return value if here else argparse.SUPPRESS

    group = parser.add_argument_group("everywhere")
    group.add_argument(
        "--root", default=default(os.environ.get("MR_ML_ROOT") or setting("root") or DEFAULT_ROOT),
        help="folder of datasets, models and runs (default: MR_ML_ROOT, else what mr_ml.toml says, else ./mr_ml_data)",
    )  # fmt: skip
    group.add_argument(
        "--json", action="store_true", default=default(False),
        help="the result as one JSON object, the last line on stdout",
    )  # fmt: skip
    group.add_argument(
        "--quiet", action="store_true", default=default(False), help="say nothing but the result and errors"
    )
    group.add_argument(
        "--progress", choices=PROGRESS, default=default("auto"),
        help="on stderr; auto (default): bars on a terminal if rich is installed, else lines, in logs one in 30 s",
    )  # fmt: skip


def _lazy(module: str, function: str) -> Callable[[], Callable[[argparse.Namespace], int | None]]:
    return lambda: getattr(importlib.import_module(f"mr_ml.cli.{module}"), function)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that runs no jobs, and sees the root as jobs do."""
    parser.add_argument(
        "--config", metavar="FILE", default=setting("config"), help="YAML settings of the cluster; see docs/hadoop.md"
    )
    parser.add_argument(
        "-r", "--runner", dest="config_of", metavar="NAME", default=setting("runner") or "hadoop",
        help="whose settings those of --config are (default: hadoop)",
    )  # fmt: skip


def add_runner(parser: Any, *, jobs: Sequence[str], kinds: Sequence[Registry[Any]] = ()) -> None:
    """Add where jobs run.

    Parameters
    ----------
    jobs, kinds
        What worker processes will have to import: modules of jobs, and kinds of which their tasks use some that the
        command itself does not load.
    """
    # what worker processes will have to import, so that they need not begin with that, each of them
    parser.set_defaults(worker_modules=modules_of(jobs, kinds))
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "-r", "--runner", metavar="NAME", default=setting("runner") or "local",
        help="inline: in this process; local: in warm worker processes (default); hadoop: on the cluster that "
        "HADOOP_HOME and HADOOP_CONF_DIR name; or one of an installed package",
    )  # fmt: skip
    group.add_argument(
        "--config", metavar="FILE", default=setting("config"), help="YAML settings of the cluster; see docs/hadoop.md"
    )
    group.add_argument(
        "--cluster-id", metavar="ID", default=setting("cluster_id"),
        help="with -r emr: a cluster that runs, see mr-ml cluster",
    )  # fmt: skip
    group.add_argument(
        "--max-hours", type=not_negative, metavar="H", help="with -r emr: begin no job after so many hours"
    )
    group.add_argument(
        "--max-cost", type=not_negative, metavar="X", help="with -r emr: nor when that has cost so much, by your prices"
    )
    group.add_argument(
        "--master", metavar="URL", default=setting("master"),
        help="with -r spark: where Spark runs, such as yarn or local[4]",
    )  # fmt: skip
    group.add_argument(
        "--workers",
        type=whole(1, MOST_WORKERS),
        metavar="N",
        default=setting("workers"),
        help="worker processes of -r local (default: the processors)",
    )


def modules_of(jobs: Sequence[str], kinds: Sequence[Registry[Any]]) -> list[str]:
    """Return the modules of jobs and of kinds."""
    return [*(f"mr_ml_jobs.{job}" for job in jobs), *(module for registry in kinds for module in registry.modules)]


def add_engine(parser: Any) -> None:
    """Add how passes are run."""
    parser.add_argument(
        "--engine", metavar="NAME", default=setting("engine"),
        help="auto: resident where that can be, else mapreduce (default); resident: with -r hadoop one job whose tasks "
        "stay; mapreduce: a job for each pass",
    )  # fmt: skip


def add_bad_rows(parser: Any) -> None:
    """Add how many bad rows are put up with."""
    parser.add_argument(
        "--max-bad-rows", type=whole(0), default=0, metavar="N", help="go on with up to N bad rows (default 0)"
    )


def add_unseen_features(parser: Any, what: str) -> None:
    """Add whether unknown features are an error; `what` says of which text."""
    parser.add_argument("--unseen-features", choices=("error", "ignore"), default="error", help=what)


def add_verify(parser: Any) -> None:
    """Add whether bytes are verified first."""
    parser.add_argument(
        "--verify", action="store_true", help="first hold every byte of the partitions against its sha256"
    )


def add_memory(parser: Any) -> None:
    """Add how much memory may be taken."""
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        default=setting("memory"),
        help="of all processes together, such as 2G (default: half of what is free)",
    )


def add_dry_run(parser: Any) -> None:
    """Add that nothing is done, and what would be is said."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed; nothing is")
