"""A case for each loss, that the tests of all losses run over; a new loss adds one.

The textbook formulas hold for complex margins, so that derivatives are taken by complex steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import mpmath as mp
import numpy as np
import toys
from scipy import special

from mr_ml.models.linear.losses.base import Loss
from mr_ml.models.linear.losses.cloglog import CloglogLoss
from mr_ml.models.linear.losses.gamma import GammaLoss
from mr_ml.models.linear.losses.huber import HuberLoss
from mr_ml.models.linear.losses.inverse_gaussian import InverseGaussianLoss
from mr_ml.models.linear.losses.logistic import LogisticLoss
from mr_ml.models.linear.losses.negative_binomial import NegativeBinomialLoss
from mr_ml.models.linear.losses.poisson import PoissonLoss
from mr_ml.models.linear.losses.probit import ProbitLoss
from mr_ml.models.linear.losses.quantile import QuantileLoss
from mr_ml.models.linear.losses.softmax import SoftmaxLoss
from mr_ml.models.linear.losses.squared import SquaredLoss
from mr_ml.models.linear.losses.squared_hinge import SquaredHingeLoss
from mr_ml.models.linear.losses.tweedie import TweedieLoss


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
    exact
        (margin, label) -> l, l' and l'' of a loss with one margin, in mpmath's numbers.
    margins
        (random numbers (n, k)) -> margins that the loss takes.
    smooth
        (margins, labels) -> which rows are not next to a jump of l''.
    middle
        The margin at which both of two classes are as likely.
    """

    loss: Loss
    textbook: Callable[[Any, Any], Any]
    predicted: Callable[[Any], Any]
    labels: Callable[[np.random.Generator, int], Any]
    n_classes: int
    n_outputs: int
    refused_classes: tuple[int, ...]
    exact: Callable[[Any, Any], Sequence[Any]] | None = None
    margins: Callable[[Any], Any] = lambda z: z
    smooth: Callable[[Any, Any], Any] = lambda z, y: np.ones(len(z), bool)
    middle: float = 0.0

    def __str__(self) -> str:
        return "-".join([self.loss.name, *(f"{getattr(self.loss, field.name)}" for field in fields(self.loss))])


def _softmax(z: Any) -> Any:
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def _logistic(z: Any) -> Any:
    one = 1 / (1 + np.exp(-z))
    return np.concatenate([1 - one, one], axis=1)


def _counts(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(0, 5, n) * 1.5


def _amounts(rng: np.random.Generator, n: int) -> Any:
    return rng.gamma(1.5, size=n) + 1e-3


def _numbers(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(size=n) * 3


def _two(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(0, 2, n).astype(float)


def _log(y: Any) -> Any:
    """Logarithms of labels; those of labels of 0 are multiplied by these."""
    return np.log(np.where(y > 0, y, 1.0))


def _poisson(z: Any, y: Any) -> Any:
    mean = np.exp(z[:, 0])
    return y * (_log(y) - z[:, 0]) - (y - mean)


def _exact_poisson(z: Any, y: Any) -> Any:
    mean = mp.exp(z)
    return (y * mp.log(y / mean) if y else 0) - (y - mean), mean - y, mean


def _gamma(z: Any, y: Any) -> Any:
    return y * np.exp(-z[:, 0]) - 1 - np.log(y) + z[:, 0]


def _exact_gamma(z: Any, y: Any) -> Any:
    ratio = y * mp.exp(-z)
    return ratio - 1 - mp.log(ratio), 1 - ratio, ratio


def _gamma_inverse(z: Any, y: Any) -> Any:
    return y * z[:, 0] - 1 - np.log(y * z[:, 0])


def _exact_gamma_inverse(z: Any, y: Any) -> Any:
    return (y * z - 1 - mp.log(y * z), y - 1 / z, 1 / z**2) if z > 0 else (mp.inf, None, None)


def _inverse_gaussian(z: Any, y: Any) -> Any:
    mean = z[:, 0] ** -0.5
    return (y - mean) ** 2 / (2 * y * mean**2)


def _exact_inverse_gaussian(z: Any, y: Any) -> Any:
    if z <= 0:
        return mp.inf, None, None
    mean = 1 / mp.sqrt(z)
    return (y - mean) ** 2 / (2 * y * mean**2), (y - mean) / 2, mean**3 / 4


def _tweedie(z: Any, y: Any) -> Any:
    mean, p = np.exp(z[:, 0]), 1.3
    return y ** (2 - p) / ((1 - p) * (2 - p)) - y * mean ** (1 - p) / (1 - p) + mean ** (2 - p) / (2 - p)


def _exact_tweedie(z: Any, y: Any) -> Any:
    p = mp.mpf(1.3)
    more, less = mp.exp((2 - p) * z), y * mp.exp((1 - p) * z)
    value = y ** (2 - p) / ((1 - p) * (2 - p)) - less / (1 - p) + more / (2 - p)
    return value, more - less, (2 - p) * more - (1 - p) * less


def _negative_binomial(z: Any, y: Any) -> Any:
    mean, theta = np.exp(z[:, 0]), 0.7
    return y * (_log(y) - z[:, 0]) - (y + theta) * (np.log(y + theta) - np.log(mean + theta))


def _exact_negative_binomial(z: Any, y: Any) -> Any:
    mean, theta = mp.exp(z), mp.mpf(0.7)
    value = (y * mp.log(y / mean) if y else 0) - (y + theta) * mp.log((y + theta) / (mean + theta))
    return value, theta * (mean - y) / (mean + theta), theta * mean * (y + theta) / (mean + theta) ** 2


def _huber(z: Any, y: Any) -> Any:
    r = z[:, 0] - y
    size = np.where(r.real < 0, -r, r)
    return np.where(size.real <= 0.7, r**2 / 2, 0.7 * (size - 0.35))


def _quantile(z: Any, y: Any) -> Any:
    r = z[:, 0] - y
    return np.where(abs(r.real) <= 0.4, r**2 / 1.6 + 0.1 + (0.5 - 0.8) * r, np.where(r.real > 0, 0.2 * r, -0.8 * r))


def _probit(z: Any, y: Any) -> Any:
    return -special.log_ndtr((2 * y - 1) * z[:, 0])


def _exact_probit(z: Any, y: Any) -> Any:
    m = z if y else -z
    below = mp.erfc(-m / mp.sqrt(2)) / 2
    steep = mp.npdf(m) / below
    return (
        -mp.log(below) if m < 5 else -mp.log1p(-mp.erfc(m / mp.sqrt(2)) / 2),
        (-steep if y else steep),
        steep * (steep + m),
    )


def _cloglog(z: Any, y: Any) -> Any:
    a = np.exp(z[:, 0])
    return np.where(y == 0, a, -np.log(-np.expm1(-a)))


def _exact_cloglog(z: Any, y: Any) -> Any:
    a = mp.exp(z)
    if not y:
        return a, a, a
    rise = mp.expm1(a)
    return -mp.log1p(-mp.exp(-a)) if z > 0 else -mp.log(-mp.expm1(-a)), -a / rise, a / rise * (a / -mp.expm1(-a) - 1)


def _hinge(z: Any, y: Any) -> Any:
    lacking = 1 - (2 * y - 1) * z[:, 0]
    return np.where(lacking.real > 0, lacking**2, 0)


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
    LossCase(
        loss=PoissonLoss(),
        textbook=_poisson,
        predicted=np.exp,
        labels=_counts,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        exact=_exact_poisson,
    ),
    LossCase(
        loss=GammaLoss(link="inverse"),
        textbook=_gamma_inverse,
        predicted=lambda z: 1 / z,
        labels=_amounts,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        exact=_exact_gamma_inverse,
        margins=lambda z: np.abs(z) + 0.1,
    ),
    LossCase(
        loss=GammaLoss(),
        textbook=_gamma,
        predicted=np.exp,
        labels=_amounts,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        exact=_exact_gamma,
    ),
    LossCase(
        loss=InverseGaussianLoss(),
        textbook=_inverse_gaussian,
        predicted=lambda z: z**-0.5,
        labels=_amounts,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        exact=_exact_inverse_gaussian,
        margins=lambda z: np.abs(z) + 0.1,
    ),
    LossCase(
        loss=TweedieLoss(power=1.3),
        textbook=_tweedie,
        predicted=np.exp,
        labels=_counts,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        exact=_exact_tweedie,
    ),
    LossCase(
        loss=NegativeBinomialLoss(theta=0.7),
        textbook=_negative_binomial,
        predicted=np.exp,
        labels=_counts,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        exact=_exact_negative_binomial,
    ),
    LossCase(
        loss=HuberLoss(delta=0.7),
        textbook=_huber,
        predicted=lambda z: z,
        labels=_numbers,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        smooth=lambda z, y: np.abs(np.abs(z[:, 0] - y) - 0.7) > 0.01,
    ),
    LossCase(
        loss=QuantileLoss(width=0.4, level=0.8),
        textbook=_quantile,
        predicted=lambda z: z,
        labels=_numbers,
        n_classes=0,
        n_outputs=1,
        refused_classes=(1, 2, 3),
        smooth=lambda z, y: np.abs(np.abs(z[:, 0] - y) - 0.4) > 0.01,
    ),
    LossCase(
        loss=ProbitLoss(),
        textbook=_probit,
        predicted=lambda z: special.ndtr(np.hstack([-z, z])),
        labels=_two,
        n_classes=2,
        n_outputs=1,
        refused_classes=(0, 1, 3),
        exact=_exact_probit,
    ),
    LossCase(
        loss=CloglogLoss(),
        textbook=_cloglog,
        predicted=lambda z: np.hstack([np.exp(-np.exp(z)), -np.expm1(-np.exp(z))]),
        labels=_two,
        n_classes=2,
        n_outputs=1,
        refused_classes=(0, 1, 3),
        exact=_exact_cloglog,
        middle=float(np.log(np.log(2))),
    ),
    LossCase(
        loss=SquaredHingeLoss(),
        textbook=_hinge,
        predicted=lambda z: np.hstack([-z, z]),
        labels=_two,
        n_classes=2,
        n_outputs=1,
        refused_classes=(0, 1, 3),
        smooth=lambda z, y: np.abs(1 - (2 * y - 1) * z[:, 0]) > 0.01,
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
