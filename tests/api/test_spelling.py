"""Parameters in messages, as the command line spells them."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mr_ml.cli.parser import make_parser
from mr_ml.cli.spelling import OTHERWISE, PARAMETERS, spelled

CHECKOUT = Path(__file__).resolve().parents[2]


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option of every command."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)


@pytest.mark.parametrize("name", [*sorted(PARAMETERS), *OTHERWISE])
def test_every_parameter_is_an_option(name: str) -> None:
    assert spelled(f"say `{name}` 3") in {f"say {option} 3" for option in options(make_parser())}


@pytest.mark.parametrize(
    "text",
    [
        "drop l2 and `mr-ml env build`",
        "a column `unknown`, or `l2 `",
        "settings: `python_archive: none`",
        "`L2`",
        "''l2''",
    ],
)
def test_nothing_else_changes(text: str) -> None:
    assert spelled(text) == text


def test_every_option_that_messages_name_as_a_parameter_is_known() -> None:
    ours = {option.removeprefix("--").replace("-", "_") for option in options(make_parser()) if option[:2] == "--"}
    lacking = []
    for path in [*(CHECKOUT / "mr_ml").rglob("*.py"), *(CHECKOUT / "hdfs_layout").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # which are for readers of the code, where any name stands in backquotes
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                named = set(re.findall(r"`([a-z][a-z0-9_]*)`", node.value)) & ours
                lacking += [f"{path.name}:{node.lineno}: {name}" for name in named - PARAMETERS - OTHERWISE.keys()]
    assert not lacking, "\n".join(lacking)


# What a run stores of why it ended is as earlier releases wrote it, and alike.
STORED = (
    "mr_ml/optimize/", "mr_ml/models/linear/kind/advice.py", "mr_ml/models/linear/kind/collinear.py",
    "mr_ml/models/linear/labels.py",
)  # fmt: skip

# It is a program of its own.
SCORER = ("mr_ml/exports/scorer.py",)

# A page that says which command makes what it lacks, whoever asked for it.
REPORTS = ("mr_ml/reports/sections/",)


def test_messages_outside_the_command_line_spell_no_options() -> None:
    """Words of other programs' options are lists of their own; ours stand in sentences."""
    ours = {option for option in options(make_parser()) if option.startswith("--")} - {"--help", "--version"}
    wrong = []
    for path in [*(CHECKOUT / "mr_ml").rglob("*.py"), *(CHECKOUT / "hdfs_layout").rglob("*.py")]:
        name = path.relative_to(CHECKOUT).as_posix()
        if name.startswith(("mr_ml/cli/", *REPORTS, *SCORER, *STORED)):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                words = {word.strip(";,.()'`\"") for word in node.value.split()}
                # whole commands are spelled as they are typed
                typed = "mr-ml" in node.value or "python -m mr_ml" in node.value
                if words & ours and not typed:
                    wrong.append(f"{name}:{node.lineno}: {sorted(words & ours)}")
    assert not wrong, "\n".join(wrong)
