"""The stores that the contract suite runs on, see store_kinds.py.

The suite is every test_store*.py here. Nothing in it may look behind the `Store` interface: what only holds for a local
folder is tested in tests/hdfs_layout/test_local_store.py, and for S3 in tests/s3.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from store_kinds import KINDS, RACES, Kind

from hdfs_layout import Store, open_store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_kind" in metafunc.fixturenames:
        kinds = [kind for kind in KINDS if kind.races or metafunc.module.__name__ not in RACES]
        metafunc.parametrize("store_kind", kinds, ids=lambda kind: kind.name)


@pytest.fixture
def make_root(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Make an empty root of the kind of that name."""
    return lambda name: next(kind for kind in KINDS if kind.name == name).make_root(request)


@pytest.fixture
def store(store_kind: Kind, request: pytest.FixtureRequest) -> Store:
    return open_store(store_kind.make_root(request))


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
