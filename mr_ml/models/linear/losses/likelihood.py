"""What losses are as likelihoods: which part of a log-likelihood a sum of losses is, and which variance belongs to it.

A label of mean mu has variance phi V(mu) / u, u being the row's weight: R's prior weight. With L = sum_i u_i l_i:

    deviance        2 L                                          (of classes, -2 log-likelihood)
    Pearson         sum_i u_i (y_i - mu_i)^2 / V(mu_i)           its share of n - p is phi where that is not known
    log-likelihood  what R's `logLik` says of `glm` (McCullagh & Nelder 1989, ch. 2, 8; R's `family`, `lm`)

Null losses are those of the best constant prediction, the weighted mean of the labels whatever the link.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.base import Floats
    from mr_ml.models.linear.losses.family import FamilyLoss


@dataclass(frozen=True, eq=False, kw_only=True)
class LikelihoodSums:
    """Sums over the rows of positive weight u.

    Attributes
    ----------
    n_rows
        How many there are.
    weight, log_weight, loss
        Of u, log u and u l.
    terms
        Of u times what `Likelihood.terms` says, (n_terms,).
    """

    n_rows: int
    weight: float
    log_weight: float
    loss: float
    terms: Floats


class Likelihood(ABC):
    """A loss as a likelihood.

    Attributes
    ----------
    estimates_dispersion
        Whether phi is not known: it is found from Pearson's statistic, and counts as one more parameter.
    """

    estimates_dispersion: ClassVar[bool] = False

    @abstractmethod
    def pearson(self, predictions: Floats, labels: Floats) -> Floats:
        """Return (y - mu)^2 / V(mu) of what `Loss.inverse_link` predicts, (n_rows,)."""

    @abstractmethod
    def terms(self, labels: Floats, n_classes: int) -> Floats:
        """Return what the sums are of that the other methods need, (n_rows, n_terms)."""

    @abstractmethod
    def null_loss(self, sums: LikelihoodSums) -> float:
        """Return the sum of losses of the best constant prediction."""

    @abstractmethod
    def log_likelihood(self, sums: LikelihoodSums) -> float | None:
        """Return the log-likelihood; None if there is none."""


class ClassLikelihood(Likelihood):
    """Of classes, whose losses are minus the logarithms of their probabilities."""

    def pearson(self, predictions: Floats, labels: Floats) -> Floats:
        """Return sum_k ([k = y] - p_k)^2 / p_k = (1 - p_y) / p_y, (n_rows,)."""
        own = np.take_along_axis(predictions, labels.astype(np.int64)[:, None], axis=1)[:, 0]
        rest = predictions.sum(axis=1) - own
        return np.asarray(rest / own)

    def terms(self, labels: Floats, n_classes: int) -> Floats:
        """Return which class each row is of, (n_rows, n_classes)."""
        return np.equal(labels[:, None], np.arange(n_classes)).astype(np.float64)

    def null_loss(self, sums: LikelihoodSums) -> float:
        """Return the entropy of the classes' shares, times the sum of weights."""
        some = sums.terms[sums.terms > 0]
        return float(-(some * np.log(some / some.sum())).sum())

    def log_likelihood(self, sums: LikelihoodSums) -> float | None:
        """Return minus the sum of losses."""
        return -sums.loss


class NormalLikelihood(Likelihood):
    """Of numbers with a normal distribution, mean mu and variance phi / u."""

    estimates_dispersion: ClassVar[bool] = True

    def pearson(self, predictions: Floats, labels: Floats) -> Floats:
        """Return the square of the residual, (n_rows,)."""
        residual = labels - predictions[:, 0]
        return np.asarray(residual * residual)

    def terms(self, labels: Floats, n_classes: int) -> Floats:
        """Return labels and their squares, (n_rows, 2); labels far from 0 are read less their mean."""
        return np.stack([labels, labels * labels], axis=1)

    def null_loss(self, sums: LikelihoodSums) -> float:
        """Return half the sum of squares about the mean."""
        total, squares = map(float, sums.terms)
        return max(0.5 * (squares - total * total / sums.weight), 0.0)

    def log_likelihood(self, sums: LikelihoodSums) -> float | None:
        """Return that of the best phi, the mean square."""
        if not sums.loss > 0:
            return None
        return 0.5 * (sums.log_weight - sums.n_rows * (math.log(2 * math.pi * 2 * sums.loss / sums.n_rows) + 1))


@dataclass(frozen=True)
class FamilyLikelihood(Likelihood):
    """Of a loss that is half a unit deviance: the best constant leaves what `FamilyLoss` says in its first lines."""

    loss: FamilyLoss

    @abstractmethod
    def variance(self, means: Floats) -> Floats:
        """Return V(mu), (n_rows,)."""

    def pearson(self, predictions: Floats, labels: Floats) -> Floats:
        """Return (y - mu)^2 / V(mu), (n_rows,)."""
        mean = predictions[:, 0]
        residual = labels - mean
        return np.asarray(residual / self.variance(mean) * residual)

    def own_term(self, labels: Floats) -> Floats:
        """Return the term of the log-likelihood that is of labels alone, (n_rows,)."""
        return np.zeros(len(labels))

    def terms(self, labels: Floats, n_classes: int) -> Floats:
        """Return labels, l at a mean of 1, and `own_term`, (n_rows, 3)."""
        return np.stack([labels, self._at_one(labels), self.own_term(labels)], axis=1)

    def null_loss(self, sums: LikelihoodSums) -> float:
        """Return what the weighted mean leaves."""
        total, at_one, _ = map(float, sums.terms)
        return max(at_one - sums.weight * float(self._at_one(np.array([total / sums.weight]))[0]), 0.0)

    def _at_one(self, labels: Floats) -> Floats:
        return self.loss.value(np.full((len(labels), 1), self.loss.unit_margin), labels)


class CountLikelihood(FamilyLikelihood):
    """Of counts: the log-likelihood at mu = y, less the losses."""

    def own_term(self, labels: Floats) -> Floats:
        """Return log p(y; y), (n_rows,); minus infinity where y is no whole number, which has no probability."""
        return _each(self.saturated, labels)

    @abstractmethod
    def saturated(self, label: float) -> float:
        """Return log p(y; y) of a whole number."""

    def log_likelihood(self, sums: LikelihoodSums) -> float | None:
        """Return that at mu = y less the losses; None where labels are not whole."""
        found = float(sums.terms[2]) - sums.loss
        return found if math.isfinite(found) else None


class PoissonLikelihood(CountLikelihood):
    """V(mu) = mu."""

    def variance(self, means: Floats) -> Floats:
        """Return V(mu), (n_rows,)."""
        return means

    def saturated(self, label: float) -> float:
        """Return y log y - y - log y!."""
        return (label * math.log(label) if label else 0.0) - label - math.lgamma(label + 1)


@dataclass(frozen=True)
class NegativeBinomialLikelihood(CountLikelihood):
    """V(mu) = mu + mu^2 / theta, theta being known."""

    theta: float

    def variance(self, means: Floats) -> Floats:
        """Return V(mu), (n_rows,)."""
        return means + means * means / self.theta

    def saturated(self, label: float) -> float:
        """Return log C(y + theta - 1, y) + y log(y / (y + theta)) + theta log(theta / (y + theta))."""
        ways = math.lgamma(label + self.theta) - math.lgamma(self.theta) - math.lgamma(label + 1)
        fall = label * math.log1p(self.theta / label) if label else 0.0
        return ways - fall - self.theta * math.log1p(label / self.theta)


class GammaLikelihood(FamilyLikelihood):
    """V(mu) = mu^2; R takes the mean deviance for phi in the log-likelihood, though not in standard errors."""

    estimates_dispersion: ClassVar[bool] = True

    def variance(self, means: Floats) -> Floats:
        """Return V(mu), (n_rows,)."""
        return means * means

    def own_term(self, labels: Floats) -> Floats:
        """Return log y, (n_rows,)."""
        return np.log(labels)

    def log_likelihood(self, sums: LikelihoodSums) -> float | None:
        """Return that of shape a = 1 / phi: sum_i u_i (a log a - a - log Gamma(a) - a l_i - log y_i)."""
        if not sums.loss > 0:
            return None
        a = sums.weight / (2 * sums.loss)
        return sums.weight * (a * math.log(a) - a - math.lgamma(a)) - a * sums.loss - float(sums.terms[2])


class InverseGaussianLikelihood(FamilyLikelihood):
    """V(mu) = mu^3, and the best phi, the mean deviance."""

    estimates_dispersion: ClassVar[bool] = True

    def variance(self, means: Floats) -> Floats:
        """Return V(mu), (n_rows,)."""
        return means * means * means

    def own_term(self, labels: Floats) -> Floats:
        """Return log y, (n_rows,)."""
        return np.log(labels)

    def log_likelihood(self, sums: LikelihoodSums) -> float | None:
        """Return -1/2 sum_i u_i (log(2 pi phi) + 1 + 3 log y_i)."""
        if not sums.loss > 0:
            return None
        phi = 2 * sums.loss / sums.weight
        return -0.5 * (sums.weight * (math.log(2 * math.pi * phi) + 1) + 3 * float(sums.terms[2]))


@dataclass(frozen=True)
class TweedieLikelihood(FamilyLikelihood):
    """V(mu) = mu^power. Its density is a series, of which R says nothing either: there is no log-likelihood."""

    estimates_dispersion: ClassVar[bool] = True

    power: float

    def variance(self, means: Floats) -> Floats:
        """Return V(mu), (n_rows,)."""
        return means**self.power

    def log_likelihood(self, sums: LikelihoodSums) -> float | None:
        """Return None."""
        return None


def _each(of: Callable[[float], float], labels: Floats) -> Floats:
    """Return `of` each label, (n_rows,), minus infinity where it is not whole."""
    # not those of scipy.special, whose releases differ in the last bit
    distinct, at = np.unique(labels, return_inverse=True)
    found = [of(label) if label.is_integer() else -math.inf for label in distinct.tolist()]
    return np.array(found)[at]
