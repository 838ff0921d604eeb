"""Reading an object, also when connections break in the middle of it."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Mapping
from typing import Any

from hdfs_layout.s3.boto import BotoCoreError, ClientError, urllib3
from hdfs_layout.s3.errors import code_of

# boto repeats requests that are not answered, but not those whose answer ends early.
_ATTEMPTS = 5
_BYTES_FOR_ANOTHER_ATTEMPT = 64 << 20
_FIRST_DELAY_SECONDS = 0.1
# Answers to what is asked for by its ETag: there is another one, or none.
_NOT_THE_SAME = ("412", "PreconditionFailed", "404", "NoSuchKey")
_BROKEN = (BotoCoreError, urllib3.exceptions.HTTPError, OSError)


class Download(io.RawIOBase):
    """The bytes of one GET. Goes on where a connection broke if the object is still the same one.

    Parameters
    ----------
    get
        Asks for the object with these further options.
    first, last
        Bytes to read, as HTTP counts them; to the end if `last` is None.

    Attributes
    ----------
    size : int
        How many bytes there are.
    """

    def __init__(self, get: Callable[..., Mapping[str, Any]], *, first: int = 0, last: int | None = None) -> None:
        self._get, self._at, self._last = get, first, last
        # closed by Python also when there is no answer
        self._body: Any = None
        answer = get(**self._range()) if first or last is not None else get()
        self.size = int(answer["ContentLength"])
        self._etag, self._body, self._left = answer["ETag"], answer["Body"], self.size
        self._broken = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Read all that is left."""
        pieces = []
        while self._left:
            pieces.append(self._read(self._left))
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            with contextlib.suppress(*_BROKEN):
                if self._body is not None:
                    self._body.close()
        super().close()

    def _range(self) -> dict[str, str]:
        return {"Range": f"bytes={self._at}-{'' if self._last is None else self._last}"}

    def _read(self, length: int) -> bytes:
        length = min(length, self._left)
        while length:
            try:
                data: bytes = self._body.read(length)
                if not data:
                    raise OSError(f"an answer that ended {self._left} bytes early")
            except _BROKEN as error:
                self._broken += 1
                if self._broken >= _ATTEMPTS + (self.size - self._left) // _BYTES_FOR_ANOTHER_ATTEMPT:
                    raise OSError(f"the connection broke again and again: {type(error).__name__}") from error
                time.sleep(_FIRST_DELAY_SECONDS * 2 ** min(self._broken, _ATTEMPTS))
                self._go_on(error)
            else:
                self._at += len(data)
                self._left -= len(data)
                return data
        return b""

    def _go_on(self, broken: Exception) -> None:
        with contextlib.suppress(*_BROKEN):
            self._body.close()
        try:
            self._body = self._get(**self._range(), IfMatch=self._etag)["Body"]
        except ClientError as error:
            is_other = code_of(error) in _NOT_THE_SAME
            why = "the file is not the same any more" if is_other else f"there is no new one: {code_of(error)}"
            raise OSError(f"the connection broke, and {why}") from error
        except BotoCoreError as error:
            raise OSError(f"the connection broke, and there is no new one: {type(error).__name__}") from broken
