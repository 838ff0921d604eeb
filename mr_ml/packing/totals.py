"""What the moments that come back from the shuffle say of each split: means, extremes and label counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.dataset import RowWeights
from mr_ml.catalog.feature_moments import FeatureMoments
from mr_ml.readers.labels import label_texts
from mr_ml.readers.schema import Schema
from mr_ml.readers.summary import merge_labels
from mr_ml.sums.moments import MomentSums

Floats = NDArray[np.float64]

# Of values that are all the same, the deviations that the rounding of their mean leaves are less than this.
_MEAN_ROUNDING = 1e-15


def with_labels_of(schema: Schema, totals: Mapping[str, MomentSums]) -> Schema:
    """Add to a borrowed schema the numeric labels that it does not list: targets of a regression are often new."""
    if schema.label_kind != "numeric":
        return schema
    labels: frozenset[float] | None = frozenset(map(float, schema.labels))
    for total in totals.values():
        labels = merge_labels(labels, total.label_values)
    if labels is None:
        return replace(schema, labels=(), label_kind="continuous")
    return replace(schema, labels=tuple(sorted(labels)))


def label_counts(total: MomentSums, schema: Schema) -> dict[str, int]:
    """Rows of each label, by what users call it; empty where labels are continuous."""
    return {label: int(sums[0]) for label, sums in _by_label(total, schema).items()}


def row_weights(totals: Mapping[str, MomentSums], schema: Schema) -> RowWeights | None:
    """Return the largest weight and the sums of weights by split and label; None if rows have no weights."""
    largest = max((total.heaviest for total in totals.values() if total.heaviest is not None), default=None)
    if largest is None:
        return None
    sums = {split: _by_label(total, schema) for split, total in totals.items()}
    finite = {
        split: {label: of[1] for label, of in by_label.items() if math.isfinite(of[1])}
        for split, by_label in sums.items()
    }
    return RowWeights(largest, finite)


def _by_label(total: MomentSums, schema: Schema) -> dict[str, list[float]]:
    """Count of rows, and the sum of their weights if they have some."""
    if schema.label_kind == "continuous":
        return {}
    return dict(zip(label_texts(schema, schema.codes), total.by_label(schema.codes), strict=True))


def feature_moments(total: MomentSums, schema: Schema) -> FeatureMoments:
    """Over the features that occur, where these are few."""
    moments, labels = total.moments, total.label_moments
    count, stored = int(moments.count), total.stored
    # rows that store nothing in a column hold a zero there
    low, high = total.lows, total.highs
    full = stored == count
    return FeatureMoments(
        count=count,
        mean=moments.mean,
        variance=moments.m2 / max(count, 1),
        minimum=np.where(full, low, np.minimum(low, 0)),
        maximum=np.where(full, high, np.maximum(high, 0)),
        nonzero=stored,
        label_mean=float(labels.mean[0]),
        label_variance=float(labels.m2[0]) / max(count, 1),
        features=None if total.columns is None else total.columns.astype(np.int32),
        weighted_variance=_weighted_variance(total),
    ).compact(schema.n_features)


def _weighted_variance(total: MomentSums) -> Floats | None:
    """Zero where it is no more than the rounding of the mean, None if rows have no weights."""
    weighted = total.weighted
    if weighted is None:
        return None
    if not np.isfinite(weighted.weight):
        return np.full(len(weighted.mean), np.nan)
    rounded = weighted.variance <= (_MEAN_ROUNDING * weighted.mean) ** 2
    return np.where(rounded, 0.0, weighted.variance)
