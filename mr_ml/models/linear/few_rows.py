"""A sample of the rows of which a few are looked at before the others are read.

To read and standardise a sample takes the driver some tenths of a second, in which nothing else happens. Where features
are so many and so rare that the sample would be given up for noise, a tenth of its rows tells already: of 700,000 rows
of text the first of six passes takes a fifth of a second less. What they say depends on the data and the point alone,
so a search that is resumed goes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.data.block import Block
from mr_ml.models.linear.sampled import MOST_ROWS, LossOfSample, RowSample

Floats = NDArray[np.float64]

# Rows of the first look; and what of a Hessian would be noise where they are sure, although they say too much rather
# than too little: more than three times what an optimizer puts up with.
FEW = 2_000
_SURELY = 0.5


@dataclass(frozen=True, eq=False)
class LookedAtSample:
    """A sample whose rows are read when they are needed.

    Attributes
    ----------
    few
        Its first rows.
    """

    few: RowSample
    _n_rows: int
    _read: Callable[[], RowSample | None]

    @classmethod
    def of(
        cls, blocks: Iterable[Block], *, n_rows: int, sample: Callable[[Iterable[Block]], RowSample | None]
    ) -> LookedAtSample | RowSample | None:
        """Return the first rows of stored blocks that have `n_rows` in all; None if they weigh nothing.

        Parameters
        ----------
        blocks
            Read no further than is needed, now or later.
        sample
            Makes a sample of blocks.
        """
        if n_rows <= MOST_ROWS:
            return sample(blocks)
        rest = iter(blocks)
        begun = list(_until(rest, FEW))
        few = sample(_first(begun, FEW))

        def read() -> RowSample | None:
            whole = sample(chain(begun, rest))
            begun.clear()
            return whole

        return read() if few is None else cls(few, n_rows, read)

    @cached_property
    def whole(self) -> RowSample | None:
        """All of its rows; None if their weights cannot be added up."""
        return self._read()

    @property
    def most_rows(self) -> int:
        """How many there are at most."""
        return min(MOST_ROWS, self._n_rows)

    @property
    def most_share(self) -> float:
        """Of all rows."""
        return self.most_rows / self._n_rows

    def at(self, theta: Floats) -> LossOfLookedAt:
        """Return the mean loss near theta (size,)."""
        return LossOfLookedAt(self, theta)


@dataclass(frozen=True, eq=False)
class LossOfLookedAt:
    """A `mr_ml.optimize.base.SampledLoss` near theta (size,), of all rows but for what a few have to say of noise."""

    sample: LookedAtSample
    theta: Floats

    @cached_property
    def noise(self) -> float:
        """As few rows say, if these are sure that there is much; 1 too where there is nothing to be known."""
        few = self.sample.few.at(self.theta)
        by_few = few.noise_of(n_rows=self.sample.most_rows, share=self.sample.most_share)
        if by_few > _SURELY:
            return by_few
        return 1.0 if self.sample.whole is None else self.whole.noise

    @cached_property
    def whole(self) -> LossOfSample:
        """Of all rows, or of few where all have nothing to say."""
        rows = self.sample.whole
        return (self.sample.few if rows is None else rows).at(self.theta)

    @property
    def rows(self) -> Floats:
        """Of how many rows each coefficient moves the margin, (size,)."""
        return self.whole.rows

    @property
    def share(self) -> float:
        """Of all rows."""
        return self.whole.share

    @property
    def penalty(self) -> Floats:
        """The diagonal of the penalty's Hessian, (size,)."""
        return self.whole.penalty

    @property
    def gradient(self) -> Floats:
        """The gradient, (size,)."""
        return self.whole.gradient

    @property
    def diagonal(self) -> Floats:
        """That of the Hessian, (size,)."""
        return self.whole.diagonal

    def times(self, vector: Floats) -> Floats:
        """Multiply the Hessian with a vector (size,)."""
        return self.whole.times(vector)

    def gains(self, direction: Floats, steps: Sequence[float]) -> Floats:
        """Return what each step along a direction changes the mean loss by, less slope times step; (n_steps,)."""
        return self.whole.gains(direction, steps)

    def moved(self, direction: Floats) -> LossOfSample:
        """Return the same at the point plus a direction (size,)."""
        return self.whole.moved(direction)


def _until(blocks: Iterator[Block], n_rows: int) -> Iterator[Block]:
    """Take blocks that have so many rows, if there are as many."""
    for block in blocks:
        yield block
        n_rows -= block.n_rows
        if n_rows <= 0:
            return


def _first(blocks: Iterable[Block], n_rows: int) -> Iterator[Block]:
    for block in blocks:
        yield block.head(min(block.n_rows, n_rows))
        n_rows -= block.n_rows
