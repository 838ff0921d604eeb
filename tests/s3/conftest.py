"""Stores on S3, also such whose requests and answers get lost, or that refuse."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from far_nights import processes, unfinished  # noqa: F401
from refusing_server import Said, refusing_server
from relay import Relay, relay
from s3_servers import S3Server, use_aws

from hdfs_layout import Store, open_store


@pytest.fixture
def bucket(versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket on the server that this process asks."""
    versitygw_server.use(monkeypatch)
    return versitygw_server.bucket()


@pytest.fixture
def store(bucket: str) -> Store:
    return open_store(f"s3://{bucket}/root")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits before it asks again."""

    class Time:
        @staticmethod
        def sleep(seconds: float) -> None:
            assert seconds >= 0

    for module in ("botocore.endpoint", "hdfs_layout.s3.store", "hdfs_layout.s3.download"):
        monkeypatch.setattr(f"{module}.time", Time)


@pytest.fixture
def way(bucket: str, versitygw_server: S3Server, impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """What lies between this process and the server."""
    with relay(urlsplit(versitygw_server.endpoint).netloc) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.address}")
        yield server


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, impatient: None) -> Iterator[Said]:
    """A server that says what it is told to; no request is repeated."""
    with refusing_server() as (endpoint, say):
        server = S3Server(name="said", endpoint=endpoint, pid=0)
        use_aws(monkeypatch, {**server.environment, "AWS_MAX_ATTEMPTS": "1"})
        yield say
