"""A root: the store that holds it and the paths below it, which nearly every function needs together."""

from __future__ import annotations

import os

from hdfs_layout.dataclass import dataclass
from hdfs_layout.errors import UsageError
from hdfs_layout.open import open_store
from hdfs_layout.paths import Layout
from hdfs_layout.store import Store


@dataclass(frozen=True)
class Root:
    """A place where datasets, models and runs are kept.

    Attributes
    ----------
    store : Store
        Reads and writes files below the root.
    layout : Layout
        The path of every file below the root.
    """

    store: Store
    layout: Layout


def open_root(place: str | os.PathLike[str] | Root) -> Root:
    """Open a root. Touches no file of it yet; one that is open is returned as it is.

    Parameters
    ----------
    place : str, os.PathLike or Root
        A folder's path, ``file:///...``, or a folder on HDFS: ``hdfs://...``, ``webhdfs://...``, ``swebhdfs://...``.

    Raises
    ------
    UsageError
        As `open_store`.
    """
    if isinstance(place, Root):
        return place
    text = os.fspath(place) if isinstance(place, str | os.PathLike) else None
    if not isinstance(text, str):
        raise UsageError(f"`root`: expected a folder's path or URI; found an object of type {type(place).__name__}")
    return Root(open_store(text), Layout(text))
