"""What the passes of the gate came to, kept with the run: who goes on after a kill runs none of these again."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import NotFoundError, Root
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.states import Owner, seal, unseal
from mr_ml.data import frame
from mr_ml.errors import BadDataError
from mr_ml.passes.base import Engine
from mr_ml.sums.query import Query
from mr_ml.sums.query_kinds import query_parts
from mr_ml.sums.statistic import Statistic
from mr_ml.sums.tree import Node

Array = NDArray[Any]

_KIND = "kept pass"


class RunPass(Protocol):
    """Runs a pass of the gate, which is known by a name."""

    def __call__(self, name: str, engine: Engine, query: Query, *, columns: Array | None = None) -> Statistic:
        """Raise as `Engine.run`."""


def run_anew(name: str, engine: Engine, query: Query, *, columns: Array | None = None) -> Statistic:
    """Run a pass; nothing is kept."""
    return engine.run(query, columns=columns)


@dataclass(frozen=True, kw_only=True)
class KeptPasses:
    """The sums of the passes of one run, each in a file beside the checkpoints, with which they go.

    Attributes
    ----------
    root
        Where the run is kept.
    owner
        The run, and what it was asked to do.
    """

    root: Root
    owner: Owner

    def run(self, name: str, engine: Engine, query: Query, *, columns: Array | None = None) -> Statistic:
        """Run a pass, or return what it came to; raises as `Engine.run`, and StorageError if that cannot be kept."""
        path = self.root.layout.kept_pass(self.owner.run, name)
        asked = {"query": _digest(query, columns)}
        try:
            content, arrays = unseal(self.root.store.read(path), kind=_KIND, owner=self.owner, where=path)
            if content == asked:
                return Statistic.decode(arrays["statistic"].tobytes(), where=path)[1]
        except (NotFoundError, BadDataError, KeyError):
            # there is none, or none that can be used: the pass finds the same
            pass
        total = engine.run(query, columns=columns)
        encoded = np.frombuffer(total.encode(Node(0, 0)), np.uint8)
        self.root.store.write(path, seal(_KIND, asked, {"statistic": encoded}, owner=self.owner))
        return total


def _digest(query: Query, columns: Array | None) -> str:
    """Return a sha256 of what a pass is asked: another mr_ml may ask for something else."""
    meta, arrays = query_parts(query)
    if columns is not None:
        arrays = {**arrays, "columns": columns}
    return hashlib.sha256(frame.encode(_KIND, meta, arrays)).hexdigest()
