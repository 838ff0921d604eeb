#!/usr/bin/env python
"""Run every feature on every kind of runner, note what came of it, and write the table of the README.

    scripts/runner_matrix.py               all kinds; those on clusters take minutes each
    scripts/runner_matrix.py hadoop spark  these only; of the others what was found before stays
    scripts/runner_matrix.py --table       write the table again, run nothing

The tests are those of tests/contract/test_runner_trainings.py, of which CI runs a part on clusters. What they found is
kept in tests/contract/runner_matrix.json. Exit code 1 unless everything has passed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path += [str(CHECKOUT / folder) for folder in ("", "tests", "tests/contract")]
FOUND = CHECKOUT / "tests" / "contract" / "runner_matrix.json"
README = CHECKOUT / "README.md"
BEGIN, END = "<!-- scripts/runner_matrix.py: begin -->\n", "<!-- scripts/runner_matrix.py: end -->\n"
SUITE, TEST = "tests/contract/test_runner_trainings.py", "test_it_comes_to_the_same"

Found = dict[str, dict[str, str]]


def run(kind: str, features: Iterable[str]) -> dict[str, str]:
    """Run features on a kind; what pytest says of each: passed, failed or skipped."""
    names = {f"{TEST}[{kind}-{feature}]": feature for feature in features}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *(f"{SUITE}::{name}" for name in names)]
        subprocess.run(command, cwd=CHECKOUT, env={**os.environ, "MR_ML_ALL_FEATURES": "1"}, check=False)
        cases = [
            (case.get("name", ""), {child.tag for child in case}) for case in ElementTree.parse(report).iter("testcase")
        ]
    return {names[name]: _outcome(tags) for name, tags in cases if name in names}


def _outcome(tags: set[str]) -> str:
    if tags & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in tags else "passed"


CELLS = {"passed": "yes", "failed": "no"}


def table(found: Found, kinds: Mapping[str, str], features: Mapping[str, str]) -> str:
    """Return the table, a row for each feature, with an empty cell for what was not run.

    Parameters
    ----------
    kinds, features
        The titles of all that there are, by their names.
    """
    rows = [["", *(title or f"`{kind}`" for kind, title in kinds.items())], ["---", *(":-:" for _ in kinds)]]
    rows += [
        [title, *(CELLS.get(found.get(kind, {}).get(name, ""), " ") for kind in kinds)]
        for name, title in features.items()
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def titles() -> tuple[dict[str, str], dict[str, str]]:
    """Return those of kinds and of features."""
    from runner_features import FEATURES
    from runner_kinds import KINDS

    return {kind.name: kind.title for kind in KINDS}, {name: feature.title for name, feature in FEATURES.items()}


def written(text: str, content: str) -> str:
    """Return a text with other content between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{content}{END}{after}"


def main() -> int:
    """Run what the command line says."""
    kinds, features = titles()
    found: Found = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    if sys.argv[1:] != ["--table"]:
        for kind in sys.argv[1:] or kinds:
            found[kind] = run(kind, features)
    found = {kind: found[kind] for kind in kinds if kind in found}
    FOUND.write_text(json.dumps(found, indent=1) + "\n")
    README.write_text(written(README.read_text(), table(found, kinds, features)))
    shown = {(kind, name): found.get(kind, {}).get(name, "not run") for kind in kinds for name in features}
    for (kind, name), outcome in shown.items():
        if outcome != "passed":
            print(f"{kind}: {name}: {outcome}", file=sys.stderr)
    return 0 if set(shown.values()) == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main())
