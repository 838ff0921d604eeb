"""What the moments that come back from the shuffle say of each split: means, extremes and label counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mr_ml.dataset import FeatureMoments
from mr_ml.model import label_texts
from mr_ml.parts import Keyed, Minimum, Moments
from mr_ml.readers.schema import Schema, merge_labels
from mr_ml.statistic import Statistic


def with_labels_of(schema: Schema, totals: Mapping[str, Statistic]) -> Schema:
    """A borrowed schema with the numeric labels that it does not list yet: targets of a regression are often new."""
    if schema.label_kind != "numeric":
        return schema
    labels: frozenset[float] | None = frozenset(map(float, schema.labels))
    for total in totals.values():
        found = total.parts["labels"]
        assert isinstance(found, Keyed)
        labels = merge_labels(labels, None if found.shift else frozenset(found.keys.view(np.float64).tolist()))
    if labels is None:
        return replace(schema, labels=(), label_kind="continuous")
    return replace(schema, labels=tuple(sorted(labels)))


def label_counts(total: Statistic, schema: Schema) -> dict[str, int]:
    found = total.parts["labels"]
    assert isinstance(found, Keyed)
    if schema.label_kind == "continuous":
        return {}
    counts = dict(zip(found.keys.view(np.float64).tolist(), found.values[:, 0].astype(int).tolist(), strict=True))
    labels = range(len(schema.labels)) if schema.label_kind == "text" else schema.labels
    codes = tuple(map(float, labels))
    return dict(zip(label_texts(schema, codes), (counts.get(code, 0) for code in codes), strict=True))


def feature_moments(total: Statistic) -> FeatureMoments:
    moments, labels, lows, highs = (total.part(name) for name in ("moments", "label_moments", "lows", "highs"))
    assert isinstance(moments, Moments)
    assert isinstance(labels, Moments)
    assert isinstance(lows, Minimum)
    assert isinstance(highs, Minimum)
    count, stored = int(moments.count), total.sum("stored")
    # rows that store nothing in a column hold a zero there
    low, high = lows.value, -highs.value
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
    )
