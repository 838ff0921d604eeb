"""Small inputs that upset trainers of linear models, with the outcomes that are right; they are no part of the project.

They are looked for in MR_ML_TEST_CASES, or in ../shared/cases beside the repository: a folder with `cases.json`, whose
language `grammar` tells, and the files that its commands name.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grammar
import pytest
from commands import Commands, Outcome

FOLDER = Path(os.environ.get("MR_ML_TEST_CASES") or Path(__file__).resolve().parents[3] / "shared" / "cases")


def cases() -> list[Any]:
    if not (FOLDER / "cases.json").is_file():
        reason = f"no cases: expected {FOLDER}/cases.json; set MR_ML_TEST_CASES to its folder"
        return [pytest.param({}, id="none", marks=pytest.mark.skip(reason=reason))]
    found = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["id"]) for case in found]


@pytest.mark.parametrize("case", cases())
def test_case(case: grammar.Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons: list[str] = []
    for number, attempt in enumerate(case.get("tries", [case])):
        folder = tmp_path / str(number)
        shutil.copytree(FOLDER, folder)
        monkeypatch.chdir(folder)
        commands = Commands(tmp_path / f"root{number}", runner=("-r", "inline"))
        run = functools.partial(run_step, commands, limit_gib=case.get("limit_gib"))
        wrong = grammar.faults(attempt, grammar.run_steps(attempt, run, commands=commands, folder=folder))
        if not wrong:
            return
        reasons += wrong
    pytest.fail(f"{case['id']}: {case['about']}\n" + "\n".join(reasons), pytrace=False)


def run_step(commands: Commands, words: Sequence[str], *, limit_gib: float | None) -> Outcome:
    """In this process, or, where its memory is bounded, in one of its own."""
    if limit_gib is None:
        return commands.run(*words)
    limit = int(limit_gib * 2**30)
    return commands.process(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
