"""How a task reads its units: over HTTP, with what Python itself brings, at the addresses that the driver gives.

Nodes have no store of ours: they need no packages for it, no credentials and no settings of the cluster.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence

from mr_ml.errors import NotFoundError, StorageError, UnavailableError

REQUEST_SECONDS = 60.0
_NOT_FOUND = 404
_CHUNK_BYTES = 1 << 20


def _opener() -> urllib.request.OpenerDirector:
    """Make what opens addresses of HTTP, and none of files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPRedirectHandler, urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


_OPENER = _opener()


def read(urls: Sequence[str], n_bytes: int, *, where: str) -> bytearray:
    """Read so many bytes at the first of the addresses that gives them.

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
    for url in urls:
        try:
            # what it redirects to may be another node
            with _OPENER.open(url, timeout=REQUEST_SECONDS) as answer:
                return _whole(answer, n_bytes, where=where)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == _NOT_FOUND:
                raise NotFoundError(f"expected {where}, found nothing") from None
            said = error
        except (OSError, http.client.HTTPException) as error:
            said = error
    raise UnavailableError(f"{where} could not be read from this node: {said}; is its storage reachable?")


def _whole(answer: http.client.HTTPResponse, n_bytes: int, *, where: str) -> bytearray:
    data = bytearray(n_bytes)
    view, at = memoryview(data), 0
    while at < n_bytes and (n := answer.readinto(view[at : at + _CHUNK_BYTES])):
        at += n
    if at != n_bytes:
        raise StorageError(f"{where}: expected {n_bytes} bytes more, found {at}")
    return data
