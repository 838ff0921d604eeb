"""HTTP as Hadoop's services speak it: kept connections, refusals as JSON, content sent and read in pieces."""

from __future__ import annotations

import functools
import http.cookiejar
import io
import os
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from hdfs_layout.certificates import text_of
from hdfs_layout.errors import UsageError

try:
    import requests
    import requests.adapters
    import urllib3.exceptions
except ImportError as _error:
    raise UsageError(
        f"expected the Python package requests, which a root on HDFS needs; found that {_error.name!r} is not "
        f"installed. Install it: pip install 'mr_ml[hdfs]'"
    ) from _error

# Seconds to connect, and between any two pieces of an answer.
REQUEST_SECONDS = (10.0, 60.0)
# requests takes the first as the limit for each piece that is sent, too, and a DataNode takes none for a minute while
# it replaces a dead one of its pipeline.
CONTENT_SECONDS = (90.0, 120.0)
# What a DataNode answers that could not talk to its NameNode, say because that was restarted.
_LOST_CONNECTIONS = frozenset(
    ("ConnectException", "EOFException", "NoRouteToHostException", "SocketException", "SocketTimeoutException")
)
# requests lets some of those underneath through.
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError)
_PIECE_BYTES = 256 << 10
_MOST_CONNECTIONS = 128
_MESSAGE_LENGTH = 600


class RemoteError(Exception):
    """A service refused a request.

    Attributes
    ----------
    kind : str
        Name of Hadoop's exception, such as ``AccessControlException``; empty if the answer is not Hadoop's.
    message : str
        Its first line, printable.
    """

    def __init__(self, kind: str, message: str) -> None:
        line = message.strip().partition("\n")[0]
        printable = "".join(letter if letter.isprintable() else " " for letter in line)
        self.kind, self.message = kind, printable.strip()[:_MESSAGE_LENGTH]
        super().__init__(f"{kind}: {self.message}" if kind else self.message)


class NoAnswerError(Exception):
    """No service answered; the request may have been carried out. The message has the addresses."""


def ask(method: str, url: str, *, kerberos: bool) -> requests.Response:
    """Send a request without content and read the whole answer. Redirects are not followed.

    Raises
    ------
    RemoteError
        If the service refuses.
    NoAnswerError
        If it does not answer.
    """
    try:
        answer = _session(kerberos=kerberos).request(method, url, timeout=REQUEST_SECONDS, allow_redirects=False)
    except _FAILURES as error:
        raise NoAnswerError(_in_words(error)) from error
    _check(answer)
    return answer


def upload(url: str, data: Upload) -> None:
    """Send content. Raises as `ask`, and what the source of the data raises, as it is."""
    try:
        _content("PUT", url, data).close()
    except NoAnswerError:
        if data.failure is not None:
            raise data.failure from None
        raise


def download(url: str) -> Download:
    """Begin to read content. Raises as `ask`."""
    return Download(_content("GET", url, None), where=_node(url))


def decoded(answer: requests.Response) -> dict[str, Any]:
    """JSON object of an answer; `RemoteError` if there is none."""
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RemoteError("", f"HTTP status {answer.status_code} with an answer that is no JSON object")
    return content


class Upload:
    """Data in pieces of a good size.

    Attributes
    ----------
    failure : BaseException or None
        What the source of the data raised.
    """

    def __init__(self, data: bytes | Iterable[bytes]) -> None:
        self._data, self._touched = data, False
        self.failure: BaseException | None = None

    @property
    def repeatable(self) -> bool:
        """Whether sending it again would send the same."""
        return not (self._touched and isinstance(self._data, Iterator))

    def __iter__(self) -> Iterator[bytes]:
        self._touched = True
        if isinstance(self._data, (bytes, bytearray, memoryview)):
            view = memoryview(self._data).cast("B")
            for start in range(0, len(view), _PIECE_BYTES):
                yield bytes(view[start : start + _PIECE_BYTES])
        else:
            yield from self._joined(self._data)

    def _joined(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        piece = bytearray()
        source = iter(chunks)
        while True:
            try:
                piece += next(source)
            except StopIteration:
                break
            except BaseException as error:
                self.failure = error  # or else an OSError would come out dressed as one of the connection
                raise
            if len(piece) >= _PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
        if piece:
            yield bytes(piece)


class Download(io.RawIOBase):
    """Content on its way. What goes wrong while reading is an `OSError`, and so is an end that comes too early."""

    def __init__(self, answer: requests.Response, *, where: str) -> None:
        self._answer, self._where = answer, where

    def readable(self) -> bool:
        """Return True: see `io.IOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is content and return the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return all that is left."""
        return self._read(None)

    def close(self) -> None:
        """Close the connection too."""
        if not self.closed:
            self._answer.close()
        super().close()

    def _read(self, size: int | None) -> bytes:
        try:
            # urllib3 compares with the length that was announced; its version 1 did not
            data: bytes = self._answer.raw.read(size)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise OSError(f"{self._where} broke off: {_in_words(error)}") from error
        return data


def authorities() -> str:
    """Return the certificates (PEM) by which HTTPS servers are known here; empty for the usual ones, or a folder."""
    return text_of(_trusted())


def _trusted() -> str:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or ""


@functools.cache
def _session(*, kerberos: bool) -> requests.Session:
    """Kept connections of this process, shared by its threads and stores."""
    session = requests.Session()
    session.trust_env = False  # as in Hadoop's own client: no proxies of the environment, no ~/.netrc
    session.verify = _trusted() or True
    session.headers.update({"Accept-Encoding": "identity", "Content-Type": "application/octet-stream"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=_MOST_CONNECTIONS))
    if kerberos:
        session.auth = _negotiation()
    else:
        # By a cookie every later request would be one of the user who sent the first.
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
    return session


# A connection that two processes use garbles what both read.
os.register_at_fork(after_in_child=_session.cache_clear)


def _negotiation() -> Any:
    try:
        from requests_gssapi import OPTIONAL, HTTPSPNEGOAuth
    except (ImportError, OSError) as error:  # OSError: its C library is missing
        raise UsageError(
            f"expected the Python package requests-gssapi, because Hadoop's configuration asks for Kerberos; found "
            f"that it cannot be imported ({error}). Install it: pip install 'mr_ml[hdfs,kerberos]', then run kinit."
        ) from error
    return HTTPSPNEGOAuth(mutual_authentication=OPTIONAL)


def _content(method: str, url: str, data: Upload | None) -> requests.Response:
    """Send or ask for content; that of the answer is not read yet. Who may do so stands in the address."""
    session = _session(kerberos=False)
    try:
        answer = session.request(
            method,
            url,
            data=data,
            timeout=CONTENT_SECONDS,
            allow_redirects=False,
            stream=True,
        )
        _check(answer)
    except RemoteError as error:
        if error.kind in _LOST_CONNECTIONS:
            raise NoAnswerError(f"{_node(url)}: {error}") from error
        raise
    except _FAILURES as error:
        raise NoAnswerError(f"{_node(url)}: {_in_words(error)}") from error
    return answer


def _check(answer: requests.Response) -> None:
    """Raise the refusal of the service, or of a proxy that answers in its place."""
    if answer.status_code < 400:
        return
    with answer:
        try:
            remote = answer.json()["RemoteException"]
            refusal = RemoteError(str(remote["exception"]), str(remote.get("message", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            kind = "AuthenticationException" if answer.status_code == 401 else ""
            refusal = RemoteError(kind, f"HTTP status {answer.status_code} {answer.reason}")
    raise refusal


def _node(url: str) -> str:
    return f"DataNode {urlsplit(url).netloc}"  # the rest of the address may hold a token


def _in_words(error: BaseException) -> str:
    """Say what went wrong underneath."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection within the time limit"
    if isinstance(error, (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError)):
        return "no answer within the time limit"
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    for cause in reversed(causes):
        if isinstance(cause, socket.gaierror):
            return f"unknown host ({cause.strerror})"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause})"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return "the connection broke" if isinstance(error, requests.ConnectionError) else f"{type(error).__name__}: {error}"
