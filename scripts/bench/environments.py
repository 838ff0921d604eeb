"""Environments of the peers that need one: pinned packages of their own, made by pip beside the data when first wanted.

What one of them needs does not decide what another one gets, nor what the suite itself runs with.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

PINS: Mapping[str, tuple[str, ...]] = {
    "intelex": (
        "numpy==2.4.6", "polars==2.1.0", "pyarrow==26.0.1", "scikit-learn==1.9.1", "scikit-learn-intelex==2026.2.0",
        "scipy==1.17.1",
    ),
    "snapml": (
        "numpy==2.4.6", "pyarrow==26.0.1", "scikit-learn==1.9.1", "scipy==1.17.1", "snapml==1.17.2",
        "svmloader==0.5.3",
    ),
}  # fmt: skip


class LeftOutError(Exception):
    """A peer cannot run here; says why."""


def python_of(name: str, folder: Path) -> str:
    """Return the interpreter of an environment below a folder; make it, or make it anew if its pins have changed.

    Raises
    ------
    LeftOutError
        If pip cannot install what is pinned.
    """
    place, pins = folder / name, list(PINS[name])
    made, python = place / "made.json", place / "bin" / "python"
    if made.is_file() and json.loads(made.read_text()) == pins:
        return str(python)
    venv.create(place, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["pip failed and said nothing"]
        raise LeftOutError(f"`pip install {' '.join(pins)}` with Python {sys.version.split()[0]}: {said[-1]}")
    made.write_text(json.dumps(pins))
    return str(python)
