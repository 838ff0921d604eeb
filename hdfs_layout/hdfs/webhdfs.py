"""WebHDFS: the few operations that a store needs, whichever NameNode is the active one.

Source: "WebHDFS REST API" of Hadoop's documentation. A request goes to a NameNode over a kept connection (a few
milliseconds); content goes to and comes from a DataNode that the NameNode names (two steps).

What is repeated: requests that may be carried out twice, after any failure; a rename, only if the NameNode said that it
did not carry it out (it is on standby, or not ready). Whether a rename was carried out whose answer was lost is for the
caller to find out.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from hdfs_layout.dataclass import dataclass
from hdfs_layout.hdfs.http import Download, NoAnswerError, RemoteError, Upload, ask, decoded, download, upload

if TYPE_CHECKING:
    import requests

T = TypeVar("T")
# A NameNode that has no standby stays away for seconds, or for longer than is worth waiting; a standby takes over
# within half a minute.
PATIENCE_SECONDS = 5.0
FAILOVER_PATIENCE_SECONDS = 45.0
CONTENT_ATTEMPTS = 7
_LATE_ATTEMPTS = 4
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.1, 5.0
_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_NOT_CARRIED_OUT = frozenset({"StandbyException", "RetriableException"})


@dataclass(frozen=True, kw_only=True)
class FileStatus:
    """What HDFS knows of a file or folder.

    Attributes
    ----------
    name : str
        Within the folder that was listed; empty for the path that was asked for itself.
    is_folder : bool
    length : int
        Bytes.
    file_id : int
        Stays with the file when it is renamed, and is never given to another.
    modified : float
        When it was last written, in seconds since the epoch by the clock of the NameNode.
    """

    name: str
    is_folder: bool
    length: int
    file_id: int
    modified: float


@dataclass(frozen=True, kw_only=True)
class WebHdfs:
    """Requests to the NameNodes of one cluster, as one user.

    Paths are absolute. Every method raises `RemoteError` if HDFS refuses and `NoAnswerError` if no NameNode answers.

    Attributes
    ----------
    urls : tuple of str
        ``http://host:port`` of each NameNode.
    user : str or None
        Whom to act as, where HDFS believes what it is told; None to prove it by Kerberos.
    umask : int
        Permissions that new files and folders do not give.
    """

    urls: tuple[str, ...]
    user: str | None
    umask: int = 0o022

    def status(self, path: str) -> FileStatus:
        """Look at a file or folder."""
        return _file_status(_field(self._json("GET", path, "GETFILESTATUS"), "FileStatus", dict))

    def list(self, path: str) -> Iterator[FileStatus]:
        """Look at what is in a folder, a page at a time (by default a thousand); at the path itself if it is a file."""
        after: dict[str, str] = {}
        while True:
            listing = _field(self._json("GET", path, "LISTSTATUS_BATCH", after), "DirectoryListing", dict)
            statuses = _field(_field(listing, "partialListing", dict), "FileStatuses", dict)
            page = [_file_status(entry) for entry in _field(statuses, "FileStatus", list)]
            yield from page
            if not page or not _field(listing, "remainingEntries", int):
                return
            after = {"startAfter": page[-1].name}

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        self._json("PUT", path, "MKDIRS", self._permission(0o777))

    def delete(self, path: str, *, recursive: bool, patient: bool = True) -> bool:
        """Delete what is there; whether anything was."""
        options = {"recursive": str(recursive).lower()}
        return bool(_field(self._json("DELETE", path, "DELETE", options, patient=patient), "boolean", bool))

    def delete_when_it_appears(self, path: str) -> None:
        """Delete a file that a DataNode, broken off while it was sent content, may make only a moment later."""
        for attempt in range(_LATE_ATTEMPTS):
            if self.delete(path, recursive=False, patient=False):
                return
            _pause(attempt)

    def rename(self, source: str, target: str, *, option: str) -> None:
        """Rename a file: with option ``NONE`` only if nothing has that name, with ``OVERWRITE`` over another file.

        Not repeated: after `NoAnswerError` it may have happened.
        """
        answer = self._ask("PUT", source, "RENAME", {"destination": target, "renameoptions": option}, repeat=False)
        if answer.content:
            # Without regard to the option a file is moved INTO a folder of that name (HADOOP-11452).
            raise RemoteError("", "that RENAME has no regard to renameoptions, as in HttpFS")

    def create(self, path: str, data: bytes | Iterable[bytes], *, mode: int = 0o666) -> None:
        """Write a file into a folder that is there. What the file holds after a failure is not to be relied on.

        What `data` raises comes out as it is. Data that can be read only once is not sent twice.
        """
        # Parents that CREATE makes could be written to by everybody.
        options = {"overwrite": "true", "createparent": "false", **self._permission(mode)}
        content = Upload(data)
        self._exchange("PUT", path, "CREATE", options, lambda place: upload(place, content), lambda: content.repeatable)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file. HDFS refuses an offset beyond the end."""
        return self._exchange("GET", path, "OPEN", _range(offset, length), _read_all)

    def urls_to_read(self, path: str) -> tuple[str, ...]:
        """Return the addresses at which a file is read; with Kerberos by those who have a token."""
        place = self._place(path, "OPEN", _NO_OPTIONS)
        return tuple(url + place for url in sorted(self.urls, key=lambda url: url != _answered.get(self.urls)))

    def checksum(self, path: str) -> str:
        """Checksum of a file's content, with the name of its algorithm before it."""
        answer = self._exchange("GET", path, "GETFILECHECKSUM", _NO_OPTIONS, _read_json)
        checksum = _field(answer, "FileChecksum", dict)
        # the buffer in which it was made, with what is behind it
        digits = _field(checksum, "bytes", str)[: 2 * _field(checksum, "length", int)]
        return f"{_field(checksum, 'algorithm', str)}:{digits}"

    def open(self, path: str) -> Download:
        """Begin to read a file."""
        return self._exchange("GET", path, "OPEN", _NO_OPTIONS, download)

    def _exchange(
        self,
        method: str,
        path: str,
        operation: str,
        options: Mapping[str, str],
        exchange: Callable[[str], T],
        is_repeatable: Callable[[], bool] = lambda: True,
    ) -> T:
        """Have the NameNode name a DataNode and exchange content with that, or with another if it fails."""
        excluded: Mapping[str, str] = _NO_OPTIONS
        for attempt in range(CONTENT_ATTEMPTS):
            try:
                place = self._content_place(method, path, operation, {**options, **excluded})
            except RemoteError:
                if not excluded:
                    raise
                excluded = _NO_OPTIONS  # there is no other
                continue
            try:
                return exchange(place)
            except NoAnswerError:
                if attempt + 1 >= CONTENT_ATTEMPTS or not is_repeatable():
                    raise
            # The NameNode takes a while to see that a DataNode is gone, and may prefer it as the nearest.
            excluded = _NO_OPTIONS if excluded else _without(place)
            _pause(attempt)
        raise NoAnswerError("no DataNode but one that failed before")

    def _permission(self, mode: int) -> dict[str, str]:
        """Return both options: the second is for folders with a default ACL, which goes before the umask."""
        return {"permission": f"{mode & ~self.umask:o}", "unmaskedpermission": f"{mode:o}"}

    def _place(self, path: str, operation: str, options: Mapping[str, str]) -> str:
        """Path and query of a request."""
        parameters = {"op": operation, **({} if self.user is None else {"user.name": self.user}), **options}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        return f"/webhdfs/v1{quote(path)}?{query}"

    def _content_place(self, method: str, path: str, operation: str, options: Mapping[str, str]) -> str:
        """Address at a DataNode, as the NameNode gives it."""
        answer = self._ask(method, path, operation, {**options, "noredirect": "true"})
        place = answer.headers.get("Location") or str(_field(decoded(answer), "Location", str))
        if urlsplit(place).scheme not in ("http", "https"):
            raise RemoteError("", f"a redirect to {place[:100]!a}")
        return place

    def _json(
        self, method: str, path: str, operation: str, options: Mapping[str, str] = _NO_OPTIONS, *, patient: bool = True
    ) -> dict[str, Any]:
        return decoded(self._ask(method, path, operation, options, patient=patient))

    def _ask(
        self,
        method: str,
        path: str,
        operation: str,
        options: Mapping[str, str],
        *,
        repeat: bool = True,
        patient: bool = True,
    ) -> requests.Response:
        """Ask the NameNodes, first the one that answered last, until an active one answers or patience ends."""
        address = self._place(path, operation, options)
        patience = (FAILOVER_PATIENCE_SECONDS if len(self.urls) > 1 else PATIENCE_SECONDS) if patient else 0.0
        end = time.monotonic() + patience
        attempt, errors = 0, dict[str, str]()
        while True:
            for url in sorted(self.urls, key=lambda url: url != _answered.get(self.urls)):
                try:
                    answer = ask(method, url + address, kerberos=self.user is None)
                except NoAnswerError as error:
                    errors[url] = str(error)
                    if not repeat:
                        raise NoAnswerError(_listed(errors)) from error
                except RemoteError as error:
                    if error.kind not in _NOT_CARRIED_OUT:
                        _answered[self.urls] = url
                        raise
                    errors[url] = str(error)
                else:
                    _answered[self.urls] = url
                    return answer
            if time.monotonic() >= end:
                raise NoAnswerError(_listed(errors))
            _pause(attempt)
            attempt += 1


# Which NameNode answered last. Only a hint: where it is wrong, it costs a request.
_answered: dict[tuple[str, ...], str] = {}


def _range(offset: int, length: int | None) -> dict[str, str]:
    return {"offset": str(offset), **({} if length is None else {"length": str(length)})}


def _read_all(place: str) -> bytes:
    with download(place) as content:
        try:
            return content.readall()
        except OSError as error:
            raise NoAnswerError(str(error)) from error


def _read_json(place: str) -> dict[str, Any]:
    try:
        content = json.loads(_read_all(place))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RemoteError("", "a DataNode's answer that is no JSON object")
    return content


def _without(place: str) -> dict[str, str]:
    """Exclude the DataNode of an address, whom the NameNode knows by its IP address."""
    try:
        return {"excludedatanodes": socket.gethostbyname(urlsplit(place).hostname or "")}
    except OSError:
        return {}


def _field(status: dict[str, Any], name: str, kind: type) -> Any:
    value = status.get(name)
    if not isinstance(value, kind):
        raise RemoteError("", f"an answer without {name}")
    return value


def _file_status(status: dict[str, Any]) -> FileStatus:
    return FileStatus(
        name=_field(status, "pathSuffix", str),
        is_folder=_field(status, "type", str) == "DIRECTORY",
        length=_field(status, "length", int),
        file_id=_field(status, "fileId", int),
        modified=_field(status, "modificationTime", int) / 1000,
    )


def _pause(attempt: int) -> None:
    time.sleep(min(_FIRST_DELAY_SECONDS * 2**attempt, _LONGEST_DELAY_SECONDS))


def _listed(errors: dict[str, str]) -> str:
    return "; ".join(f"{url}: {words}" for url, words in errors.items())
