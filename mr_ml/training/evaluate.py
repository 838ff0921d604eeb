"""Metrics of a model on a split of a dataset, one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hdfs_layout import Store
from mr_ml.catalog.dataset import Dataset
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.errors import BadDataError
from mr_ml.models.base import Measurement, Model
from mr_ml.models.metric_choices import NO_CHOICES, MetricChoices
from mr_ml.models.needs import Needs
from mr_ml.passes.base import Engine


# numbers that overflow are counted and said; the warning would name no row
@np.errstate(all="ignore")
def evaluate(
    model: Model, dataset: Dataset, *, engine: Engine, row_weights: bool = True, choices: MetricChoices = NO_CHOICES
) -> dict[str, Any]:
    """Return metrics of the rows that `engine` runs over; what these have of `unseen_features` counts for nothing.

    Raises
    ------
    BadDataError
        If the dataset's features or labels are not those that the model knows.
    """
    check_features(model, dataset)
    measured = model.measurement(dataset, row_weights=row_weights, choices=choices)
    metrics = measured.finish(engine.run(measured.query, columns=measured.columns))
    return {"model": model.reference, "dataset": dataset.reference, **metrics, "labels": model.label_texts}


def measuring_needs(measurements: Sequence[Measurement], dataset: Dataset, *, split: str, model_bytes: int) -> Needs:
    """Return what a pass of these measurements, side by side, holds besides blocks.

    Parameters
    ----------
    model_bytes
        Of all models together.
    """
    n_blocks = sum(p.facts.blocks for p in dataset.of_split(split))
    most = -(-dataset.n_rows(split) // n_blocks)
    return Needs(
        block_sum_bytes=sum(measured.sum_bytes(most) for measured in measurements),
        sum_bytes=sum(measured.sum_bytes(most * n_blocks) for measured in measurements),
        n_blocks=n_blocks,
        # as it was read, and as it is sent
        state_bytes=2 * model_bytes,
        query_bytes=model_bytes,
    )


def check_features(model: Model, dataset: Dataset) -> None:
    """Refuse a dataset whose columns have other names than the model's, or another order."""
    ours, theirs = model.schema.feature_names, dataset.schema.feature_names
    if ours != theirs:
        differing = sorted(set(ours or ()) ^ set(theirs or ()))[:5]
        what = f"other features than those of {model.reference}, such as {differing}"
        if not differing:
            what = f"the features of {model.reference} in another order"
        raise BadDataError(f"{dataset.reference} has {what}; pack it with `like` {model.manifest['dataset']}")


def unseen_features(model: Model, dataset: Dataset, store: Store, *, split: str) -> list[int]:
    """Return the ids in the text of features that the model does not know and that are not zero in all rows of a split.

    Raises
    ------
    BadDataError
        If the dataset's features have other names than the model's, or its moments are damaged.
    """
    check_features(model, dataset)
    n, first = dataset.schema.n_features, model.schema.first_column_in(dataset.schema)
    if (first <= 0 and n <= first + model.n_features) or split not in dataset.moments:
        return []
    moments = FeatureMoments.load(store, dataset, split)
    columns = np.arange(moments.n_features) if moments.features is None else moments.features
    used = (moments.minimum != 0) | (moments.maximum != 0)
    unseen = columns[used & ((columns < first) | (columns >= first + model.n_features))]
    ids: list[int] = (unseen.astype(np.int64) + dataset.schema.index_base).tolist()
    return ids
