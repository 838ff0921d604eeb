"""The command that goes on with what was interrupted."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping

from mr_ml.cli.options import DEFAULT_ROOT

# Of where it runs: option -> what is said without it.
_WHERE = {
    "--root": DEFAULT_ROOT, "-r": "local", "--config": None, "--cluster-id": None, "--master": None, "--workers": None,
    "--max-hours": None, "--max-cost": None, "--engine": None, "--memory": None,
}  # fmt: skip
_DEST = {"-r": "runner"}
_FLAGS = ("--inference", "--verify")


def command_to_go_on(options: argparse.Namespace, run: str) -> str:
    """Return the command line, as a shell takes it, that goes on with a run that this command has begun."""
    given = vars(options)
    if "settings" in given and "last" in given:
        # it finds by itself how far the retraining has come
        last = [] if given["last"] is None else ["--for", given["last"]]
        words = ["mr-ml", "retrain", given["settings"], *last]
    else:
        flags = [flag for flag in _FLAGS if given.get(_dest(flag))]
        words = ["mr-ml", *(["train", "--resume", run, *flags] if flags else ["runs", "resume", run])]
    return shlex.join([*words, *_where(given)])


def command_for_more_passes(options: argparse.Namespace, run: str, max_passes: int) -> str:
    """Return the command line that goes on with a run that has ended for want of passes, until there are so many."""
    given = vars(options)
    flags = [flag for flag in _FLAGS if given.get(_dest(flag))]
    return shlex.join(["mr-ml", "train", "--resume", run, "--max-passes", str(max_passes), *flags, *_where(given)])


def _where(given: Mapping[str, object]) -> list[str]:
    words = []
    for option, usual in _WHERE.items():
        value = given.get(_dest(option))
        if value is not None and value != usual:
            words += [option, str(value)]
    return words


def _dest(option: str) -> str:
    return _DEST.get(option, option.removeprefix("--").replace("-", "_"))
