"""Metrics of predicted classes: accuracy, log loss, confusion and areas under ROC curves.

    accuracy   sum_i u_i [argmax p_i = y_i] / sum_i u_i
    log loss   sum_i -u_i log p_i[y_i] / sum_i u_i
    AUC        P(score of a positive > score of a negative), ties counted half; one against the rest for each class

The score of a class is its log-odds, which still tell rows apart whose probabilities have run into 1.0. The AUC comes
from tables score -> (weight of negatives, weight of positives), exact with up to `TABLE_KEYS` distinct scores of all
classes together; with more, neighbouring scores share a key, and it is known up to half the share of pairs in a key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mr_ml.models.linear.measured import Floats, Measured, Metrics
from mr_ml.sums.parts import Keyed, Part, Sum
from mr_ml.sums.statistic import Statistic

TABLE_KEYS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ClassMetrics(Metrics):
    """How well classes are predicted.

    Attributes
    ----------
    accuracy, log_loss
        Weighted means.
    auc, auc_error
        The area under the ROC curve (the mean over classes where there are more than two; None where a side has no
        rows), and how far the true one can be from it.
    auc_by_class
        Each class against the rest; None for two classes.
    confusion
        Weights of rows: by truth, then by prediction.
    """

    accuracy: float
    log_loss: float
    auc: float | None
    auc_error: float
    auc_by_class: list[float | None] | None
    confusion: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class DecisionMetrics(Metrics):
    """How well classes are predicted by decision values; as `ClassMetrics`, with the mean of the loss."""

    accuracy: float
    mean_loss: float
    auc: float | None
    auc_error: float
    auc_by_class: list[float | None] | None
    confusion: list[list[float]]


def class_sums(measured: Measured) -> dict[str, Part]:
    """Return the sums that `class_metrics` reads."""
    u, n_classes = measured.weights, measured.predictions.shape[1]
    truth, guess = measured.targets.astype(np.int64), measured.predictions.argmax(axis=1)
    confusion = np.bincount(truth * n_classes + guess, u, n_classes * n_classes)
    parts: dict[str, Part] = {"confusion": Sum(confusion.reshape(n_classes, n_classes))}
    scores = log_odds(measured.margins)
    for k in range(scores.shape[1]):
        positive = truth == (k if scores.shape[1] > 1 else 1)
        sides = np.stack([u * ~positive, u * positive], axis=1)
        limit = max(TABLE_KEYS // scores.shape[1], 2)
        parts[f"scores_{k}"] = Keyed.of(order_keys(scores[:, k]), sides, limit=limit)
    return parts


def class_metrics(total: Statistic, *, weight_exponent: int) -> ClassMetrics:
    """Return the metrics that the sums over all rows say."""
    weight, confusion = float(total.sum("weight_sum")), total.sum("confusion")
    # by number, whatever order the parts came in
    names = [f"scores_{k}" for k in range(sum(name.startswith("scores_") for name in total.parts))]
    areas = [auc(total.part_of(name, Keyed)) for name in names]
    known = [area.value for area in areas if area.value is not None]
    return ClassMetrics(
        n_rows=total.n_rows,
        weight_sum=float(np.ldexp(weight, weight_exponent)),
        accuracy=float(np.trace(confusion) / weight),
        log_loss=float(total.sum("loss_sum")) / weight,
        auc=float(np.mean(known)) if known else None,
        auc_error=max(area.error for area in areas),
        auc_by_class=[area.value for area in areas] if len(areas) > 1 else None,
        confusion=np.ldexp(confusion, weight_exponent).tolist(),
    )


def decision_metrics(total: Statistic, *, weight_exponent: int) -> DecisionMetrics:
    """Return the metrics that the sums over all rows say, of classes without probabilities."""
    metrics = vars(class_metrics(total, weight_exponent=weight_exponent))
    return DecisionMetrics(**{"mean_loss" if name == "log_loss" else name: found for name, found in metrics.items()})


def log_odds(margins: Floats) -> Floats:
    """Return log p_k - log(1 - p_k) of each class, (n_rows, n_outputs); of a single output, that of the second class.

    z_k - log sum_{j != k} e^{z_j} without differences of large sums, so that it is right where p_k is next to 0 or 1.
    """
    if margins.shape[1] == 1:
        return margins
    likeliest = np.arange(len(margins)), margins.argmax(axis=1)
    highest = margins[likeliest][:, None]
    rest = margins.copy()
    rest[likeliest] = -np.inf
    second = rest.max(axis=1, keepdims=True)
    e = np.exp(margins - highest)
    # of all classes before each, and of all behind it
    zero = np.zeros((len(e), 1))
    others = np.hstack([zero, e[:, :-1].cumsum(axis=1)]) + np.hstack([e[:, :0:-1].cumsum(axis=1)[:, ::-1], zero])
    with np.errstate(divide="ignore"):
        # of the likeliest class it may have run into 0
        scores = margins - highest - np.log(others)
    scores[likeliest] = (highest - second)[:, 0] - np.log(np.exp(rest - second).sum(axis=1))
    return np.asarray(scores)


def order_keys(scores: Floats) -> NDArray[np.int64]:
    """Return int64 keys in the order of the float64 scores, equal where those are equal."""
    bits = (scores + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits)


@dataclass(frozen=True)
class Auc:
    """The value, and how far the true one can be from it; None if a side has no weight."""

    value: float | None
    error: float


def auc(table: Keyed) -> Auc:
    """Return the area under the ROC curve by the trapezoidal rule over the table's keys."""
    negative, positive = table.values[:, 0], table.values[:, 1]
    pairs = negative.sum() * positive.sum()
    if not pairs > 0:
        return Auc(None, 0.0)
    below = np.cumsum(negative) - negative
    value = float((positive * (below + negative / 2)).sum() / pairs)
    return Auc(value, float((positive * negative).sum() / 2 / pairs) if table.shift else 0.0)
