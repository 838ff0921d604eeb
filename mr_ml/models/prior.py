"""What an earlier model knows, for a training that begins where it ended: means and precisions by features' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.dataset import Dataset
from mr_ml.models.inference import Inference

if TYPE_CHECKING:
    from mr_ml.models.base import Model


@dataclass(frozen=True, eq=False, kw_only=True)
class Prior:
    """What is asked for.

    Attributes
    ----------
    model
        Whose parameters are the means.
    inference
        How sure they are; None if nobody asked.
    precision
        Of all of them, relative to the mean loss; None for what the standard errors say.
    dataset
        Of the training.
    """

    model: Model
    inference: Inference | None
    precision: float | None
    dataset: Dataset
