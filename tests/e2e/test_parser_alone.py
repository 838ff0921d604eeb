"""A command line is parsed with the options of its command alone, which must be as they are among those of all."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from mr_ml.cli.parser import COMMANDS, make_parser, parser_for


def commands_of(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The parsers of its commands by their names, in order."""
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


ALL = commands_of(make_parser())


def told(parser: argparse.ArgumentParser) -> Any:
    """Everything that a parser and those below it take, have as defaults, and say."""
    actions = [
        {key: value for key, value in vars(action).items() if key not in ("container", "type")}
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
    ]
    below = [vars(action)["choices"] for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    defaults = {key: value for key, value in parser._defaults.items() if key not in ("parser", "command_module")}
    return (
        parser.format_help(),
        actions,
        defaults,
        [{word: told(child) for word, child in one.items()} for one in below],
    )


def test_each_is_known_by_its_name() -> None:
    assert list(COMMANDS) == list(ALL)


@pytest.mark.parametrize("name", COMMANDS)
def test_alone_it_is_what_it_is_among_all(name: str) -> None:
    (alone,) = commands_of(parser_for([name, "--json"])).items()
    assert alone[0] == name
    assert told(alone[1]) == told(ALL[name])


@pytest.mark.parametrize("words", [[], ["--root", "x", "train"], ["trian"], ["--help"]])
def test_where_the_first_word_is_no_command_all_are_there(words: list[str]) -> None:
    assert list(commands_of(parser_for(words))) == list(ALL)


def test_options_of_all_commands_may_stand_before_the_command() -> None:
    for words in (["--root", "x", "describe", "rows"], ["describe", "rows", "--root", "x"]):
        options = parser_for(words).parse_args(words)
        assert (options.root, options.dataset, options.parser.prog) == ("x", "rows", "mr-ml describe")
