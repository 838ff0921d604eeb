"""A root: the store that holds it and the paths below it, which nearly every function needs together."""

from __future__ import annotations

from dataclasses import dataclass

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


def open_root(text: str) -> Root:
    """Open a root. Touches no file of it yet.

    Parameters
    ----------
    text : str
        A folder's path, ``file:///...``, or a folder on HDFS: ``hdfs://...``, ``webhdfs://...``, ``swebhdfs://...``.

    Raises
    ------
    UsageError
        As `open_store`.
    """
    return Root(open_store(text), Layout(text))
