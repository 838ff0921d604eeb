"""The protocol of objectives: what is minimised, and what some of the rows say of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.optimize.base import Ask, Evaluation, SampledLoss
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic

Floats = NDArray[np.float64]


class Sample(Protocol):
    """Some of the rows, held by the driver."""

    def at(self, theta: Floats) -> SampledLoss:
        """Return their mean loss near theta (size,)."""


class Objective(Protocol):
    """What is minimised: asks to queries, totals to evaluations; no rows, no passes."""

    @property
    def size(self) -> int:
        """Number of coefficients."""

    def query(self, ask: Ask) -> Query:
        """Return the query of a pass."""

    def finish(self, ask: Ask, total: Statistic) -> Evaluation:
        """Return what the optimizer is told.

        Raises
        ------
        NoModelError
            If there is nothing to learn from.
        """

    def sampled(self, ask: Ask, total: Statistic) -> Floats | None:
        """Return the objective at each of the steps as some rows have it, (n_steps,); None if they cannot tell."""

    def sample(self, blocks: Iterable[Block], *, n_rows: int) -> Sample | None:
        """Return the first rows of stored blocks that have `n_rows` in all; None if they cannot tell anything.

        How many these are follows from the data alone, or models would depend on where they are trained.

        Raises
        ------
        BadDataError
            If a block is not what was packed.
        """
