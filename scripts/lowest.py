"""Print the lowest versions that setup.cfg allows of everything that mr_ml and its tests use, one requirement a line.

For `pip install -r`. Of a package that several parts of setup.cfg name, the first bound counts: what mr_ml itself
needs, then its extras, then the tests. What only checks style and types is left out, as is what needs more than pip.
"""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / "setup.cfg"
EXTRAS = ("speed", "zstd", "hdfs", "s3", "retrain", "test")
LEFT_OUT = ("mypy", "ruff")

REQUIREMENT = re.compile(r'([\w.-]+) *(?:>=|==) *([\d.]+)(?: *; *python_version *>= *"(\d+)\.(\d+)")?')


def lowest(setup: configparser.ConfigParser, python: tuple[int, int]) -> dict[str, str]:
    """Package -> version, for a Python (major, minor)."""
    parts = [setup["options"]["install_requires"], *(setup["options.extras_require"][name] for name in EXTRAS)]
    found: dict[str, str] = {}
    for line in "\n".join(parts).split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        match = REQUIREMENT.fullmatch(line.strip())
        if match is None:
            raise SystemExit(f"{SETUP}: expected NAME >= VERSION, found {line!r}")
        name, version, *since = match.groups()
        if name not in LEFT_OUT and (since == [None, None] or python >= tuple(map(int, since))):
            found.setdefault(name, version)
    return found


if __name__ == "__main__":
    setup = configparser.ConfigParser()
    setup.read(SETUP, encoding="utf-8")
    for name, version in lowest(setup, sys.version_info[:2]).items():
        print(f"{name}=={version}")
