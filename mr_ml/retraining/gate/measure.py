"""Both models on the same rows, in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import field
from typing import Any

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import BadDataError
from mr_ml.models.base import Measurement, Model
from mr_ml.models.paired import Difference, PairedQuery
from mr_ml.passes.base import Engine
from mr_ml.readers.rows import excerpt
from mr_ml.retraining.gate.facts import Measured
from mr_ml.retraining.gate.kept import RunPass, run_anew
from mr_ml.session import Session
from mr_ml.sums.statistic import Statistic
from mr_ml.training.evaluate import measuring_needs


def measure(
    session: Session, candidate: Model, published: Model | None, dataset: Dataset, split: str, *,
    row_weights: bool = True, run_pass: RunPass = run_anew,
) -> Measured:  # fmt: skip
    """Measure both models on a split of the candidate's dataset; what cannot be measured is said in words.

    Features are known by name: those that a model does not know count for nothing, and those that the dataset lacks are
    zero.

    Parameters
    ----------
    row_weights
        Whether the row weights of the dataset count, if it has any.
    run_pass
        By which the pass is run.

    Raises
    ------
    UsageError
        If the dataset has no such split.
    BadDataError
        If it is damaged.
    """
    models = [candidate] if published is None else [candidate, published]
    try:
        dataset.of_split(split)
    except BadDataError as error:
        # it has no rows
        return _measured(dataset, split, [_Answer(fault=str(error))] * len(models), {})
    ways = [_way(model, dataset, split, row_weights=row_weights) for model in models]
    found = [way for way in ways if not isinstance(way, _Answer)]
    if not found:
        return _measured(dataset, split, [way for way in ways if isinstance(way, _Answer)], {})
    needs = measuring_needs(found, dataset, split=split, model_bytes=sum(model.nbytes for model in models))
    with closing(session.engine_over(dataset, split, needs)) as engine:
        totals, differences = _run(engine, found, run_pass)
    left = iter(map(_answer, found, totals))
    answers = [way if isinstance(way, _Answer) else next(left) for way in ways]
    return _measured(dataset, split, answers, differences)


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """The metrics of a model, or why there are none."""

    metrics: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None


def _measured(
    dataset: Dataset, split: str, answers: Sequence[_Answer], differences: Mapping[str, Difference]
) -> Measured:  # fmt: skip
    candidate, published = [*answers, _Answer()][:2]
    return Measured(
        n_rows=dataset.n_rows(split),
        metrics=candidate.metrics,
        fault=candidate.fault,
        published_metrics=published.metrics,
        published_fault=published.fault,
        differences=differences,
    )


def _way(model: Model, dataset: Dataset, split: str, *, row_weights: bool) -> Measurement | _Answer:
    """Return how a model is measured, or why it cannot be."""
    if model.classes:
        known = set(model.label_texts)
        unknown = [label for label, rows in dataset.label_counts[split].items() if rows and label not in known]
        if unknown:
            shown = excerpt(unknown[0].encode())
            return _Answer(fault=f"rows of {split} have labels that {model.reference} does not know, such as {shown}")
    try:
        return model.measurement(dataset, row_weights=row_weights, by_name=True)
    except BadDataError as error:
        return _Answer(fault=str(error))


# numbers that overflow are counted and said
@np.errstate(all="ignore")
def _run(
    engine: Engine, found: Sequence[Measurement], run_pass: RunPass
) -> tuple[Sequence[Statistic], Mapping[str, Difference]]:  # fmt: skip
    """Return the sums of each measurement, and the differences of two."""
    if len(found) == 1:
        return [run_pass("measured", engine, found[0].query, columns=found[0].columns)], {}
    one, other = found
    paired = PairedQuery((one.query, other.query), (one.columns, other.columns))
    total = run_pass("measured", engine, paired)
    return paired.statistics(total), paired.read(total)


@np.errstate(all="ignore")
def _answer(measurement: Measurement, total: Statistic) -> _Answer:
    try:
        return _Answer(metrics=measurement.finish(total))
    except BadDataError as error:
        # a prediction overflows, or no row has any weight
        return _Answer(fault=str(error))
