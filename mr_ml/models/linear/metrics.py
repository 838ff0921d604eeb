"""Metrics as sums over rows: what one pass brings home, and what the driver makes of it.

    accuracy   sum_i u_i [argmax p_i = y_i] / sum_i u_i
    log loss   sum_i -u_i log p_i[y_i] / sum_i u_i
    AUC        P(score of a positive > score of a negative), ties counted half; one against the rest for each class

The score of a class is its log-odds, which still tell rows apart whose probabilities have run into 1.0. The AUC comes
from tables score -> (weight of negatives, weight of positives), exact with up to `TABLE_KEYS` distinct scores of all
classes together; with more, neighbouring scores share a key, and it is known up to half the share of pairs in a key.

Rows of weight 0 count nowhere. Of others whose prediction or loss is not finite there are no metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mr_ml.data.block import Block
from mr_ml.errors import BadDataError
from mr_ml.models.linear.reading import Linear, RowSpec
from mr_ml.sums.parts import Keyed, Moments, Part, Sum
from mr_ml.sums.statistic import Statistic

Array = NDArray[Any]
Floats = NDArray[np.float64]

TABLE_KEYS = 1 << 20


@dataclass(frozen=True, eq=False)
class MetricsQuery:
    """Sums from which all metrics of a model follow; coef as in `LineQuery`."""

    kind: ClassVar[str] = "metrics"

    rows: RowSpec
    coef: Floats

    @cached_property
    def _linear(self) -> Linear:
        return Linear.of(self.coef)

    @property
    def reading(self) -> str:
        return self.rows.reading

    def prepare(self, block: Block) -> Block:
        return self.rows.read(block)

    def map(self, block: Block) -> Statistic:
        spec, loss = self.rows, self.rows.pointwise
        y = spec.targets(block)
        u = spec.weights(block, y)
        # BLAS may round equal rows differently by where they stand; CSR products give them equal bits, hence exact ties
        z = spec.margins(replace(block, features=block.features.as_sparse()), self._linear)
        p, losses = loss.predict(z), loss.value(z, y)
        lost = (u > 0) & ~(np.isfinite(losses) & np.isfinite(p).all(axis=1))
        parts: dict[str, Part] = {
            "weight_sum": Sum(u.sum()),
            "loss_sum": Sum((u * losses)[u > 0].sum()),
            "lost": Sum(np.asarray(np.count_nonzero(lost), float)),
        }
        if not loss.classifies:
            u, y, error = u[u > 0], y[u > 0], (z[:, 0] - y)[u > 0]
            sums = np.array([u * error * error, u * np.abs(error)]).sum(axis=1)
            return Statistic({**parts, "errors": Sum(sums), "targets": _weighted_moments(y, u)})
        n_classes = p.shape[1]
        truth, guess = y.astype(np.int64), p.argmax(axis=1)
        confusion = np.bincount(truth * n_classes + guess, u, n_classes * n_classes)
        parts["confusion"] = Sum(confusion.reshape(n_classes, n_classes))
        scores = log_odds(z)
        for k in range(scores.shape[1]):
            positive = truth == (k if scores.shape[1] > 1 else 1)
            sides = np.stack([u * ~positive, u * positive], axis=1)
            limit = max(TABLE_KEYS // scores.shape[1], 2)
            parts[f"scores_{k}"] = Keyed.of(order_keys(scores[:, k]), sides, limit=limit)
        return Statistic(parts)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return {"rows": self.rows.to_json()}, {"coef": self.coef}

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> MetricsQuery:
        return cls(rows=RowSpec.from_json(meta["rows"]), coef=arrays["coef"])


def log_odds(margins: Floats) -> Floats:
    """log p_k - log(1 - p_k) of each class, (n_rows, n_outputs); of a single output, of the second of two classes.

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
        found = margins - highest - np.log(others)
    found[likeliest] = (highest - second)[:, 0] - np.log(np.exp(rest - second).sum(axis=1))
    return np.asarray(found)


def order_keys(scores: Floats) -> NDArray[np.int64]:
    """int64 keys in the order of the float64 scores, equal where those are equal."""
    bits = (scores + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits)


@dataclass(frozen=True)
class Auc:
    """The value, and how far the true one can be from it; None if a side has no weight."""

    value: float | None
    error: float


def auc(table: Keyed) -> Auc:
    """Area under the ROC curve by the trapezoidal rule over the table's keys."""
    negative, positive = table.values[:, 0], table.values[:, 1]
    pairs = negative.sum() * positive.sum()
    if not pairs > 0:
        return Auc(None, 0.0)
    below = np.cumsum(negative) - negative
    value = float((positive * (below + negative / 2)).sum() / pairs)
    return Auc(value, float((positive * negative).sum() / 2 / pairs) if table.shift else 0.0)


def _weighted_moments(y: Floats, u: Floats) -> Moments:
    weight = u.sum()
    mean = (u * y).sum() / (weight or 1.0)
    return Moments(weight, np.array([mean]), np.array([(u * (y - mean) ** 2).sum()]))


def finish_metrics(total: Statistic, rows: RowSpec) -> dict[str, Any]:
    """Metrics from the sums of all rows.

    Returns
    -------
    dict
        For classifiers n_rows, accuracy, log_loss, auc (mean over classes where there are more than two), auc_error,
        auc_by_class, confusion (rows: truth; columns: prediction). For regression n_rows, mean_squared_error,
        root_mean_squared_error, mean_absolute_error, r2 (None where all labels are the same).

    Raises
    ------
    BadDataError
        If the weights of all rows sum to zero, or a prediction or loss is not finite: there is nothing to measure.
    """
    weight = float(total.sum("weight_sum"))
    if not weight > 0:
        raise BadDataError(f"the weights of the {total.n_rows} rows sum to {weight}; expected a positive sum")
    lost = int(total.sum("lost"))
    if lost:
        raise BadDataError(
            f"expected finite predictions, found {lost} of {total.n_rows} rows where the prediction or its loss "
            "overflows, so that no mean would say anything; look for huge feature values, offsets or labels (mr-ml "
            "describe), such as those in other units than the model was trained in"
        )
    # in the unit in which weights were given
    exponent = -rows.weight_exponent if rows.row_weights else 0
    result: dict[str, Any] = {"n_rows": total.n_rows, "weight_sum": float(np.ldexp(weight, exponent))}
    if not rows.pointwise.classifies:
        squares, absolute = (float(v) for v in total.sum("errors"))
        targets = total.parts["targets"]
        assert isinstance(targets, Moments)
        mean, spread = float(targets.mean[0]), float(targets.m2[0])
        mean_square = squares / weight
        return {
            **result,
            "mean_squared_error": mean_square,
            "root_mean_squared_error": mean_square**0.5,
            "mean_absolute_error": absolute / weight,
            # a spread at the level of the mean's rounding is none
            "r2": 1 - squares / spread if spread > 1e-24 * weight * mean * mean else None,
        }
    confusion = total.sum("confusion")
    # by number, whatever order the parts came in
    tables = [total.parts[f"scores_{k}"] for k in range(sum(name.startswith("scores_") for name in total.parts))]
    areas = [auc(table) for table in tables if isinstance(table, Keyed)]
    known = [area.value for area in areas if area.value is not None]
    return {
        **result,
        "accuracy": float(np.trace(confusion) / weight),
        "log_loss": float(total.sum("loss_sum")) / weight,
        "auc": float(np.mean(known)) if known else None,
        "auc_error": max(area.error for area in areas),
        "auc_by_class": [area.value for area in areas] if len(areas) > 1 else None,
        "confusion": np.ldexp(confusion, exponent).tolist(),
    }
