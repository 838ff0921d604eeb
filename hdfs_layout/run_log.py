"""The log of a run: one JSON object a line, for people, dashboards and `mr-ml runs show`; nothing is restarted from it.

Each addition rewrites the file whole (a line per pass: a few hundred short lines), because no append is safe
everywhere: object stores have none, and on HDFS a killed writer's lease keeps its successor from appending for a while.
So a reader never meets half a line of ours; a half line at the end, left there by other means, is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from hdfs_layout.store import NotFoundError, Store
from mr_ml.errors import BadDataError


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
    lines = [json.dumps(_finite(event), sort_keys=True, allow_nan=False).encode("ascii") + b"\n" for event in events]
    store.write(path, _whole_lines(_read(store, path)) + b"".join(lines))


def read_events(store: Store, path: str) -> tuple[dict[str, Any], ...]:
    """All events, oldest first; none if there is no log. A last line without its newline is left out.

    Raises
    ------
    BadDataError
        If another line is no JSON object.
    StorageError
        If the log cannot be read.
    """
    events = []
    for number, line in enumerate(_whole_lines(_read(store, path)).split(b"\n")[:-1], start=1):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise BadDataError(
                f"expected a JSON object in {store.uri(path)}:{number}; found {ascii(line[:80])[1:]}. The log was "
                f"changed by other means: remove that line, or the log (a run does not need it to go on)."
            )
        events.append(event)
    return tuple(events)


def _read(store: Store, path: str) -> bytes:
    try:
        return store.read(path)
    except NotFoundError:
        return b""


def _whole_lines(log: bytes) -> bytes:
    return log[: log.rfind(b"\n") + 1]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
