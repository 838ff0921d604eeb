"""What metrics are made from, and what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """The rows of a block with what a model predicts of them.

    Attributes
    ----------
    margins
        (n_rows, n_outputs).
    predictions
        What the loss's inverse link makes of them, (n_rows, n_classes) or (n_rows, 1).
    targets, weights
        (n_rows,).
    """

    margins: Floats
    predictions: Floats
    targets: Floats
    weights: Floats


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How well a model predicts; None where something is not defined.

    Attributes
    ----------
    n_rows
        Rows, those of weight 0 included.
    weight_sum
        In the unit in which weights were given.
    """

    n_rows: int
    weight_sum: float

    def to_json(self) -> dict[str, Any]:
        """Return the metrics by name."""
        return dict(vars(self))
