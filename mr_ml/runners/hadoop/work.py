"""Whose jobs run on a cluster, and what becomes of those whose driver was killed outright.

Every driver's jobs read from and write to one folder, tmp/<work>/, and carry one tag, ``mr_ml:<work>``; the work is the
run, or a name of its own where there is no run. While a job runs, the file `owner` in that folder says which process
waits for it. A driver that can clean up removes the folder. One that cannot leaves folder and application behind,
and the next driver on the same root stops the one and removes the other.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from hdfs_layout import NotFoundError, Root
from hdfs_layout.dataclass import dataclass
from hdfs_layout.owners import FORGOTTEN_SECONDS, place, start_of
from mr_ml.errors import LockedError, StorageError, UnavailableError, UsageError

OWNER_NAME = "owner"


@dataclass(frozen=True)
class Owner:
    """A process, such that another one can tell whether it still lives.

    Attributes
    ----------
    place
        Host, boot and name space in which the process id means this process.
    started
        Of the process, in clock ticks since boot: ids are given again.
    since
        Unix time of the job's start.
    served_by
        The tag of an application of another work, whose tasks that stay are at this one; empty if there is none.
    """

    place: str
    pid: int
    started: int
    since: float
    served_by: str = ""

    @classmethod
    def here(cls, *, served_by: str = "") -> Owner:
        """Describe this process."""
        return cls(place(), os.getpid(), start_of(os.getpid()), time.time(), served_by)

    @classmethod
    def decode(cls, data: bytes) -> Owner | None:
        """Undo `encode`; None if it is not one."""
        try:
            values = json.loads(data)
            return cls(
                str(values["place"]), int(values["pid"]), int(values["started"]), float(values["since"]),
                str(values.get("served_by", "")),
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None

    def encode(self) -> bytes:
        """Return the owner's file."""
        return json.dumps(asdict(self)).encode()

    @property
    def can_be_seen(self) -> bool:
        """Whether this process could look at it."""
        return self.place == place()

    @property
    def lives(self) -> bool:
        """Whether it runs; only of one that can be seen."""
        return self.pid > 0 and start_of(self.pid) == self.started != -1

    @property
    def is_given_up(self) -> bool:
        """Whether another process may clean up after it."""
        return not self.lives if self.can_be_seen else time.time() - self.since > FORGOTTEN_SECONDS


def tag_of(work: str) -> str:
    """Return the YARN tag of a work's applications; the ResourceManager keeps tags in lower case."""
    return f"mr_ml:{work.lower()}"


def take_over(root: Root, work: str, *, stop: Callable[[str], bool]) -> None:
    """Stop the applications and remove the folders of drivers that are gone, and what earlier ones of `work` left.

    Parameters
    ----------
    stop
        Stops the applications of a tag; whether none runs any more.

    Raises
    ------
    LockedError
        If another process works at `work` just now.
    UnavailableError
        If an application of `work` may still run and cannot be stopped.
    """
    for name in _works(root):
        try:
            folder = root.layout.job(name)
            owner = Owner.decode(root.store.read(f"{folder}/{OWNER_NAME}"))
        except (NotFoundError, UsageError):
            # being made or removed at this moment, or nothing of ours
            owner = None
        if name == work:
            _take_back(root, work, owner, stop=stop)
        elif owner is not None and owner.is_given_up and stop(tag_of(name)):
            with suppress(StorageError):
                root.store.remove_tree(folder)


def _take_back(root: Root, work: str, owner: Owner | None, *, stop: Callable[[str], bool]) -> None:
    """Take over what an earlier driver of the same work left; the caller says that it is gone."""
    if owner is not None and owner.can_be_seen and owner.lives and owner.pid != os.getpid():
        raise LockedError(
            f"run {work} is at work in process {owner.pid}; wait for its end, or stop it (kill {owner.pid})"
        )
    tags = [tag_of(work)]
    if owner is not None and owner.served_by.startswith(tag_of("")) and not (owner.can_be_seen and owner.lives):
        tags.append(owner.served_by)
    if not all(stop(tag) for tag in tags):
        raise UnavailableError(
            f"an application of run {work} may still run, and could not be stopped; look for it on the cluster with "
            f"`yarn application -list -appTags {','.join(tags)}`, and try again"
        )
    root.store.remove_tree(root.layout.job(work))


def _works(root: Root) -> tuple[str, ...]:
    try:
        return root.store.list(root.layout.jobs)
    except NotFoundError:
        return ()
