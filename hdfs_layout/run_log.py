"""The log of a run: one JSON object a line, for people, dashboards and `mr-ml runs show`; nothing is restarted from it.

Each addition rewrites the file whole (a line per pass: a few hundred short lines), because no append is safe
everywhere: object stores have none, and on HDFS a killed writer's lease keeps its successor from appending for a while.
So a reader never meets half a line of ours; a half line at the end, left there by other means, is left out.

A line ends with its own checksum, the key ``crc32``: that of the line without it. Earlier releases wrote none.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hdfs_layout.errors import BadDataError, NotFoundError
from hdfs_layout.store import Store

_SEALED = re.compile(rb'(\{.*?)(?:, )?"crc32": "([0-9a-f]{8})"\}', re.DOTALL)


def append_events(store: Store, path: str, events: Iterable[Mapping[str, Any]]) -> None:
    """Add events at the end of the log, which is made if it is missing.

    Parameters
    ----------
    events : iterable of mapping
        Each of strings to what JSON holds. NaN and infinities are logged as the strings ``nan``, ``inf``, ``-inf``: a
        run that diverges must still be able to say so.

    Raises
    ------
    StorageError
        If the log cannot be read or written.

    Notes
    -----
    One writer at a time: of two, an event may be lost. O(length of the log).
    """
    lines = [
        _sealed(json.dumps(finite(event, instead=str), sort_keys=True, allow_nan=False).encode("ascii"))
        for event in events
    ]
    store.write(path, b"".join(line + b"\n" for line in (*_whole_lines(_read(store, path)), *lines)))


def read_events(store: Store, path: str) -> tuple[dict[str, Any], ...]:
    """All events, oldest first; none if there is no log. A last line without its newline is left out.

    Raises
    ------
    BadDataError
        If another line is no JSON object, or not the one that was written.
    StorageError
        If the log cannot be read.
    """
    events = []
    for number, line in enumerate(_whole_lines(_read(store, path)), start=1):
        try:
            event = json.loads(_unsealed(line))
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise BadDataError(
                f"expected a JSON object, and its own checksum, in {store.uri(path)}:{number}; found "
                f"{ascii(line[:80])[1:]}. The log was changed by other means: remove that line, or the log (a run does "
                f"not need it to go on)."
            )
        events.append(event)
    return tuple(events)


def _read(store: Store, path: str) -> bytes:
    try:
        return store.read(path)
    except NotFoundError:
        return b""


def _whole_lines(log: bytes) -> list[bytes]:
    """Lines without their ends; a last one without an end only if it is whole all the same."""
    *lines, last = log.split(b"\n")
    sealed = _SEALED.fullmatch(last)
    return [*lines, last] if sealed and _is_whole(sealed) else lines


def _sealed(line: bytes) -> bytes:
    comma = b", " if len(line) > 2 else b""
    return line[:-1] + comma + b'"crc32": "%08x"}' % binascii.crc32(line)


def _unsealed(line: bytes) -> bytes:
    """Take the checksum off a line; raises ValueError if it is another line's."""
    sealed = _SEALED.fullmatch(line)
    if sealed is None:
        return line
    if not _is_whole(sealed):
        raise ValueError("another line's checksum")
    return sealed[1] + b"}"


def _is_whole(sealed: re.Match[bytes]) -> bool:
    return binascii.crc32(sealed[1] + b"}") == int(sealed[2], 16)


def finite(value: Any, *, instead: Callable[[float], str | None]) -> Any:
    """Put something else for each NaN and infinity, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return instead(float(value))
    if isinstance(value, Mapping):
        return {key: finite(item, instead=instead) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item, instead=instead) for item in value]
    return value
