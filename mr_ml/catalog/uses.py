"""Notes of which versions running commands read, so that nobody removes these meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hdfs_layout import Reference, Root


@contextmanager
def using(root: Root, *, dataset: Reference | None = None, model: Reference | None = None) -> Iterator[None]:
    """Within the block, these versions are known as in use. On a root that cannot be written to there is no note."""
    yield
