"""The tutorial and the how-to: every block is run as it stands, in order, and prints what the guide shows.

Blocks of sh go to one shell and of python to processes of their own, in one folder. A block of text behind them is an
excerpt of what the last sh block printed: `...` stands for what was left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

DOCS = Path(__file__).resolve().parents[1] / "docs"


def blocks(name: str) -> list[tuple[str, str]]:
    """Language and text of each code block."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(r"^```([a-z]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shown(text: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, text.strip("\n").split("..."))), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("guide", ["tutorial.md", "how-to.md"])
def test_every_block_works_as_it_stands(guide: str, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "mr-ml"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m mr_ml "$@"\n')
    command.chmod(0o755)
    (tmp_path / "work").mkdir()
    # what a block leaves is the next one's: its variables and its folder
    prologue, kept = "set -eo pipefail\n", tmp_path / "kept"
    printed, number = "", {"sh": 0, "python": 0}
    environ = {**environment(), "PATH": f"{command.parent}:/usr/bin:/bin", "NO_COLOR": "1"}
    environ.pop("MR_ML_ROOT", None)
    for language, text in blocks(guide):
        if language == "text":
            for line in text.splitlines():
                assert shown(line).search(printed), f"{guide} shows {line!r}, printed was:\n{printed}"
            continue
        number[language] += 1
        if language == "python":
            text = f"{sys.executable} - <<'END_OF_BLOCK'\n{text}\nEND_OF_BLOCK\n"
        script = f"{prologue}{text}\nexport -p > {kept}; printf 'cd %q\\n' \"$PWD\" >> {kept}\n"
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path / "work", env=environ, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{guide}, block\n{text}\nended with {done.returncode}:\n{done.stderr}"
        prologue = f"set -eo pipefail\n. {kept}\n"
        printed = done.stdout
    assert number["sh"] > 5
