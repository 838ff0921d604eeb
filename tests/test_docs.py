"""The documents say what the program does: every command line in them is one, and nothing that they list is missing."""

from __future__ import annotations

import argparse
import configparser
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mr_ml import __version__, errors, interrupts
from mr_ml.cli import main
from mr_ml.cli.parser import make_parser
from mr_ml.cli.spelling import spelled
from mr_ml.optimize.base import Stop
from mr_ml.readers.rows import BAD_KINDS

CHECKOUT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "hdfs_layout" / "README.md"])


def text_of(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def command_lines(text: str) -> list[list[str]]:
    """Words of each line of a code block that runs mr-ml."""
    lines = [line.strip().removeprefix("$ ") for block in code_blocks(text) for line in block.splitlines()]
    return [shlex.split(line.split(" | ")[0], comments=True)[1:] for line in lines if re.match(r"mr-ml [a-z]", line)]


COMMANDS = [
    pytest.param(words, id=f"{path.name}: {' '.join(words)}"[:80])
    for path in DOCUMENTS
    for words in command_lines(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_line_is_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        make_parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"mr-ml {shlex.join(words)}: {capsys.readouterr().err}", pytrace=False)


def local_commands_of_the_readme() -> list[list[str]]:
    """All but those that need a cluster."""
    return [words for words in command_lines(text_of("README.md")) if "hadoop" not in words]


def test_the_readme_shows_the_six_commands_and_a_retraining() -> None:
    assert [words[0] for words in local_commands_of_the_readme()] == [
        "pack", "describe", "train", "evaluate", "predict", "models",
        "retrain", "retrain", "retrain", "status", "models", "schedule", "schedule",
    ]  # fmt: skip


def test_the_commands_of_the_readme_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they stand, one after the other, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MR_ML_ROOT", raising=False)
    text = text_of("README.md")
    assert "python scripts/sample_data.py ." in text
    subprocess.run([sys.executable, CHECKOUT / "scripts" / "sample_data.py", "."], check=True)
    settings = text_of("docs/examples/tumours.yaml")
    assert settings in code_blocks(text)
    Path("retrain.yaml").write_text(settings)
    for words in local_commands_of_the_readme():
        capsys.readouterr()
        assert main(words) == 0, words
        if words == ["retrain", "retrain.yaml", "--for", "2026-11-07"]:
            shows_an_excerpt_of(capsys, text, "gate: accepted")
    assert len(Path("predictions.tsv").read_text().splitlines()) == len(
        Path("new_rows.libsvm").read_text().splitlines()
    )
    # the spoilt day; `tumours` means the first model since the rollback
    assert "`mr-ml retrain retrain.yaml --for 2026-11-08`" in text
    assert main(["models", "promote", "tumours@2"]) == 0
    assert main(["retrain", "retrain.yaml", "--for", "2026-11-08"]) == errors.GateRefusedError.exit_code
    shows_an_excerpt_of(capsys, text, "NO  accuracy bounds")


def shows_an_excerpt_of(capsys: pytest.CaptureFixture[str], text: str, first: str) -> None:
    """Hold a code block against what was printed; `...` in it is something that was left out."""
    captured = capsys.readouterr()
    printed = captured.out + captured.err
    (block,) = (block for block in code_blocks(text) if block.startswith(first))
    for line in block.splitlines():
        assert line.split("...")[0].strip() in printed, line


def parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command with its parser; `models show` counts as a command."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield name, parser
    for group in groups:
        for word, child in group.choices.items():
            yield from parsers(child, f"{name} {word}".strip())


ALL_PARSERS = dict(parsers(make_parser(), ""))


def sections() -> dict[str, str]:
    """Heading -> text of docs/cli.md."""
    parts = re.split(r"^## (.*)$", text_of("docs/cli.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options_in(text: str) -> set[str]:
    return set(re.findall(r"`(--?[a-z][a-z0-9-]*)", text))


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings} - {"-h"}


def text_about(command: str) -> str:
    """What docs/cli.md says of a command; where it takes options of pack, it sends readers there."""
    found = sections()
    text = found["Everywhere"] + found[f"mr-ml {command.split()[0]}"]
    if not ALL_PARSERS[command].get_default("packing") or command == "pack":
        return text
    assert "options of [`mr-ml pack`](#mr-ml-pack)" in text
    return text + found["mr-ml pack"]


@pytest.mark.parametrize("command", ALL_PARSERS)
def test_every_option_is_documented(command: str) -> None:
    assert options_of(ALL_PARSERS[command]) <= options_in(text_about(command))


def test_no_option_is_documented_that_is_none() -> None:
    found = sections()
    known: dict[str, set[str]] = {}
    for command, parser in ALL_PARSERS.items():
        known.setdefault(command.split()[0], set()).update(options_of(parser))
    for command, options in known.items():
        assert options_in(found[f"mr-ml {command}"]) <= options, command
    assert options_in(found["Everywhere"]) <= set().union(*known.values())
    assert {heading.removeprefix("mr-ml ") for heading in found if heading.startswith("mr-ml ")} == set(known)


def test_every_choice_is_documented() -> None:
    for command, parser in ALL_PARSERS.items():
        text = text_about(command)
        for action in parser._actions:
            for choice in action.choices or ():
                assert f"`{choice}`" in text, (command, action.dest, choice)


def test_every_kind_of_bad_row_is_documented() -> None:
    text = text_of("docs/formats.md")
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| (.*) \|$", text.split("## Kinds of bad rows")[1], re.MULTILINE)
    assert rows == [(kind, spelled(meaning)) for kind, meaning in BAD_KINDS.items()]


def test_every_stop_reason_is_documented() -> None:
    text = text_of("docs/training.md")
    for stop in Stop:
        assert f"| {stop.value} |" in text, stop


def test_every_exit_code_is_documented() -> None:
    codes = {
        found.exit_code
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, errors.MrMlError)
    }
    table = text_of("docs/operations.md").split("## At 3 a.m.")[0]
    listed = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", table, re.MULTILINE)}
    assert listed == codes | {0} | {128 + number for number in (*interrupts.SIGNALS, signal.SIGPIPE)}


def test_every_check_of_the_gate_is_documented() -> None:
    """Each has a row that says what to do where it fails."""
    judge = text_of("mr_ml/retraining/gate/judge.py")
    names = set(re.findall(r'\b(?:check|_moved)\(\s*f?"([^"]+)"', judge))
    assert {"rows", "label mean", "label order", "{name} bounds"} <= names
    names = {name.replace("{name}", "METRIC") for name in names} | {"METRIC against"}
    section = text_of("docs/retraining.md").split("\n## When it refuses\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == names - {"drift"}


def test_every_test_that_a_promise_names_exists() -> None:
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(\w+)`", text_of("docs/correctness.md"))
    assert len(named) > 20
    for path, function in named:
        assert f"def {function}(" in text_of(path), (path, function)


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"https?:", link):
            continue
        place, _, anchor = link.partition("#")
        target = document.parent / place if place else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    for script in re.findall(r"\bscripts/[a-z_]+\.(?:sh|py)", text):
        assert (CHECKOUT / script).is_file(), script


def test_the_tree_lists_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    rows = re.findall(r"^\| `(\w[\w.]*)` \| [^|]+ \| ([^|]+) \|$", text_of("CONTRIBUTING.md"), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(setup["options"]["packages"].split())
    assert [
        place for _, tests in rows for place in re.findall(r"`([^`]+)`", tests) if not (CHECKOUT / place).is_dir()
    ] == []


def test_the_changelog_says_what_this_version_brought() -> None:
    assert re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", text_of("CHANGELOG.md"), re.MULTILINE)
