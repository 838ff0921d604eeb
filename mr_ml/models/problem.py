"""What a training is of: a problem that passes solve, and what comes of the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.models.needs import Needs
from mr_ml.optimize.base import Ask, Evaluation, Optimizer, Result
from mr_ml.optimize.choose import Choice
from mr_ml.sums.query import Query
from mr_ml.sums.statistic import Statistic

if TYPE_CHECKING:
    from mr_ml.coefficients.base import Coefficients
    from mr_ml.data.block import Block
    from mr_ml.data.folds import FoldRows, Folds
    from mr_ml.models.base import Model
    from mr_ml.models.objective import Objective
    from mr_ml.models.paired import MeasuringQuery
    from mr_ml.models.warm_start import WarmStart

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Conclusion:
    """The end of a training.

    Attributes
    ----------
    training
        Why it ended and how good it is, for the manifest, with `warnings`.
    classes
        As of `Model`.
    arrays
        What is published of the model besides its manifest.
    format
        Of the arrays, if readers of earlier releases would not understand them.
    """

    training: Mapping[str, Any]
    classes: tuple[float, ...]
    arrays: Arrays
    format: int | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class FirstGuess:
    """Where a search begins that has looked at a sample of the rows.

    Attributes
    ----------
    point
        (size,) near its optimum.
    n_rows
        How many rows it has.
    columns
        As of `mr_ml.optimize.base.Optimizer.init_sampled`.
    """

    point: Floats
    n_rows: int
    columns: int | None

    @property
    def text(self) -> str:
        """What the user is told."""
        return f"begins near the optimum of {self.n_rows:,} rows"

    @property
    def event(self) -> dict[str, Any]:
        """What the log says."""
        return {"event": "first_guess", "rows": self.n_rows}


class Problem(Protocol):
    """What a spec and a dataset determine: what is minimised by which optimizer, and what comes of the end."""

    @property
    def objective(self) -> Objective:
        """The objective that is minimised."""

    @property
    def optimizer(self) -> Optimizer[Any, Ask, Evaluation]:
        """The optimizer that minimises the objective."""

    @property
    def choices(self) -> Sequence[Choice]:
        """The optimizers that the spec leaves open, fewest passes first; each takes less memory than the one before."""

    @property
    def choice(self) -> Choice:
        """The one of them that `optimizer` is."""

    def by(self, choice: Choice) -> Problem:
        """Return the problem with another optimizer."""

    @property
    def columns(self) -> NDArray[np.int32] | None:
        """The features of the dataset that queries are about; None for all."""

    def start(self) -> Floats:
        """Return where the search starts, (size,)."""

    def first_guess(self, blocks: Iterable[Block]) -> FirstGuess | None:
        """Return where the search begins that knows no model; None for the start.

        How many rows it looks at follows from the data and the spec, or models would depend on where they are trained.

        Parameters
        ----------
        blocks
            Of the split, over the problem's columns, in their order; read no further than is needed, if at all.

        Raises
        ------
        BadDataError
            If a block is not what was packed.
        """

    def warm_start(self, model: Model, moments: FeatureMoments) -> WarmStart:
        """Return where the search starts that knows a model of the same kind.

        Raises
        ------
        UsageError
            If the model is of another loss, or other labels, or none of its features is in the dataset.
        BadDataError
            If its features cannot be told among those of the dataset.
        """

    def begin_from(self, found: Coefficients, title: str, moments: FeatureMoments) -> WarmStart:
        """Return where the search starts that knows coefficients of another program, from a file.

        Parameters
        ----------
        title
            What they are called in messages.

        Raises
        ------
        UsageError
            If they are of another loss, or other labels, or none of their features is in the dataset.
        BadDataError
            If the features cannot be told among those of the dataset.
        """

    def needs(self, *, beside_others: bool = False) -> Needs:
        """Return what a training holds besides blocks; beside others it has no `first_guess`."""

    def over(self, rows: FoldRows) -> Problem:
        """Return the problem over some rows; what follows from all, such as scales of features, stays the same."""

    def judging(self, point: Floats, rows: FoldRows | None) -> MeasuringQuery:
        """Return the query that measures the model at a point, (size,), by some rows; None for all."""

    def metrics(self) -> Mapping[str, bool]:
        """Return by which metrics such a model can be judged, and whether more of each is better."""

    def check_folds(self, folds: Folds) -> Query:
        """Return the query whose `read` raises BadDataError if a fold has no rows, or the others lack a class."""

    def proof(self, result: Result) -> Query | None:
        """Return what one more pass is asked for after the search ended, if a proof of why is lacking."""

    def conclude(self, result: Result, proof: Statistic | None) -> Conclusion:
        """Return what comes of the end of the search and of the pass of `proof`, if there was one.

        Raises
        ------
        NoModelError
            If no model comes of it, however often it is tried.
        BadDataError
            If the model cannot be written down.
        """
