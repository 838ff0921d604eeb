"""Where Spark runs."""

from __future__ import annotations

import os
import re

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError

_LOCAL = re.compile(r"local(?:\[(?P<threads>[0-9]{1,4}|\*)(?:, *(?P<attempts>[0-9]{1,2}))?\])?", re.ASCII)
_CLUSTER = re.compile(r"yarn|spark://[^\s/,]+(?:,[^\s/,]+)*|local-cluster\[[0-9]+, *[0-9]+, *[0-9]+\]", re.ASCII)
YARN = "yarn"


@dataclass(frozen=True)
class Master:
    """A master of Spark's.

    Attributes
    ----------
    url
        As Spark takes it.
    threads
        Tasks at once, where all is on this machine; else None.
    attempts
        How often Spark tries a task there, which is once unless the master says otherwise.
    """

    url: str
    threads: int | None = None
    attempts: int = 1

    @classmethod
    def of(cls, text: str | None) -> Master:
        """Read what a user says.

        Raises
        ------
        UsageError
            If it is nothing, or no master that jobs run on.
        """
        expected = "expected yarn, spark://HOST:PORT or local[N], N tasks at once on this machine"
        if text is None:
            raise UsageError(f"`runner` spark needs to know where Spark runs: give `master`; {expected}")
        local = _LOCAL.fullmatch(text)
        if local is None:
            if not _CLUSTER.fullmatch(text):
                raise UsageError(f"`master`: {expected}; found {text!r}")
            return cls(text)
        threads = local["threads"] or "1"
        number = len(os.sched_getaffinity(0)) if threads == "*" else int(threads)
        attempts = int(local["attempts"] or 1)
        if not number or not attempts:
            raise UsageError(f"`master`: expected numbers from 1 on, found {text!r}")
        return cls(text, number, attempts)

    @property
    def is_here(self) -> bool:
        """Whether tasks run in processes of this machine, which share its files."""
        return self.threads is not None

    @property
    def is_on_loopback(self) -> bool:
        """Whether nothing of it is on another machine."""
        return self.url.startswith("local")
