"""How a resident task reads over HTTP: what servers and nodes do wrong, and what comes of it."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import resident_tasks
from certificates import Certificate, certificate
from resident_tasks import Web, give

from hdfs_layout import Address
from mr_ml.data import over_http
from mr_ml.errors import NotFoundError, StorageError, UnavailableError

TEXT = bytes(range(200))
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(over_http, "_PAUSE_SECONDS", 0.0)
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


def refusal(code: int, name: str, message: str = "offset=1") -> Answer:
    """As S3 has it; what it writes may hold what was asked."""
    words = f"<Error><Code>{name}</Code><Message>{message}</Message><Key>?offset=1</Key></Error>"
    return lambda handler: give(handler, code, words.encode())


def quoting(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(f"HTTP/9 {handler.path}\r\n\r\n".encode())


def redirect(place: str) -> Answer:
    return lambda handler: give(handler, 307, Location=place)


def get(*addresses: str | Address) -> bytes:
    given = [Address(url=one) if isinstance(one, str) else one for one in addresses]
    return bytes(over_http.read(given, 50, where="hdfs://some/file"))


def test_a_range_is_read(web: Web, url: str) -> None:
    assert get(url) == TEXT[10:60]
    assert len(web.seen) == 1


PASSING = {
    "500": status(500), "403 of a standby": status(403), "broken off": broken_off, "garbage": garbage,
    "hung up": silent, "more than asked for": lambda handler: give(handler, 200, TEXT),
    "a redirect to a file": redirect("file:///etc/passwd"), "a redirect to nowhere": status(307),
    "a bad redirect": redirect("http://127.0.0.1:port/"), "too busy": refusal(503, "SlowDown"),
    "too old": refusal(403, "AccessDenied", "Request has expired"),
    "the address in a status line": quoting,
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


def test_to_an_address_with_headers_nothing_is_added(web: Web, url: str, closed: str) -> None:
    """It may be signed."""
    web.answers = [redirect(f"http://{closed}/elsewhere")]
    assert get(Address(url=url, headers={"Range": "bytes=10-59"})) == TEXT[10:60]
    assert len(set(web.seen)) == 1


def test_a_node_that_was_left_out_is_tried_again_where_it_is_the_only_one(web: Web, url: str, closed: str) -> None:
    web.answers = [redirect(f"http://{closed}/node"), status(403), redirect(url)]
    assert get(web.address + "/webhdfs?op=OPEN") == TEXT[10:60]
    assert web.seen[2] == "/webhdfs?op=OPEN"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            refusal(403, "AccessDenied", "Request has expired"),
            "HTTP status 403 AccessDenied, as the address was too old",
        ),
        (refusal(403, "SignatureDoesNotMatch"), "HTTP status 403 SignatureDoesNotMatch;"),
        # of a bucket elsewhere S3 does not say where
        (refusal(301, "PermanentRedirect"), "HTTP status 301 PermanentRedirect;"),
        (refusal(503, "SlowDown"), "HTTP status 503 SlowDown;"),
        (
            lambda handler: give(handler, 403, b'{"RemoteException": {"exception": "StandbyException"}}'),
            "HTTP status 403 StandbyException;",
        ),
    ],
)
def test_refusals_are_called_by_their_names(web: Web, url: str, answer: Answer, words: str) -> None:
    web.answers = [answer] * 100
    with pytest.raises(UnavailableError, match=words):
        get(url)


def test_a_service_that_is_too_busy_is_asked_for_longer(web: Web, url: str) -> None:
    web.answers = [refusal(503, "SlowDown")] * 7
    assert get(url) == TEXT[10:60]


def test_a_range_that_a_header_asks_for(web: Web, url: str) -> None:
    """What the address needs is sent along, and 206 is as good as 200."""
    got: list[str | None] = []

    def part(handler: BaseHTTPRequestHandler) -> None:
        got.append(handler.headers["Range"])
        give(handler, 206, TEXT[10:60], Content_Range="bytes 10-59/200")

    web.answers = [part]
    assert get(Address(url=url, headers={"Range": "bytes=10-59"})) == TEXT[10:60]
    assert got == ["bytes=10-59"]


def test_a_range_beyond_the_end(web: Web, url: str) -> None:
    web.answers = [status(416)]
    with pytest.raises(StorageError, match="expected 50 bytes more, found none"):
        get(url)
    assert len(web.seen) == 1


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A proxy of the environment, which asks for a password and never asks onward."""
    with resident_tasks.web() as server:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, server.address.replace("//", "//me:pass%20word@"))
        monkeypatch.setenv("no_proxy", "127.0.0.2")
        yield server


def test_a_proxy_is_asked_where_one_is_on_the_way(web: Web, proxy: Web, url: str) -> None:
    got: list[tuple[str, str]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        got.append((handler.path, handler.headers["Proxy-Authorization"]))
        give(handler, 200, TEXT[10:60])

    proxy.answers = [answer]
    assert get(Address(url=url, proxies=True)) == TEXT[10:60]
    assert got == [(url, f"Basic {base64.b64encode(b'me:pass word').decode()}")]
    assert web.seen == []
    # neither where none is to be, nor where the environment says so
    assert get(url) == TEXT[10:60]
    with pytest.raises(UnavailableError, match="could not be read"):
        get(Address(url=url.replace("127.0.0.1", "127.0.0.2"), proxies=True))
    assert len(proxy.seen) == 1


def test_a_proxy_makes_a_tunnel(proxy: Web) -> None:
    """What is asked, and how, is not for it to see."""
    with pytest.raises(UnavailableError, match=r"bucket\.example: Tunnel connection failed: 501"):
        get(Address(url="https://bucket.example/file?offset=1", proxies=True))
    assert proxy.seen == []


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("certificate"), "127.0.0.1")


def test_a_server_is_known_by_the_certificates_that_the_store_names(
    web: Web, url: str, known: Certificate
) -> None:  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(known.chain, known.key)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    secure = url.replace("http:", "https:")
    assert get(Address(url=secure, authorities=known.authority)) == TEXT[10:60]
    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        get(secure)
    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        get(Address(url=secure.replace("127.0.0.1", "localhost"), authorities=known.authority))
    assert len(web.seen) == 1


TOKENS = json.loads((Path(__file__).parents[1] / "hdfs_layout" / "job_tokens.json").read_text(encoding="utf-8"))
SERVICE = "10.0.0.1:8020"


def test_a_service_that_asks_who_reads_is_sent_the_jobs_token(
    web: Web, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each try, and in no message."""
    (tmp_path / "tokens").write_bytes(base64.b64decode(TOKENS["file"]))
    monkeypatch.setenv("HADOOP_TOKEN_FILE_LOCATION", str(tmp_path / "tokens"))
    token = TOKENS["in_urls"][SERVICE]
    address = Address(url=url, services=("ha-hdfs:cluster", SERVICE))
    web.answers = [lambda handler: give(handler, 401)]
    assert get(address) == TEXT[10:60]
    assert [seen.partition("&delegation=")[2] for seen in web.seen] == [token] * 2
    web.answers = [lambda handler: give(handler, 403, handler.path.encode())] * 100
    with pytest.raises(UnavailableError, match="HTTP status 403") as found:
        get(address)
    assert token not in str(found.value)
    # nobody else is
    web.answers.clear()
    get(url)
    assert "delegation" not in web.seen[-1]


@pytest.mark.parametrize(
    ("tokens", "services", "words"),
    [
        (TOKENS["file"], ("10.0.0.3:8020", "node:8020"), "no token of HDFS for 10.0.0.3:8020 or node:8020"),
        (base64.b64encode(b"anything").decode(), (SERVICE,), "cannot be read .expected tokens of a job"),
        (None, (SERVICE,), "tokens cannot be read"),
    ],
)
def test_a_job_without_the_token_says_so(
    web: Web, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: str | None,
    services: tuple[str, ...], words: str,
) -> None:  # fmt: skip
    monkeypatch.delenv("HADOOP_TOKEN_FILE_LOCATION", raising=False)
    if tokens is not None:
        (tmp_path / "tokens").write_bytes(base64.b64decode(tokens))
        monkeypatch.setenv("HADOOP_TOKEN_FILE_LOCATION", str(tmp_path / "tokens"))
    with pytest.raises(UnavailableError, match=words):
        get(Address(url=url, services=services))
    assert web.seen == []
