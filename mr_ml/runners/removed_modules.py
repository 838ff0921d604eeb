"""What mrjob's last release imports and Python has dropped since: `distutils` in 3.12, `pipes` in 3.13.

It takes one class and two functions from them, which are here. A Python that has the modules, by itself or by the
packages that bring them back, keeps its own.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
import shutil
import sys
from types import ModuleType
from typing import Any


@functools.total_ordering
class LooseVersion:
    """A version as its numbers and words, which are compared one by one."""

    def __init__(self, text: str | None = None) -> None:
        self.vstring = text or ""
        parts = re.findall(r"[0-9]+|[a-z]+", self.vstring, re.ASCII)
        # words come before numbers: 1.0rc2 before 1.0.1
        self.version = [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]

    def __eq__(self, other: object) -> bool:
        return self.version == _version(other).version

    def __lt__(self, other: object) -> bool:
        return self.version < _version(other).version

    def __hash__(self) -> int:
        return hash(tuple(self.version))

    def __str__(self) -> str:
        return self.vstring


def _version(other: object) -> LooseVersion:
    return other if isinstance(other, LooseVersion) else LooseVersion(str(other))


_MODULES: dict[str, dict[str, Any]] = {
    "distutils": {},
    "distutils.version": {"LooseVersion": LooseVersion},
    "distutils.spawn": {"find_executable": shutil.which},
    "pipes": {"quote": shlex.quote},
}


def provide_dropped() -> None:
    """Make those modules importable where Python does not have them."""
    missing = [name for name in ("distutils", "pipes") if _is_missing(name)]
    for name, content in _MODULES.items():
        if name.partition(".")[0] in missing:
            module = sys.modules[name] = ModuleType(name)
            module.__dict__.update(content)
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)


def _is_missing(name: str) -> bool:
    try:
        return name not in sys.modules and importlib.util.find_spec(name) is None
    except ImportError:
        return True
