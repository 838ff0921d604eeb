"""Training many models in one pass: the fleet's asks become queries side by side, and totals its evaluations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Store
from hdfs_layout.dataclass import dataclass
from mr_ml import interrupts
from mr_ml.catalog.checkpoints import Journal
from mr_ml.catalog.dataset import Dataset
from mr_ml.data.folds import FoldRows, Folds
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.paired import NO_JUDGES
from mr_ml.models.problem import Problem
from mr_ml.optimize.base import Evaluation
from mr_ml.optimize.fleet import Fleet, FleetAsk, FleetEvaluation, FleetState, Halving, Judgement
from mr_ml.passes.base import Engine
from mr_ml.sums.blas import on_one_thread
from mr_ml.sums.query import Query
from mr_ml.sums.several import SeveralQueries
from mr_ml.sums.statistic import Statistic
from mr_ml.training.early_steps import EarlySteps
from mr_ml.training.loop import Watch


@dataclass(frozen=True, eq=False, kw_only=True)
class Seat:
    """One model of a fleet.

    Attributes
    ----------
    problem
        Over the rows that it is trained on.
    judged_by
        The rows of the same split that it is judged by; None if it is judged by another split.
    guess
        (size,) where a search begins that knows an earlier model; None of one that does not.
    """

    problem: Problem
    judged_by: FoldRows | None
    guess: NDArray[np.float64] | None = None

    def begin(self) -> Any:
        """Return the state of its search before the first pass."""
        problem = self.problem
        start, optimizer = problem.start(), problem.optimizer
        return optimizer.init(start) if self.guess is None else optimizer.init_warm(start, self.guess)


# Of what a loss has, the first one is what it minimises.
_OF_LOSSES = ("log_loss", "mean_deviance", "mean_loss", "mean_squared_error")


@dataclass(frozen=True)
class Metric:
    """By which models are judged: a name, or None for what the loss minimises; and whether more of it is better."""

    name: str | None
    higher: bool = False

    def of(self, names: Collection[str]) -> str:
        """Return its name, given those of all metrics; raises UsageError if it is none of them."""
        found = next((name for name in _OF_LOSSES if name in names), "") if self.name is None else self.name
        if found not in names:
            raise UsageError(f"`metric`: expected one of {', '.join(sorted(names))}, found {found!r}")
        return found

    def judgement(self, found: Mapping[str, Any]) -> Judgement:
        """Return what metrics by name come to.

        Raises
        ------
        UsageError
            If this one is not among them.
        BadDataError
            If it is not defined of these rows.
        """
        numbers = {
            name: value
            for name, value in found.items()
            if name not in NO_JUDGES and (value is None or type(value) in (int, float))
        }
        name = self.of(numbers)
        value = numbers[name]
        if value is None:
            raise BadDataError(
                f"`metric` {name} is not defined of the rows that a model is judged by, such as those of one class; "
                "take another metric, or fewer `folds`"
            )
        return Judgement(-value if self.higher else value, numbers)

    def used(self, state: FleetState) -> str:
        """Return the name of the metric by which members were judged."""
        judged = [member.judgement for member in state.members if member.judgement is not None]
        return self.of(next((one.metrics for one in judged if one.metrics), {}))


@dataclass(frozen=True, eq=False, kw_only=True)
class FleetSearch:
    """All models of a tuning, and what a pass over them is.

    Attributes
    ----------
    teams
        The candidate of each seat.
    folds
        Of the split, if models are judged by folds.
    judge
        Runs over the rows that models are judged by, if these are of another split.
    """

    seats: Sequence[Seat]
    teams: tuple[int, ...]
    metric: Metric
    at_once: int
    halving: Halving | None
    folds: Folds | None
    dataset: Dataset
    split: str
    store: Store
    engine: Engine
    judge: Engine | None = None

    @cached_property
    def fleet(self) -> Fleet:
        """The optimizer of all."""
        problems = [seat.problem for seat in self.seats]
        return Fleet(
            searches=tuple(problem.optimizer for problem in problems),
            sizes=tuple(problem.objective.size for problem in problems),
            teams=self.teams,
            begin=lambda k: self.seats[k].begin(),
            at_once=self.at_once,
            halving=self.halving,
            judges_apart=self.judge is not None,
            stretch=lambda k, state: self._samples[k].advised(problems[k].optimizer, state),
        )

    @cached_property
    def _samples(self) -> list[EarlySteps]:
        return [
            EarlySteps(seat.problem.objective, self.dataset, self.split, self.store, seat.problem.columns)
            for seat in self.seats
        ]

    @np.errstate(all="ignore")
    @on_one_thread
    def run(self, state: FleetState, *, journal: Journal, watch: Watch) -> FleetState:
        """Run passes until all searches are over; return what they found.

        Raises
        ------
        BadDataError
            If data is not what was packed, or folds are not what models need.
        NoModelError
            If rows have no weight.
        """
        fleet = self.fleet
        while (ask := fleet.ask(state)) is not None:
            with watch.measuring():
                state = fleet.tell(state, self._evaluated(ask, first=not state.passes))
            progress = watch.seen(fleet.progress(state))
            journal.add(state, progress.event)
            watch.tell(progress)
            interrupts.raise_if_asked()
        return state

    def _evaluated(self, ask: FleetAsk, *, first: bool) -> FleetEvaluation:
        """Run the pass of an ask; the first one counts the rows of the folds as well."""
        queries: dict[str, Query] = {
            f"search {k}": self.seats[k].problem.objective.query(one) for k, one in ask.searches.items()
        }
        judging = {
            f"judge {k}": self.seats[k].problem.judging(point, self.seats[k].judged_by)
            for k, point in ask.judged.items()
        }
        if self.folds is not None and first:
            queries["folds"] = self.seats[0].problem.check_folds(self.folds)
        if self.judge is None:
            queries.update(judging)
        totals = self._totals(self.engine, queries)
        if self.judge is not None and judging:
            totals.update(self._totals(self.judge, judging))
        if self.folds is not None and first:
            queries["folds"].read(totals["folds"])
        return FleetEvaluation(
            {k: self._evaluation(k, ask, totals[f"search {k}"]) for k in ask.searches},
            {k: self._judgement(judging[f"judge {k}"], totals[f"judge {k}"]) for k in ask.judged},
        )

    def _totals(self, engine: Engine, queries: Mapping[str, Query]) -> dict[str, Statistic]:
        if not queries:
            return {}
        together = SeveralQueries(tuple(queries.values()))
        total = engine.run(together, columns=self.seats[0].problem.columns)
        return dict(zip(queries, together.statistics(total), strict=True))

    def _evaluation(self, k: int, ask: FleetAsk, total: Statistic) -> Evaluation:
        return self.seats[k].problem.objective.finish(ask.searches[k], total)

    def _judgement(self, query: Any, total: Statistic) -> Judgement:
        try:
            found = query.read(total).to_json()
        except BadDataError:
            # predictions that overflow: good for nothing
            return Judgement(float("inf"))
        return self.metric.judgement(found)
