"""mr-ml train."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hdfs_layout import latest_version
from mr_ml.catalog.promotions import standing
from mr_ml.catalog.run import read_run
from mr_ml.cli.common import open_session, print_result
from mr_ml.cli.going_on import command_for_more_passes
from mr_ml.cli.rows import are_given, nor_a_file, rows_of
from mr_ml.cli.spelling import spelled
from mr_ml.errors import NotFoundError, UsageError
from mr_ml.models.base import MODEL_KINDS, UNNAMED_KIND, TrainSpec
from mr_ml.models.linear.kind.per_feature import read_rules
from mr_ml.optimize.base import Stop
from mr_ml.session import Session

if TYPE_CHECKING:
    from mr_ml.training.train import TrainResult

# Choices that the command line makes by the opposite, or in other words.
_IN_OTHER_WORDS: dict[str, tuple[str, dict[Any, Any]]] = {
    "intercept": ("no_intercept", {True: False, False: True}),
    "row_weights": ("weights", {"rows": True, "none": False}),
}


def run(options: argparse.Namespace) -> None:
    """Train a model, on a dataset or on files that are packed first, or resume a run, and print the result."""
    warnings: list[str] = []
    packed: dict[str, Any] = {}
    with open_session(options, warn=lambda text: warnings.append(spelled(text))) as session:
        if options.resume is not None:
            if are_given(options) or options.model is not None:
                raise UsageError(
                    "--resume goes on with what the run was asked to do; give no dataset, files or model beside it"
                )
            _check_same(options, read_run(session.root, options.resume).spec)
            result = session.resume(
                options.resume, verify_bytes=options.verify, inference=options.inference,
                max_passes=options.max_passes, tolerance=options.tolerance,
            )  # fmt: skip
        else:
            if not are_given(options) or options.model is None:
                raise UsageError("expected a dataset, or files of rows, and --model NAME (or --resume RUN)")
            rows = rows_of(options, session.root)
            if rows.dataset is not None:
                result = _train_named(options, session, rows.dataset, note=rows.note)
            else:
                # with what packs it, which a dataset does not need
                from mr_ml.cli.describe import summary
                from mr_ml.cli.pack_first import pack_first

                dataset, split = pack_first(options, session, rows.files, model_options(options))
                packed = {"packed": {**summary(dataset), "warnings": list(warnings)}}
                try:
                    result = _train(options, session, dataset.reference, split)
                except BaseException:
                    session.say(f"{dataset.reference} stays, packed as it is: train on it in place of the files")
                    raise
    print_trained(options, session, result, packed)


def print_trained(
    options: argparse.Namespace, session: Session, result: TrainResult, more: Mapping[str, Any] | None = None
) -> None:
    """Print what came of a training; `more` goes into the JSON object."""
    text = (
        f"{result.model}@{result.version}: objective {result.objective:.10g}, |gradient| {result.gradient_norm:.2e} "
        f"after {result.passes} passes in {result.seconds:.2f} s (run {result.run})\n{result.stop}"
    )
    if result.stop == Stop.PASSES.value:
        # a run that ended keeps all that it knows
        text += f"\ngo on with: {command_for_more_passes(options, result.run, 2 * result.passes)}"
    promoted, _ = standing(session.root, result.model, result.version)
    print_result(options, {**vars(result), "promoted": promoted, **(more or {})}, text)


def _train_named(options: argparse.Namespace, session: Session, name: str, *, note: str | None) -> TrainResult:
    if note is not None:
        session.say(note)
    try:
        return _train(options, session, name, options.split)
    except NotFoundError as error:
        if "@" in name or latest_version(session.root.store, session.root.layout.dataset(name)) is not None:
            raise
        raise nor_a_file(error, name) from error


def _train(options: argparse.Namespace, session: Session, dataset: str, split: str) -> TrainResult:
    spec = session.spec(UNNAMED_KIND, dataset, options.model, split, model_options(options))
    return session.train(spec, verify_bytes=options.verify, inference=options.inference)


def model_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is chosen of the model, as `Session.spec` takes it."""
    chosen = _chosen(options, MODEL_KINDS.get(UNNAMED_KIND).spec)
    del chosen["split"]
    names = ("prior", "prior_precision", "warm_start_format")
    return {**chosen, **{name: vars(options)[name] for name in names}}


def _chosen(options: argparse.Namespace, spec: type[TrainSpec]) -> dict[str, Any]:
    """Return the fields of a spec as the options give them, without its dataset and model."""
    chosen = {}
    for name in (item.name for item in fields(spec) if item.name not in ("dataset", "model")):
        other, values = _IN_OTHER_WORDS.get(name, (name, None))
        value = getattr(options, other)
        chosen[name] = value if values is None else values[value]
        if name in spec.limits and value is None:
            del chosen[name]
    if options.per_feature is not None:
        chosen["per_feature"] = read_rules(options.per_feature)
    return chosen


def _check_same(options: argparse.Namespace, spec: TrainSpec) -> None:
    """Refuse choices beside --resume that the run did not make: they would be ignored."""
    for name in ("prior", "prior_precision", "warm_start_from", "warm_start_format", *options.packing):
        if vars(options)[name] != options.parser.get_default(name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"--resume goes on with what the run was asked to do; leave {option} out")
    defaults = {item.name: item.default for item in fields(spec)}
    for name, value in _chosen(options, type(spec)).items():
        if name not in spec.limits and value not in (defaults[name], getattr(spec, name)):
            raise UsageError(
                f"--resume goes on with what the run was asked to do: {name} {getattr(spec, name)!r}, found {value!r}; "
                f"leave `{name}` out, or train again without --resume"
            )
