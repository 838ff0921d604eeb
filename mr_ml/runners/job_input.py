"""What a job reads: files whose lines are streamed to its tasks, or lines that name what tasks open themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError

NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})
# No split is as long: a map task reads a whole file.
_WHOLE_FILES: Mapping[str, str] = MappingProxyType({"mapreduce.input.fileinputformat.split.minsize": str(1 << 60)})


class Told(NamedTuple):
    """A piece of a file that a task opens itself.

    Attributes
    ----------
    n_bytes
        About so many it reads.
    line
        Which names it, with its line feed.
    """

    n_bytes: int
    line: bytes


class JobInput(Protocol):
    """What a job reads, in both forms in which a map task can get it; the runner takes the one that it supports.

    Tasks on a cluster get `told`, where there is that, else lines of the files of `uris`.
    """

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        """List a line for each map task, which names what that task opens itself.

        Raises
        ------
        UsageError
            If tasks cannot open it.
        """

    def uris(self) -> Sequence[str]:
        """List the files whose lines are streamed to the map tasks; the runner cuts them anywhere.

        Raises
        ------
        UsageError
            If only this machine can open them.
        """

    @property
    def told(self) -> Sequence[Told] | None:
        """Pieces of files that tasks on a cluster open themselves; None where files are streamed."""

    @property
    def n_bytes(self) -> int:
        """Size of those files together."""

    @property
    def n_mixable(self) -> int:
        """Number of files, if a map task may get the lines of several; else 0."""

    @property
    def is_read_often(self) -> bool:
        """Whether job after job reads it, so that who can keep it in memory should."""

    @property
    def properties(self) -> Mapping[str, str]:
        """Properties of Hadoop that say how the files are streamed; not for a user's settings to change."""


@dataclass(frozen=True)
class TaskLines:
    """Lines for tasks that need nothing else, or open themselves what these name; nothing can be streamed to them."""

    tasks: Sequence[bytes]
    n_bytes: int = 0
    n_mixable: int = 0
    is_read_often: bool = False
    properties: Mapping[str, str] = field(default_factory=lambda: NO_PROPERTIES)
    told: Sequence[Told] | None = None

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        """See `JobInput.lines`."""
        return self.tasks

    def uris(self) -> Sequence[str]:
        """See `JobInput.uris`."""
        raise UsageError("these files are opened by tasks, and not streamed to them; use `runner` local")


@dataclass(frozen=True)
class StoredLines:
    """Files of a store whose lines are streamed to the map tasks.

    Attributes
    ----------
    files
        URIs.
    whole
        Whether each file goes to one map task as a whole, however long or short.
    feeding
        Further properties of Hadoop that say how they are streamed.
    """

    files: tuple[str, ...]
    n_bytes: int
    whole: bool = False
    feeding: Mapping[str, str] = field(default_factory=lambda: NO_PROPERTIES)
    # tasks report how much of which file they read
    n_mixable: int = 0
    is_read_often: bool = False
    told: Sequence[Told] | None = None

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        """See `JobInput.lines`."""
        raise UsageError("these files are streamed to tasks on a cluster; use `runner` hadoop")

    def uris(self) -> Sequence[str]:
        """See `JobInput.uris`."""
        return self.files

    @property
    def properties(self) -> Mapping[str, str]:
        """See `JobInput.properties`."""
        return {**self.feeding, **(_WHOLE_FILES if self.whole else {})}


@dataclass(frozen=True)
class ToldPieces:
    """Pieces of files that tasks on a cluster open themselves, at addresses that their lines hold.

    Attributes
    ----------
    told
        Whoever has a line can read that file, so it is stored for its owner alone.
    n_bytes
        Of the files.
    properties
        Of Hadoop's.
    """

    told: tuple[Told, ...]
    n_bytes: int
    properties: Mapping[str, str] = field(default_factory=lambda: NO_PROPERTIES)
    n_mixable: int = 0
    is_read_often: bool = False

    def lines(self, *, n_tasks: int) -> Sequence[bytes]:
        """See `JobInput.lines`."""
        return [line for _, line in self.told]

    def uris(self) -> Sequence[str]:
        """See `JobInput.uris`."""
        raise UsageError("these files are opened by tasks, and not streamed to them")
