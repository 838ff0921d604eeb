"""Completion on the command line, by argcomplete: commands, options, choices, kinds, and what a root in a folder holds.

For bash: ``eval "$(register-python-argcomplete mr-ml)"``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hdfs_layout import Layout, open_root
from mr_ml.cli.options import Parser
from mr_ml.coefficients import COEFFICIENT_FILES
from mr_ml.errors import MrMlError
from mr_ml.exports import EXPORTS
from mr_ml.models.linear.losses import LOSSES
from mr_ml.optimize.choose import OPTIMIZERS
from mr_ml.prediction.outputs import OUTPUT_FORMATS
from mr_ml.readers.registry import FORMATS
from mr_ml.runners.base import RUNNERS

# what arguments of these names are names of
_FOLDERS: dict[str, Callable[[Layout], str]] = {
    **dict.fromkeys(("model", "a", "b", "warm_start"), lambda layout: layout.models),
    **dict.fromkeys(("dataset", "like", "rows"), lambda layout: layout.datasets),
    **dict.fromkeys(("run", "resume"), lambda layout: layout.runs),
}
# what arguments of these names are, besides: paths of files
_PATHS = ("rows",)
# what arguments of these names are kinds of, those of installed packages too
_KINDS: dict[str, Iterable[str]] = {
    "loss": LOSSES, "solver": OPTIMIZERS, "format": FORMATS, "output_format": OUTPUT_FORMATS, "kind": EXPORTS,
    "warm_start_format": COEFFICIENT_FILES, "runner": RUNNERS, "config_of": RUNNERS,
}  # fmt: skip


def complete(parser: Parser) -> None:
    """Print what can follow on the line that the shell asks about, and end the process; return if it asks nothing."""
    import argcomplete

    for action in _actions(parser):
        if (folder := _FOLDERS.get(action.dest)) is not None:
            names = _names_in(folder)
            action.completer = _or_paths(names) if action.dest in _PATHS else names  # type: ignore[attr-defined]
        elif (kinds := _KINDS.get(action.dest)) is not None:
            action.completer = _among(kinds)  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


def _among(kinds: Iterable[str]) -> Callable[..., list[str]]:
    # asked for only where the line stands at such an argument: the names of installed kinds take a look at all packages
    return lambda **_: list(kinds)


def _or_paths(names: Callable[..., list[str]]) -> Callable[..., list[str]]:
    from argcomplete.completers import FilesCompleter

    paths = FilesCompleter()
    return lambda prefix, **told: [*names(**told), *paths(prefix, **told)]


def _names_in(folder: Callable[[Layout], str]) -> Callable[..., list[str]]:
    def names(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        # a shell that waits for a cluster is worse than one that knows no names
        if "://" in parsed_args.root:
            return []
        try:
            root = open_root(parsed_args.root)
            return [name for name in root.store.list(folder(root.layout)) if not name.startswith((".", "_"))]
        except MrMlError:
            return []

    return names
