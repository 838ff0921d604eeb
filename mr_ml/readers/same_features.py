"""Which features of two schemas are the same: by name, or by id where they have numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mr_ml.readers.schema import Schema


def placed(features: NDArray[Any], *, of: Schema, among: Schema) -> NDArray[np.int64]:
    """Return which features of one schema, known by name, those of another one are; -1 where it has none such."""
    ids = features.astype(np.int64)
    if of.feature_names is None and among.feature_names is None:
        ids = ids + of.index_base - among.index_base
        return np.where((ids >= 0) & (ids < among.n_features), ids, -1)
    if of.feature_names is None or among.feature_names is None:
        return np.full(len(ids), -1)
    if of.feature_names == among.feature_names:
        return ids
    number = {name: k for k, name in enumerate(among.feature_names)}
    return np.array([number.get(of.feature_names[k], -1) for k in ids.tolist()], np.int64)
