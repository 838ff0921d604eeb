"""mr-ml train."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mr_ml.catalog.promotions import standing
from mr_ml.catalog.run import read_run
from mr_ml.cli.common import open_session, print_result
from mr_ml.cli.going_on import command_for_more_passes
from mr_ml.errors import UsageError
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
    """Train a model, or resume a run, and print the result."""
    with open_session(options) as session:
        if options.resume is not None:
            if options.dataset is not None or options.model is not None:
                raise UsageError(
                    "--resume goes on with what the run was asked to do; give no dataset or model beside it"
                )
            _check_same(options, read_run(session.root, options.resume).spec)
            result = session.resume(
                options.resume, verify_bytes=options.verify, inference=options.inference,
                max_passes=options.max_passes, tolerance=options.tolerance,
            )  # fmt: skip
        else:
            if options.dataset is None or options.model is None:
                raise UsageError("expected a dataset and --model NAME (or --resume RUN)")
            spec = _spec(options, session)
            result = session.train(spec, verify_bytes=options.verify, inference=options.inference)
    print_trained(options, session, result)


def print_trained(options: argparse.Namespace, session: Session, result: TrainResult) -> None:
    """Print what came of a training."""
    text = (
        f"{result.model}@{result.version}: objective {result.objective:.10g}, |gradient| {result.gradient_norm:.2e} "
        f"after {result.passes} passes in {result.seconds:.2f} s (run {result.run})\n{result.stop}"
    )
    if result.stop == Stop.PASSES.value:
        # a run that ended keeps all that it knows
        text += f"\ngo on with: {command_for_more_passes(options, result.run, 2 * result.passes)}"
    promoted, _ = standing(session.root, result.model, result.version)
    print_result(options, {**vars(result), "promoted": promoted}, text)


def _spec(options: argparse.Namespace, session: Session) -> TrainSpec:
    chosen = _chosen(options, MODEL_KINDS.get(UNNAMED_KIND).spec)
    chosen.update(
        prior=options.prior, prior_precision=options.prior_precision, warm_start_format=options.warm_start_format
    )
    return session.spec(UNNAMED_KIND, options.dataset, options.model, chosen.pop("split"), chosen)


def _chosen(options: argparse.Namespace, spec: type[TrainSpec]) -> dict[str, Any]:
    """Return the fields of a spec as the options give them, without its dataset and model."""
    chosen = {}
    for name in (item.name for item in fields(spec)):
        other, values = _IN_OTHER_WORDS.get(name, (name, None))
        value = getattr(options, other)
        chosen[name] = value if values is None else values[value]
        if name in spec.limits and value is None:
            del chosen[name]
    del chosen["dataset"], chosen["model"]
    if options.per_feature is not None:
        chosen["per_feature"] = read_rules(options.per_feature)
    return chosen


def _check_same(options: argparse.Namespace, spec: TrainSpec) -> None:
    """Refuse choices beside --resume that the run did not make: they would be ignored."""
    for name in ("prior", "prior_precision", "warm_start_from", "warm_start_format"):
        if vars(options)[name] is not None:
            raise UsageError(f"--resume goes on with what the run was asked to do; leave `{name}` out")
    defaults = {item.name: item.default for item in fields(spec)}
    for name, value in _chosen(options, type(spec)).items():
        if name not in spec.limits and value not in (defaults[name], getattr(spec, name)):
            raise UsageError(
                f"--resume goes on with what the run was asked to do: {name} {getattr(spec, name)!r}, found {value!r}; "
                f"leave `{name}` out, or train again without --resume"
            )
