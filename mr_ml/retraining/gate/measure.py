"""Both models on the same rows, in one pass."""

from __future__ import annotations

from mr_ml.catalog.dataset import Dataset
from mr_ml.models.base import Model
from mr_ml.retraining.gate.facts import Measured
from mr_ml.session import Session


def measure(
    session: Session, candidate: Model, published: Model | None, dataset: Dataset, split: str, *,
    row_weights: bool = True,
) -> Measured:  # fmt: skip
    """Measure both models on a split of the candidate's dataset; what cannot be measured is said in words."""
    raise NotImplementedError
