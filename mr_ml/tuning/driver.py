"""Tuning on the driver: folds, the fleet of all candidates, the choice, and the model that is published.

A tuning is a run whose states are those of the fleet; the model that is chosen is trained anew on all rows by a run of
its own, `RUN-best`, with the bits that `mr-ml train` would give it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import append_events
from hdfs_layout.dataclass import dataclass
from mr_ml import interrupts
from mr_ml.catalog.attempts import begin, noting_errors, now
from mr_ml.catalog.checkpoints import Checkpoints, Journal
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.leftovers import sweep_folders
from mr_ml.catalog.run import RunDocument, read_run, start_run
from mr_ml.catalog.states import Owner
from mr_ml.catalog.tuning import Tried, Tuned, TuningPlan
from mr_ml.catalog.uses import using
from mr_ml.data import stored
from mr_ml.data.folds import FoldRows, Folds
from mr_ml.errors import UnavailableError, UsageError
from mr_ml.ids import unique_id
from mr_ml.memory import block_budget
from mr_ml.models.base import TrainSpec
from mr_ml.models.needs import Needs
from mr_ml.models.problem import Problem
from mr_ml.optimize.fleet import FleetState, Halving, Member
from mr_ml.progress import stage
from mr_ml.session import Session
from mr_ml.training.fleet import FleetSearch, Metric, Seat
from mr_ml.training.loop import Watch
from mr_ml.training.solver import frugal
from mr_ml.training.train import TrainResult, make_problem
from mr_ml.tuning.begin import file_of, guesses
from mr_ml.tuning.choose import chosen, mean_and_error
from mr_ml.tuning.report import candidates, words

# Means of what each loss has for itself: they compare candidates of one loss only.
OF_THE_LOSS = frozenset({"mean_deviance", "mean_loss"})
# Of the time that writing states may take: those of many models are large.
STATE_SHARE = 0.05
# Of the sums of a pass on a cluster, which the driver adds up.
MOST_SUM_BYTES = 256 << 20
# Of a table of scores, by which areas under curves are computed.
_SCORE_BYTES, _MOST_SCORES = 24, 1 << 20


@dataclass(frozen=True, kw_only=True)
class TuneResult:
    """The result of a tuning: what was tried, the model that came of the best, and the seconds of all of it."""

    tuned: Tuned
    trained: TrainResult
    seconds: float


def folds_of(dataset: Dataset, split: str, n_folds: int | None) -> Folds:
    """Return the folds of a split: where rows were packed by group those that it was packed with, else by content.

    Raises
    ------
    UsageError
        If rows were packed by group without folds, or with another number of folds, or a fold is empty.
    """
    packed = dataset.packing.get("folds", 1)
    if not dataset.packing.get("by_group", False):
        return Folds(n_folds if n_folds is not None else packed if packed > 1 else 5, dataset.packing["seed"])
    if packed == 1:
        raise UsageError(
            f"{dataset.reference} was packed by group, and its rows do not know their groups any more: pack it with "
            f"`folds` {n_folds or 5}, so that no group is in two folds"
        )
    if n_folds not in (None, packed):
        raise UsageError(
            f"`folds`: {dataset.reference} was packed by group in {packed} folds, found {n_folds}: leave it out, or "
            f"pack with `folds` {n_folds}"
        )
    firsts: dict[int, int] = {}
    for partition in dataset.of_split(split):
        assert partition.fold is not None
        firsts.setdefault(partition.fold, partition.facts.partition)
    return Folds(packed, dataset.packing["seed"], tuple(firsts[fold] for fold in range(packed)))


def tune(session: Session, spec: TrainSpec, plan: TuningPlan) -> TuneResult:
    """Judge candidates, train the best one on all rows, and publish it.

    Raises
    ------
    UsageError
        If candidates, folds and data do not fit together.
    BadDataError, NoModelError, InternalError
        As `mr_ml.training.train.fit`; or if folds are not what models need.
    """
    return _tuned(session, spec, plan, run=unique_id(), is_begun=False)


def resume(session: Session, run: str) -> TuneResult:
    """Go on with a tuning that was interrupted; raises as `tune`, and UsageError if the run is none."""
    document = read_run(session.root, run)
    if document.tuning is None:
        raise UsageError(f"run {run} is no tuning; go on with it by `mr-ml runs resume {run}`")
    return _tuned(session, document.spec, document.tuning, run=run, is_begun=True)


def _tuned(session: Session, spec: TrainSpec, plan: TuningPlan, *, run: str, is_begun: bool) -> TuneResult:
    began = time.monotonic()
    with noting_errors(session.root, run):
        tuned, trained = _noted(session, spec, plan, run=run, is_begun=is_begun)
    return TuneResult(tuned=tuned, trained=trained, seconds=time.monotonic() - began)


def _noted(
    session: Session, spec: TrainSpec, plan: TuningPlan, *, run: str, is_begun: bool
) -> tuple[Tuned, TrainResult]:  # fmt: skip
    specs = [with_options(spec, options) for options in plan.candidates]
    _check_judges(specs, plan)
    dataset = load_dataset(session.root, spec.dataset)
    with using(session.root, dataset):
        tuned = _judged(session, spec, plan, specs, dataset, run=run, is_begun=is_begun)
    best = tuned.tried[tuned.chosen]
    session.say(f"chosen of {candidates(len(specs))}: {words(best.options)}, {tuned.metric} {best.mean:.6g}")
    fitted = session.fit(specs[tuned.chosen], run=f"{run}-best", part_of=run)
    trained = session.publish(fitted, tuned=tuned)
    event = {"event": "published", "at": now(), "version": trained.version, "stop": trained.stop}
    append_events(session.root.store, session.root.layout.run_log(run), [event])
    return tuned, trained


def with_options(spec: TrainSpec, options: dict[str, Any]) -> TrainSpec:
    """Return the spec of a candidate; raises UsageError if it cannot have these options."""
    fixed = options.keys() & {"dataset", "model", "split", "warm_start", "warm_start_from"}
    if fixed:
        raise UsageError(f"`{min(fixed)}` is the same for all candidates")
    return stored.check(type(spec), {**vars(spec), **options}, what="a candidate")


def _check_judges(specs: Sequence[TrainSpec], plan: TuningPlan) -> None:
    if plan.validation == specs[0].split:
        raise UsageError(
            f"`validation`: expected another split than {specs[0].split}, which candidates are trained on: the rows "
            "that a model has seen do not judge it"
        )
    titles = {spec.title for spec in specs}
    if len(titles) > 1 and (plan.metric is None or plan.metric in OF_THE_LOSS):
        raise UsageError(
            f"`metric`: candidates of different losses ({', '.join(sorted(titles))}) are compared by what all of them "
            f"have, such as log_loss, accuracy or mean_absolute_error; found {plan.metric or 'none'}"
        )


def _metric(specs: Sequence[TrainSpec], problems: Sequence[Problem], plan: TuningPlan) -> Metric:
    """Return by what candidates are judged.

    Raises
    ------
    UsageError
        If the models of some candidate do not have that metric.
    """
    if plan.metric is None:
        return Metric(None)
    higher = False
    # the same for all candidates of a title
    for title, problem in {spec.title: problem for spec, problem in zip(specs, problems, strict=True)}.items():
        known = problem.metrics()
        if plan.metric not in known:
            raise UsageError(
                f"`metric`: expected one of {', '.join(sorted(known))}, which {title} models have, found "
                f"{stored.shown(plan.metric)}"
            )
        higher = known[plan.metric]
    return Metric(plan.metric, higher)


def _judged(
    session: Session, spec: TrainSpec, plan: TuningPlan, specs: Sequence[TrainSpec], dataset: Dataset, *, run: str,
    is_begun: bool,
) -> Tuned:  # fmt: skip
    root, layout = session.root, session.root.layout
    folds = None if plan.validation is not None else folds_of(dataset, spec.split, plan.folds)
    if plan.validation is not None:
        dataset.of_split(plan.validation)
    # of many models each would hold a sample of the rows
    problems = [frugal(make_problem(one, dataset, root)) for one in specs]
    metric = _metric(specs, problems, plan)
    data = file_of(session, spec, run, is_begun=is_begun)
    begins, told = guesses(problems, specs, dataset, root, data)
    seats, teams = _seats(problems, folds, begins)
    at_once, needs = _at_once(session, dataset, spec.split, [seat.problem for seat in seats])
    of_work = session.runner.of_work(run)
    # what does not fit together is found before there is a run
    engine = session.engine_over(dataset, spec.split, needs, runner=of_work)
    if not is_begun:
        start_run(root, run, RunDocument(spec=spec, tuning=plan), warm_start=data)
    del data
    begin(root, run, [] if told is None or is_begun else [told.event])
    session.say(
        f"run {run}: {candidates(len(specs))}, {len(seats)} models on {dataset.reference} {spec.split}, "
        f"{dataset.n_rows(spec.split)} rows" + (f", {at_once} at once" if at_once < len(seats) else "")
    )
    if told is not None:
        session.say(told.text)
    sweep_folders(root.store, layout.run(run))
    with closing(engine):
        judge = None
        if plan.validation is not None:
            judge = session.engine_over(dataset, plan.validation, needs, runner=of_work)
        search = FleetSearch(
            seats=seats, teams=teams, metric=metric, at_once=at_once, folds=folds,
            halving=None if plan.first_passes is None else Halving(first=plan.first_passes, factor=plan.factor or 2),
            dataset=dataset, split=spec.split, store=root.store, engine=engine, judge=judge,
        )  # fmt: skip
        owner = replace(Owner.of(run, spec, dataset), spec=Owner.digest([spec.to_json(), plan.to_json()]))
        checkpoints = Checkpoints(root, owner, search.fleet, size=0, say=session.say)
        state = checkpoints.load() or search.fleet.init(problems[0].start())
        watch = Watch(dataset.n_rows(spec.split), session.watch, session.say)
        tuning = stage(f"tuning {spec.model}", unit="passes")
        with interrupts.after_a_pass(), tuning, Journal(checkpoints, share=STATE_SHARE) as journal:
            state = search.run(state, journal=journal, watch=watch)
        if judge is not None:
            judge.close()
    tuned = _result(run, plan, specs, teams, search, state)
    append_events(root.store, layout.run_log(run), [{"event": "tuned", "tuned": tuned.to_json()}])
    return tuned


def _seats(
    problems: Sequence[Problem], folds: Folds | None, begins: Sequence[NDArray[np.float64] | None]
) -> tuple[list[Seat], tuple[int, ...]]:
    """Return the models of all candidates, and the candidate of each."""
    each = list(zip(problems, begins, strict=True))
    if folds is None:
        seats = [Seat(problem=problem, judged_by=None, guess=guess) for problem, guess in each]
        return seats, tuple(range(len(seats)))
    seats = [
        Seat(
            problem=problem.over(FoldRows(folds, k, inside=False)),
            judged_by=FoldRows(folds, k, inside=True),
            guess=guess,
        )
        for problem, guess in each
        for k in range(folds.n_folds)
    ]
    return seats, tuple(k // folds.n_folds for k in range(len(seats)))


def _at_once(session: Session, dataset: Dataset, split: str, problems: Sequence[Problem]) -> tuple[int, Needs]:
    """Return how many models go on at once, all if memory allows it, and what passes over these need."""
    n = len(problems)
    while True:
        needs = _needs(dataset, split, problems[:n])
        try:
            budget = block_budget(session.memory, session.runner, needs)
        except (UsageError, UnavailableError):
            if n == 1:
                raise
            budget = 0
        here = session.runner.tasks.share_memory
        if n == 1 or (budget > 0 if here else needs.sum_bytes <= MOST_SUM_BYTES):
            return n, needs
        n = -(-n // 2)


def _needs(dataset: Dataset, split: str, problems: Sequence[Problem]) -> Needs:
    each = [problem.needs(beside_others=True) for problem in problems]
    coef_bytes = 16 * sum(problem.objective.size for problem in problems)
    n_rows, n_blocks = dataset.n_rows(split), each[0].n_blocks
    scores = _SCORE_BYTES * len(problems)
    return Needs(
        block_sum_bytes=sum(one.block_sum_bytes for one in each) + scores * min(-(-n_rows // n_blocks), _MOST_SCORES),
        sum_bytes=sum(one.sum_bytes for one in each) + scores * min(n_rows, _MOST_SCORES),
        n_blocks=n_blocks,
        state_bytes=sum(one.state_bytes for one in each),
        query_bytes=coef_bytes,
    )


def _result(
    run: str, plan: TuningPlan, specs: Sequence[TrainSpec], teams: Sequence[int], search: FleetSearch,
    state: FleetState,
) -> Tuned:  # fmt: skip
    metric = plan.metric or search.metric.used(state)
    tried = []
    for number, options in enumerate(plan.candidates):
        members = [m for team, m in zip(teams, state.members, strict=True) if team == number]
        by_fold = tuple(None if m.judgement is None else m.judgement.metrics.get(metric) for m in members)
        mean, error = mean_and_error(by_fold)
        tried.append(
            Tried(
                options=options, mean=mean, standard_error=error, by_fold=by_fold,
                passes=max((_passes(m, plan) for m in members), default=0),
                dropped=next((m.dropped for m in members if m.dropped is not None), None),
                converged=all(m.ended.stop.converged for m in members if m.ended is not None),
                stops=tuple(dict.fromkeys(m.ended.stop.value for m in members if m.ended is not None)),
            )
        )  # fmt: skip
    higher = search.metric.higher
    best = chosen(tried, higher=higher, rule=plan.rule, strictness=lambda k: specs[k].strictness)
    return Tuned(
        run=run, metric=metric, higher=higher, rule=plan.rule, chosen=best, passes=state.passes, tried=tuple(tried)
    )


def _passes(member: Member, plan: TuningPlan) -> int:
    """Return how many a search made, which is dropped when it has made all that it could before the rung."""
    if member.ended is not None:
        return member.ended.passes
    return 0 if member.dropped is None else (plan.first_passes or 0) * (plan.factor or 2) ** member.dropped
