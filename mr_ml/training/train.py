"""Training: a problem, the passes that solve it, and the model that comes out.

A run is described by its spec, written before the first pass; with the dataset version in it and a state, everything
that follows is determined to the bit. So a run that was killed goes on from its last state, and publishing twice
publishes once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hdfs_layout import Root, append_events
from hdfs_layout.dataclass import dataclass
from mr_ml import interrupts
from mr_ml.catalog.attempts import now
from mr_ml.catalog.checkpoints import Checkpoints, Journal
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.model import load_model, publish_model
from mr_ml.catalog.run import read_run
from mr_ml.catalog.states import Owner
from mr_ml.errors import StorageError, UsageError
from mr_ml.interrupts import see_through
from mr_ml.models.base import MODEL_KINDS, UNNAMED_KIND, Model, TrainSpec
from mr_ml.models.problem import Conclusion
from mr_ml.optimize.base import Result
from mr_ml.passes.base import Engine
from mr_ml.progress import stage
from mr_ml.sums.blas import on_one_thread
from mr_ml.sums.statistic import Statistic
from mr_ml.training.begin import coefficients_in, kept
from mr_ml.training.early_steps import EarlySteps
from mr_ml.training.going_on import TOLERANCE, earlier_state
from mr_ml.training.loop import Progress, Watch, search
from mr_ml.training.solver import as_begun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mr_ml.catalog.decision import Decision
    from mr_ml.catalog.provenance import Provenance
    from mr_ml.catalog.tuning import Tuned
    from mr_ml.models.problem import Problem
    from mr_ml.models.warm_start import WarmStart

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
    solver_why
        Why `solver` was chosen; "" if it was asked for.
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
    solver_why: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted:
    """A model that is trained and not published: a candidate.

    Attributes
    ----------
    spec, run, dataset
        What was asked for, in which run, and on what.
    end
        What comes of the search.
    seconds
        That this process took for it.
    """

    spec: TrainSpec
    run: str
    dataset: Dataset
    end: Conclusion
    seconds: float

    @property
    def training(self) -> Mapping[str, Any]:
        """Why training ended and how good it is, as the manifest has it."""
        return self.end.training

    @property
    def document(self) -> dict[str, Any]:
        """What the manifest says, but where the coefficients are."""
        return {
            "spec": self.spec.to_json(),
            "dataset": self.dataset.reference,
            "schema": self.dataset.schema.to_json(),
            "classes": list(self.end.classes),
            "n_rows": self.dataset.n_rows(self.spec.split),
            "training": self.training,
        }

    @cached_property
    def model(self) -> Model:
        """The model, of version 0; the one that is published has the same bits."""
        return MODEL_KINDS.get(self.spec.kind).model(
            name=self.spec.model,
            version=0,
            spec=self.spec,
            schema=self.dataset.schema,
            classes=self.end.classes,
            manifest={**self.document, "kind": "model", "run": self.run},
            arrays=dict(self.end.arrays),
            where=f"the candidate of run {self.run}",
        )


def make_problem(spec: TrainSpec, dataset: Dataset, root: Root) -> Problem:
    """Return what a spec and a dataset determine; raises as `mr_ml.models.base.ModelKind.problem`."""
    moments = FeatureMoments.load(root.store, dataset, spec.split)
    return MODEL_KINDS.get(spec.kind).problem(spec, dataset, moments)


# numbers that overflow end a run with a reason; a warning would only spoil the output
@np.errstate(all="ignore")
@on_one_thread
def fit(
    spec: TrainSpec,
    *,
    run: str,
    dataset: Dataset,
    engine: Engine,
    root: Root,
    watch: Callable[[Progress], None],
    say: Callable[[str], None] = lambda text: None,
    continues: str | None = None,
) -> Fitted:
    """Run to the end, from the last whole checkpoint if there is one; publish nothing.

    Parameters
    ----------
    watch, say
        Called with the progress of each pass, and with what else the user should know.
    continues
        The run from whose state it begins, if there is one that will do.

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
    problem = as_begun(make_problem(spec, dataset, root), read_run(root, run))
    optimizer, size = problem.optimizer, problem.objective.size
    checkpoints = Checkpoints(root, Owner.of(run, spec, dataset), optimizer, size=size, say=say)
    sample = EarlySteps(problem.objective, dataset, spec.split, root.store, problem.columns)
    state = checkpoints.load()
    if state is None and continues is not None:
        state = earlier_state(continues, spec, problem, dataset, root, say=say)
        if state is not None:
            event = {"event": "continues", "run": continues, "after": optimizer.progress(state).passes}
            append_events(root.store, root.layout.run_log(run), [event])
    if state is None:
        state = _first_state(problem, spec, dataset, run=run, root=root, say=say, sample=sample)
    passes = Watch(dataset.n_rows(spec.split), watch, say, tolerance=vars(spec).get(TOLERANCE))
    training = stage(f"training {spec.model}", unit="passes")
    with interrupts.after_a_pass(), training, Journal(checkpoints, keeps_two=True) as journal:
        result = search(problem, state, engine=engine, sample=sample, journal=journal, watch=passes)
    del state
    with passes.measuring():
        result, proof = _proved(problem, result, engine)
    if proof is not None:
        progress = passes.seen(result.progress)
        append_events(root.store, root.layout.run_log(run), [progress.event])
        passes.tell(progress)
    end = problem.conclude(result, proof)
    return Fitted(spec=spec, run=run, dataset=dataset, end=end, seconds=time.monotonic() - started)


def publish(
    fitted: Fitted, root: Root, *, decision: Decision | None = None, provenance: Provenance | None = None,
    tuned: Tuned | None = None,
) -> TrainResult:  # fmt: skip
    """Publish what was fitted; the same run publishes once however often this is called, as it was called first.

    Parameters
    ----------
    decision, provenance, tuned
        What the manifest says of it besides, if anything.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    started = time.monotonic()
    spec, run, end = fitted.spec, fitted.run, fitted.end
    document = fitted.document
    if decision is not None:
        document["decision"] = decision.to_json()
    if provenance is not None:
        document["provenance"] = provenance.to_json()
    if tuned is not None:
        document["tuned"] = tuned.to_json()
    see_through()
    after = read_run(root, run).after
    version = publish_model(
        root, name=spec.model, run=run, arrays=end.arrays, format=end.format, document=document, after=after
    )
    seconds = fitted.seconds + time.monotonic() - started
    try:
        event = {"event": "published", "at": now(), "version": version, **end.training}
        append_events(root.store, root.layout.run_log(run), [event])
    except StorageError as error:
        # it is visible, and a driver that resumes the run will find it
        _LOG.warning("%s@%d is published, but the run's log does not say so: %s", spec.model, version, error)
    return TrainResult(model=spec.model, version=version, run=run, seconds=seconds, **end.training)


def warm_start(
    problem: Problem, spec: TrainSpec, dataset: Dataset, root: Root, *, data: bytes | None = None
) -> WarmStart | None:
    """Return where the search begins that a spec with a warm start asks for, else None.

    Parameters
    ----------
    data
        The file of coefficients that the spec names, if it names one.

    Raises
    ------
    UsageError
        If that model is of another kind, loss or other labels.
    StorageError
        If it is not there.
    BadDataError
        If it is damaged, or its features cannot be told among those of the dataset.
    """
    file = spec.warm_start_from
    if file is not None and data is not None:
        found = coefficients_in(data, file)
        start = problem.begin_from(found, file.title, FeatureMoments.load(root.store, dataset, spec.split))
        return replace(start, file=file, notes=found.notes)
    if spec.warm_start is None:
        return None
    model = load_model(root, spec.warm_start)
    kind = model.manifest["spec"].get("kind", UNNAMED_KIND)
    if kind != spec.kind:
        raise UsageError(f"`warm_start`: expected a {spec.kind} model, found {model.reference}, a {kind} one")
    return problem.warm_start(model, FeatureMoments.load(root.store, dataset, spec.split))


def _first_state(
    problem: Problem,
    spec: TrainSpec,
    dataset: Dataset,
    *,
    run: str,
    root: Root,
    say: Callable[[str], None],
    sample: EarlySteps,
) -> Any:
    data = None if spec.warm_start_from is None else kept(root, run, spec.warm_start_from)
    start = warm_start(problem, spec, dataset, root, data=data)
    if start is None:
        guess = problem.first_guess(sample.blocks())
        if guess is None:
            return problem.optimizer.init(problem.start())
        say(guess.text)
        append_events(root.store, root.layout.run_log(run), [guess.event])
        return problem.optimizer.init_sampled(problem.start(), guess.point, columns=guess.columns)
    say(start.text)
    append_events(root.store, root.layout.run_log(run), [start.event])
    return problem.optimizer.init_warm(problem.start(), start.point)


def _proved(problem: Problem, result: Result, engine: Engine) -> tuple[Result, Statistic | None]:
    """Run the pass that proves why the search ended, where one is lacking: it moves nothing, and counts."""
    query = problem.proof(result)
    if query is None:
        return result, None
    total = engine.run(query, columns=problem.columns)
    done = replace(result.progress, passes=result.progress.passes + 1, step=0.0)
    return replace(result, progress=done), total
