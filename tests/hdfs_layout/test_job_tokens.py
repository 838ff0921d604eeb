"""Tokens of a job, as Hadoop itself wrote them down (job_tokens.json)."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdfs_layout.job_tokens import find_token, services_of
from mr_ml.errors import BadDataError

MADE = json.loads(Path(__file__).with_name("job_tokens.json").read_text(encoding="utf-8"))
FILE = base64.b64decode(MADE["file"])


@pytest.mark.parametrize("service", ["10.0.0.1:8020", "ha-hdfs:wärehouse"])
def test_a_token_is_what_hadoop_puts_into_urls(service: str) -> None:
    assert find_token(FILE, ["another", service]) == MADE["in_urls"][service]


@pytest.mark.parametrize("service", ["127.0.0.1:8030", "10.0.0.2:8020", "10.0.0.3:8020", "alias of 10.0.0.1:8020"])
def test_tokens_of_other_kinds_and_services_are_none(service: str) -> None:
    assert find_token(FILE, [service]) is None


@given(size=st.integers(0, len(FILE)), place=st.integers(0, len(FILE) - 1), byte=st.integers(0, 255))
def test_a_damaged_file_is_refused_or_has_no_such_token(size: int, place: int, byte: int) -> None:
    damaged = bytearray(FILE[:size])
    damaged[place : place + 1] = [byte] if place < size else []
    # nothing else is raised
    with contextlib.suppress(BadDataError):
        find_token(bytes(damaged), ["10.0.0.3:8020"])


def test_the_other_format_is_said_to_be_none() -> None:
    with pytest.raises(BadDataError, match="as Hadoop writes them"):
        find_token(base64.b64decode(MADE["start_of_the_other_format"]), ["10.0.0.1:8020"])


@pytest.mark.parametrize(
    ("root", "services"),
    [
        ("hdfs://node:9000/folder", ("10.1.2.3:9000", "node:9000")),
        # a name service or a host
        ("hdfs://node/folder", ("ha-hdfs:node", "10.1.2.3:8020", "node:8020")),
        ("hdfs://nowhere/folder", ("ha-hdfs:nowhere", "nowhere:8020")),
    ],
)
def test_hadoops_names_of_a_service(root: str, services: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str) -> str:
        if host != "node":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return "10.1.2.3"

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    assert services_of(root) == services
