"""How a resident task reads over HTTP: what servers and nodes do wrong, and what comes of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import resident_tasks
from resident_tasks import Web, give

from mr_ml.errors import NotFoundError, StorageError, UnavailableError
from mr_ml.passes.resident import reading

TEXT = bytes(range(200))
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(reading, "_PAUSE_SECONDS", 0.0)
    # nothing on the way to a node is a proxy's
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with resident_tasks.web() as server:
        yield server


@pytest.fixture
def url(web: Web, tmp_path: Path) -> str:
    (tmp_path / "file").write_bytes(TEXT)
    return web.url(tmp_path / "file", offset=10, length=50)


@pytest.fixture
def closed() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def status(code: int) -> Answer:
    return lambda handler: give(handler, code)


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "50")
    handler.end_headers()
    handler.wfile.write(TEXT[10:30])


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"no HTTP at all\r\n\r\n")


def silent(handler: BaseHTTPRequestHandler) -> None:
    """Hang up."""


def redirect(place: str) -> Answer:
    return lambda handler: give(handler, 307, Location=place)


def get(*urls: str) -> bytes:
    return bytes(reading.read(urls, 50, where="hdfs://some/file"))


def test_a_range_is_read(web: Web, url: str) -> None:
    assert get(url) == TEXT[10:60]
    assert len(web.seen) == 1


PASSING = {
    "500": status(500), "403 of a standby": status(403), "broken off": broken_off, "garbage": garbage,
    "hung up": silent, "more than asked for": lambda handler: give(handler, 200, TEXT),
    "a redirect to a file": redirect("file:///etc/passwd"), "a redirect to nowhere": status(307),
    "a bad redirect": redirect("http://127.0.0.1:port/"),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_tried_again(web: Web, url: str, name: str) -> None:
    web.answers = [PASSING[name]] * 2
    assert get(url) == TEXT[10:60]


@pytest.mark.parametrize("name", PASSING)
def test_what_does_not_pass_is_said_without_the_address(web: Web, url: str, name: str) -> None:
    web.answers = [PASSING[name]] * 100
    with pytest.raises(UnavailableError, match=r"^hdfs://some/file could not be read from this node") as found:
        get(url)
    assert "offset" not in str(found.value)
    assert len(web.seen) < 30


def test_another_address_is_as_good(web: Web, url: str, closed: str) -> None:
    assert get(f"http://{closed}/file", url) == TEXT[10:60]


def test_a_file_that_is_not_there(web: Web, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="expected hdfs://some/file, found nothing"):
        get(web.url(tmp_path / "other", offset=0, length=50))
    assert len(web.seen) == 1


def test_a_file_that_is_shorter(web: Web, url: str) -> None:
    web.answers = [lambda handler: give(handler, 200, TEXT[:20])]
    with pytest.raises(StorageError, match="expected 50 bytes more, found 20"):
        get(url)


def test_a_redirect_is_followed(web: Web, url: str) -> None:
    web.answers = [redirect(url)]
    assert get(web.address + "/webhdfs?op=OPEN") == TEXT[10:60]
    web.answers = [redirect(url.removeprefix(web.address))]
    assert get(web.address + "/webhdfs?op=OPEN") == TEXT[10:60]


def test_redirects_end(web: Web, url: str) -> None:
    web.answers = [redirect(url)] * 1000
    with pytest.raises(UnavailableError, match="redirects"):
        get(url)


def test_a_node_that_is_off_is_left_out(web: Web, url: str, closed: str) -> None:
    """As a NameNode has it, which takes minutes to find out that a node is gone."""
    web.answers = [redirect(f"http://{closed}/node"), redirect(url)]
    assert get(web.address + "/webhdfs?op=OPEN") == TEXT[10:60]
    assert web.seen[:2] == ["/webhdfs?op=OPEN", "/webhdfs?op=OPEN&excludedatanodes=127.0.0.1"]


def test_a_node_that_was_left_out_is_tried_again_where_it_is_the_only_one(web: Web, url: str, closed: str) -> None:
    web.answers = [redirect(f"http://{closed}/node"), status(403), redirect(url)]
    assert get(web.address + "/webhdfs?op=OPEN") == TEXT[10:60]
    assert web.seen[2] == "/webhdfs?op=OPEN"
