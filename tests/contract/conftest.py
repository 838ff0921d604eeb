"""The stores that the contract suite runs on.

A new store joins by an entry in KINDS; the suite is every test_store*.py here. Nothing in it may look behind the
`Store` interface: what only holds for a local folder is tested in tests/unit/test_local_store.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hdfs_layout import Store, open_store


@dataclass(frozen=True)
class Kind:
    """One implementation: how to get an empty root, and whether it has folders (object stores have none)."""

    name: str
    make_root: Callable[[Path], str]
    folders: bool


KINDS = [Kind("local", lambda tmp_path: str(tmp_path / "root"), folders=True)]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def store_kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
def store(store_kind: Kind, tmp_path: Path) -> Store:
    return open_store(store_kind.make_root(tmp_path))


@pytest.fixture
def store_with_folders(store_kind: Kind, store: Store) -> Store:
    if not store_kind.folders:
        pytest.skip(f"{store_kind.name} has no folders")
    return store


@pytest.fixture
def other_process() -> Callable[..., subprocess.Popen[str]]:
    """Start a process that can import what this one can, with pipes to and from it."""

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    return start
