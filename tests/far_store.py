"""A store of the scheme ``far``: a folder of this machine whose files no process can open by a path.

Processes that have the package of `toys` have it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toys import load

from hdfs_layout import STORES


@contextmanager
def far_stores(*schemes: str) -> Iterator[None]:
    """Within the block ``far://`` and a folder's path is a root; or the same with other schemes."""
    schemes = schemes or ("far",)
    for scheme in schemes:
        STORES.register(scheme, load("store").open_far)
    try:
        yield
    finally:
        for scheme in schemes:
            STORES.unregister(scheme)
