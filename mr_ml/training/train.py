"""Training: the driver loop, its checkpoints, and the model that comes out.

    while (ask := optimizer.ask(state)) is not None:
        total = engine.run(objective.query(ask))
        state = optimizer.tell(state, objective.finish(ask, total))
        journal.add(state)

A run is described by its spec, written before the first pass; with the dataset version in it and a state, everything
that follows is determined to the bit. So a run that was killed goes on from its last state, and publishing twice
publishes once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import (
    NotFoundError,
    Root,
    append_events,
    decode_document,
    encode_document,
    latest_version,
)
from hdfs_layout.paths import MAX_VERSION
from mr_ml.catalog.checkpoints import Checkpoints, Journal
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.model import label_texts, publish_model
from mr_ml.catalog.spec import RunDocument, TrainSpec
from mr_ml.catalog.states import Owner
from mr_ml.data import stored
from mr_ml.data.block import DENSE_FROM
from mr_ml.errors import BadDataError, NoModelError, StorageError, UsageError
from mr_ml.interrupts import see_through
from mr_ml.models.linear.labels import TrainingLabels
from mr_ml.models.linear.losses import loss_from_json
from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.objective import Objective
from mr_ml.models.linear.penalty import L2Penalty
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.scaling import Scaling
from mr_ml.models.linear.shift import NO_SHIFT, Shift
from mr_ml.models.linear.sides import SidesQuery
from mr_ml.optimize.base import SearchProgress, Stop
from mr_ml.optimize.choose import choose
from mr_ml.passes.base import Engine
from mr_ml.sums.blas import on_one_thread
from mr_ml.training.advice import almost_indicators, unweighted_deviations, warnings
from mr_ml.training.class_weights import class_weights
from mr_ml.training.early_steps import EarlySteps

Floats = NDArray[np.float64]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """One finished pass, for whoever watches; its time is that since the pass before, the driver's work included."""

    number: int
    objective: float
    gradient_norm: float
    step: float
    rows_per_second: float


@dataclass(frozen=True)
class TrainResult:
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


def make_objective(spec: TrainSpec, dataset: Dataset, moments: FeatureMoments) -> Objective:
    """The objective that a spec and a dataset determine.

    Raises
    ------
    UsageError
        If loss, labels and options do not fit together.
    BadDataError
        If a feature is too large to be scaled, or the weights are too large to scale by.
    """
    if not (spec.l2 >= 0 and np.isfinite(spec.l2)):
        raise UsageError(f"--l2: expected a number >= 0, found {spec.l2}")
    loss, labels = loss_from_json(spec.loss), _training_labels(spec, dataset, moments)
    classes = loss.classes(labels)
    _check_scales(spec, dataset, moments)
    shift = _shift(spec, loss, moments)
    rows = RowSpec(
        loss=loss,
        n_features=moments.n_features,
        classes=classes,
        class_weights=class_weights(
            spec.class_weights, dataset, classes, split=spec.split, row_weights=spec.row_weights
        ),
        row_weights=spec.row_weights,
        shift=shift,
        weight_exponent=dataset.weight_exponent,
    )
    entries = dataset.n_rows() * moments.n_features
    # where blocks are mostly stored dense
    centre = dataset.nnz >= DENSE_FROM * entries
    scaling = Scaling.of(
        mean=shift.left_of(moments.mean), deviation=moments.deviation, intercept=spec.intercept, centre=centre,
        penalised=moments.weighted_deviation if spec.weighs_deviations else None,
    )  # fmt: skip
    return Objective(rows, scaling, L2Penalty(spec.l2, spec.penalty_space), loss.start(labels))


def _shift(spec: TrainSpec, loss: Loss, moments: FeatureMoments) -> Shift:
    """What an intercept can take in."""
    if not spec.intercept:
        return NO_SHIFT
    target = (moments.label_mean, moments.label_variance**0.5) if loss.follows_labels else (0.0, 0.0)
    # a mean may be rounded; the one value of a constant column is not, and what is left of it is zero
    constant = moments.minimum == moments.maximum
    mean = np.where(constant, moments.minimum, moments.mean)
    return Shift.of(mean=mean, spread=moments.deviation, target=target)


def _check_scales(spec: TrainSpec, dataset: Dataset, moments: FeatureMoments) -> None:
    huge = np.flatnonzero(~np.isfinite(moments.variance))
    if len(huge):
        k = int(huge[0])
        raise BadDataError(
            f"the values of feature {dataset.schema.name_of(moments.feature(k))} in {dataset.reference} are too large "
            f"to square: from {moments.minimum[k]:g} to {moments.maximum[k]:g}, not finite when scaled; mend, rescale "
            "or drop it"
        )
    weighted = moments.weighted_variance if spec.weighs_deviations else None
    if weighted is not None and not np.isfinite(weighted).all():
        raise BadDataError(
            f"--penalty-space scaled: expected row weights in {dataset.reference} whose sum is a number, found larger "
            "ones; pack it with smaller weights (only their ratios count), or say --penalty-space raw"
        )


def _training_labels(spec: TrainSpec, dataset: Dataset, moments: FeatureMoments) -> TrainingLabels:
    schema = dataset.schema
    texts = label_texts(schema, schema.codes)
    counts = dataset.label_counts[spec.split]
    return TrainingLabels(
        kind=schema.label_kind,
        codes=schema.codes,
        texts=tuple(texts),
        counts=tuple(counts.get(text, 0) for text in texts),
        mean=moments.label_mean,
        has_offsets=schema.has_offsets,
        dataset=dataset.reference,
        split=spec.split,
    )


def start_run(root: Root, run: str, spec: TrainSpec) -> None:
    """Write down what the run is to do; everything after this can be resumed.

    Raises
    ------
    StorageError
        If it cannot be written, or the model could not be published at the end.
    """
    folder = root.layout.model(spec.model)
    after = latest_version(root.store, folder) or 0
    if after >= MAX_VERSION:
        raise StorageError(
            f"{root.store.uri(folder)}: version {after} is the last that can be; train under another name"
        )
    root.store.write(root.layout.run_spec(run), encode_document(RunDocument(run=run, after=after, spec=spec).to_json()))


def read_run(root: Root, run: str) -> RunDocument:
    """What a run was asked to do.

    Raises
    ------
    UsageError
        If there is no such run.
    BadDataError
        If what is written of it is damaged, or of another run.
    """
    path = root.layout.run_spec(run)
    try:
        data = root.store.read(path)
    except NotFoundError:
        raise UsageError(
            f"there is no run {run!r} in {root.store.root}; `mr-ml runs list` shows those that are"
        ) from None
    where = root.store.uri(path)
    found = stored.read(RunDocument, decode_document(data, where=where), where=where)
    if found.run not in (None, run):
        raise BadDataError(
            f"{where}: expected what run {run} was asked to do, found that of run {found.run}: is its folder a "
            f"copy? Then remove it, and resume {found.run}"
        )
    return found


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
        Told of each pass, and what the user should know besides.

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
    moments = FeatureMoments.load(root.store, dataset, spec.split)
    # where few features occur the problem has these alone: in all others the objective is flat, and the search starts
    # at 0 there
    objective, features = make_objective(spec, dataset, moments), moments.features
    almost = almost_indicators(moments, objective)
    of_moments = unweighted_deviations(spec, dataset, moments)
    del moments
    optimizer = choose(spec.solver, size=objective.size, tolerance=spec.tolerance, max_passes=spec.max_passes)
    owner = Owner.of(run, spec, dataset)
    checkpoints = Checkpoints(root, owner, optimizer, size=objective.size, say=say)
    state = checkpoints.load()
    if state is None:
        state = optimizer.init(objective.start())
    advice = EarlySteps(objective, dataset, spec.split, root.store, features)
    n_rows = dataset.n_rows(spec.split)
    began = time.monotonic()
    with Journal(checkpoints) as journal:
        while (ask := optimizer.ask(state)) is not None:
            # with millions of features everything here is large: nothing is kept that the next pass does not need
            state = optimizer.tell(state, objective.finish(ask, engine.run(objective.query(ask), columns=features)))
            del ask
            if (early := optimizer.ask_sample(state)) is not None:
                state = optimizer.tell_sample(state, advice.factor(early))
            del early
            before, began = began, time.monotonic()
            progress = _progress(optimizer.progress(state), n_rows, seconds=began - before)
            journal.add(state, {"event": "pass", **vars(progress)})
            watch(progress)
    result = optimizer.result(state)
    del state
    if result.stop is Stop.DIVERGED:
        raise NoModelError(result.stop.value)
    stop, telling = result.stop, np.empty(0, np.int64)
    # where the budget is used up there is no pass left to ask why
    sure = stop is Stop.PASSES or Stop.SEPARABLE in result.rules_out
    if objective.may_separate and not sure:
        sides = SidesQuery(objective.rows)
        telling = sides.read(engine.run(sides, columns=features)).telling_features(intercept=spec.intercept)
        stop = Stop.SEPARABLE if len(telling) else stop
        # it moves nothing, and counts
        counted = replace(result.progress, passes=result.progress.passes + 1, step=0.0)
        result = replace(result, stop=stop, progress=counted)
        progress = _progress(counted, n_rows, seconds=time.monotonic() - began)
        append_events(root.store, root.layout.run_log(run), [{"event": "pass", **vars(progress)}])
        watch(progress)
    if stop.converged and len(almost) and Stop.FLAT not in result.rules_out:
        stop = Stop.FLAT
        result = replace(result, stop=stop)
    shift = objective.rows.shift
    coef = objective.rows.loss.canonical(objective.coef(result.point), penalised=not objective.penalty.is_zero)
    training = {
        "solver": optimizer.name,
        "passes": result.progress.passes,
        "objective": result.progress.value,
        "gradient_norm": result.progress.gradient_norm,
        "converged": stop.converged,
        "stop": stop.value,
        "warnings": (*of_moments, *warnings(objective, dataset, spec.split, result, telling, almost, features)),
    }
    document = {
        "spec": spec.to_json(),
        "dataset": dataset.reference,
        "schema": dataset.schema.to_json(),
        "classes": list(objective.rows.classes),
        "n_rows": n_rows,
        "training": training,
    }
    see_through()
    after = read_run(root, run).after
    version = publish_model(
        root,
        name=spec.model,
        run=run,
        coef=coef,
        shift=shift,
        features=features,
        document=document,
        after=after,
    )
    seconds = time.monotonic() - started
    try:
        append_events(root.store, root.layout.run_log(run), [{"event": "published", "version": version, **training}])
    except StorageError as error:
        # it is visible, and whoever resumes the run will find it
        _LOG.warning("%s@%d is published, but the run's log does not say so: %s", spec.model, version, error)
    return TrainResult(model=spec.model, version=version, run=run, seconds=seconds, **training)


def _progress(done: SearchProgress, n_rows: int, *, seconds: float) -> Progress:
    rate = n_rows / max(seconds, 1e-9)
    return Progress(done.passes, done.value, done.gradient_norm, done.step, rate)
