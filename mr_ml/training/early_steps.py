"""What a sample of the rows, which the driver reads itself, says of where to go.

Optimizers that ask for the loss of a sample are given one of the split's first rows. For others a sample of about a
block says how long the first steps should be.

L-BFGS starts out along -g / diag(h), which is far too long where features go together, and the pass that finds that
out is one that nothing else needs; its first pairs tell little more. Rows are shuffled when they are packed, so the
losses of a few along a direction say where its minimum is, well enough for a step. What they say only aims: the pass
judges by all rows. They are the split's first rows in the order of their hashes, however many partitions there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from functools import cached_property, reduce
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Store
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.data.block import Block, BlockAddress
from mr_ml.data.partition_file import packed_block
from mr_ml.errors import BadDataError
from mr_ml.models.objective import Objective, Sample
from mr_ml.optimize.base import Ask, Evaluation, Optimizer
from mr_ml.sums.blas import on_one_thread, one_thread
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic

# From 2^-12 to 8, two to an octave.
_STEPS = tuple((2.0 ** (np.arange(-24, 7) / 2)).tolist())


# So many blocks at most of what early steps go by, where partitions are so small that they hold but a few rows each.
_MOST_BLOCKS = 16


@dataclass(frozen=True)
class EarlySteps:
    """Advice on the directions of one training, whose features are `columns` where these are given."""

    objective: Objective
    dataset: Dataset
    split: str
    store: Store
    columns: NDArray[Any] | None = None
    _kept: list[Block] = field(default_factory=list, init=False, repr=False, compare=False)

    @on_one_thread
    def advised(self, optimizer: Optimizer[Any, Ask, Evaluation], state: Any) -> Any:
        """Return the state with a direction that goes by what a sample says, if that is of use; raises as `factor`."""
        point = optimizer.ask_sampled(state)
        if point is None or self._rows is None:
            return self.stretched(optimizer, state)
        told = optimizer.tell_sampled(state, self._rows.at(point))
        asked, before = optimizer.ask(told), optimizer.ask(state)
        kept = asked is not None and before is not None and asked.direction is before.direction
        return self.stretched(optimizer, told) if kept else told

    @cached_property
    def _rows(self) -> Sample | None:
        """The split's first rows, as many as the objective takes."""
        return self.objective.sample(self.blocks(), n_rows=self.dataset.n_rows(self.split))

    @cached_property
    def _sample(self) -> list[Block]:
        sample: list[Block] = []
        left = self.dataset.packing.get("block_rows")
        for block in self._first_blocks():
            # who wrote the manifest by other means than a pack may not have said it
            left = block.n_rows if left is None else left
            head = block.head(left)
            over = head if self.columns is None else head.over(self.columns)
            sample.append(over)
            left -= head.n_rows
            if not left:
                break
        return sample

    def _prepared(self, query: Query) -> list[Block]:
        """Return the sample as all queries of this objective want it."""
        if not self._kept:
            self._kept.extend(map(query.prepare, self._sample))
        return self._kept

    def blocks(self) -> Iterator[Block]:
        """Read the split's blocks, in their order, over the training's features."""
        for block in self._first_blocks(most=None):
            yield block if self.columns is None else block.over(self.columns)

    def _first_blocks(self, most: int | None = _MOST_BLOCKS) -> Iterator[Block]:
        parts = ((p, index) for p in self.dataset.of_split(self.split) for index in range(p.facts.blocks))
        for partition, index in islice(parts, most):
            sizes = partition.facts.line_bytes
            where = self.store.uri(partition.path)
            line = self.store.read_range(partition.path, offset=sum(sizes[:index]), length=sizes[index])
            stored = packed_block(line, where=where)
            expected = BlockAddress(partition.facts.partition, index)
            if stored.address != expected:
                raise BadDataError(f"{where}: expected {expected}, found {stored.address}")
            yield stored.block

    def stretched(self, optimizer: Optimizer[Any, Ask, Evaluation], state: Any) -> Any:
        """Return the state with a direction of another length, where the length means little; raises as `factor`."""
        ask = optimizer.ask_sample(state)
        return state if ask is None else optimizer.tell_sample(state, self.factor(ask))

    def factor(self, ask: Ask) -> float:
        """Find the step, in multiples of the direction of `ask`, that is best for the sample; 1 if it cannot tell.

        Raises
        ------
        BadDataError
            If a block is not what was packed.
        """
        tried = replace(ask, steps=_STEPS, chosen=0, curvature=False, hessian=False)
        query = self.objective.query(tried)
        with one_thread():
            total = reduce(Statistic.absorb, (query.map(block) for block in self._prepared(query)))
        values = self.objective.sampled(tried, total)
        if values is None:
            return 1.0
        values = np.where(np.isfinite(values), values, np.inf)
        return _STEPS[int(values.argmin())] if np.isfinite(values).any() else 1.0
