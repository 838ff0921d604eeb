"""What metrics are made from, and what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.models.metric_choices import NO_CHOICES, MetricChoices

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
    choices
        What is asked for beyond what is always told.
    """

    margins: Floats
    predictions: Floats
    targets: Floats
    weights: Floats
    choices: MetricChoices = NO_CHOICES


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked:
    """How sums over all rows are read.

    Attributes
    ----------
    weight_exponent
        That of the power of two which gives weights in the unit of the dataset.
    n_outputs, inverse_link
        Of the loss: how many margins a row has, and what it predicts by these.
    choices
        As of `Measured`.
    """

    weight_exponent: int
    n_outputs: int
    inverse_link: Callable[[Floats], Floats]
    choices: MetricChoices = NO_CHOICES

    def in_unit(self, weight: float) -> float:
        """Return a sum of weights in the unit in which weights were given."""
        return float(np.ldexp(weight, self.weight_exponent))


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
