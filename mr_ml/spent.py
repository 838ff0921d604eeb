"""What a pass takes: seconds of its parts by the driver's clock, seconds of tasks, and bytes.

Whoever knows tells it to the meter of this thread, `current`: runners, engines. What nobody knows is left out, never
guessed. The parts of a pass do not overlap; what is left of its time is the driver's own work.

    seconds       start (until a job's tasks run), map, shuffle, reduce; job where these cannot be told apart
    task_seconds  map and reduce: of all tasks together, as the cluster counted them
    bytes         sent (the query, to the tasks), read (by tasks, of the dataset), shuffled (from map to reduce tasks),
                  received (the sums, by the driver)
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECONDS = ("start", "map", "shuffle", "reduce", "job")
TASK_SECONDS = ("map", "reduce")
BYTES = ("sent", "read", "shuffled", "received")
DRIVER = "driver"


class Meter:
    """Adds up what is told of one pass."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, float]] = {"seconds": {}, "task_seconds": {}, "bytes": {}}

    def seconds(self, **parts: float) -> None:
        """Tell how long parts of the pass took."""
        self._add("seconds", SECONDS, parts)

    def task_seconds(self, **parts: float) -> None:
        """Tell how long all tasks of a kind took together."""
        self._add("task_seconds", TASK_SECONDS, parts)

    def bytes(self, **kinds: int) -> None:
        """Tell how much was moved."""
        self._add("bytes", BYTES, kinds)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Tell that what is done within the block is a part of the pass."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds(**{name: time.monotonic() - began})

    @property
    def spent(self) -> dict[str, dict[str, float]]:
        """All that was told, for the log; empty if nobody told anything."""
        return {
            what: {name: round(value, 6) for name, value in told.items()} for what, told in self._told.items() if told
        }

    def _add(self, what: str, names: tuple[str, ...], told: Mapping[str, float]) -> None:
        mine = self._told[what]
        for name, value in told.items():
            assert name in names, name
            mine[name] = mine.get(name, 0) + value


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


def current() -> Meter:
    """Return the meter of the pass that this thread runs; outside of one, a meter that nobody reads."""
    return _current.get() or Meter()


@contextmanager
def metering() -> Iterator[Meter]:
    """Have a meter for the pass that is run within the block."""
    meter = Meter()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)
