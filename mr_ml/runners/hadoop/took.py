"""What a job took, from what Hadoop's client says of it: when its tasks began and were done, and its counters.

The client looks once a second, so the parts are right to about that. The time in which map output is brought to reduce
tasks is in no counter: it is in the part of the reduce tasks. Those begin to fetch before all map tasks are done, which
is in the part of the map tasks.
"""

from __future__ import annotations

import re
from dataclasses import field

from hdfs_layout.dataclass import dataclass
from mr_ml.spent import Meter

_SHARES = re.compile(r"\bmap ([0-9]{1,3})% +reduce [0-9]{1,3}%", re.ASCII)
_ENDED = re.compile(r"\bJob job_[0-9_]+ completed successfully", re.ASCII)
_COUNTER = re.compile(r"^\t\t([A-Za-z0-9 _()/:-]{1,80})=([0-9]{1,18})\s*$", re.ASCII)
_TASK_MS = {"Total time spent by all map tasks (ms)": "map", "Total time spent by all reduce tasks (ms)": "reduce"}
# of the input, whatever the store, where each map task reads lines
_BYTES = {"Bytes Read": "read", "Reduce shuffle bytes": "shuffled"}


@dataclass
class JobTook:
    """What is known of a job that was handed over at a time.

    Attributes
    ----------
    began
        By the clock of what `hear` is told.
    """

    began: float
    _running: float | None = None
    _mapped: float | None = None
    _ended: float | None = None
    _counted: dict[str, int] = field(default_factory=dict)

    def hear(self, line: str, at: float) -> None:
        """Hear a line of the client's, which came at a time."""
        if (shares := _SHARES.search(line)) is not None:
            self._running = at if self._running is None else self._running
            # a map task whose output is lost runs again
            done = int(shares[1]) >= 100
            self._mapped = None if not done else at if self._mapped is None else self._mapped
        elif _ENDED.search(line):
            self._ended = at
        elif self._ended is not None and (counter := _COUNTER.match(line)) is not None:
            self._counted[counter[1]] = int(counter[2])

    def tell(self, meter: Meter) -> None:
        """Tell what is known of a job that has ended well."""
        running, mapped, ended = self._running, self._mapped, self._ended
        if running is not None and mapped is not None and ended is not None:
            meter.seconds(start=running - self.began, map=mapped - running)
            # a job without reduce tasks counts none
            is_reduced = bool(self._counted.get("Launched reduce tasks"))
            meter.seconds(**{"reduce" if is_reduced else "map": ended - mapped})
        elif ended is not None:
            meter.seconds(job=ended - self.began)
        meter.task_seconds(
            **{part: self._counted[name] / 1000 for name, part in _TASK_MS.items() if self._counted.get(name)}
        )
        meter.bytes(**{kind: self._counted[name] for name, kind in _BYTES.items() if self._counted.get(name)})
