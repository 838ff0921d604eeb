"""How a task reads parts of files: over HTTP, with what Python itself brings, at the addresses that the driver gives.

Nodes have no store of ours: they need no packages for it, no credentials and no settings of the cluster. What is said
of a failure never has an address: that may be as good as a key.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from hdfs_layout import Address
from hdfs_layout.job_tokens import FILE_VARIABLE, find_token
from mr_ml.errors import BadDataError, NotFoundError, StorageError, UnavailableError

# A node that is off answers nothing at all; one that is busy may take long.
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
# A service that says that it has too much to do is asked more often, after longer pauses.
_ATTEMPTS, _BUSY_ATTEMPTS, _PAUSE_SECONDS = 4, 8, 0.3
_OK, _NOT_FOUND, _BEYOND_THE_END, _BUSY = frozenset({200, 206}), 404, 416, frozenset({429, 503})
_REDIRECTS, _MOST_REDIRECTS = frozenset({301, 302, 303, 307, 308}), 5
_CHUNK_BYTES, _REFUSAL_BYTES = 1 << 20, 4 << 10
# By what name S3 and WebHDFS refuse.
_REFUSED_AS = re.compile(rb"<Code>([A-Za-z0-9]{1,60})</Code>|\"exception\": ?\"([A-Za-z0-9]{1,60})\"")


class _FailedError(Exception):
    """An address gave nothing; another, or the same one a little later, may."""


class _BusyError(_FailedError):
    """It said so itself."""


def read(addresses: Sequence[Address], n_bytes: int, *, where: str) -> bytearray:
    """Read so many bytes at the first of the addresses that gives them; all are tried a few times.

    Parameters
    ----------
    addresses
        All of the same range.
    where
        The file, for messages.

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
    for attempt in range(_BUSY_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        for address in addresses:
            try:
                return _read(address, n_bytes, dead, where=where)
            except _FailedError as error:
                said = error
        if attempt + 1 >= _ATTEMPTS and not isinstance(said, _BusyError):
            break
    raise UnavailableError(f"{where} could not be read from this node: {said}; is its storage reachable?")


def _read(address: Address, n_bytes: int, dead: set[str], *, where: str) -> bytearray:
    """Read at one address, or where it redirects to."""
    place = _without(address.url, dead)
    if address.services:
        place += f"&delegation={_token_of(address)}"
    for hop in range(_MOST_REDIRECTS):
        try:
            with _answer(place, address) as answer:
                if answer.status in _OK:
                    return _whole(answer, n_bytes, where=where)
                if answer.status in _REDIRECTS and (onward := answer.headers.get("Location")):
                    place = urljoin(place, onward)
                    continue
                _refuse(answer, n_bytes, where=where)
        except _BusyError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as error:
            # a certificate that is not trusted is both
            is_address = isinstance(error, http.client.InvalidURL | ValueError) and not isinstance(error, OSError)
            if is_address:
                # these words may hold it
                raise _FailedError("an address, or a redirect, that is none") from None
            host = urlsplit(place).hostname or ""
            if hop and not address.headers:
                # one that a NameNode named; to what is signed nothing can be added
                dead.add(_known_as(host))
            else:
                # perhaps because no node is left
                dead.clear()
            # those of the second kind quote what came
            said = str(error) if isinstance(error, OSError) else ""
            raise _FailedError(f"{host}: {said or type(error).__name__}") from None
    raise _FailedError(f"more than {_MOST_REDIRECTS} redirects")


def _token_of(address: Address) -> str:
    """Return the token of this task's job for the service that is asked."""
    try:
        data = Path(os.environ.get(FILE_VARIABLE, "")).read_bytes()
        found = find_token(data, address.services)
    except (OSError, BadDataError) as error:
        raise _FailedError(f"this job's tokens cannot be read ({error})") from None
    if found is None:
        raise _FailedError(f"this job has no token of HDFS for {' or '.join(address.services)}")
    return found


def _refuse(answer: http.client.HTTPResponse, n_bytes: int, *, where: str) -> None:
    """Raise what an answer means that has no content."""
    if answer.status == _NOT_FOUND:
        raise NotFoundError(f"expected {where}, found nothing")
    if answer.status == _BEYOND_THE_END:
        raise StorageError(f"{where}: expected {n_bytes} bytes more, found none")
    start = answer.read(_REFUSAL_BYTES)
    named = _REFUSED_AS.search(start)
    words = f"HTTP status {answer.status}"
    if named is not None:
        words += f" {(named[1] or named[2]).decode('ascii')}"
    if b"<Message>Request has expired</Message>" in start:
        words += ", as the address was too old, or a clock is wrong"
    raise _BusyError(words) if answer.status in _BUSY else OSError(words)


@contextmanager
def _answer(url: str, address: Address) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(url)
    target = parts._replace(scheme="", netloc="", fragment="").geturl()
    headers = dict(address.headers)
    proxy = _proxy_of(parts) if address.proxies else None
    if proxy is None:
        connection = _connection(parts, parts.hostname, parts.port, address)
    else:
        connection = _connection(parts, proxy.hostname or "", proxy.port or 80, address)
        known = _known_to(proxy)
        if parts.scheme == "https":
            connection.set_tunnel(parts.hostname, parts.port, known)
        else:
            target = parts._replace(fragment="").geturl()
            headers |= known
    with closing(connection):
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        connection.request("GET", target, headers=headers)
        with connection.getresponse() as answer:
            yield answer


def _connection(
    parts: SplitResult, host: str, port: int | None, address: Address
) -> http.client.HTTPConnection:  # fmt: skip
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    return http.client.HTTPSConnection(
        host, port, timeout=CONNECT_SECONDS, context=_trusting(address.authorities)
    )  # fmt: skip


@lru_cache(maxsize=4)
def _trusting(authorities: str) -> ssl.SSLContext:
    """Return what certificates of servers are checked by."""
    return ssl.create_default_context(cadata=authorities or None)


def _proxy_of(parts: SplitResult) -> SplitResult | None:
    """Return the proxy on the way to a host, as the environment has it."""
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urlsplit(proxy if "//" in proxy else f"http://{proxy}")


def _known_to(proxy: SplitResult) -> dict[str, str]:
    """Return what tells a proxy who asks."""
    if proxy.username is None:
        return {}
    who = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(who.encode()).decode()}"}


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
