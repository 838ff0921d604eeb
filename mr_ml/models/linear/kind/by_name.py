"""Which column of a dataset each coefficient of a model is of: by name, or by id where features have numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mr_ml.catalog.dataset import Dataset
from mr_ml.errors import BadDataError
from mr_ml.readers.same_features import placed

if TYPE_CHECKING:
    from mr_ml.models.linear.kind.model import LinearModel


def columns_of(model: LinearModel, dataset: Dataset) -> NDArray[np.int64]:
    """Return the column of a dataset that each of the model's coefficients is of, -1 where it has none; (n,).

    Raises
    ------
    BadDataError
        If features of one have names, and those of the other numbers.
    """
    ours, theirs = model.schema.feature_names, dataset.schema.feature_names
    if (ours is None) != (theirs is None):
        raise BadDataError(
            f"expected features of {dataset.reference} that have {'numbers' if ours is None else 'names'} only, as "
            f"those of {model.reference}, found {'names' if ours is None else 'numbers'}: nothing says which are the "
            "same"
        )
    return placed(model.held, of=model.schema, among=dataset.schema)
