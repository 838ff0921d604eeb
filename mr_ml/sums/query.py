"""Queries: what one pass over the data is asked, and how a block answers.

A query travels to the map tasks as JSON and arrays; `map` turns a block into a `Statistic`. Sums, not means, and no
penalty, so that statistics of disjoint blocks add (Chu et al. 2006, sec. 2). A new kind of pass is a new class, listed
in `mr_ml.passes.queries`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.data.features import SparseFeatures
from mr_ml.errors import BadDataError
from mr_ml.sums.parts import ColumnPart, Keyed, Part
from mr_ml.sums.slices import slices
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]

# A block with fewer entries than this share of the features is mapped over the columns that it has.
_COMPACT_BELOW = 1 / 4


class Query(Protocol):
    kind: ClassVar[str]

    @property
    def reading(self) -> str:
        """What `prepare` depends on: queries of the same dataset and reading prepare a block alike."""

    def prepare(self, block: Block) -> Block:
        """A stored block as `map` wants it; may be kept from pass to pass."""

    def map(self, block: Block) -> Statistic:
        """The statistic of a prepared block, without receipts."""

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """JSON and arrays from which `from_parts` makes the same query."""

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Query:
        """Undo `to_parts`."""


_BY_COLUMN = ("gradient_sum", "curvature_sum", "moments", "weighted", "lows", "highs", "stored")


def check_width(block: Block, n_features: int) -> None:
    """Raise BadDataError if a row has a feature beyond the last."""
    if block.features.width > n_features:
        raise BadDataError(f"a row has feature {block.features.width - 1}, expected ids below {n_features}")


def compact(block: Block, n_features: int) -> tuple[Array, Block] | None:
    """The columns that a block has and the block over them alone; None if these are too many to be worth it."""
    features = block.features
    if not isinstance(features, SparseFeatures) or features.nnz >= _COMPACT_BELOW * n_features:
        return None
    ids, small = features.compact()
    return ids, replace(block, features=small)


def sliced(parts: Mapping[str, Part], *, width: int, ids: Array | None = None) -> Statistic:
    """A statistic with the parts that have columns, which are `ids` of `width`, in slices."""
    cut: dict[str, ColumnPart] = {}
    whole: dict[str, Part] = {}
    for name, part in parts.items():
        if name in _BY_COLUMN and not isinstance(part, Keyed):
            cut[name] = part
        else:
            whole[name] = part
    return Statistic(whole, slices=slices(cut, width=width, ids=ids))
