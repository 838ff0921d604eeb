"""Queries: what one pass over the data is asked, and how a block answers.

A query travels to the map tasks as JSON and arrays; `map` turns a block into a `Statistic`, and on the driver `read`
turns the statistic of all blocks into a typed value. Sums, not means, and no penalty, so that statistics of disjoint
blocks add (Chu et al. 2006, sec. 2). A new kind of pass is a new class in the registry of `mr_ml.sums.query_kinds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.errors import BadDataError
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]


class Query(ABC):
    """What one pass over the data is asked; subclasses are frozen dataclasses.

    Attributes
    ----------
    kind
        By which it is registered and stored.
    """

    kind: ClassVar[str]

    @property
    def reading(self) -> str:
        """What `prepare` depends on, as text.

        Queries of the same dataset and reading prepare a block alike: a task keeps prepared blocks under it and uses
        them for every such query. Empty where blocks are taken as they are stored.
        """
        return ""

    @property
    def width(self) -> int:
        """How many columns the sums have that may be in slices; 0 where there are none."""
        return 0

    def prepare(self, block: Block) -> Block:
        """Return a stored block as `map` wants it; may be kept from pass to pass, and must not be changed."""
        return block

    @abstractmethod
    def map(self, block: Block) -> Statistic:
        """Return the statistic of a prepared block, without receipts.

        Raises
        ------
        BadDataError
            If rows have features or labels that the query does not know.
        """

    @classmethod
    def together(cls, queries: Sequence[Self]) -> Callable[[Block], list[Statistic]]:
        """Return what maps a block, prepared for several queries of this kind, to the statistics of all.

        To the last bit what `map` gives for each: what is shared between them saves time alone.
        """
        return lambda block: [query.map(block) for query in queries]

    @abstractmethod
    def read(self, total: Statistic) -> Any:
        """Return the statistic of all blocks as a typed value."""

    @abstractmethod
    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays from which `from_parts` makes the same query."""

    @classmethod
    @abstractmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Undo `to_parts`."""


def check_width(block: Block, n_features: int) -> None:
    """Raise BadDataError if a row has a feature beyond the last."""
    if block.features.width > n_features:
        raise BadDataError(f"a row has feature {block.features.width - 1}, expected ids below {n_features}")
