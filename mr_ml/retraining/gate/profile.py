"""What a model's training rows were like: kept beside it, so that the dataset may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout import Root
from mr_ml.catalog.dataset import Dataset
from mr_ml.models.base import Model
from mr_ml.session import Session

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Profile:
    """What the training rows of a model were like.

    Attributes
    ----------
    n_rows
        How many there were.
    labels
        Label -> rows; empty for numbers.
    missing
        Column -> rows without a value; None where packing did not count them.
    mean, deviation, nonzero
        (n,) of each feature: mean and standard deviation, and the number of rows in which it is not zero.
    features : int32 (n,), or None
        Which features these are, ascending; all others are zero in every row. None for all.
    """

    n_rows: int
    labels: Mapping[str, int]
    missing: Mapping[str, int] | None
    mean: Floats
    deviation: Floats
    nonzero: Floats
    features: NDArray[Any] | None = None


def profile_of(session: Session, dataset: Dataset, split: str) -> Profile:
    """Return the profile of a split."""
    raise NotImplementedError


def save_profile(root: Root, name: str, run: str, profile: Profile) -> None:
    """Write the profile of a model that one run made, beside its coefficients; before the model is published."""
    raise NotImplementedError


def published_profile(session: Session, model: Model) -> Profile | None:
    """Return what is kept beside a published model, else that of its dataset; None if neither is there any more."""
    raise NotImplementedError
