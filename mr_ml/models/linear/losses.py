"""Pointwise losses: what one row costs at its margins.

    margin  z_ik = x_i . w_k + b_k + offset_i        k = 1..n_outputs
    squared   l = 1/2 (z - y)^2                      l' = z - y            l'' = 1
    logistic  l = log(1 + e^z) - y z,  y in {0, 1}   l' = p - y            l'' = p (1 - p),  p = 1 / (1 + e^-z)
    softmax   l = log sum_k e^{z_k} - z_y            l'_k = p_k - [k = y]  l''_kk = p_k (1 - p_k)

A loss knows margins and labels, nothing of features, weights, means or penalties. Margins are (n_rows, n_outputs),
labels (n_rows,); softmax and logistic labels are class numbers. `curvature` is the diagonal of the Hessian in z.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mr_ml.errors import UsageError

Floats = NDArray[np.float64]


class Loss(Protocol):
    name: str
    classifies: bool

    def n_outputs(self, n_classes: int) -> int:
        """Coefficient vectors that a model of this loss has."""

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """l, (n_rows,)."""

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """l' and the diagonal of l'', both (n_rows, n_outputs)."""

    def bends(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Weighted second derivatives in margins j <= k, (n_rows,) each, keyed (j, k)."""

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """The least and the most by which a row's own class is ahead of another one, (n_rows,) each.

        It is linear in the margins; a row is on the right side where the least is positive. Infinite without classes.
        """

    def predict(self, margins: Floats) -> Floats:
        """Class probabilities (n_rows, n_classes), or the predicted value (n_rows, 1)."""


class SquaredLoss:
    name = "squared"
    classifies = False

    def n_outputs(self, n_classes: int) -> int:
        return 1

    def value(self, margins: Floats, labels: Floats) -> Floats:
        residual = margins[:, 0] - labels
        return np.asarray(0.5 * residual * residual)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        return margins - labels[:, None], np.ones_like(margins)

    def bends(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        return {(0, 0): weights}

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        return np.full(len(labels), np.inf), np.full(len(labels), -np.inf)

    def predict(self, margins: Floats) -> Floats:
        return margins


class LogisticLoss:
    name = "logistic"
    classifies = True

    def n_outputs(self, n_classes: int) -> int:
        if n_classes != 2:
            instead = "use --loss squared for a number to predict, --loss softmax for classes"
            raise UsageError(
                f"the logistic loss needs exactly 2 label values, the dataset has {n_classes}"
                + (f"; {instead}" if n_classes > 2 else "")
            )
        return 1

    def value(self, margins: Floats, labels: Floats) -> Floats:
        # log(1 + e^z) - y z = log(1 + e^{sz}) with s = 1 - 2y, which does not cancel in the tails; likewise below
        z = (1 - 2 * labels) * margins[:, 0]
        return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        sign = (1 - 2 * labels)[:, None]
        z = sign * margins
        smaller, larger = _two_classes(z)
        return sign * np.where(z > 0, larger, smaller), smaller * larger

    def bends(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        smaller, larger = _two_classes(margins[:, 0])
        return {(0, 0): weights * smaller * larger}

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        ahead = (2 * labels - 1) * margins[:, 0]
        return ahead, ahead

    def predict(self, margins: Floats) -> Floats:
        smaller, larger = _two_classes(margins)
        one = margins > 0
        return np.concatenate([np.where(one, smaller, larger), np.where(one, larger, smaller)], axis=1)


class SoftmaxLoss:
    name = "softmax"
    classifies = True

    def n_outputs(self, n_classes: int) -> int:
        if n_classes < 2:
            raise UsageError(f"the softmax loss needs at least 2 label values, the dataset has {n_classes}")
        return n_classes

    def value(self, margins: Floats, labels: Floats) -> Floats:
        own = np.take_along_axis(margins, labels.astype(np.int64)[:, None], axis=1)
        from scipy.special import logsumexp

        return np.asarray(logsumexp(margins - own, axis=1))

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        p, rest = _softmax_and_rest(margins)
        own = np.arange(len(labels)), labels.astype(np.int64)
        slope = p.copy()
        slope[own] = -rest[own]
        return slope, p * rest

    def bends(self, margins: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        p, rest = _softmax_and_rest(margins)
        n = p.shape[1]
        mixed = {(j, k): -weights * p[:, j] * p[:, k] for j in range(n) for k in range(j + 1, n)}
        return {(k, k): weights * p[:, k] * rest[:, k] for k in range(n)} | mixed

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        own = np.arange(len(labels)), labels.astype(np.int64)
        ahead = margins[own][:, None] - margins
        # a class is no rival of its own
        ahead[own] = np.inf
        least = ahead.min(axis=1)
        ahead[own] = -np.inf
        return least, ahead.max(axis=1)

    def predict(self, margins: Floats) -> Floats:
        return _softmax(margins)


def _two_classes(z: Floats) -> tuple[Floats, Floats]:
    """The smaller and the larger of 1 / (1 + e^z) and 1 / (1 + e^-z), neither of which cancels."""
    e = np.exp(-np.abs(z))
    larger = 1 / (1 + e)
    return e * larger, larger


# scipy is imported where it computes: a driver mostly has no use for it, and it takes longer to load than all the rest
def _softmax(margins: Floats) -> Floats:
    from scipy.special import softmax

    return np.asarray(softmax(margins, axis=1))


def _softmax_and_rest(margins: Floats) -> tuple[Floats, Floats]:
    """p and 1 - p; for the likeliest class the latter is the sum of the other p, since 1 - p would cancel."""
    p = _softmax(margins)
    rest = 1 - p
    likeliest = np.arange(len(p)), p.argmax(axis=1)
    others = p.copy()
    others[likeliest] = 0
    rest[likeliest] = others.sum(axis=1)
    return p, rest


LOSSES: dict[str, Loss] = {loss.name: loss for loss in (SquaredLoss(), LogisticLoss(), SoftmaxLoss())}


def loss_named(name: str) -> Loss:
    """Look a loss up.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    try:
        return LOSSES[name]
    except KeyError:
        raise UsageError(f"loss {name!r} is not known; choose one of {', '.join(sorted(LOSSES))}") from None
