"""The table of the README is what the suite of trainings found, of every kind and feature that there is today."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from runner_features import FEATURES
from runner_kinds import KINDS

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import runner_matrix  # noqa: E402


def test_what_was_found_is_of_kinds_and_features_that_there_are_and_all_of_it_is_good() -> None:
    found = json.loads(runner_matrix.FOUND.read_text())
    assert list(found) == [kind.name for kind in KINDS if kind.name in found]
    for kind in KINDS:
        # a cell may be empty, where features wait for MR_ML_ALL_FEATURES=1
        wanted = FEATURES if kind.always is None else [name for name in FEATURES if name in found[kind.name]]
        assert found[kind.name] == dict.fromkeys(wanted, "passed"), kind.name
        assert len(wanted) >= 4


def test_the_readme_has_what_was_found() -> None:
    expected = runner_matrix.table(json.loads(runner_matrix.FOUND.read_text()), *runner_matrix.titles())
    readme = runner_matrix.README.read_text()
    assert readme == runner_matrix.written(readme, expected)
    assert readme.count(expected) == 1


def test_what_has_not_passed_is_not_claimed() -> None:
    found = {"inline": {"pack": "passed", "predict": "failed"}, "toy": {"pack": "skipped"}}
    kinds, features = {"inline": "", "toy": "a toy", "new": ""}, {"pack": "pack", "predict": "predict"}
    lines = runner_matrix.table(found, kinds, features).splitlines()
    assert lines[0] == "|  | `inline` | a toy | `new` |"
    assert lines[2:] == ["| pack | yes |   |   |", "| predict | no |   |   |"]
