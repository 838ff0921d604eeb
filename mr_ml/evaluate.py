"""mr-ml evaluate: metrics of a model on a split of a dataset, one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_ml.dataset import Dataset
from mr_ml.engine.base import Engine
from mr_ml.errors import BadDataError
from mr_ml.metrics import MetricsQuery, finish_metrics
from mr_ml.model import Model
from mr_ml.rowspec import RowSpec


# metrics of enormous numbers are infinite; the warning would name no row
@np.errstate(all="ignore")
def evaluate(model: Model, dataset: Dataset, *, engine: Engine, row_weights: bool = True) -> dict[str, Any]:
    """Metrics of the rows that `engine` runs over.

    Raises
    ------
    BadDataError
        If the dataset's features or labels are not those that the model knows.
    """
    check_features(model, dataset)
    rows = RowSpec(
        loss=model.loss,
        n_features=model.n_features,
        classes=_classes_in(model, dataset),
        row_weights=row_weights,
        shift=model.shift,
    )
    found = finish_metrics(engine.run(MetricsQuery(rows, model.reading_coef)), rows)
    return {"model": model.reference, "dataset": dataset.reference, **found, "labels": model.label_texts}


def check_features(model: Model, dataset: Dataset) -> None:
    """Refuse a dataset whose columns are not the model's; one without names may be narrower, never wider."""
    ours, theirs = model.schema.feature_names, dataset.schema.feature_names
    if (ours is None) != (theirs is None) or (ours is not None and ours != theirs):
        differing = sorted(set(ours or ()) ^ set(theirs or ()))[:5]
        raise BadDataError(
            f"{dataset.reference} has other features than {model.reference} was trained on, such as {differing}; "
            f"pack it with --like {model.manifest['dataset']}"
        )
    if dataset.schema.n_features > model.n_features:
        raise BadDataError(
            f"{dataset.reference} has {dataset.schema.n_features} features, {model.reference} knows "
            f"{model.n_features}; train on data that has them all"
        )


def _classes_in(model: Model, dataset: Dataset) -> tuple[float, ...]:
    """The model's classes as the dataset codes them; a class that the dataset lacks gets a code that no row has."""
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
