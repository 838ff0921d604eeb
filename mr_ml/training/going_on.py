"""Go on with a run that was asked for too little: more passes, or a smaller tolerance.

What comes out has the bits of a run that was asked for that at once. So a run of its own goes on, from the newest
state of the earlier one that does not depend on what is now another: the search had not stopped there, and, where the
tolerance is another, no gradient up to there was below the earlier one, which would have changed what was asked next.
Where there is no such state the run begins anew, with the same bits in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from hdfs_layout import Root
from hdfs_layout.limits import MAX_PASS
from mr_ml.catalog.checkpoints import Checkpoints
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.run import find_run, read_run
from mr_ml.catalog.run_log import read_log
from mr_ml.catalog.states import Owner
from mr_ml.data import stored
from mr_ml.errors import BadDataError, UsageError
from mr_ml.ids import unique_id
from mr_ml.models.base import TrainSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.catalog.run_log import RunLog
    from mr_ml.models.problem import Problem

TOLERANCE, MAX_PASSES = "tolerance", "max_passes"


class Resumed(TypedDict):
    """Which run is at work, what it is asked to do, and from whose state it begins, if from another's."""

    run: str
    spec: TrainSpec
    continues: str | None


def to_resume(root: Root, run: str, asked: Mapping[str, float | None]) -> Resumed:
    """Return what is to be done to go on with a run.

    Parameters
    ----------
    asked
        `max_passes` and `tolerance`; None for what is to stay as the run was asked for. If it is to go further, a new
        run continues it.

    Raises
    ------
    UsageError
        If there is no such run; if it is part of a retraining, since its model would be published without the gate, or
        of a tuning; if it is the fit of an estimator, which publishes nothing; or if it would not go further.
    """
    log = read_log(root, run)
    if log.retrained is not None:
        model, window = log.retrained
        raise UsageError(f"run {run} retrains {model} for {window}: go on with it by `mr-ml runs resume {run}`")
    document = read_run(root, run)
    tuning = run if document.tuning is not None else document.part_of
    if tuning is not None:
        raise UsageError(f"run {run} is part of a tuning: go on with it by `mr-ml runs resume {tuning}`")
    if not document.publishes:
        raise UsageError(
            f"run {run} is the fit of an estimator (mr_ml.sklearn), which publishes nothing: no model comes of it. "
            f"Fit the estimator again, or make a model of {document.spec.dataset} by `mr-ml train`"
        )
    given = {name: value for name, value in asked.items() if value is not None}
    spec = spec_to_go_on(document.spec, log, given)
    if spec is document.spec:
        return Resumed(run=run, spec=spec, continues=document.continues)
    return Resumed(run=unique_id(), spec=spec, continues=run)


def spec_to_go_on(spec: TrainSpec, log: RunLog, asked: Mapping[str, float]) -> TrainSpec:
    """Return what a run that goes on is asked to do; the spec itself if that is nothing else.

    Parameters
    ----------
    spec, log
        Of the earlier run.
    asked
        `max_passes`, `tolerance`, or both.

    Raises
    ------
    UsageError
        If it would not go further, or such a model has no such limits.
    """
    before = vars(spec)
    changed = {name: value for name, value in asked.items() if name not in spec.limits or value != before[name]}
    if not changed:
        return spec
    after: TrainSpec = stored.check(type(spec), {**before, **changed}, what=f"a {spec.kind} model")
    for name, value in changed.items():
        if name not in spec.limits:
            raise UsageError(f"a {spec.kind} model has no `{name}`")
        if (value < before[name]) == (name == MAX_PASSES):
            more = "more than" if name == MAX_PASSES else "less than"
            raise UsageError(
                f"`{name}`: to go on, expected {more} the {before[name]} that the run was asked for, found {value}"
            )
    # which says nothing of a run that has not ended
    ended = log.published
    used_up = ended is None or max((p["number"] for p in log.passes), default=0) >= before[MAX_PASSES]
    if TOLERANCE not in changed and not used_up:
        assert ended is not None
        raise UsageError(
            f"`{MAX_PASSES}`: expected a run that had too few passes, found one that ended for another reason: "
            f"{ended['stop']}"
        )
    return after


def earlier_state(
    run: str, spec: TrainSpec, problem: Problem, dataset: Dataset, root: Root, *, say: Callable[[str], None]
) -> Any | None:
    """Return the state of an earlier run from which a run of this spec goes on; None if it has to begin anew.

    Parameters
    ----------
    run
        The earlier one.
    problem
        Of the spec.
    say
        Called with where it goes on.
    """
    found = find_run(root, run)
    if found is None:
        say(f"run {run} is not there any more: this one begins anew, with the same result")
        return None
    optimizer = problem.optimizer
    last = MAX_PASS
    if vars(found.spec)[TOLERANCE] != vars(spec)[TOLERANCE]:
        last = _free_of_tolerance(read_log(root, run), vars(found.spec)[TOLERANCE])

    def is_good(state: Any) -> bool:
        return optimizer.progress(state).passes <= last and optimizer.ask(state) is not None

    kept = Checkpoints(
        root, Owner.of(run, found.spec, dataset), optimizer, size=problem.objective.size, say=lambda text: None
    )
    try:
        state = kept.load(is_good)
    except BadDataError:
        state = None
    if state is None:
        say(f"run {run} has kept no state to go on from: this one begins anew, with the same result")
    else:
        say(f"goes on where run {run} was after {optimizer.progress(state).passes} passes")
    return state


def _free_of_tolerance(log: RunLog, tolerance: float) -> int:
    """Return up to which pass no gradient was so small that the tolerance mattered; 0 if the log does not say."""
    last = 0
    for event in log.passes:
        # one that went on from another one does not have the first passes
        if event["number"] != last + 1 or not float(event["gradient_norm"]) > tolerance:
            break
        last += 1
    return last
