"""The softmax loss of two or more classes.

l = log sum_k e^{z_k} - z_y      l'_k = p_k - [k = y]      l''_jk = p_j ([j = k] - p_k),  p_k = e^{z_k} / sum_j e^{z_j}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hdfs_layout.dataclass import dataclass
from mr_ml.errors import UsageError
from mr_ml.models.formula import Response
from mr_ml.models.linear.labels import CLASSES, LabelDomain, TrainingLabels
from mr_ml.models.linear.losses.base import Floats, Loss

if TYPE_CHECKING:
    from mr_ml.models.linear.losses.likelihood import Likelihood


@dataclass(frozen=True)
class SoftmaxLoss(Loss):
    """Minus the log-likelihood of the class, with a coefficient vector for each class."""

    name: ClassVar[str] = "softmax"
    label_domain: ClassVar[LabelDomain] = CLASSES
    may_separate: ClassVar[bool] = True
    bends_by_reach: ClassVar[bool] = True
    begins_by_sample: ClassVar[bool] = True
    identifiable: ClassVar[bool] = False

    def n_outputs(self, n_classes: int) -> int:
        """Return how many coefficient vectors a model of this loss has."""
        super().n_outputs(n_classes)
        return n_classes

    def classes(self, labels: TrainingLabels) -> tuple[float, ...]:
        """Return the label values of classes 0, 1, ...; empty for numbers."""
        classes = super().classes(labels)
        if labels.has_offsets:
            raise UsageError(
                "the softmax loss has no use for offsets: they move all classes alike; use `loss` logistic"
            )
        return classes

    def canonical(self, coef: Floats, *, penalised: bool) -> Floats:
        """Return the coefficients whose intercepts (and unpenalised coefficients) sum to zero over the classes."""
        free = coef.mean(axis=0)
        if penalised:
            free[:-1] = 0
        return np.asarray(coef - free)

    @property
    def likelihood(self) -> Likelihood:
        """What it is as a likelihood."""
        from mr_ml.models.linear.losses.likelihood import ClassLikelihood

        return ClassLikelihood()

    def value(self, margins: Floats, labels: Floats) -> Floats:
        """Return l, (n_rows,)."""
        own = np.take_along_axis(margins, labels.astype(np.int64)[:, None], axis=1)
        return _log_sum_exp(margins - own)

    def derivatives(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return l' and the diagonal of l'', both (n_rows, n_outputs)."""
        p, rest = _softmax_and_rest(margins)
        own = np.arange(len(labels)), labels.astype(np.int64)
        slope = p.copy()
        slope[own] = -rest[own]
        return slope, p * rest

    def second_derivatives(self, margins: Floats, labels: Floats, weights: Floats) -> dict[tuple[int, int], Floats]:
        """Return the weighted second derivatives in margins j <= k, (n_rows,) each, keyed (j, k)."""
        p, rest = _softmax_and_rest(margins)
        n = p.shape[1]
        mixed = {(j, k): -weights * p[:, j] * p[:, k] for j in range(n) for k in range(j + 1, n)}
        return {(k, k): weights * p[:, k] * rest[:, k] for k in range(n)} | mixed

    def second_derivative(self, margins: Floats, labels: Floats, weights: Floats) -> Callable[[Floats], Floats]:
        """Return what multiplies the rows' weighted l'' with changes of the margins, (n_rows, n_outputs) each."""
        p = _softmax(margins)
        weighted = p * weights[:, None]
        return lambda changes: weighted * (changes - (p * changes).sum(axis=1, keepdims=True))

    def lead(self, margins: Floats, labels: Floats) -> tuple[Floats, Floats]:
        """Return the least and the most by which a row's own class is ahead of another one, (n_rows,) each."""
        own = np.arange(len(labels)), labels.astype(np.int64)
        ahead = margins[own][:, None] - margins
        # a class is no rival of its own
        ahead[own] = np.inf
        least = ahead.min(axis=1)
        ahead[own] = -np.inf
        return least, ahead.max(axis=1)

    @property
    def response(self) -> Response | None:
        """What `inverse_link` does, for exports."""
        return Response.SOFTMAX

    def inverse_link(self, margins: Floats) -> Floats:
        """Return class probabilities (n_rows, n_classes), or the predicted value (n_rows, 1)."""
        return _softmax(margins)


# written out because scipy.special takes longer to load than all the rest of a task, and because its releases differ in
# the last bit
def _log_sum_exp(z: Floats) -> Floats:
    """Return log sum_k e^{z_k}, (n_rows,), to the last bits where it is next to 0.

    With m of the terms equal to the largest, a: a + log m + log(1 + (sum of the other e^{z_k - a}) / m).
    """
    largest = z.max(axis=1, keepdims=True)
    at_largest = z == largest
    n_largest = at_largest.astype(np.float64).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = np.exp(np.where(at_largest, -np.inf, z) - largest).sum(axis=1)
        return np.asarray(np.log1p(others / n_largest) + np.log(n_largest) + largest[:, 0])


def _softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _softmax_and_rest(z: Floats) -> tuple[Floats, Floats]:
    """Return p and 1 - p; for the likeliest class the latter is the sum of the other p, since 1 - p would cancel."""
    p = _softmax(z)
    rest = 1 - p
    likeliest = np.arange(len(p)), p.argmax(axis=1)
    others = p.copy()
    others[likeliest] = 0
    rest[likeliest] = others.sum(axis=1)
    return p, rest
