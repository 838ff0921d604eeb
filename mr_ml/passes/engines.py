"""The registry of engines, by the names that users give to `engine`; cheap to load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hdfs_layout.registry import Registry

if TYPE_CHECKING:
    from hdfs_layout import Store
    from mr_ml.catalog.dataset import Dataset
    from mr_ml.models.base import Needs
    from mr_ml.passes.base import Engine
    from mr_ml.runners.base import Runner


@dataclass(frozen=True, kw_only=True)
class PassesWanted:
    """Over what an engine runs passes, and where.

    Attributes
    ----------
    cache_bytes
        Decoded blocks that each process of tasks of this machine may keep.
    needs
        Memory that the passes need besides blocks.
    say
        Called with what the user should know.
    """

    dataset: Dataset
    split: str
    store: Store
    runner: Runner
    cache_bytes: int
    needs: Needs
    say: Callable[[str], None] = field(default=lambda text: None, repr=False)


DEFAULT = "mapreduce"

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
