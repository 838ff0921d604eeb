"""How a linear model is measured on a dataset whose features and labels may be coded differently."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import BadDataError, UsageError
from mr_ml.models.base import Measurement
from mr_ml.models.linear.class_metrics import TABLE_KEYS
from mr_ml.models.linear.kind.by_name import columns_of
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.number_metrics import PREDICTION_KEYS
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.shift import Shift
from mr_ml.models.metric_choices import MetricChoices
from mr_ml.sums.statistic import Statistic

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.model import LinearModel

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearMeasurement(Measurement):
    """See `mr_ml.models.base.Measurement`."""

    query: MetricsQuery

    def finish(self, total: Statistic) -> dict[str, Any]:
        """Return the metrics by name."""
        return self.query.read(total).to_json()

    def sum_bytes(self, n_rows: int) -> int:
        """Return bytes of the sums of so many rows: tables of scores with the weights of both sides."""
        rows = self.query.rows
        keys = min(n_rows * rows.n_outputs, TABLE_KEYS) if rows.classes else 1
        return 24 * keys + (32 * min(n_rows, PREDICTION_KEYS) if self.query.choices.details else 0)


def measurement(
    model: LinearModel, dataset: Dataset, *, row_weights: bool, by_name: bool, choices: MetricChoices
) -> LinearMeasurement:
    """Return how the model is measured on a dataset; see `mr_ml.models.base.Model.measurement`."""
    _check_choices(model, choices)
    named = by_name and model.schema.feature_names != dataset.schema.feature_names
    coef, shift, columns = (_by_name if named else _over_columns)(model, dataset)
    rows = RowSpec(
        loss=model.loss,
        n_features=coef.shape[1] - 1,
        classes=_classes_in(model, dataset),
        row_weights=row_weights,
        shift=shift,
        weight_exponent=dataset.weight_exponent,
    )
    return LinearMeasurement(MetricsQuery(rows, coef, choices), columns)


def _check_choices(model: LinearModel, choices: MetricChoices) -> None:
    """Refuse what only models of two classes can tell of others, and thresholds that no probability has."""
    for name in choices.of_two_classes:
        if len(model.classes) != 2:
            found = f"{len(model.classes)} labels" if model.classes else "numbers"
            raise UsageError(f"`{name}`: expected a model of two labels; {model.reference} predicts {found}")
    outside = [threshold for threshold in choices.threshold if not 0 <= threshold <= 1]
    if outside and model.has_probabilities:
        raise UsageError(f"`threshold`: expected a probability, from 0 to 1, found {outside[0]:g}")


def _over_columns(model: LinearModel, dataset: Dataset) -> tuple[Floats, Shift, NDArray[np.int32] | None]:
    """Return `reading_coef` and shift, and the columns of the dataset that they are of, None for the first."""
    coef, shift, first = model.reading_coef, model.shift, model.schema.first_column_in(dataset.schema)
    if model.features is None and not first and dataset.schema.n_features <= model.n_features:
        return coef, shift, None
    columns = model.held + first
    if len(columns) and columns[0] < 0:
        # the dataset cannot have this feature: it is zero
        off = dict(zip(shift.ids, shift.by, strict=True))
        coef, columns = np.delete(coef, 0, axis=1), columns[1:]
        coef[:, -1] -= off.pop(0, 0.0) * model.reading_coef[:, 0]
        shift = replace(shift, ids=tuple(k - 1 for k in off), by=tuple(off.values()))
    return coef, shift, columns.astype(np.int32)


def _by_name(model: LinearModel, dataset: Dataset) -> tuple[Floats, Shift, NDArray[np.int32]]:
    """Return the same of columns that are known by their names; those that lack are 0."""
    at = columns_of(model, dataset)
    held = np.flatnonzero(at >= 0)
    held = held[np.argsort(at[held])]
    place = {k: column for column, k in enumerate(held.tolist())}
    coef, shift = model.reading_coef[:, [*held.tolist(), -1]], model.shift
    taken_off: dict[int, float] = {}
    for k, by in zip(shift.ids, shift.by, strict=True):
        if k in place:
            taken_off[place[k]] = by
        else:
            coef[:, -1] -= by * model.reading_coef[:, k]
    ids = tuple(sorted(taken_off))
    return coef, replace(shift, ids=ids, by=tuple(taken_off[k] for k in ids)), at[held].astype(np.int32)


def _classes_in(model: LinearModel, dataset: Dataset) -> tuple[float, ...]:
    """Return the classes as the dataset codes them; one that the dataset lacks gets a code that no row has."""
    if model.schema.label_kind != dataset.schema.label_kind and model.classes:
        raise BadDataError(
            f"{dataset.reference} has {dataset.schema.label_kind} labels, {model.reference} was trained on "
            f"{model.schema.label_kind} ones"
        )
    if model.schema.label_kind != "text":
        return model.classes
    code = {label: float(k) for k, label in enumerate(dataset.schema.labels)}
    lacking = iter(np.arange(len(code), len(code) + len(model.classes), dtype=float).tolist())
    texts = [str(model.schema.labels[int(c)]) for c in model.classes]
    return tuple(code[text] if text in code else next(lacking) for text in texts)
