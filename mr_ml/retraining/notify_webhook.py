"""Notification by a webhook: JSON is posted to a URL.

The URL is a secret: it is in no message, and neither is what the server answers, which may repeat it. Certificates are
checked. No redirect is followed: it would tell the JSON to whomever an answer names. Proxies are those of the
environment (HTTPS_PROXY and so on), as a cluster often has no other way out; a .netrc file is not read.
"""

from __future__ import annotations

import http.client
import logging
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mr_ml import __version__
from mr_ml.retraining.notify_error import NotToldError, one_line

if TYPE_CHECKING:
    import requests

#: For all attempts together, to the connection, and between two bytes of an answer.
LIMIT_SECONDS, CONNECT_SECONDS, READ_SECONDS = 60.0, 5.0, 10.0
#: How long it is waited before each further attempt.
WAITS = (1.0, 2.0, 4.0)
# Where errors are defined whose words are the system's or OpenSSL's.
_OF_SYSTEM = ("builtins", "socket", "ssl")
# Beside 5xx: asked to come later.
_LATER = (408, 425, 429)


def post(url: str, body: bytes) -> None:
    """Post JSON to a URL, again if the server is out of reach or says that it cannot just now.

    Raises
    ------
    NotToldError
        If it was not taken within the time limit.
    """
    try:
        import requests  # noqa: F401 (once, and not in the thread)
    except ImportError:
        raise NotToldError("expected the package requests, found none; pip install 'mr_ml[retrain]'") from None
    found: list[str | None] = []
    until = time.monotonic() + LIMIT_SECONDS
    # a name server that does not answer, and an answer that comes byte by byte, have no other limit
    thread = threading.Thread(target=lambda: found.append(_attempts(url, body, until)), daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS)
    error = found[0] if found else f"expected an answer within {LIMIT_SECONDS:g} seconds, found none"
    if error is not None:
        raise NotToldError(error)


def _attempts(url: str, body: bytes, until: float) -> str | None:
    """Try until it is taken; returns what went wrong at last."""
    error: str | None = None
    with _quiet():
        for n, wait in enumerate((0.0, *WAITS), start=1):
            if time.monotonic() + wait >= until:
                break
            time.sleep(wait)
            try:
                error, may_retry = _attempt(url, body)
            except Exception as found:
                error, may_retry = f"a defect of mr_ml: {type(found).__name__}", False
            if error is None:
                return None
            if not may_retry:
                break
            error = f"{error} (attempt {n})"
    return error


def _attempt(url: str, body: bytes) -> tuple[str | None, bool]:
    """Post once; returns what went wrong, and whether it may go well later."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        try:
            with session.post(
                url, data=body, allow_redirects=False, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True,
                headers={"Content-Type": "application/json", "User-Agent": f"mr_ml/{__version__}"},
                proxies=requests.utils.get_environ_proxies(url),
                verify=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True,
            ) as answer:  # fmt: skip
                return _of_answer(answer)
        except (requests.exceptions.SSLError, requests.exceptions.InvalidSchema) as error:
            return f"expected a connection, found {_why(error)}", False
        except (requests.ConnectionError, requests.Timeout) as error:
            return f"expected an answer, found {_why(error)}", True
        except (requests.RequestException, OSError, ValueError) as error:
            return f"expected an answer, found {_why(error)}", False


def _of_answer(answer: requests.Response) -> tuple[str | None, bool]:
    code = answer.status_code
    if code < 300:
        return None, False
    # its words are not the server's, which could say anything
    status = f"{code} {http.client.responses.get(code, '')}".rstrip()
    if code < 400:
        try:
            host = urlsplit(answer.headers.get("Location", "")).hostname
        except ValueError:
            host = None
        whither = f" to {one_line(host, 200)}" if host else ""
        return f"expected a URL that takes it, found {status}{whither}, which is not followed: name that one", False
    return f"expected 2xx, found {status}", code >= 500 or code in _LATER


def _why(error: BaseException) -> str:
    """Say what is behind an error, in words that have no URL: its class, and what the system or OpenSSL says."""
    words = ""
    deeper: BaseException | None = error
    seen: list[BaseException] = []
    while deeper is not None and all(deeper is not known for known in seen):
        seen.append(deeper)
        if isinstance(deeper, ssl.SSLCertVerificationError):
            words = f": {deeper.verify_message}"
        elif isinstance(deeper, OSError) and deeper.strerror and type(deeper).__module__ in _OF_SYSTEM:
            words = f": {deeper.strerror}"
        inner = [part for part in (*deeper.args, *vars(deeper).values()) if isinstance(part, BaseException)]
        deeper = next((part for part in (*inner, deeper.__cause__, deeper.__context__) if part is not None), None)
    return f"{type(error).__name__}{words}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what libraries log in this thread: urllib3 warns of odd answers, and has the URL in it."""
    here = threading.get_ident()

    def is_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    known = list(logging.root.manager.loggerDict)
    loggers = [logging.getLogger(name) for name in known if name.partition(".")[0] in ("requests", "urllib3")]
    for logger in loggers:
        logger.addFilter(is_elsewhere)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_elsewhere)
