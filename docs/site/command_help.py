"""A directive that shows what `--help` says of every command, from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from mr_ml.cli.parser import make_parser


class CommandHelp(Directive):
    """``command-help``: a section for each command."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [_section(parser) for parser in _commands(make_parser())]


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for child in dict.fromkeys(group.choices.values()):
            yield from _commands(child)


def _section(parser: argparse.ArgumentParser) -> nodes.section:
    section = nodes.section(ids=[nodes.make_id(parser.prog)])
    section += nodes.title(text=parser.prog)
    section += nodes.literal_block(text=parser.format_help(), language="text")
    return section


def setup(app: Any) -> dict[str, bool]:
    """Make the directive known to Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
