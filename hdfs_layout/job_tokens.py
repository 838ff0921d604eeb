"""The tokens that Hadoop gives a job: by them its tasks prove to services whose job they are of.

They are in a file that YARN leaves in each container, for the container's user alone, in the format of Hadoop's
`Credentials`. ResourceManagers renew them for as long as the job runs, and cancel them when it has ended. Tasks read
them without a store, so this is not in a package of one: those stay with the driver.
"""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Collection

from hdfs_layout.errors import BadDataError

FILE_VARIABLE = "HADOOP_TOKEN_FILE_LOCATION"
# Of a NameNode, for those that name none.
RPC_PORT = 8020
KIND = b"HDFS_DELEGATION_TOKEN"
_MAGIC, _VERSION = b"HDTS", 0
_MOST_TOKENS = 10_000


def find_token(data: bytes, services: Collection[str]) -> str | None:
    """Return a token of HDFS for one of these services, as WebHDFS takes it in a URL; None if there is none.

    Parameters
    ----------
    data
        Of the file.
    services
        As Hadoop names them: address and port of a NameNode, or ``ha-hdfs:`` and a name service.

    Raises
    ------
    BadDataError
        If this is no such file. Its words have nothing of what is in it.
    """
    names = {service.encode() for service in services}
    reader = _Reader(data)
    if reader.take(len(_MAGIC)) != _MAGIC or reader.take(1)[0] != _VERSION:
        raise BadDataError("expected tokens of a job as Hadoop writes them (Writable), found something else")
    for _ in range(min(reader.number(), _MOST_TOKENS)):
        reader.text()
        start = reader.at
        reader.text(), reader.text()
        kind, service = reader.text(), reader.text()
        if kind == KIND and service in names:
            return base64.urlsafe_b64encode(data[start : reader.at]).decode().rstrip("=")
    return None


def services_of(root: str) -> tuple[str, ...]:
    """Return by what names the token may be known that Hadoop's client gets for a root: by address or by name."""
    authority = root.partition("://")[2].partition("/")[0]
    host, colon, port = authority.rpartition(":")
    if not colon or "]" in port:
        host, port = authority, str(RPC_PORT)
    names = [] if colon else [f"ha-hdfs:{authority}"]
    with contextlib.suppress(OSError):
        names.append(f"{socket.gethostbyname(host)}:{port}")
    return (*names, f"{host}:{port}")


class _Reader:
    """Reads what Hadoop's `WritableUtils` writes."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        if not 0 <= size <= len(self._data) - self.at:
            raise BadDataError("expected tokens of a job, found that their file ends early")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self) -> int:
        """Return a number of variable length, which is never negative here."""
        first = int.from_bytes(self.take(1), signed=True)
        if first >= -112:
            return first
        return int.from_bytes(self.take(-112 - first))

    def text(self) -> bytes:
        """Return bytes that have their length before them."""
        return self.take(self.number())
