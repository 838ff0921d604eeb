"""A case for each loss, that the tests of all losses run over; a new loss adds one.

The textbook formulas hold for complex margins, so that derivatives are taken by complex steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import toys

from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.losses.logistic import LogisticLoss
from mr_ml.models.linear.losses.softmax import SoftmaxLoss
from mr_ml.models.linear.losses.squared import SquaredLoss


@dataclass(frozen=True)
class LossCase:
    """What the tests know of a loss, independently of it.

    Attributes
    ----------
    loss
        With its parameters.
    textbook
        (margins (n, k), labels (n,)) -> l (n,), for margins of some tens.
    predicted
        (margins) -> the predictions, for such margins.
    labels
        (random numbers, n) -> labels.
    n_classes
        How many there are; 0 for numbers.
    n_outputs
        Margins of a row.
    refused_classes
        Numbers of classes that it does not take.
    """

    loss: Loss
    textbook: Callable[[Any, Any], Any]
    predicted: Callable[[Any], Any]
    labels: Callable[[np.random.Generator, int], Any]
    n_classes: int
    n_outputs: int
    refused_classes: tuple[int, ...]

    def __str__(self) -> str:
        return self.loss.name


def _softmax(z: Any) -> Any:
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def _logistic(z: Any) -> Any:
    one = 1 / (1 + np.exp(-z))
    return np.concatenate([1 - one, one], axis=1)


CASES = [
    LossCase(
        loss=SquaredLoss(),
        textbook=lambda z, y: (z[:, 0] - y) ** 2 / 2,
        predicted=lambda z: z,
        labels=lambda rng, n: rng.normal(size=n) * 3,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
    ),
    LossCase(
        loss=LogisticLoss(),
        textbook=lambda z, y: np.log(1 + np.exp(z[:, 0])) - y * z[:, 0],
        predicted=_logistic,
        labels=lambda rng, n: rng.integers(0, 2, n).astype(float),
        n_classes=2,
        n_outputs=1,
        refused_classes=(0, 1, 3),
    ),
    LossCase(
        loss=SoftmaxLoss(),
        textbook=lambda z, y: np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), y.astype(int)],
        predicted=_softmax,
        labels=lambda rng, n: rng.integers(0, 3, n).astype(float),
        n_classes=3,
        n_outputs=3,
        refused_classes=(0, 1),
    ),
    # of an installed package, see docs/extending.md
    LossCase(
        loss=toys.load("loss").PseudoHuberLoss(delta=0.7),
        textbook=lambda z, y: 0.7**2 * (np.sqrt(1 + ((z[:, 0] - y) / 0.7) ** 2) - 1),
        predicted=lambda z: z,
        labels=lambda rng, n: rng.normal(size=n) * 3,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
    ),
]
BY_NAME = {case.loss.name: case for case in CASES}
