"""The registry of engines, by the names that users give to `engine`; cheap to load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hdfs_layout.dataclass import dataclass
from hdfs_layout.registry import Registry

if TYPE_CHECKING:
    from hdfs_layout import Store
    from mr_ml.catalog.dataset import Dataset
    from mr_ml.models.needs import Needs
    from mr_ml.passes.base import Engine
    from mr_ml.runners.base import Runner


class Closes(Protocol):
    """What an engine keeps for the next one."""

    def close(self) -> None:
        """Let go of it, for a while: another engine may use it again."""


K = TypeVar("K", bound=Closes)


class Kept:
    """What engines of one session keep for each other: of each class that they ask for, one object."""

    def __init__(self) -> None:
        self._made: dict[type[Any], Any] = {}

    def of(self, kind: type[K]) -> K:
        """Return the object of a class, made without arguments when it is first asked for."""
        if kind not in self._made:
            self._made[kind] = kind()
        found: K = self._made[kind]
        return found

    def close(self) -> None:
        """Let go of everything."""
        for one in self._made.values():
            one.close()


@dataclass(frozen=True, kw_only=True)
class PassesWanted:
    """Over what an engine runs passes, and where.

    Attributes
    ----------
    cache_bytes
        Decoded blocks that each process of tasks of this machine may keep.
    needs
        Memory that the passes need besides blocks.
    kept
        What earlier engines of the same session have kept.
    say
        Called with what the user should know.
    """

    dataset: Dataset
    split: str
    store: Store
    runner: Runner
    cache_bytes: int
    needs: Needs
    kept: Kept = field(repr=False)
    say: Callable[[str], None] = field(default=lambda text: None, repr=False)


DEFAULT = "auto"

ENGINES: Registry[Callable[[PassesWanted], Engine]] = Registry(
    "engine",
    group="mr_ml.engines",
    built_in={
        "auto": "mr_ml.passes.automatic:open_automatic",
        "mapreduce": "mr_ml.passes.mapreduce:open_mapreduce",
        "resident": "mr_ml.passes.resident.engine:open_resident",
    },
)
"""Name -> what opens an engine. The contract suite is tests/contract/test_engines.py."""
