"""The stores that the contract suite runs on. HDFS is a real one (see tests/dev_cluster.py), S3 two (s3_servers.py).

A new store joins by an entry in KINDS.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from toys import install

from hdfs_layout import STORES


@dataclass(frozen=True)
class Kind:
    """One implementation of `Store`.

    Attributes
    ----------
    name
    make_root
        Makes an empty root.
    folders
        Whether there are any; object stores have none.
    races
        Whether it is asked what happens when several write at once, and after long sequences of calls.
    effort
        How much of that: less where a request takes milliseconds and a process half a second to begin.
    has_addresses
        Whether it gives out addresses of files.
    as_another
        Makes this process another user of it; None where tests cannot.
    """

    name: str
    make_root: Callable[[pytest.FixtureRequest], str]
    folders: bool
    races: bool = True
    effort: float = 1.0
    has_addresses: bool = False
    as_another: Callable[[pytest.MonkeyPatch], None] | None = None

    def of(self, number: int, *, at_least: int) -> int:
        """That many, or fewer."""
        return max(at_least, round(number * self.effort))


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
    Kind(
        "hdfs",
        _hdfs_root,
        folders=True,
        has_addresses=True,
        as_another=lambda patch: patch.setenv("HADOOP_USER_NAME", "another"),
    ),
    Kind("s3-versitygw", _s3_root("versitygw_server"), folders=False, effort=0.1, has_addresses=True),
    # what happens at once there is decided by a lock of the tests' own, see moto_process.py
    Kind("s3-moto", _s3_root("moto_server"), folders=False, races=False, has_addresses=True),
]
RACES = ("test_store_races", "test_store_sequences")
