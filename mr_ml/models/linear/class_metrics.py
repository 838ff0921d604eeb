"""Metrics of predicted classes: accuracy, log loss, confusion, ranks, calibration.

    accuracy   sum_i u_i [argmax p_i = y_i] / sum_i u_i
    log loss   sum_i -u_i log p_i[y_i] / sum_i u_i
    Brier      sum_i u_i (p_i - y_i)^2 / sum_i u_i, of the second of two classes; of more sum_i u_i |p_i - e_{y_i}|^2
    ECE        sum_b |sum_i in b u_i (y_i - p_i)| / sum_i u_i, over the ranges b of probabilities

The score of a class is its log-odds, which still tell rows apart whose probabilities have run into 1.0. What follows
from ranks comes from tables score -> (weight of negatives, weight of positives), one against the rest for each class,
see `mr_ml.models.linear.score_table`: exact with up to `TABLE_KEYS` distinct scores of all classes together.

Probabilities are held against what happened in `CALIBRATION_RANGES` ranges of the same width: that of the second of two
classes against its rows, of more that of the predicted class against the rows that are of it (Guo et al. 2017, sec. 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdfs_layout.dataclass import dataclass
from mr_ml.models.linear.confusion import Confusion
from mr_ml.models.linear.measured import Asked, Floats, Measured, Metrics
from mr_ml.models.linear.score_table import Ranked, ScoreTable, order_keys
from mr_ml.sums.parts import Keyed, Part, Sum
from mr_ml.sums.statistic import Statistic

TABLE_KEYS = 1 << 20
CALIBRATION_RANGES = 10
# Of so many classes, those that most rows have, curves are told.
MOST_CURVES = 10


@dataclass(frozen=True, kw_only=True)
class _OfClasses(Metrics):
    """How well classes are predicted, whether by probabilities or by decision values.

    Attributes
    ----------
    accuracy, balanced_accuracy
        The weighted mean, and the mean over classes that have rows.
    precision, recall, f1
        Of the second of two classes; of more the means over classes that have rows.
    mcc
        Matthews' correlation coefficient.
    auc, auc_error
        The area under the ROC curve (the mean over classes where there are more than two; None where a side has no
        rows), and how far the true one can be from it.
    auc_by_class
        Each class against the rest; None for two classes.
    average_precision, average_precision_error
        The area under the curve of precision and recall, likewise; of the second of two classes.
    ks, ks_error
        The largest distance between the distributions of the scores of two classes; None for more.
    confusion
        Weights of rows: by truth, then by prediction.
    by_class
        For each class weights, precision, recall, F1 and what ranks say.
    gains
        What is in each tenth of the rows, those with the highest scores of the second of two classes first; None for
        more.
    at_threshold, at_precision, at_recall
        What is asked for by `MetricChoices`, in its order.
    curves
        Points of the curves of ROC and of precision over recall: of the second of two classes; of more of each against
        the rest, of at most `MOST_CURVES`. None if details are not asked for.
    """

    accuracy: float
    balanced_accuracy: float
    precision: float | None
    recall: float | None
    f1: float | None
    mcc: float | None
    auc: float | None
    auc_error: float
    auc_by_class: list[float | None] | None
    average_precision: float | None
    average_precision_error: float
    ks: float | None
    ks_error: float
    confusion: list[list[float]]
    by_class: list[dict[str, Any]]
    gains: list[dict[str, Any]] | None
    at_threshold: list[dict[str, Any]]
    at_precision: list[dict[str, Any]]
    at_recall: list[dict[str, Any]]
    curves: list[dict[str, Any]] | None


@dataclass(frozen=True, kw_only=True)
class ClassMetrics(_OfClasses):
    """How well classes are predicted by probabilities.

    Attributes
    ----------
    log_loss, brier
        Weighted means.
    ece
        The expected calibration error.
    calibration
        Of each range of probabilities that has rows.
    """

    log_loss: float
    brier: float
    ece: float
    calibration: list[dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class DecisionMetrics(_OfClasses):
    """How well classes are predicted by decision values, with the mean of the loss."""

    mean_loss: float


def class_sums(measured: Measured, *, probable: bool) -> dict[str, Part]:
    """Return the sums that `class_metrics`, or `decision_metrics`, reads."""
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
    if probable:
        parts.update(_probability_sums(measured, guess))
    if thresholds := measured.choices.threshold:
        taken = [2 * truth + (measured.predictions[:, 1] >= threshold) for threshold in thresholds]
        parts["thresholds"] = Sum(np.array([np.bincount(sides, u, 4).reshape(2, 2) for sides in taken]))
    return parts


def _probability_sums(measured: Measured, guess: NDArray[np.int64]) -> dict[str, Part]:
    u, p, y = measured.weights, measured.predictions, measured.targets
    if not u.all():
        # what is predicted of rows of weight 0 may be no number
        counted = u > 0
        u, p, y, guess = u[counted], p[counted], y[counted], guess[counted]
    is_binary = p.shape[1] == 2
    said, happened = (p[:, 1], y) if is_binary else (p[np.arange(len(p)), guess], guess == y)
    at = np.fmin(said * CALIBRATION_RANGES, CALIBRATION_RANGES - 1).astype(np.int64)
    ranges = [np.bincount(at, of, CALIBRATION_RANGES) for of in (u, u * said, u * happened)]
    errors = _errors(p, y)
    squares = (u[:, None] * errors * errors).sum()
    return {"brier": Sum(np.asarray(squares)), "calibration": Sum(np.array(ranges, np.float64))}


def brier(predictions: Floats, targets: Floats) -> Floats:
    """Return the squares of the errors of each row's probabilities, (n_rows,); of two classes that of one of them."""
    errors = _errors(predictions, targets)
    return np.asarray((errors * errors).sum(axis=1))


def _errors(predictions: Floats, targets: Floats) -> Floats:
    """Return by how much probabilities are off, (n_rows, n_classes); of two classes that of the wrong one alone."""
    rows, own = np.arange(len(targets)), targets.astype(np.int64)
    if predictions.shape[1] == 2:
        # not 1 - p, which cancels
        return np.asarray(predictions[rows, 1 - own][:, None])
    errors = predictions.copy()
    errors[rows, own] -= 1
    return errors


def class_metrics(total: Statistic, *, asked: Asked) -> ClassMetrics:
    """Return the metrics that the sums over all rows say."""
    weight = float(total.sum("weight_sum"))
    ranges = total.sum("calibration")
    return ClassMetrics(
        **_of_classes(total, asked),
        log_loss=float(total.sum("loss_sum")) / weight,
        brier=float(total.sum("brier")) / weight,
        ece=float(np.abs(ranges[2] - ranges[1]).sum() / weight),
        calibration=_calibration(ranges, asked),
    )


def decision_metrics(total: Statistic, *, asked: Asked) -> DecisionMetrics:
    """Return the metrics that the sums over all rows say, of classes without probabilities."""
    mean_loss = float(total.sum("loss_sum")) / float(total.sum("weight_sum"))
    return DecisionMetrics(**_of_classes(total, asked), mean_loss=mean_loss)


def _calibration(ranges: Floats, asked: Asked) -> list[dict[str, float]]:
    return [
        {
            "from": k / CALIBRATION_RANGES,
            "to": (k + 1) / CALIBRATION_RANGES,
            "weight": asked.in_unit(weight),
            "mean_prediction": float(said / weight),
            "rate": float(happened / weight),
        }
        for k, (weight, said, happened) in enumerate(ranges.T)
        if weight > 0
    ]


def _of_classes(total: Statistic, asked: Asked) -> dict[str, Any]:
    weight, confusion = float(total.sum("weight_sum")), Confusion(total.sum("confusion"))
    # by number, whatever order the parts came in
    names = [f"scores_{k}" for k in range(sum(name.startswith("scores_") for name in total.parts))]
    tables = [ScoreTable.of(total.part_of(name, Keyed)) for name in names]
    areas = [table.auc() for table in tables]
    is_binary = len(confusion.weights) == 2
    if len(tables) == 1:
        # by class, the second of which the table is of
        precisions, of_class = [tables[0].flipped.average_precision(), tables[0].average_precision()], [*areas, *areas]
    else:
        precisions, of_class = [table.average_precision() for table in tables], areas
    ranks = tables[-1].ks() if is_binary else Ranked(None)
    area, precision = _mean(areas), precisions[1] if is_binary else _mean(precisions)
    return {
        "n_rows": total.n_rows,
        "weight_sum": asked.in_unit(weight),
        "accuracy": float(np.trace(confusion.weights) / weight),
        "balanced_accuracy": confusion.balanced_accuracy(),
        **confusion.overall(),
        "mcc": confusion.mcc(),
        "auc": area.value,
        "auc_error": area.error,
        "auc_by_class": [area.value for area in areas] if len(areas) > 1 else None,
        "average_precision": precision.value,
        "average_precision_error": precision.error,
        "ks": ranks.value,
        "ks_error": ranks.error,
        "confusion": np.ldexp(confusion.weights, asked.weight_exponent).tolist(),
        "by_class": [
            {"weight": asked.in_unit(n), **of, "auc": area.value, "average_precision": precision.value}
            for n, of, area, precision in zip(confusion.truth, confusion.by_class(), of_class, precisions, strict=True)
        ],
        **_of_two_classes(total, tables[-1] if is_binary else None, asked),
        "curves": list(_curves(tables, confusion, asked)) if asked.choices.details else None,
    }


def _curves(tables: Sequence[ScoreTable], confusion: Confusion, asked: Asked) -> Iterator[dict[str, Any]]:
    """Yield the curves of each class whose rows are told from others, in the order of the classes."""
    n_classes = len(confusion.weights)
    if n_classes == 2:
        of_class = {1: (tables[-1], _prediction(asked))}
    else:
        most = np.sort(np.argsort(-confusion.truth, kind="stable")[:MOST_CURVES])
        of_class = {k: (tables[k], _probability) for k in most.tolist()}
    for k, (table, prediction) in of_class.items():
        curve = table.curve(prediction)
        if curve is not None:
            yield {"class": k, **curve}


def _probability(log_odds: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-log_odds)))


def _mean(ranked: Sequence[Ranked]) -> Ranked:
    """Return the mean of those that are defined, and the largest error."""
    known = [of.value for of in ranked if of.value is not None]
    return Ranked(float(np.mean(known)) if known else None, max(of.error for of in ranked))


def _of_two_classes(total: Statistic, table: ScoreTable | None, asked: Asked) -> dict[str, Any]:
    """Return what only two classes have: where they are told apart at which score."""
    choices = asked.choices
    if table is None:
        return {"gains": None, "at_threshold": [], "at_precision": [], "at_recall": []}
    at_threshold = [
        {"threshold": threshold, **_told_apart(confusion, asked)}
        for threshold, confusion in zip(
            choices.threshold, total.sum("thresholds") if choices.threshold else [], strict=True
        )
    ]
    prediction = _prediction(asked)
    gains = [{**of, "weight": asked.in_unit(of["weight"])} for of in table.gains(prediction)]

    def found(wanted: float, key: int | None) -> dict[str, Any]:
        if key is None:
            return {"wanted": wanted, "threshold": None}
        threshold = float(prediction(table.lowest[key : key + 1])[0])
        return {"wanted": wanted, "threshold": threshold, **_told_apart(table.confusion_at(key), asked)}

    return {
        "gains": gains,
        "at_threshold": at_threshold,
        "at_precision": [found(wanted, table.with_precision(wanted)) for wanted in choices.at_precision],
        "at_recall": [found(wanted, table.with_recall(wanted)) for wanted in choices.at_recall],
    }


def _prediction(asked: Asked) -> Callable[[Floats], Floats]:
    """Return what makes the prediction of the second class of its log-odds, or decision values."""

    def prediction(scores: Floats) -> Floats:
        margins = scores[:, None] if asked.n_outputs == 1 else np.stack([np.zeros(len(scores)), scores], axis=1)
        return asked.inverse_link(margins)[:, 1]

    return prediction


def _told_apart(weights: Floats, asked: Asked) -> dict[str, Any]:
    """Return what weights by truth, then by prediction, say of the second of two classes."""
    confusion = Confusion(weights)
    return {
        "share": float(confusion.predicted[1] / weights.sum()),
        **confusion.overall(),
        "accuracy": confusion.accuracy,
        "mcc": confusion.mcc(),
        "confusion": np.ldexp(weights, asked.weight_exponent).tolist(),
    }


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
