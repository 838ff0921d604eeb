"""The stores that the contract suite runs on. HDFS is a real one (see tests/dev_cluster.py), S3 two (s3_servers.py).

A new store joins by an entry in KINDS; the suite is every test_store*.py here. Nothing in it may look behind the
`Store` interface: what only holds for a local folder is tested in tests/hdfs_layout/test_local_store.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from toys import install

from hdfs_layout import STORES, Store, open_store


@dataclass(frozen=True)
class Kind:
    """One implementation: how to get an empty root, and whether it has folders (object stores have none)."""

    name: str
    make_root: Callable[[pytest.FixtureRequest], str]
    folders: bool


def _local_root(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("tmp_path") / "root")


def _hdfs_root(request: pytest.FixtureRequest) -> str:
    """A folder of an ordinary user: HDFS lets its superuser do more, and says less of what is wrong."""
    cluster = request.getfixturevalue("hadoop_cluster")
    patch = request.getfixturevalue("monkeypatch")
    patch.setenv("HADOOP_CONF_DIR", cluster.environment["HADOOP_CONF_DIR"])
    patch.setenv("HADOOP_USER_NAME", "somebody")
    return f"{cluster.hdfs_uri}/tmp/contract-{uuid.uuid4().hex}"


def _toy_root(request: pytest.FixtureRequest) -> str:
    """Of an installed package, see docs/extending.md."""
    install(request, STORES, "toy")
    return f"toy://{_local_root(request)}"


def _s3_root(server_fixture: str) -> Callable[[pytest.FixtureRequest], str]:
    def make(request: pytest.FixtureRequest) -> str:
        server = request.getfixturevalue(server_fixture)
        server.use(request.getfixturevalue("monkeypatch"))
        return f"s3://{server.bucket()}/some/root"

    return make


KINDS = [
    Kind("local", _local_root, folders=True),
    Kind("toy", _toy_root, folders=True),
    Kind("hdfs", _hdfs_root, folders=True),
    Kind("s3-versitygw", _s3_root("versitygw_server"), folders=False),
    Kind("s3-moto", _s3_root("moto_server"), folders=False),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def store_kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


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
