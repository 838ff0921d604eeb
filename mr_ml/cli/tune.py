"""mr-ml tune."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mr_ml.cli.common import open_session, print_result, table
from mr_ml.errors import UsageError
from mr_ml.models.base import UNNAMED_KIND
from mr_ml.models.linear.kind.per_feature import read_rules
from mr_ml.tuning import report

if TYPE_CHECKING:
    from mr_ml.catalog.tuning import Tuned
    from mr_ml.session import Session
    from mr_ml.tuning.driver import TuneResult


def run(options: argparse.Namespace) -> None:
    """Tune a model, or go on with a tuning, and print the result."""
    from mr_ml.tuning.driver import resume

    with open_session(options) as session:
        if options.resume is not None:
            if options.dataset is not None or options.model is not None:
                raise UsageError(
                    "--resume goes on with what the tuning was asked to do; give no dataset or model beside it"
                )
            _check_nothing_else(options)
            result = resume(session, options.resume)
        else:
            if options.dataset is None or options.model is None:
                raise UsageError("expected a dataset and --model NAME (or --resume RUN)")
            result = _tuned(options, session)
    print_tuned(options, result)


def _check_nothing_else(options: argparse.Namespace) -> None:
    """Refuse choices beside --resume: they would be ignored."""
    names = (
        "l1", "l2", "loss", "class_weights", "draws", "seed", "halving", "first_passes", "folds", "validation",
        "metric", "rule", "split", "non_negative", "per_feature",
        "penalty_space", "no_intercept", "weights", "solver", "tolerance", "max_passes", "warm_start",
        "warm_start_from", "warm_start_format",
    )  # fmt: skip
    chosen = [name for name in names if getattr(options, name) != options.parser.get_default(name)]
    if chosen:
        raise UsageError(
            "--resume goes on with what the tuning was asked to do; leave --"
            f"{chosen[0].replace('_', '-')} out, or tune again without --resume"
        )


def _tuned(options: argparse.Namespace, session: Session) -> TuneResult:
    from mr_ml.tuning.api import default_l2
    from mr_ml.tuning.ask import Asked, tune

    asked = Asked(
        l1=options.l1 or 0.0,
        l2=options.l2 or default_l2(options.l1),
        loss=options.loss or ["logistic"],
        class_weights=[None if given == "none" else given for given in options.class_weights or ["none"]],
        draws=options.draws,
        seed=options.seed,
        halving=options.halving,
        first_passes=options.first_passes,
        folds=options.folds,
        validation=options.validation,
        metric=options.metric,
        rule=options.rule,
    )
    common: dict[str, Any] = {
        "non_negative": options.non_negative,
        "per_feature": None if options.per_feature is None else read_rules(options.per_feature),
        "penalty_space": options.penalty_space, "intercept": not options.no_intercept,
        "row_weights": options.weights == "rows", "solver": options.solver, "warm_start": options.warm_start,
        "warm_start_from": options.warm_start_from, "warm_start_format": options.warm_start_format,
    }  # fmt: skip
    limits = {"tolerance": options.tolerance, "max_passes": options.max_passes}
    common |= {name: value for name, value in limits.items() if value is not None}
    return tune(session, UNNAMED_KIND, options.dataset, options.model, options.split, asked, common)


def print_tuned(options: argparse.Namespace, result: TuneResult) -> None:
    """Print what came of a tuning."""
    trained, tuned = result.trained, result.tuned
    text = (
        f"{table_of(tuned)}\n{trained.model}@{trained.version}: objective {trained.objective:.10g} after "
        f"{tuned.passes} passes for all candidates and {trained.passes} for the model in {result.seconds:.2f} s, "
        f"{trained.seconds:.2f} s of it for the model (run {tuned.run})\n{trained.stop}"
    )
    print_result(
        options,
        {"tuned": tuned.to_json(), **vars(trained), "seconds": result.seconds, "model_seconds": trained.seconds},
        text,
    )


def table_of(tuned: Tuned) -> str:
    """Return the table of candidates as text."""
    title = f"{tuned.metric}, {'more' if tuned.higher else 'less'} is better; rule: {tuned.rule}"
    return f"{title}\n{table(report.header(), report.lines(tuned))}"
