"""mr-ml evaluate: metrics of a model on a split of a dataset, one pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Store
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.catalog.model import Floats, Model
from mr_ml.errors import BadDataError
from mr_ml.models.linear.metrics import MetricsQuery
from mr_ml.models.linear.reading import RowSpec
from mr_ml.models.linear.shift import Shift
from mr_ml.passes.base import Engine


# numbers that overflow are counted and said; the warning would name no row
@np.errstate(all="ignore")
def evaluate(model: Model, dataset: Dataset, *, engine: Engine, row_weights: bool = True) -> dict[str, Any]:
    """Metrics of the rows that `engine` runs over; what these have of `unseen_features` counts for nothing.

    Raises
    ------
    BadDataError
        If the dataset's features or labels are not those that the model knows.
    """
    check_features(model, dataset)
    coef, shift, columns = _over_columns(model, dataset)
    rows = RowSpec(
        loss=model.loss,
        n_features=coef.shape[1] - 1,
        classes=_classes_in(model, dataset),
        row_weights=row_weights,
        shift=shift,
        weight_exponent=dataset.weight_exponent,
    )
    query = MetricsQuery(rows, coef)
    metrics = query.read(engine.run(query, columns=columns))
    return {"model": model.reference, "dataset": dataset.reference, **metrics.to_json(), "labels": model.label_texts}


def check_features(model: Model, dataset: Dataset) -> None:
    """Refuse a dataset whose columns have other names than the model's, or another order."""
    ours, theirs = model.schema.feature_names, dataset.schema.feature_names
    if ours != theirs:
        differing = sorted(set(ours or ()) ^ set(theirs or ()))[:5]
        what = f"other features than those of {model.reference}, such as {differing}"
        if not differing:
            what = f"the features of {model.reference} in another order"
        raise BadDataError(f"{dataset.reference} has {what}; pack it with --like {model.manifest['dataset']}")


def unseen_features(model: Model, dataset: Dataset, store: Store, *, split: str) -> list[int]:
    """Features that the model does not know and that are not zero in all rows of a split, by their ids in the text.

    Raises
    ------
    BadDataError
        If the dataset's features have other names than the model's, or its moments are damaged.
    """
    check_features(model, dataset)
    n, first = dataset.schema.n_features, _first_column(model, dataset)
    if (first <= 0 and n <= first + model.n_features) or split not in dataset.moments:
        return []
    moments = FeatureMoments.load(store, dataset, split)
    columns = np.arange(moments.n_features) if moments.features is None else moments.features
    used = (moments.minimum != 0) | (moments.maximum != 0)
    unseen = columns[used & ((columns < first) | (columns >= first + model.n_features))]
    found: list[int] = (unseen.astype(np.int64) + dataset.schema.index_base).tolist()
    return found


def _first_column(model: Model, dataset: Dataset) -> int:
    """The column of the dataset that holds the model's first feature; both know what ids in their text count from."""
    return model.schema.index_base - dataset.schema.index_base


def _over_columns(model: Model, dataset: Dataset) -> tuple[Floats, Shift, NDArray[np.int32] | None]:
    """The model's `reading_coef` and shift, and the columns of the dataset that they are of, None for the first."""
    coef, shift, first = model.reading_coef, model.shift, _first_column(model, dataset)
    if model.features is None and not first and dataset.schema.n_features <= model.n_features:
        return coef, shift, None
    columns = (np.arange(model.n_features) if model.features is None else model.features.astype(np.int64)) + first
    if len(columns) and columns[0] < 0:
        # the dataset cannot have this feature: it is zero
        off = dict(zip(shift.ids, shift.by, strict=True))
        coef, columns = np.delete(coef, 0, axis=1), columns[1:]
        coef[:, -1] -= off.pop(0, 0.0) * model.reading_coef[:, 0]
        shift = replace(shift, ids=tuple(k - 1 for k in off), by=tuple(off.values()))
    return coef, shift, columns.astype(np.int32)


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
