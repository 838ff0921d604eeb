"""Folds: parts of a split, about equally large, that are held out one after the other.

A row's fold follows from its content, by the hash and the seed by which packing deals rows to folds: equal rows are in
one fold, whatever the partitions they were spread over. Where rows were packed by group the blocks do not know the
group; then the folds are those that the dataset was packed with, which consist of whole partitions.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.data.rowhash import Purpose, derive, row_hashes, scale_to

Numbers = NDArray[np.int8]


@dataclass(frozen=True)
class _Rows:
    """The rows of a block as they were when they were hashed for packing: without entries that are zero."""

    indptr: NDArray[Any]
    indices: NDArray[np.int32]
    values: NDArray[np.float64]
    labels: NDArray[np.float64] | None
    weights: NDArray[np.float64] | None
    offsets: NDArray[np.float64] | None

    @classmethod
    def of(cls, block: Block) -> _Rows:
        x = block.features.as_sparse().wide
        indptr, indices, values = x.indptr.astype(np.int64), x.indices, x.values
        if (stored := values != 0).all():
            return cls(indptr, indices, values, block.labels, block.weights, block.offsets)
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(stored)])
        return cls(before[indptr], indices[stored], values[stored], block.labels, block.weights, block.offsets)


@dataclass(frozen=True)
class Folds:
    """How rows find their fold.

    Attributes
    ----------
    n_folds
        How many there are.
    seed
        That of the dataset.
    firsts
        The first partition of each fold, ascending, where folds are whole partitions; empty where they go by content.
    """

    n_folds: int
    seed: int = 0
    firsts: tuple[int, ...] = ()

    def of(self, block: Block) -> Numbers:
        """Return the fold of each row of a block as it is stored, (n_rows,)."""
        if self.firsts:
            assert block.partition is not None
            fold = bisect.bisect_right(self.firsts, block.partition) - 1
            return np.full(block.n_rows, fold, np.int8)
        hashes = derive(row_hashes(_Rows.of(block)), seed=self.seed, purpose=Purpose.FOLD)
        return scale_to(hashes, self.n_folds).astype(np.int8)

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"n_folds": self.n_folds, "seed": self.seed, "firsts": list(self.firsts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Folds:
        """Undo `to_json`."""
        return cls(data["n_folds"], data["seed"], tuple(data["firsts"]))


@dataclass(frozen=True)
class FoldRows:
    """The rows of one fold, or all others.

    Attributes
    ----------
    inside
        Whether it is the fold's own rows.
    """

    folds: Folds
    number: int
    inside: bool

    def chosen(self, block: Block) -> NDArray[np.bool_]:
        """Return which rows of a prepared block they are, (n_rows,)."""
        assert block.folds is not None
        return np.asarray((block.folds == self.number) == self.inside)

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"folds": self.folds.to_json(), "number": self.number, "inside": self.inside}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FoldRows:
        """Undo `to_json`."""
        return cls(Folds.from_json(data["folds"]), data["number"], data["inside"])
