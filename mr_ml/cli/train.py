"""mr-ml train."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from hdfs_layout import append_events, check_name
from mr_ml.catalog.checkpoints import state_bytes
from mr_ml.catalog.dataset import Dataset, load_dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.leftovers import sweep_folders
from mr_ml.catalog.spec import TrainSpec
from mr_ml.catalog.verify import verify
from mr_ml.cli.common import job_runner, narrator, print_result, root_of, shows_progress
from mr_ml.cli.memory import Needs, block_budget
from mr_ml.errors import NoModelError, UsageError
from mr_ml.ids import unique_id
from mr_ml.models.linear.objective import Objective
from mr_ml.optimize.choose import choose
from mr_ml.passes.mapreduce import MapReduceEngine
from mr_ml.sums.slices import is_wide
from mr_ml.training.train import Progress, make_objective, read_run, start_run, train


def run(options: argparse.Namespace) -> None:
    root = root_of(options)
    runner = job_runner(options, root)
    say = narrator(options)
    if options.resume is not None:
        run_id, spec = options.resume, read_run(root, options.resume).spec
        if options.dataset is not None or options.model is not None:
            raise UsageError("--resume goes on with what the run was asked to do; give no dataset or model beside it")
        _check_same(_spec(options, spec.dataset), spec)
        dataset = load_dataset(root, spec.dataset)
    else:
        if options.dataset is None or options.model is None:
            raise UsageError("expected a dataset and --model NAME (or --resume RUN)")
        check_name(options.model, kind="model")
        dataset = load_dataset(root, options.dataset)
        spec = _spec(options, dataset.reference)
        run_id = unique_id()
    # whatever does not fit together is found before there is a run
    dataset.of_split(spec.split)
    objective = make_objective(spec, dataset, FeatureMoments.load(root.store, dataset, spec.split))
    cache = block_budget(options, runner, _needs(spec, dataset, objective))
    del objective
    if options.verify:
        verify(root.store, dataset.of_split(spec.split))
    if options.resume is None:
        start_run(root, run_id, spec)
    say(f"run {run_id}: {spec.loss} on {dataset.reference} {spec.split}, {dataset.n_rows(spec.split)} rows")
    environment = runner.environment()
    if environment is not None:
        event = {"event": "environment", **environment}
        append_events(root.store, root.layout.run_log(run_id), [event])
    sweep_folders(
        root.store, root.layout.run(run_id), root.layout.model(spec.model), root.layout.model_data(spec.model, run_id)
    )
    engine = MapReduceEngine(dataset, spec.split, root.store, runner.of_work(run_id), cache)
    watch = _show if shows_progress(options) else _ignore
    try:
        result = train(spec, run=run_id, dataset=dataset, engine=engine, root=root, watch=watch, say=say)
    except NoModelError as error:
        append_events(root.store, root.layout.run_log(run_id), [{"event": "failed", "stop": str(error)}])
        raise
    for warning in [*([] if result.converged else [result.stop]), *result.warnings]:
        say(f"warning: {warning}")
    text = (
        f"{result.model}@{result.version}: objective {result.objective:.10g}, |gradient| {result.gradient_norm:.2e} "
        f"after {result.passes} passes in {result.seconds:.2f} s (run {result.run})\n{result.stop}"
    )
    print_result(options, vars(result), text)


def _needs(spec: TrainSpec, dataset: Dataset, objective: Objective) -> Needs:
    """What sums and states take, by what the optimizer says."""
    size, n_features = objective.size, objective.rows.n_features
    optimizer = choose(spec.solver, size=size, tolerance=spec.tolerance, max_passes=spec.max_passes)
    cost = optimizer.cost(size)
    sum_bytes = cost.pass_bytes
    partitions = dataset.of_split(spec.split)
    n_blocks, block_sum_bytes = sum(p.facts.blocks for p in partitions), sum_bytes
    if is_wide(n_features):
        # sums are kept for the features that rows have: gradient, curvature and id
        stored = 20 * sum(p.facts.nnz for p in partitions) * (size // n_features)
        sum_bytes = min(sum_bytes, stored)
        block_sum_bytes = min(sum_bytes, stored // n_blocks)
    return Needs(
        block_sum_bytes=block_sum_bytes, sum_bytes=sum_bytes, n_blocks=n_blocks, state_bytes=state_bytes(cost, size)
    )


def _spec(options: argparse.Namespace, dataset: str) -> TrainSpec:
    return TrainSpec(
        dataset=dataset,
        model=options.model,
        split=options.split,
        loss=options.loss,
        l2=options.l2,
        penalty_space=options.penalty_space,
        intercept=not options.no_intercept,
        row_weights=options.weights == "rows",
        class_weights=options.class_weights,
        solver=options.solver,
        tolerance=options.tolerance,
        max_passes=options.max_passes,
    )


def _check_same(asked: TrainSpec, spec: TrainSpec) -> None:
    """Refuse choices beside --resume that the run did not make: they would be ignored."""
    for field in fields(TrainSpec):
        name, said = field.name, getattr(asked, field.name)
        if name != "model" and said not in (field.default, getattr(spec, name)):
            option = _OPTIONS.get(name, "--" + name.replace("_", "-"))
            raise UsageError(
                f"--resume goes on with what the run was asked to do: {name} {getattr(spec, name)!r}, found {said!r}; "
                f"leave {option} out, or train anew"
            )


_OPTIONS = {"intercept": "--no-intercept", "row_weights": "--weights"}


def _show(progress: Progress) -> None:
    print(
        f"pass {progress.number:3d}  objective {progress.objective:.10g}  |gradient| {progress.gradient_norm:.2e}  "
        f"step {progress.step:<9.4g} {progress.rows_per_second:.3g} rows/s",
        file=sys.stderr,
        flush=True,
    )


def _ignore(progress: Progress) -> None:
    """Nobody watches."""
