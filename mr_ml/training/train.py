"""Training: a problem, the passes that solve it, and the model that comes out.

A run is described by its spec, written before the first pass; with the dataset version in it and a state, everything
that follows is determined to the bit. So a run that was killed goes on from its last state, and publishing twice
publishes once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hdfs_layout import Root, append_events
from mr_ml.catalog.checkpoints import Checkpoints, Journal
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.model import publish_model
from mr_ml.catalog.run import read_run
from mr_ml.catalog.states import Owner
from mr_ml.errors import StorageError
from mr_ml.interrupts import see_through
from mr_ml.models.base import MODEL_KINDS, Conclusion, Problem, TrainSpec
from mr_ml.optimize.base import Result
from mr_ml.passes.base import Engine
from mr_ml.sums.blas import on_one_thread
from mr_ml.sums.statistic import Statistic
from mr_ml.training.early_steps import EarlySteps
from mr_ml.training.loop import Progress, Watch, search

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes
    ----------
    model, version
        Under which it is published.
    run
        In which it was trained.
    objective
        At the end, and `gradient_norm`, the largest component of its gradient in units of the mean absolute slope.
    converged
        Whether it ended because the optimum is reached.
    stop
        Why it ended.
    warnings
        What else a user of the model should know.
    seconds
        That this process took for it.
    """

    model: str
    version: int
    run: str
    solver: str
    passes: int
    objective: float
    gradient_norm: float
    converged: bool
    stop: str
    warnings: tuple[str, ...]
    seconds: float


def make_problem(spec: TrainSpec, dataset: Dataset, root: Root) -> Problem:
    """Return what a spec and a dataset determine; raises as `mr_ml.models.base.ModelKind.problem`."""
    moments = FeatureMoments.load(root.store, dataset, spec.split)
    return MODEL_KINDS.get(spec.kind).problem(spec, dataset, moments)


# numbers that overflow end a run with a reason; a warning would only spoil the output
@np.errstate(all="ignore")
@on_one_thread
def train(
    spec: TrainSpec,
    *,
    run: str,
    dataset: Dataset,
    engine: Engine,
    root: Root,
    watch: Callable[[Progress], None],
    say: Callable[[str], None] = lambda text: None,
) -> TrainResult:
    """Run to the end, from the last whole checkpoint if there is one, and publish the model.

    Parameters
    ----------
    watch, say
        Called with the progress of each pass, and with what else the user should know.

    Raises
    ------
    BadDataError
        If data is not what was packed.
    NoModelError
        If the objective is not finite at the start, or rows have no weight.
    InternalError
        If a pass was not complete.
    """
    started = time.monotonic()
    problem = make_problem(spec, dataset, root)
    optimizer, size = problem.optimizer, problem.objective.size
    checkpoints = Checkpoints(root, Owner.of(run, spec, dataset), optimizer, size=size, say=say)
    sample = EarlySteps(problem.objective, dataset, spec.split, root.store, problem.columns)
    state = checkpoints.load()
    if state is None:
        state = optimizer.init(problem.start())
    passes = Watch(dataset.n_rows(spec.split), watch)
    with Journal(checkpoints) as journal:
        result = search(problem, state, engine=engine, sample=sample, journal=journal, watch=passes)
    del state
    result, proof = _proved(problem, result, engine)
    if proof is not None:
        progress = passes.seen(result.progress)
        append_events(root.store, root.layout.run_log(run), [progress.event])
        passes.tell(progress)
    end = problem.conclude(result, proof)
    version = _publish(spec, end, run=run, dataset=dataset, root=root)
    seconds = time.monotonic() - started
    try:
        event = {"event": "published", "version": version, **end.training}
        append_events(root.store, root.layout.run_log(run), [event])
    except StorageError as error:
        # it is visible, and a driver that resumes the run will find it
        _LOG.warning("%s@%d is published, but the run's log does not say so: %s", spec.model, version, error)
    return TrainResult(model=spec.model, version=version, run=run, seconds=seconds, **end.training)


def _proved(problem: Problem, result: Result, engine: Engine) -> tuple[Result, Statistic | None]:
    """Run the pass that proves why the search ended, where one is lacking: it moves nothing, and counts."""
    query = problem.proof(result)
    if query is None:
        return result, None
    total = engine.run(query, columns=problem.columns)
    done = replace(result.progress, passes=result.progress.passes + 1, step=0.0)
    return replace(result, progress=done), total


def _publish(spec: TrainSpec, end: Conclusion, *, run: str, dataset: Dataset, root: Root) -> int:
    document: dict[str, Any] = {
        "spec": spec.to_json(),
        "dataset": dataset.reference,
        "schema": dataset.schema.to_json(),
        "classes": list(end.classes),
        "n_rows": dataset.n_rows(spec.split),
        "training": end.training,
    }
    see_through()
    after = read_run(root, run).after
    return publish_model(
        root, name=spec.model, run=run, arrays=end.arrays, format=end.format, document=document, after=after
    )
