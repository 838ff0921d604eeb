"""How a task reads its units: over HTTP, with what Python itself brings, at the addresses that the driver gives.

Nodes have no store of ours: they need no packages for it, no credentials and no settings of the cluster. Proxies of the
environment are for elsewhere.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from urllib.parse import quote, urljoin, urlsplit

from mr_ml.errors import NotFoundError, StorageError, UnavailableError

# A node that is off answers nothing at all; one that is busy may take long.
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
_ATTEMPTS, _PAUSE_SECONDS = 4, 0.3
_OK, _NOT_FOUND, _REDIRECTS, _MOST_REDIRECTS = 200, 404, frozenset({301, 302, 303, 307, 308}), 5
_CHUNK_BYTES = 1 << 20


class _FailedError(Exception):
    """An address gave nothing; another, or the same one a little later, may."""


def read(urls: Sequence[str], n_bytes: int, *, where: str) -> bytearray:
    """Read so many bytes at the first of the addresses that gives them; all are tried a few times.

    Parameters
    ----------
    urls
        All of the same range.
    where
        The file, for messages: the addresses may be secrets.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError
        If it is shorter.
    UnavailableError
        If none gives it.
    """
    said: Exception | None = None
    # nodes that a NameNode sends us to and that do not answer; it takes minutes to find that out by itself
    dead: set[str] = set()
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        for url in urls:
            try:
                return _read(url, n_bytes, dead, where=where)
            except _FailedError as error:
                said = error
    raise UnavailableError(f"{where} could not be read from this node: {said}; is its storage reachable?")


def _read(url: str, n_bytes: int, dead: set[str], *, where: str) -> bytearray:
    """Read at one address, or where it redirects to."""
    place = _without(url, dead)
    for hop in range(_MOST_REDIRECTS):
        try:
            with _answer(place) as answer:
                if answer.status == _NOT_FOUND:
                    raise NotFoundError(f"expected {where}, found nothing")
                if answer.status in _REDIRECTS:
                    place = urljoin(place, answer.headers.get("Location", ""))
                    continue
                if answer.status != _OK:
                    raise OSError(f"HTTP status {answer.status}")
                return _whole(answer, n_bytes, where=where)
        except (http.client.InvalidURL, ValueError):
            # these words may hold the address
            raise _FailedError("an address, or a redirect, that is none") from None
        except (OSError, http.client.HTTPException) as error:
            host = urlsplit(place).hostname or ""
            if hop:
                dead.add(_known_as(host))
            else:
                # perhaps because no node is left
                dead.clear()
            raise _FailedError(f"{host}: {error or type(error).__name__}") from None
    raise _FailedError(f"more than {_MOST_REDIRECTS} redirects")


@contextmanager
def _answer(url: str) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname, parts.port, timeout=CONNECT_SECONDS)) as connection:
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl())
        with connection.getresponse() as answer:
            yield answer


def _without(url: str, dead: set[str]) -> str:
    """Ask WebHDFS for another node than these."""
    return f"{url}&excludedatanodes={quote(','.join(sorted(dead)))}" if dead else url


def _known_as(host: str) -> str:
    """Return how a NameNode calls a node: by its IP address."""
    try:
        return socket.gethostbyname(host)
    except OSError:
        return host


def _whole(answer: http.client.HTTPResponse, n_bytes: int, *, where: str) -> bytearray:
    expected = answer.length
    if expected is not None and expected > n_bytes:
        raise OSError(f"expected {n_bytes} bytes, it gives {expected}")
    data = bytearray(n_bytes)
    view, at = memoryview(data), 0
    while at < n_bytes and (n := answer.readinto(view[at : at + _CHUNK_BYTES])):
        at += n
    if at == n_bytes:
        return data
    if at == expected:
        raise StorageError(f"{where}: expected {n_bytes} bytes more, found {at}")
    raise OSError(f"it broke off after {at} of {n_bytes} bytes")
