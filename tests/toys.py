"""The package of tests/extending/installed, which adds a loss, a store, a runner and a format from outside.

Its folder on the path of a process is what `pip install` would make of it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hdfs_layout.registry import Registry

INSTALLED = Path(__file__).resolve().parent / "extending" / "installed"


def environment() -> dict[str, str]:
    """Return the environment of a process that has the package."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(INSTALLED), *sys.path])}


def install(request: pytest.FixtureRequest, registry: Registry[Any], name: str) -> None:
    """Let this process have the package for one test, which uses one kind."""
    request.getfixturevalue("monkeypatch").syspath_prepend(INSTALLED)
    request.addfinalizer(lambda: registry.unregister(name))


def load(name: str) -> Any:
    """Return a module of the package in this process, which does not have it."""
    spec = importlib.util.spec_from_file_location(f"loaded_toy_{name}", INSTALLED / "toy_kinds" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
